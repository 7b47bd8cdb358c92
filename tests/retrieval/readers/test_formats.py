"""A document is what its content says; a name decides among texts only; what cannot be read is refused."""

import io
import random
import zipfile
from pathlib import PurePosixPath

import docx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralbridge.errors import DocumentRefused, DocumentTooLarge, Reason, UnknownFormat
from neuralbridge.retrieval import extract as limits
from neuralbridge.retrieval.extract import UNWANTED, Extract
from neuralbridge.retrieval.readers.formats import read, read_text
from tests.retrieval.readers.shelf import pdf, read_or_refused, zipped

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
MAIL = b"From: Ada <ada@example.org>\r\nMessage-ID: <1@example.org>\r\nSubject: Engines\r\n\r\nThey weave.\r\n"
PAGE = "<!-- saved --><!DOCTYPE html><title>T</title><p>Hello<script>alert(1)</script>"


def docx_of(text: str) -> bytes:
    document, file = docx.Document(), io.BytesIO()
    document.add_paragraph(text)
    document.save(file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "name", "kind"),
    [
        ("Some text.", "a.txt", "text"),
        ("Some text.", "noending", "text"),
        ("# Title\n", "a.md", "markdown"),
        ("# Title\n", "a.txt", "text"),
        ("x = 1\n", "a.py", "code"),
        ("all:\n", "Makefile", "code"),
        ("a,b\n1,2\n", "a.csv", "table"),
        ('{"a": 1}', "a.json", "json"),
        ('{"a": 1}\n{"a": 2}\n', "a.jsonl", "json"),
        ("{ // with a comment\n}", "a.json", "text"),
        ("<b>bold</b>", "a.html", "html"),
        ("no tags", "a.html", "text"),
        (PAGE, "a.txt", "html"),
        (PAGE, "a.py", "html"),
        ('<?xml version="1.0"?><!DOCTYPE html><html><p>x', "a.xml", "html"),
        ('<?xml version="1.0"?><a>b</a>', "a.txt", "xml"),
        ('<svg onload="alert(1)">x</svg>', "a.png", "xml"),
        (MAIL, "a.txt", "mail"),
        (b"From: Ada\nSubject: x\n\nBody", "a.eml", "mail"),
        ("From: Ada\nSubject: x\n\nBody", "a.txt", "text"),
        ("MZ is how a name may begin.", "a.txt", "text"),
        ("PK is how a name may begin.", "a.docx", "text"),
        (pdf([["Hello"]]), "a.txt", "pdf"),
        (b"\n\n" + pdf([["Hello"]]), "a.docx", "pdf"),
        (docx_of("Hello"), "a.zip", "docx"),
        (docx_of("Hello"), "a.pdf", "docx"),
    ],
)
def test_what_a_document_is(content: str | bytes, name: str, kind: str) -> None:
    raw = content.encode() if isinstance(content, str) else content
    assert read(raw, name).kind == kind


@pytest.mark.parametrize(
    ("raw", "name", "refusal", "reason", "says"),
    [
        (b"", "a.txt", DocumentRefused, "empty", "is empty"),
        (b" \n\t ", "a.txt", DocumentRefused, "empty", "is empty"),
        (b"\xef\xbb\xbf  \n", "a.txt", DocumentRefused, "no_text", "has no text"),
        (b"\xff\xfe \x00", "a.txt", DocumentRefused, "no_text", "has no text"),
        (b"\x00", "a.txt", UnknownFormat, "unknown_format", "is not text"),
        (b"<html><script>x</script>", "a.html", DocumentRefused, "no_text", "has no text"),
        (b"MZ\x90\x00\x03" + b"\x00" * 500, "a.pdf", UnknownFormat, "unknown_format", "is a program"),
        (b"\x7fELF\x02\x01\x01" + b"\x00" * 500, "a.pdf", UnknownFormat, "unknown_format", "is a program"),
        (b"\x89PNG\r\n\x1a\n" + b"\x00" * 50, "a.txt", UnknownFormat, "unknown_format", "is a picture"),
        (b"\x1f\x8b\x08\x00", "a.txt", UnknownFormat, "unknown_format", "is a compressed file"),
        (b"{\\rtf1 Hello}", "a.docx", UnknownFormat, "unknown_format", "is an RTF document"),
        (random.Random(1).randbytes(5_000), "a.docx", UnknownFormat, "unknown_format", "is not text"),
        (zipped({"a.txt": "hello"}), "a.docx", UnknownFormat, "unknown_format", "is an archive"),
        (zipped({}), "a.docx", UnknownFormat, "unknown_format", "is an archive"),
        (OLE + b"\x00" * 1000, "a.doc", UnknownFormat, "unknown_format", "is of Office before 2007"),
        (OLE + "EncryptedPackage".encode("utf-16-le"), "a.docx", DocumentRefused, "encrypted", "is encrypted"),
        (pdf([["x"]], encrypted=True), "a.pdf", DocumentRefused, "encrypted", "is encrypted"),
        (pdf([[], []]), "a.pdf", DocumentRefused, "no_text", "has no text; scanned pages need OCR first"),
        (b"%PDF-1.4 and nothing else", "a.pdf", DocumentRefused, "broken", "is broken: it cannot be opened as a PDF"),
        (docx_of("Hello")[:-500], "a.docx", DocumentRefused, "broken", "is broken: its package is incomplete"),
        (
            zipped({"[Content_Types].xml": "no", "word/document.xml": ""}),
            "a.docx",
            DocumentRefused,
            "broken",
            "is broken",
        ),
        (zipped({"[Content_Types].xml": "no", "ppt/x": ""}), "a.docx", DocumentRefused, "broken", "is broken"),
        (zipped({"[Content_Types].xml": "no", "xl/x": ""}), "a.docx", DocumentRefused, "broken", "is broken"),
        (zipped({"META-INF/container.xml": "no"}), "a.epub", DocumentRefused, "broken", "is broken"),
    ],
)
def test_what_cannot_be_read_is_refused(
    raw: bytes, name: str, refusal: type[DocumentRefused], reason: Reason, says: str
) -> None:
    with pytest.raises(refusal) as caught:
        read(raw, name)
    assert str(caught.value).startswith(says) and "\n" not in str(caught.value)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "entities.xml"),
        (b"<html>" + b"<div>" * 200_000 + b"x", "deep.html"),
    ],
)
def test_what_is_whole_and_still_cannot_be_read_is_unreadable(raw: bytes, name: str) -> None:
    with pytest.raises(DocumentRefused) as caught:
        read(raw, name)
    assert caught.value.reason == "unreadable"


