"""PDF: the text of each page, in order."""

import re

import pypdfium2

from neuralbridge.errors import DocumentRefused
from neuralbridge.retrieval.extract import Extract, ExtractBuilder
from neuralbridge.retrieval.readers.decode import clean
from neuralbridge.retrieval.readers.kinds import Kind

MAX_PAGES = 5_000
MAX_CHARACTERS = 20_000_000
# A word that was divided at the end of a line; pdfium marks the hyphen as U+FFFE or leaves it
DIVIDED = re.compile(r"(?<=[^\W\d_])(?:\ufffe|\u00ad|-)\n(?=[a-zß-öø-ÿ])")


def read(raw: bytes, name: str, kind: Kind) -> Extract:
    try:
        document = pypdfium2.PdfDocument(raw)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise DocumentRefused(f"{name} is encrypted; save it without a password.") from error
        raise DocumentRefused(f"{name} is broken and cannot be read as pdf.") from error
    try:
        if len(document) > MAX_PAGES:
            raise DocumentRefused(f"{name} has {len(document):,} pages; at most {MAX_PAGES:,} are read.")
        builder = ExtractBuilder("pdf")
        builder.title = clean(str(document.get_metadata_value("Title"))).strip() or None
        for number in range(len(document)):
            page = document[number]
            text_page = page.get_textpage()
            text = text_page.get_text_bounded().replace("\r\n", "\n").replace("\r", "\n")
            text_page.close()
            page.close()
            builder.page(number + 1)
            builder.paragraph(clean(DIVIDED.sub("", text)))
            if builder.length > MAX_CHARACTERS:
                break  # refused by `read` of the package
        return builder.build()
    finally:
        document.close()
