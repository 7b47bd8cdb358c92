"""Word documents (docx). python-docx opens the package; their text is read from the XML, where it leaves out insertions
that are tracked and the content of forms. Parts outside of the package are named in it, and never looked at.
"""

import io
import re
from collections.abc import Iterator
from typing import Any

from docx.document import Document
from docx.opc.constants import CONTENT_TYPE, RELATIONSHIP_TYPE
from docx.opc.part import PartFactory
from docx.oxml import parse_xml
from docx.oxml.ns import qn
from docx.package import Package
from docx.parts.document import DocumentPart

from neuralbridge.errors import DocumentRefused
from neuralbridge.retrieval.extract import Extract, ExtractBuilder, one_line

# Documents with macros, and templates, are documents
for main in (
    "ms-word.document.macroEnabled",
    "openxmlformats-officedocument.wordprocessingml.template",
    "ms-word.template.macroEnabledTemplate",
):
    PartFactory.part_type_for[f"application/vnd.{main}.main+xml"] = DocumentPart
assert CONTENT_TYPE.WML_DOCUMENT_MAIN in PartFactory.part_type_for

PARAGRAPH, TABLE, ROW, CELL, TEXT = qn("w:p"), qn("w:tbl"), qn("w:tr"), qn("w:tc"), qn("w:t")
SIGNS = {qn("w:tab"): "\t", qn("w:br"): "\n", qn("w:cr"): "\n", qn("w:noBreakHyphen"): "-", PARAGRAPH: "\n", CELL: " "}
FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"  # what is there once already
HEADING = re.compile(r"heading ([1-9])", re.IGNORECASE)
TITLE_LEVEL = 1


def read_docx(raw: bytes) -> Extract:
    part: Any = Package.open(io.BytesIO(raw)).main_document_part
    if not isinstance(part, DocumentPart):
        raise DocumentRefused("is broken: it has no text of a Word document", "broken")
    builder = ExtractBuilder("docx")
    builder.title = own_title(part)
    styles = Styles(part.document)
    for item in items(part.element.body):
        if item.tag == TABLE:
            builder.block("\n".join(rows(item)))
            continue
        text = "".join(spoken(item)).strip()
        if level := styles.level(item):
            builder.heading(level, text)
            builder.title = builder.title or text
        elif text:
            builder.paragraph(f"- {text}" if styles.is_item(item) else text)
    for note in footnotes(part):
        builder.paragraph(note)
    return builder.build()


class Styles:
    """What the styles of a document's paragraphs mean."""

    def __init__(self, document: Document) -> None:
        self._levels: dict[str, int] = {}
        self._lists: set[str] = set()
        for style in document.styles:
            base: Any = style
            for _ in range(10):  # styles may be based on each other in a circle
                name = (base.name or "").strip() if base is not None else ""
                if match := HEADING.fullmatch(name):
                    self._levels[style.style_id] = int(match[1])
                elif name.lower() == "title":
                    self._levels[style.style_id] = TITLE_LEVEL
                elif name.lower().startswith("list "):
                    self._lists.add(style.style_id)
                base = getattr(base, "base_style", None)

    def level(self, paragraph: Any) -> int | None:
        return self._levels.get(paragraph.style)

    def is_item(self, paragraph: Any) -> bool:
        properties = paragraph.pPr
        return paragraph.style in self._lists or (properties is not None and properties.numPr is not None)


def own_title(part: DocumentPart) -> str | None:
    try:  # python-docx would make up properties, with a title
        properties: Any = part.package.part_related_by(RELATIONSHIP_TYPE.CORE_PROPERTIES)
    except KeyError:
        return None
    return properties.core_properties.title or None


def items(container: Any) -> Iterator[Any]:
    """Paragraphs and tables, also those in forms and tracked changes."""
    for child in container:
        if child.tag in (PARAGRAPH, TABLE):
            yield child
        elif child.tag != FALLBACK:
            yield from items(child)  # the parser takes no more than 256 levels


def spoken(paragraph: Any) -> Iterator[str]:
    for child in paragraph:
        if child.tag == TEXT:
            yield child.text or ""
        elif child.tag != FALLBACK:
            yield SIGNS.get(child.tag, "")
            yield from spoken(child)


def rows(table: Any) -> Iterator[str]:
    for row in within(table, ROW):
        cells = [one_line("".join(spoken(cell))) for cell in within(row, CELL)]
        if any(cells):
            yield " | ".join(cells)


def within(container: Any, tag: str) -> Iterator[Any]:
    """Elements of a kind, but for those in one another: a table in a cell is the cell's text."""
    for child in container:
        if child.tag == tag:
            yield child
        else:
            yield from within(child, tag)


def footnotes(part: DocumentPart) -> Iterator[str]:
    for relation in part.rels.values():
        if not relation.is_external and relation.reltype.endswith(("/footnotes", "/endnotes")):
            for note in parse_xml(relation.target_part.blob):
                yield "".join(spoken(note))
