"""Spreadsheets (xlsx), by openpyxl: a sheet is a page and a heading, a row a line that says what its cells are."""

import io
import warnings
from itertools import chain

from openpyxl import load_workbook

from neuralbridge.retrieval.extract import Extract, ExtractBuilder
from neuralbridge.retrieval.readers.rows import lines_of_rows


def read_xlsx(raw: bytes) -> Extract:
    builder = ExtractBuilder("xlsx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about parts that are not read, such as printer settings
        book = load_workbook(io.BytesIO(raw), read_only=True, data_only=True, keep_links=False)
        builder.title = book.properties.title
        for number, sheet in enumerate(book.worksheets, 1):
            sheet.reset_dimensions()  # those in the file are often too large, and not to be trusted
            rows = lines_of_rows(sheet.iter_rows(values_only=True))
            first = next(rows, None)
            if first is None:
                continue
            builder.page(number)
            builder.heading(1, sheet.title)
            builder.lines(chain([first], rows))
        book.close()
    return builder.build()
