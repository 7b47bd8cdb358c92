"""Documents of Office: their text in the order of reading, headings, tables and pages, and nothing from outside."""

import io
from datetime import date, datetime
from typing import Any

import docx
import openpyxl
import pptx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from pptx.util import Inches

from neuralbridge.errors import DocumentRefused
from neuralbridge.retrieval.extract import Extract
from neuralbridge.retrieval.readers.formats import read
from tests.retrieval.readers.shelf import changed, member

EXTERNAL = (
    '<Relationship Id="rId99" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{}" '
    'Target="{}" TargetMode="External"/></Relationships>'
)


def saved(document: Any) -> bytes:
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def blocks(extract: Extract) -> list[str]:
    return [extract.text[block.start : block.end] for block in extract.blocks]


def pages(extract: Extract) -> list[tuple[int, str]]:
    """Each page's number and its first line."""
    return [(page.number, extract.text[page.start :].split("\n")[0]) for page in extract.pages]


def word() -> Any:
    document = docx.Document()
    document.add_heading("The report", 0)
    document.add_heading("Part one", 1)
    document.add_paragraph("First\nline")
    document.add_heading("Detail", 2)
    document.add_paragraph("An item", style="List Bullet")
    table = document.add_table(2, 2)
    for place, text in enumerate(("Name", "Born", "Ada", "1815")):
        table.cell(*divmod(place, 2)).text = text
    document.add_paragraph("The end")
    return document


def test_a_word_document() -> None:
    extract = read(saved(word()), "a.docx")
    assert extract.text.split("\n\n") == [
        *("The report", "Part one", "First\nline", "Detail", "- An item"),
        *("Name | Born\nAda | 1815", "The end"),
    ]
    assert [(heading.level, heading.title) for heading in extract.headings] == [
        (1, "The report"),
        (1, "Part one"),
        (2, "Detail"),
    ]
    assert blocks(extract) == ["Name | Born\nAda | 1815"]
    assert extract.title == "The report"


def test_insertions_forms_boxes_and_links_are_read_and_deletions_are_not() -> None:
    document = docx.Document()
    document.add_paragraph("Before")
    body = document.element.body
    run = "<w:r><w:t>{}</w:t></w:r>"
    for xml in (
        f"""<w:p {nsdecls("w")}><w:ins>{run.format("inserted")}</w:ins>
        <w:del><w:r><w:delText>gone</w:delText></w:r></w:del></w:p>""",
        f"<w:sdt {nsdecls('w')}><w:sdtContent><w:p>{run.format('in a form')}</w:p></w:sdtContent></w:sdt>",
        f"<w:p {nsdecls('w')}><w:hyperlink>{run.format('a link')}</w:hyperlink><w:r><w:tab/><w:t>x</w:t></w:r></w:p>",
        f"""<w:p {nsdecls("w")} xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"><w:r>
        <mc:AlternateContent><mc:Choice><w:txbxContent><w:p>{run.format("in a box")}</w:p></w:txbxContent></mc:Choice>
        <mc:Fallback><w:p>{run.format("in a box")}</w:p></mc:Fallback></mc:AlternateContent></w:r></w:p>""",
    ):
        body.insert(len(body) - 1, parse_xml(xml))
    assert read(saved(document), "a.docx").text.split("\n\n") == [
        "Before",
        "inserted",
        "in a form",
        "a link\tx",
        "in a box",
    ]


def test_a_table_in_a_table_is_the_text_of_its_cell() -> None:
    document = docx.Document()
    table = document.add_table(1, 2)
    table.cell(0, 0).text = "Outer"
    inner = table.cell(0, 1).add_table(1, 2)
    inner.cell(0, 0).text, inner.cell(0, 1).text = "a", "b"
    assert read(saved(document), "a.docx").text == "Outer | a b"


def test_footnotes_are_at_the_end() -> None:
    whole = saved(word())
    notes = (
        f"<w:footnotes {nsdecls('w')}><w:footnote><w:p><w:r><w:t>A note</w:t></w:r></w:p></w:footnote></w:footnotes>"
    )
    relations = member(whole, "word/_rels/document.xml.rels").replace(
        "</Relationships>",
        '<Relationship Id="rId98" Target="footnotes.xml" '
        'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes"/></Relationships>',
    )
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"
    types = member(whole, "[Content_Types].xml").replace(
        "</Types>", f'<Override PartName="/word/footnotes.xml" ContentType="{kind}"/></Types>'
    )
    raw = changed(
        whole, {"word/footnotes.xml": notes, "word/_rels/document.xml.rels": relations, "[Content_Types].xml": types}
    )
    assert read(raw, "a.docx").text.endswith("The end\n\nA note")


