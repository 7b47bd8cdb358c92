"""Cuts an extract into passages: along its structure, and in the embedder's own tokens. Pure."""

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from semantic_text_splitter import TextSplitter
from tokenizers import Tokenizer

from neuralbridge.errors import DocumentTooLarge
from neuralbridge.retrieval.extract import Extract, Passage

ENCODED_AT_ONCE = 100_000  # characters; the tokenizer's work space grows with them
# What counts as one token at most. A tokenizer takes any long word, and any white space, for one token or none;
# without this, a megabyte of either would be one passage.
CHARACTERS_PER_TOKEN = 10
CUT_AT_ONCE = 8_000  # characters; the library's time grows with their square where they have no borders
SLACK = 0.97  # of the room: tokens are not spread evenly over characters
PATH_DEPTH = 6
HEADING_LINES = re.compile(r"[^\n]*(?:\n([=~^*-])\1+[ \t]*(?=\n|\Z))?\s*")  # one, and the one that underlines it
BLANK_LINES = re.compile(r"\n\s*\n\s*")

Piece = tuple[int, int]  # start and end


@dataclass(frozen=True, slots=True)
class Section:
    """What stands under one heading and on one page. From `body` on it is more than the heading."""

    start: int
    body: int
    end: int
    heading: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unit:
    """What is not cut any more: a paragraph, a block, or a part of one, with the headings right above it.

    `whole` is where its section ends, if it is the first of one: a passage goes on beyond that border only so far.
    """

    start: int
    end: int
    heading: tuple[str, ...]
    whole: int | None


def cut(extract: Extract, tokenizer: Tokenizer, capacity: int, limit: int) -> list[Passage]:
    """The passages in order: they do not overlap, and all of the text is in one of them.

    `capacity` is in tokens: the tokenizer neither truncates nor pads. Raises DocumentTooLarge when there are more
    passages than the limit.
    """
    size = Sizes(extract.text, tokenizer, capacity, limit)
    groups: list[list[Unit]] = []
    for unit in units(extract, size, capacity):
        if groups and goes_on(groups[-1], unit, size, capacity):
            groups[-1].append(unit)
        else:
            groups.append([unit])
    passages = [passage for group in groups if (passage := passage_of(extract, group))]
    if len(passages) > limit:
        raise too_many(f"{len(passages):,}", limit)
    return passages


