"""A PDF reads page by page, in paragraphs, with its bookmarks as headings and without its running lines."""

import pytest

from neuralbridge.errors import DocumentTooLarge
from neuralbridge.retrieval.extract import Extract
from neuralbridge.retrieval.readers import pdf as module
from neuralbridge.retrieval.readers.pdf import paragraphs, read_pdf
from neuralbridge.retrieval.readers.running import without_running_lines
from tests.retrieval.readers.shelf import pdf, read_or_refused

LONG = [
    "The first line of a paragraph reaches to the right edge and",
    "is followed by one more of the same length, which is not the",
    "end.",
    "A new one begins here, after a line that was short; it is in",
    "no way special.",
]


def pages(extract: Extract) -> list[tuple[int, str]]:
    return [(page.number, extract.text[page.start :].split("\n")[0]) for page in extract.pages]


def test_pages_and_bookmarks() -> None:
    extract = read_pdf(
        pdf(
            [["Introduction", "Some text"], [], ["2  Methods", "More (text)"]], [("Introduction", 0), ("2. METHODS", 2)]
        )
    )
    assert extract.text == "Introduction\n\nSome text\n\n2 Methods\n\nMore (text)"
    assert pages(extract) == [(1, "Introduction"), (3, "2 Methods")]
    assert [(heading.level, heading.title) for heading in extract.headings] == [(1, "Introduction"), (1, "2 Methods")]


def test_lines_are_joined_to_paragraphs() -> None:
    extract = read_pdf(pdf([LONG]))
    assert extract.text == " ".join(LONG[:3]) + "\n\n" + " ".join(LONG[3:])


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        ("Name Born\nAda 1815\nAlan 1912", ["Name Born", "Ada 1815", "Alan 1912"]),
        ("\n".join([*LONG[:2], "- an item"]), [" ".join(LONG[:2]), "- an item"]),
        ("\n".join([*LONG[:2], "2. an item"]), [" ".join(LONG[:2]), "2. an item"]),
        ("", [""]),
    ],
)
def test_lines_that_are_not_full_stay_lines(text: str, joined: list[str]) -> None:
    assert paragraphs(text) == joined


def test_a_word_parted_at_the_end_of_a_line_is_one() -> None:
    assert read_pdf(pdf([["An exam-", "ple of well-known", "pre-", "War"]])).text == "An example of well-known\npre-War"


def test_the_title_is_the_documents_own() -> None:
    assert read_pdf(pdf([["x"]], title="A  title")).title == "A title"
    assert read_pdf(pdf([["x"]])).title is None


def test_running_lines_are_left_out() -> None:
    sheets = [f"The report\nText {'abcdefg'[number]}\nPage {number} of 7" for number in range(7)]
    assert without_running_lines(sheets) == [f"Text {letter}" for letter in "abcdefg"]
    assert without_running_lines(sheets[:3]) == sheets[:3]
    assert without_running_lines(["", "a\nb", ""]) == ["", "a\nb", ""]


def test_too_many_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PAGES", 2)
    with pytest.raises(DocumentTooLarge, match="has 3 pages; at most 2 are read"):
        read_pdf(pdf([["x"]] * 3))


def test_a_cut_pdf_is_read_as_far_as_it_goes_or_refused() -> None:
    whole = pdf([["Some text"]] * 5)
    for length in range(10, len(whole), 97):
        outcome = read_or_refused(whole[:length], "a.pdf")
        if isinstance(outcome, Extract):
            assert "Some text" in outcome.text
        else:
            assert outcome.startswith(("is broken", "has no text"))