@pytest.mark.parametrize(
    "kind", ["ms-word.document.macroEnabled", "openxmlformats-officedocument.wordprocessingml.template"]
)
def test_documents_with_macros_and_templates_are_documents(kind: str) -> None:
    whole = saved(word())
    ours = "openxmlformats-officedocument.wordprocessingml.document.main"
    types = member(whole, "[Content_Types].xml").replace(ours, f"{kind}.main")
    assert read(changed(whole, {"[Content_Types].xml": types}), "a.docm").title == "The report"


@pytest.mark.parametrize("target", ["http://127.0.0.1:9/x", "file:///etc/passwd", "\\\\host\\share\\x", "../../../x"])
@pytest.mark.parametrize("kind", ["attachedTemplate", "footnotes", "image"])
def test_parts_outside_are_not_looked_at(target: str, kind: str) -> None:
    whole = saved(word())
    relations = member(whole, "word/_rels/document.xml.rels").replace("</Relationships>", EXTERNAL.format(kind, target))
    extract = read(changed(whole, {"word/_rels/document.xml.rels": relations}), "a.docx")
    assert extract.text == read(whole, "a.docx").text


def test_styles_based_on_each_other_in_a_circle() -> None:
    whole = saved(word())
    styles = member(whole, "word/styles.xml").replace('<w:basedOn w:val="Normal"/>', '<w:basedOn w:val="Heading1"/>')
    assert "Part one" in read(changed(whole, {"word/styles.xml": styles}), "a.docx").text


def test_a_presentation() -> None:
    presentation = pptx.Presentation()
    for number in (1, 2, 3):
        slide = presentation.slides.add_slide(presentation.slide_layouts[1 if number < 3 else 6])
        if number < 3:
            slide.shapes.title.text = f"Slide {number}"
            slide.placeholders[1].text = "One point\nAnother"
    slide = presentation.slides[1]
    table = slide.shapes.add_table(1, 2, Inches(1), Inches(1), Inches(1), Inches(1)).table
    table.cell(0, 0).text, table.cell(0, 1).text = "a", "b"
    slide.shapes.add_group_shape().shapes.add_textbox(0, 0, 9, 9).text_frame.text = "Grouped"
    slide.notes_slide.notes_text_frame.text = "Say this"
    extract = read(saved(presentation), "a.pptx")
    assert extract.text.split("\n\n") == [
        *("Slide 1", "One point\nAnother"),
        *("Slide 2", "One point\nAnother", "a | b", "Grouped", "Say this"),
    ]
    assert pages(extract) == [(1, "Slide 1"), (2, "Slide 2")]
    assert [heading.title for heading in extract.headings] == ["Slide 1", "Slide 2"]
    assert (extract.title, blocks(extract)) == ("Slide 1", ["a | b"])


def test_a_workbook() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "People"
    for row in (
        ["All of them"],
        [],
        ["Name", "Born", "Share"],
        ["Ada", date(1815, 12, 10), 0.1 + 0.2],
        ["Alan", None, 3.0],
    ):
        sheet.append(row)
    sheet["F6"] = "=1+1"
    book.create_sheet("Empty")
    other = book.create_sheet("Times")
    other.append([datetime(2024, 1, 2, 3, 4), True])  # noqa: DTZ001
    extract = read(saved(book), "a.xlsx")
    assert extract.text.split("\n\n") == [
        "People",
        "All of them\nName | Born | Share\nName: Ada | Born: 1815-12-10 | Share: 0.3\nName: Alan | Share: 3",
        "Times",
        "2024-01-02 03:04:00 | True",
    ]
    assert pages(extract) == [(1, "People"), (3, "Times")]
    assert [heading.title for heading in extract.headings] == ["People", "Times"]


def test_a_sheet_that_claims_to_be_huge_is_as_large_as_it_is() -> None:
    book = openpyxl.Workbook()
    book.active.append(["a", "b"])
    whole = saved(book)
    sheet = member(whole, "xl/worksheets/sheet1.xml").replace('ref="A1:B1"', 'ref="A1:XFD1048576"')
    assert "XFD" in sheet
    assert read(changed(whole, {"xl/worksheets/sheet1.xml": sheet}), "a.xlsx").text == "Sheet\n\na | b"


def test_an_empty_workbook_is_refused() -> None:
    with pytest.raises(DocumentRefused, match="has no text"):
        read(saved(openpyxl.Workbook()), "a.xlsx")