def test_more_text_than_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_CHARACTERS", 1_000)
    for name in ("a.txt", "a.html", "a.csv"):
        with pytest.raises(
            DocumentTooLarge, match=r"has at least 1,\d\d\d characters of text; a document may have 1,000"
        ):
            read(b"<p>word,word\n" * 100, name)
    with pytest.raises(DocumentTooLarge):
        read_text("word " * 300, "a.txt")


@pytest.mark.parametrize(
    ("name", "kind"), [("a.md", "markdown"), ("a.txt", "text"), ("note", "text"), ("a.py", "code")]
)
def test_what_came_as_text_is_text(name: str, kind: str) -> None:
    extract = read_text("%PDF-1.4\r\n<html>\x00\ud800", name)
    assert (extract.kind, extract.text) == (kind, "%PDF-1.4\n<html>\ufffd")


def check(extract: Extract) -> None:
    """What holds of every extract."""
    extract.text.encode()
    assert not UNWANTED.search(extract.text) and "\r" not in extract.text
    places = [heading.start for heading in extract.headings]
    assert places == sorted({*places}) and all(0 <= place < len(extract.text) for place in places)
    assert all(heading.title == " ".join(heading.title.split()) != "" for heading in extract.headings)
    pages = [page.start for page in extract.pages]
    assert pages == sorted({*pages})
    ends = [place for block in extract.blocks for place in (block.start, block.end)]
    assert ends == sorted(ends) and all(place <= len(extract.text) for place in ends)


SIGNS = st.text(st.sampled_from("ab1. \n\n\t\f#=-|`<>/pretdh\"'&;:,\x00\ud800é日{}[]\\u0"), max_size=200)
ENDINGS = st.sampled_from(["txt", "md", "html", "csv", "json", "jsonl", "py", "eml", "xml", "tsv"])


@given(SIGNS, ENDINGS)
def test_any_text_is_read_or_refused(text: str, ending: str) -> None:
    outcome = read_or_refused(text.encode("utf-8", "surrogatepass"), f"a.{ending}")
    if isinstance(outcome, Extract):
        check(outcome)
    else:
        assert outcome.startswith(("is ", "has ", "nests ", "declares "))


WHOLE = {
    "a.pdf": pdf([["Hello there", "and more"], ["Second page"]], [("Second page", 1)], title="T"),
    "a.docx": docx_of("Hello there"),
    "a.eml": MAIL,
}


@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_damaged_documents_are_read_or_refused(name: str, data: st.DataObject) -> None:
    raw = bytearray(WHOLE[name])
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    del raw[data.draw(st.integers(1, len(raw))) :]
    outcome = read_or_refused(bytes(raw), name)
    if isinstance(outcome, Extract):
        check(outcome)
    else:
        assert outcome.startswith(("is ", "has "))


def test_a_damaged_member_is_a_broken_document() -> None:
    whole = docx_of("Hello there")
    with zipfile.ZipFile(io.BytesIO(whole)) as package:
        place = package.getinfo("word/document.xml").header_offset + 60
    with pytest.raises(DocumentRefused, match=r"is broken: its package"):
        read(whole[:place] + bytes(30) + whole[place + 30 :], "a.docx")


def test_names_may_be_anything() -> None:
    for name in (
        "",
        ".",
        "..",
        "/",
        "a.",
        "\x00",
        "../../x.md",
        "C:\\x.txt",
        "\u202egnp.txt",
        "x" * 300 + ".txt",
        "\ud800",
    ):
        assert read(b"Some text.", name).text == "Some text."
    assert PurePosixPath("").suffix == ""
