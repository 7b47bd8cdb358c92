"""Word documents (docx), by python-docx. External parts are named in them, and never looked at."""

import io
import re
from collections.abc import Iterator

from docx.document import Document
from docx.opc.constants import CONTENT_TYPE
from docx.opc.part import PartFactory
from docx.package import Package
from docx.parts.document import DocumentPart
from docx.table import Table, _Cell
from docx.text.paragraph import Paragraph

from neuralbridge.errors import DocumentRefused
from neuralbridge.retrieval.extract import Extract, ExtractBuilder, one_line

MAIN = CONTENT_TYPE.WML_DOCUMENT_MAIN
# Documents with macros, and templates, are documents
for kind in ("document.macroEnabled", "template", "template.macroEnabled"):
    ours = "vnd.openxmlformats-officedocument.wordprocessingml" if kind == "template" else "vnd.ms-word"
    PartFactory.part_type_for[f"application/{ours}.{kind}.main+xml"] = DocumentPart
HEADING = re.compile(r"heading ([1-9])", re.IGNORECASE)


def read_docx(raw: bytes) -> Extract:
    part = Package.open(io.BytesIO(raw)).main_document_part
    if not isinstance(part, DocumentPart):
        raise DocumentRefused("is broken: it has no text of a Word document")
    document = part.document
    builder = ExtractBuilder("docx")
    builder.title = document.core_properties.title or None
    levels = heading_levels(document)
    for item in document.iter_inner_content():
        if isinstance(item, Table):
            builder.block("\n".join(rows(item)))
            continue
        style = style_of(item)
        if style in levels:
            builder.heading(levels[style], item.text)
            builder.title = builder.title or item.text
        else:
            builder.paragraph(f"- {item.text}" if is_item(item) and item.text.strip() else item.text)
    return builder.build()
