"""Passages are the text, all of it, in pieces the embedder can read, cut where the text has its own borders."""

import random
import re
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from neuralbridge.errors import DocumentTooLarge
from neuralbridge.retrieval.extract import Block, Extract, ExtractBuilder, Heading, Page, Passage
from neuralbridge.retrieval.passages import cut
from neuralbridge.retrieval.readers.markdown import read_markdown

FOLDER = Path(__file__).parents[2] / "models" / "all-minilm-l6-v2"
TOKENIZER = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
TOKENIZER.no_truncation()
TOKENIZER.no_padding()
SENTENCE = "The quick brown fox jumps over the lazy dog near the river bank today. "  # 15 tokens


def tokens(text: str) -> int:
    return len(TOKENIZER.encode(text, add_special_tokens=False))


def check(extract: Extract, passages: list[Passage]) -> None:
    """What holds of the passages of any extract."""
    for passage in passages:
        assert extract.text[passage.start : passage.end] == passage.text == passage.text.strip() != ""
    assert all(one.end <= other.start for one, other in pairwise(passages))
    covered = "".join(passage.text for passage in passages)
    assert re.sub(r"\s+", "", covered) == re.sub(r"\s+", "", extract.text)
    for passage in passages:
        pages = [page.number for page in extract.pages if page.start <= passage.start]
        assert passage.page == (pages[-1] if pages else None)


WORDS = st.sampled_from(
    ["word", "antidisestablishmentarianism", "x", "é", "日本", "3.14", "end.", "https://a.b/c?d=e", "\U0001f600"]
)
PROSE = st.lists(WORDS, min_size=1, max_size=60).map(" ".join)
PART = st.one_of(
    st.tuples(st.just("heading"), st.integers(1, 4), st.lists(WORDS, min_size=1, max_size=5).map(" ".join)),
    st.tuples(st.just("paragraph"), st.just(0), PROSE),
    st.tuples(st.just("block"), st.just(0), st.lists(PROSE, min_size=1, max_size=4).map("\n".join)),
    st.tuples(st.just("page"), st.integers(1, 9), st.just("")),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PART, max_size=14), st.sampled_from([12, 40, 200]))
def test_passages_of_any_document(parts: list[tuple[str, int, str]], capacity: int) -> None:
    builder = ExtractBuilder("text")
    for kind, number, text in parts:
        match kind:
            case "heading":
                builder.heading(number, text)
            case "paragraph":
                builder.paragraph(text)
            case "block":
                builder.block(text)
            case _:
                builder.page(number)
    extract = builder.build()
    passages = cut(extract, TOKENIZER, capacity, 10_000)
    check(extract, passages)
    assert passages == cut(extract, TOKENIZER, capacity, 10_000)
    starts = {heading.start: heading for heading in extract.headings}
    last_text = max((heading.start for heading in extract.headings), default=-1)
    for passage in passages:
        assert tokens(passage.text) <= capacity + 2 or len(passage.text.split()) == 1, passage
        if passage.start in starts and passage.heading:
            assert starts[passage.start].title in path(extract, passage.start)
        # A heading is never the end of a passage, but where no text follows or it fills the passage itself
        final = passage.text.rpartition("\n\n")[2]
        place = passage.end - len(final)
        if place in starts and place != last_text and capacity == 200:
            following = extract.text[passage.end :].lstrip()
            assert not following or tokens(passage.text) > capacity // 2, passage


def path(extract: Extract, place: int) -> tuple[str, ...]:
    """The headings a place stands under."""
    found: list[Heading] = []
    for heading in extract.headings:
        if heading.start <= place:
            found = [wider for wider in found if wider.level < heading.level] + [heading]
    return tuple(heading.title for heading in found)


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("ab .\n#`|-é日\t\f>*1"), max_size=400), st.sampled_from(["text", "markdown", "code"]))
def test_passages_of_any_text(text: str, kind: str) -> None:
    extract = read_markdown(text) if kind == "markdown" else Extract(kind, text)
    passages = cut(extract, TOKENIZER, 20, 10_000)
    check(extract, passages)
    assert all(tokens(passage.text) <= 22 for passage in passages)