class Sizes:
    """How many tokens any part of a text counts: it is encoded once, and never again."""

    def __init__(self, text: str, tokenizer: Tokenizer, capacity: int, limit: int) -> None:
        """Raises DocumentTooLarge as soon as there are too many tokens for so many passages."""
        self._starts = array("I")  # of tokens
        begin = 0
        while begin < len(text):
            end = border(text, begin, ENCODED_AT_ONCE)
            encoding = tokenizer.encode(text[begin:end], add_special_tokens=False)
            self._starts.extend([begin + start for start, _ in encoding.offsets])
            if len(self._starts) > capacity * limit:
                raise too_many(f"about {-(-len(self._starts) * len(text) // (end * capacity)):,}", limit)
            begin = end

    def __call__(self, start: int, end: int) -> int:
        tokens = bisect_left(self._starts, end) - bisect_left(self._starts, start)
        return max(tokens, -(-(end - start) // CHARACTERS_PER_TOKEN))


def goes_on(group: list[Unit], unit: Unit, size: Sizes, capacity: int) -> bool:
    """Whether a unit belongs into the passage of those before it: it fits, and with it all that stands under its
    heading, unless what is there is too little to stand alone."""
    start = group[0].start
    if size(start, unit.end) > capacity:
        return False
    return unit.whole is None or size(start, unit.whole) <= capacity or size(start, group[-1].end) < capacity // 4


def passage_of(extract: Extract, group: list[Unit]) -> Passage | None:
    """The passage without white space around it. Its headings are those that all of it stands under, if there are."""
    piece = extract.text[group[0].start : group[-1].end]
    text = piece.strip()
    if not text:
        return None
    start = group[0].start + len(piece) - len(piece.lstrip())
    shared = group[0].heading
    for unit in group[1:]:
        shared = common(shared, unit.heading)
    place = bisect_right(extract.pages, start, key=lambda page: page.start)
    page = extract.pages[place - 1].number if place else None
    return Passage(start, start + len(text), shared or group[0].heading, page, text)


def common(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    """The beginning of two paths as far as they are the same."""
    same = 0
    while same < min(len(one), len(other)) and one[same] == other[same]:
        same += 1
    return one[:same]


def sections(extract: Extract) -> Iterator[Section]:
    """The text between each two borders, with the path of headings it stands under."""
    headings = {heading.start: heading for heading in extract.headings}
    borders = sorted({0, *headings, *(page.start for page in extract.pages), len(extract.text)})
    path: list[tuple[int, str]] = []
    for start, end in pairwise(borders):
        body = start
        if heading := headings.get(start):
            path = [(level, title) for level, title in path if level < heading.level][-PATH_DEPTH + 1 :]
            path.append((heading.level, heading.title))
            lines = HEADING_LINES.match(extract.text, start, end)
            assert lines
            body = lines.end()
        yield Section(start, body, end, tuple(title for _, title in path))


def units(extract: Extract, size: Sizes, capacity: int) -> Iterator[Unit]:
    above: int | None = None  # where headings begin that have no text of their own
    last = Section(0, 0, 0, ())
    for section in sections(extract):
        last = section
        start = section.start if above is None else above
        if size(start, section.body) > capacity // 2:  # no heading, whatever it says it is
            yield from (
                Unit(*piece, section.heading, None) for piece in prose(extract, start, section.body, size, capacity)
            )
            start = section.body
        above = start if start < section.end else None
        if not extract.text[section.body : section.end].strip():
            continue
        above = None
        room = capacity - size(start, section.body)
        whole: int | None = section.end
        for piece_start, end in packed(pieces(extract, section, size, room), size, room):
            yield Unit(piece_start if whole is None else start, end, section.heading, whole)
            whole = None
    if above is not None:
        yield Unit(above, last.end, last.heading, None)


def pieces(extract: Extract, section: Section, size: Sizes, room: int) -> Iterator[Piece]:
    """The parts of a section's text that stay whole: blocks and paragraphs, and parts of what is too large."""
    place = section.body
    first = bisect_right(extract.blocks, place, key=lambda block: block.end)
    for block in extract.blocks[first:]:
        start, end = max(block.start, place), min(block.end, section.end)
        if start >= section.end:
            break
        yield from prose(extract, place, start, size, room)
        if size(start, end) <= room:
            yield start, end
        else:
            yield from lines(extract, start, end, size, room)
        place = end
    yield from prose(extract, place, section.end, size, room)


def prose(extract: Extract, start: int, end: int, size: Sizes, room: int) -> Iterator[Piece]:
    """Paragraphs, and the sentences or words of those that are too large."""
    for gap in BLANK_LINES.finditer(extract.text, start, end):
        yield from divided(extract, start, gap.end(), size, room)
        start = gap.end()
    yield from divided(extract, start, end, size, room)


def lines(extract: Extract, start: int, end: int, size: Sizes, room: int) -> Iterator[Piece]:
    """The lines of a block that is too large, as many together as fit."""
    parts: list[Piece] = []
    for line in extract.text[start:end].split("\n"):
        parts += divided(extract, start, min(start + len(line) + 1, end), size, room)
        start += len(line) + 1
    yield from packed(iter(parts), size, room)


def divided(extract: Extract, start: int, end: int, size: Sizes, room: int) -> Iterator[Piece]:
    """A part of the text, cut by the library where it is too large: between sentences if they fit, else words."""
    if not extract.text[start:end].strip():
        return
    tokens = size(start, end)
    if tokens <= room or end - start == 1:
        yield start, end
        return
    # Of several parts none should be a few words
    share = min(SLACK * room / tokens, 1.15 / -(-tokens // room))
    splitter = by_characters(max(1, int((end - start) * share)))
    while start < end:
        stop = end if end - start <= CUT_AT_ONCE else border(extract.text, start, CUT_AT_ONCE)
        for offset, chunk in splitter.chunk_indices(extract.text[start:stop]):
            yield from divided(extract, start + offset, start + offset + len(chunk), size, room)
        start = stop


def packed(parts: Iterator[Piece], size: Sizes, room: int) -> Iterator[Piece]:
    """Neighbouring parts put together as far as they fit."""
    together: Piece | None = None
    for start, end in parts:
        if together and size(together[0], end) <= room:
            together = (together[0], end)
            continue
        if together:
            yield together
        together = (start, end)
    if together:
        yield together


def border(text: str, start: int, characters: int) -> int:
    """Where a part of so many characters at most may end: after a line, a word, or anywhere."""
    end = start + characters
    if end >= len(text):
        return len(text)
    half = start + characters // 2
    return text.rfind("\n", half, end) + 1 or text.rfind(" ", half, end) + 1 or end


@lru_cache(64)
def by_characters(capacity: int) -> TextSplitter:
    return TextSplitter(capacity)


def too_many(passages: str, limit: int) -> DocumentTooLarge:
    return DocumentTooLarge(f"makes {passages} passages; a document may have {limit:,}", "too_many_passages")
