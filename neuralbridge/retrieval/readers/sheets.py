"""Tables: a row is a line that names its columns, so that a row found by itself still says what it is."""

import csv
from collections.abc import Iterable, Iterator
from io import BytesIO, StringIO

import openpyxl

from neuralbridge.errors import DocumentRefused
from neuralbridge.retrieval.extract import Extract, ExtractBuilder
from neuralbridge.retrieval.readers.archive import guard
from neuralbridge.retrieval.readers.decode import clean, decode
from neuralbridge.retrieval.readers.kinds import Kind

MAX_ROWS = 500_000
MAX_COLUMNS = 1_000
ROWS_IN_BLOCK = 20
SNIFFED_CHARACTERS = 64 * 1024
csv.field_size_limit(10 * 1024 * 1024)

Row = list[str]


def read(raw: bytes, name: str, kind: Kind) -> Extract:
    return read_csv(raw, name) if kind == "csv" else read_workbook(raw, name)


def read_csv(raw: bytes, name: str) -> Extract:
    text = decode(raw)
    try:
        dialect = csv.Sniffer().sniff(text[:SNIFFED_CHARACTERS], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    builder = ExtractBuilder("csv")
    add(builder, bounded(csv.reader(StringIO(text), dialect), name))
    return builder.build()


def read_workbook(raw: bytes, name: str) -> Extract:
    guard(raw, name)
    workbook = openpyxl.load_workbook(BytesIO(raw), read_only=True, data_only=True, keep_links=False)
    builder = ExtractBuilder("xlsx")
    try:
        for number, sheet in enumerate(workbook.worksheets, 1):
            builder.page(number)
            builder.heading(1, clean(sheet.title))
            sheet.reset_dimensions()  # what a file says of its size is not to be relied on
            rows = sheet.iter_rows(values_only=True, max_col=MAX_COLUMNS)
            add(builder, bounded(([show(cell) for cell in row] for row in rows), name))
    finally:
        workbook.close()
    return builder.build()


def add(builder: ExtractBuilder, rows: Iterator[Row]) -> None:
    """Rows in blocks, with the names of the first row where it looks like names."""
    first = next(rows, None)
    if first is None:
        return
    second = next(rows, None)
    named = second is not None and is_header(first, second)
    lines = [] if named else [line_of(first, [])]
    names = first if named else []
    if second is not None:
        lines.append(line_of(second, names))
    for row in rows:
        lines.append(line_of(row, names))
        if len(lines) >= ROWS_IN_BLOCK:
            builder.block("\n".join(lines))
            lines = []
    builder.block("\n".join(lines))


def bounded(rows: Iterable[Row], name: str) -> Iterator[Row]:
    """Rows that have something in them, clean. Raises DocumentRefused when there are too many."""
    for number, row in enumerate(rows):
        if number >= MAX_ROWS:
            raise DocumentRefused(f"{name} has more than {MAX_ROWS:,} rows, the most that are read.")
        cells = [" ".join(clean(cell).split()) for cell in row[:MAX_COLUMNS]]
        if any(cells):
            yield cells


def is_header(first: Row, second: Row) -> bool:
    """Names, each once, none of them a number, above at least as many values."""
    names = [cell for cell in first if cell]
    numbers = any(is_number(cell) for cell in names)
    return len(names) > 1 and len(set(names)) == len(names) and not numbers and len(second) <= len(first) + 1


def is_number(cell: str) -> bool:
    return cell.replace(".", "", 1).replace(",", "").replace("-", "", 1).replace("%", "").strip().isdigit()


def line_of(row: Row, names: Row) -> str:
    if not names:
        return " | ".join(row)
    pairs = zip([*names, *([""] * (len(row) - len(names)))], row, strict=False)
    return "; ".join(f"{name}: {cell}" if name else cell for name, cell in pairs if cell)


def show(cell: object) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)
