"""What is put together from parts says rightly where each of them stands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralbridge.errors import DocumentTooLarge
from neuralbridge.retrieval import extract as limits
from neuralbridge.retrieval.extract import UNWANTED, ExtractBuilder, clean, one_line, shown

TEXT = st.text(st.sampled_from("ab é\n\r\t\x00\x85\u2028\ud800\ufeff\U0001f600"), max_size=12)


@given(st.lists(st.tuples(st.sampled_from(["heading", "paragraph", "block", "lines", "page"]), TEXT), max_size=20))
def test_parts_stand_where_the_extract_says(parts: list[tuple[str, str]]) -> None:
    builder = ExtractBuilder("text")
    for number, (kind, text) in enumerate(parts):
        match kind:
            case "heading":
                builder.heading(1, text)
            case "paragraph":
                builder.paragraph(text)
            case "block":
                builder.block(text)
            case "lines":
                builder.lines(line for line in map(one_line, [text, text]) if line)
            case "page":
                builder.page(number)
        assert builder.length == len(builder.build().text)
    extract = builder.build()
    extract.text.encode()
    assert not UNWANTED.search(extract.text)
    for heading in extract.headings:
        assert extract.text[heading.start :].startswith(heading.title)
        assert heading.start == 0 or extract.text[: heading.start].endswith("\n\n")
    for block in extract.blocks:
        assert extract.text[block.start : block.end].strip("\n") == extract.text[block.start : block.end] != ""
    assert all(page.start < len(extract.text) for page in extract.pages)
    assert len({page.start for page in extract.pages}) == len(extract.pages)


def test_a_page_without_text_is_none() -> None:
    builder = ExtractBuilder("pdf")
    for number, text in enumerate(["", "One", "", "", "Two", ""], 1):
        builder.page(number)
        builder.paragraph(text)
    extract = builder.build()
    assert [(page.number, page.start) for page in extract.pages] == [(2, 0), (5, 5)]


def test_a_builder_stops_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_CHARACTERS", 10)
    builder = ExtractBuilder("text")
    builder.paragraph("0123456789")
    with pytest.raises(DocumentTooLarge, match="has at least 12 characters of text; a document may have 10"):
        builder.paragraph("x")


def test_clean_text() -> None:
    assert clean("a\r\nb\rc\x00\ud83d\x1b[0m\ufeffé\f") == "a\nb\nc\ufffd[0mé\f"


@pytest.mark.parametrize(
    ("name", "as_shown"),
    [
        ("report.pdf", "report.pdf"),
        ("a\nb\x00c\u202e.txt", "a\ufffdb\ufffdc\ufffd.txt"),
        ("x" * 300 + ".txt", "x" * 60 + "…" + "x" * 26 + ".txt"),
    ],
)
def test_a_name_fits_into_a_sentence(name: str, as_shown: str) -> None:
    assert shown(name) == as_shown
