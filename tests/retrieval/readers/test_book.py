"""A book reads chapter by chapter, in its own order."""

import pytest

from neuralbridge.errors import DocumentRefused
from neuralbridge.retrieval.readers.formats import read
from tests.retrieval.readers.shelf import zipped

CONTAINER = """<?xml version="1.0"?><container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>
<rootfile full-path="OEBPS/content.opf" media-type="application/oebps-package+xml"/></rootfiles></container>"""
CONTENT = """<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>The book</dc:title></metadata><manifest>
<item id="b" href="two.xhtml" media-type="application/xhtml+xml"/>
<item id="a" href="text/one%20a.xhtml" media-type="application/xhtml+xml"/>
<item id="c" href="../../../etc/passwd" media-type="application/xhtml+xml"/>
<item id="d" href="cover.png" media-type="image/png"/></manifest>
<spine><itemref idref="a"/><itemref idref="missing"/>
<itemref idref="d"/><itemref idref="c"/><itemref idref="b"/></spine></package>"""
HEAD = (
    '<?xml version="1.0"?><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN" '
    '"http://www.w3.org/TR/xhtml11/DTD/xhtml11.dtd"><html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head>'
)
BOOK = {
    "mimetype": "application/epub+zip",
    "META-INF/container.xml": CONTAINER,
    "OEBPS/content.opf": CONTENT,
    "OEBPS/two.xhtml": f"{HEAD}<body><h1>Chapter two</h1><p>It ends.</p></body></html>",
    "OEBPS/text/one a.xhtml": f"{HEAD}<body><h1>Chapter one</h1><p>It begins\u2026</p></body></html>",
    "OEBPS/cover.png": b"\x89PNG",
}


def encryption(path: str) -> str:
    return (
        '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><EncryptedData><CipherData>'
        f'<CipherReference URI="{path}"/></CipherData></EncryptedData></encryption>'
    )


def test_chapters_come_in_the_order_of_reading() -> None:
    extract = read(zipped(BOOK), "a.epub")
    assert extract.text == "Chapter one\n\nIt begins\u2026\n\nChapter two\n\nIt ends."
    assert [heading.title for heading in extract.headings] == ["Chapter one", "Chapter two"]
    assert (extract.kind, extract.title) == ("epub", "The book")


def test_an_encrypted_book_is_refused_and_one_with_encrypted_fonts_is_not() -> None:
    with pytest.raises(DocumentRefused, match="is encrypted"):
        read(zipped({**BOOK, "META-INF/encryption.xml": encryption("OEBPS/two.xhtml")}), "a.epub")
    assert read(zipped({**BOOK, "META-INF/encryption.xml": encryption("OEBPS/font.otf")}), "a.epub").text


@pytest.mark.parametrize(
    "members",
    [
        {"META-INF/container.xml": "<container/>"},
        {"META-INF/container.xml": CONTAINER.replace("content.opf", "gone.opf")},
        {"OEBPS/content.opf": "<package"},
    ],
)
def test_a_book_without_a_list_of_contents_is_broken(members: dict[str, str]) -> None:
    with pytest.raises(DocumentRefused, match="is broken: the book's list of contents"):
        read(zipped({**BOOK, **members}), "a.epub")


def test_a_book_whose_chapters_are_gone_has_no_text() -> None:
    with pytest.raises(DocumentRefused, match="has no text"):
        read(zipped({"META-INF/container.xml": CONTAINER, "OEBPS/content.opf": CONTENT}), "a.epub")