def test_what_is_under_a_heading_starts_with_it_and_knows_its_path() -> None:
    text = "".join(
        f"# Chapter {chapter}\n\n" + "".join(f"## Part {chapter}.{part}\n\n{SENTENCE * 10}\n\n" for part in (1, 2))
        for chapter in (1, 2)
    )
    found = [(passage.text.split("\n")[0], passage.heading) for passage in cut(read_markdown(text), TOKENIZER, 200, 99)]
    assert found == [
        ("# Chapter 1", ("Chapter 1", "Part 1.1")),
        ("## Part 1.2", ("Chapter 1", "Part 1.2")),
        ("# Chapter 2", ("Chapter 2", "Part 2.1")),
        ("## Part 2.2", ("Chapter 2", "Part 2.2")),
    ]


def test_small_sections_go_together_while_they_fit() -> None:
    text = "# All\n\n" + "".join(f"## Q{number}\n\n{SENTENCE * 3}\n\n" for number in range(12))
    passages = cut(read_markdown(text), TOKENIZER, 200, 99)
    assert [passage.text.split("\n")[0] for passage in passages] == ["# All", "## Q4", "## Q8"]
    assert {passage.heading for passage in passages} == {("All",)}


def test_a_section_that_is_cut_goes_on_under_its_path() -> None:
    passages = cut(read_markdown("# Long\n\n" + SENTENCE * 60), TOKENIZER, 200, 99)
    assert passages[0].text.startswith("# Long\n\nThe quick") and len(passages) in (5, 6)
    assert {passage.heading for passage in passages} == {("Long",)}
    assert all(passage.text.endswith("today.") for passage in passages)


def test_blocks_are_whole_if_they_fit_and_cut_between_lines_if_not() -> None:
    builder = ExtractBuilder("text")
    small = "\n".join(f"small row {number} | value" for number in range(20))
    large = "\n".join(f"large row {number} | value" for number in range(80))
    for part in (small, large):
        builder.paragraph(SENTENCE * 10)
        builder.block(part)
    passages = cut(builder.build(), TOKENIZER, 200, 99)
    assert any(small in passage.text for passage in passages)
    rows = [line for passage in passages for line in passage.text.split("\n") if line.startswith("large")]
    assert rows == large.split("\n")


def test_a_passage_is_on_the_page_it_starts_on() -> None:
    builder = ExtractBuilder("pdf")
    for number in (3, 4):
        builder.page(number)
        builder.paragraph(SENTENCE * 10)
    assert [passage.page for passage in cut(builder.build(), TOKENIZER, 200, 99)] == [3, 4]


@pytest.mark.parametrize("text", ["", " \n\n\t "])
def test_nothing_has_no_passages(text: str) -> None:
    assert cut(Extract("text", text), TOKENIZER, 200, 99) == []


def test_more_passages_than_the_limit_are_refused() -> None:
    with pytest.raises(DocumentTooLarge, match=r"makes about 5 passages; a document may have 3"):
        cut(Extract("text", SENTENCE * 55), TOKENIZER, 200, 3)
    with pytest.raises(DocumentTooLarge, match=r"makes about 375 passages; a document may have 3"):
        cut(Extract("text", SENTENCE * 5_000), TOKENIZER, 200, 3)


def test_headings_and_blocks_may_touch_and_pages_be_empty() -> None:
    extract = Extract(
        "text", "A\nB\nC", (Heading(0, 1, "A"), Heading(2, 2, "B")), (Page(0, 1), Page(4, 2)), (Block(4, 5),)
    )
    check(extract, cut(extract, TOKENIZER, 200, 99))


RANDOM = random.Random(1)
HUGE = {
    "prose": SENTENCE * 14_000,
    "paragraphs": (SENTENCE * 8 + "\n\n") * 1_750,
    "lines": (SENTENCE + "\n") * 14_000,
    "no spaces": "".join(RANDOM.choices("abcdefghijklmnopqrstuvwxyz0123456789+/", k=1_000_000)),
    "one letter": "a" * 1_000_000,
    "blank": "a" + " " * 1_000_000 + "b",
    "short lines": "a\n" * 100_000,
    "Chinese": "".join(map(chr, RANDOM.choices(range(0x4E00, 0x9FFF), k=200_000))),
    "one line": SENTENCE * 14_000 * 4,
    "accents": "a" + "\u0301" * 1_000_000,
}


@pytest.mark.parametrize("name", HUGE)
def test_a_megabyte_of_anything_is_cut_in_seconds(name: str) -> None:
    extract = Extract("text", HUGE[name])
    start = time.monotonic()
    passages = cut(extract, TOKENIZER, 200, 100_000)
    assert time.monotonic() - start < 12
    check(extract, passages)
    assert max(len(passage.text) for passage in passages) <= 4_000
