"""Cuts an extract into passages: along its structure, and in the embedder's own tokens. Pure."""

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from semantic_text_splitter import MarkdownSplitter, TextSplitter
from tokenizers import Tokenizer

from neuralbridge.errors import DocumentRefused
from neuralbridge.retrieval.extract import Extract, Passage

ENCODED_AT_ONCE = 100_000  # characters; the tokenizer's work space grows with them
# What counts as one token at most. A tokenizer takes any long word, and any white space, for one token or none;
# without this, a megabyte of either would be one passage.
CHARACTERS_PER_TOKEN = 10
PATH_DEPTH = 6
HEADING_LINES = re.compile(r"[^\n]*(?:\n([=~^*-])\1+[ \t]*(?=\n|\Z))?\s*")  # one, and the one that underlines it

Piece = tuple[int, int]  # start and end


@dataclass(frozen=True, slots=True)
class Section:
    """What stands under one heading. From `body` on it is more than headings."""

    start: int
    body: int
    end: int
    heading: tuple[str, ...]


def cut(extract: Extract, tokenizer: Tokenizer, capacity: int, limit: int) -> list[Passage]:
    """The passages in order: they do not overlap, and all of the text is in one of them.

    `capacity` is in tokens: the tokenizer neither truncates nor pads. Raises DocumentRefused when there are more
    passages than the limit.
    """
    size = Sizes(extract.text, tokenizer, capacity, limit)
    pieces: list[tuple[Piece, tuple[str, ...]]] = []
    small: Section | None = None  # sections that fit into one passage together; its heading is the first one's
    for section in with_text(sections(extract), size, capacity):
        if small and size(small.start, section.end) <= capacity:
            lone = small.body == small.end  # nothing but headings, so the first that has a text is yet to come
            small = replace(section if lone else small, start=small.start, end=section.end)
            continue
        if small:
            pieces.append(((small.start, small.end), small.heading))
            small = None
        if size(section.start, section.end) <= capacity:
            small = section
        else:
            pieces += [(piece, section.heading) for piece in parts(extract, section, size, capacity)]
    if small:
        pieces.append(((small.start, small.end), small.heading))
    passages = list(trimmed(extract, pieces))
    if len(passages) > limit:
        raise too_many(f"{len(passages):,}", limit)
    return passages


class Sizes:
    """How many tokens any part of a text counts: it is encoded once, and never again."""

    def __init__(self, text: str, tokenizer: Tokenizer, capacity: int, limit: int) -> None:
        """Raises DocumentRefused as soon as there are too many tokens for so many passages."""
        self._starts = array("I")  # of tokens
        begin = 0
        while begin < len(text):
            end = begin + ENCODED_AT_ONCE
            if end < len(text):
                end = text.rfind(" ", begin + ENCODED_AT_ONCE // 2, end) + 1 or end
            encoding = tokenizer.encode(text[begin:end], add_special_tokens=False)
            self._starts.extend([begin + start for start, _ in encoding.offsets])
            if len(self._starts) > capacity * limit:
                raise too_many(f"at least {limit + 1:,}", limit)
            begin = end

    def __call__(self, start: int, end: int) -> int:
        tokens = bisect_left(self._starts, end) - bisect_left(self._starts, start)
        return max(tokens, -(-(end - start) // CHARACTERS_PER_TOKEN))


class Sizer:
    """Tells the library how large a part of a text is.

    It asks for strings, from the place where the next passage begins, many times for each. Found again in the text,
    their size is known; to encode them anew takes forty times as long. `head` is how many characters before the text
    the first passage begins.
    """

    def __init__(self, text: str, start: int, head: int, size: Sizes) -> None:
        self._text = text
        self._start = start
        self._head = head
        self._size = size
        self._place = 0  # of what was asked for last

    def __call__(self, part: str) -> int:
        place = self._text.find(part, self._place)
        if place < 0:
            place = self._text.rfind(part, 0, self._place + len(part))
        assert place >= 0
        self._place = place
        start = self._start + place
        return self._size(start - (0 if self._text[:place].strip() else place + self._head), start + len(part))


def sections(extract: Extract) -> Iterator[Section]:
    """The text from each heading to the next, with the path of headings it stands under."""
    ends = [heading.start for heading in extract.headings] + [len(extract.text)]
    if ends[0] > 0:
        yield Section(0, 0, ends[0], ())
    path: list[tuple[int, str]] = []
    for heading, (start, end) in zip(extract.headings, pairwise(ends), strict=True):
        path = [(level, title) for level, title in path if level < heading.level][-PATH_DEPTH + 1 :]
        path.append((heading.level, heading.title))
        lines = HEADING_LINES.match(extract.text, start, end)
        assert lines
        if start < end:
            yield Section(start, lines.end(), end, tuple(title for _, title in path))


def with_text(all_sections: Iterator[Section], size: Sizes, capacity: int) -> Iterator[Section]:
    """Headings with nothing under them go with the section that follows, unless they fill half a passage."""
    lone: Section | None = None
    for section in all_sections:
        joined = section
        if lone:
            if size(lone.start, section.body) <= capacity // 2:
                joined = replace(section, start=lone.start)
            else:
                yield lone
        lone = joined if joined.body == joined.end else None
        if not lone:
            yield joined
    if lone:
        yield lone


def parts(extract: Extract, section: Section, size: Sizes, capacity: int) -> list[Piece]:
    """A section that is too large: blocks as they are, the rest cut by the library, what fits together joined."""
    head = section.body - section.start
    place = section.start
    if size(section.start, section.body) <= capacity // 2:
        place = section.body
    else:
        head = 0
    pieces: list[Piece] = []
    ends = [block.end for block in extract.blocks]
    for block in extract.blocks[bisect_right(ends, place) :]:
        start, end = max(block.start, place), min(block.end, section.end)
        if start >= section.end:
            break
        pieces += prose(extract, (place, start), head if not pieces else 0, size, capacity)
        pieces += [(start, end)] if size(start, end) <= capacity else lines(extract, (start, end), size, capacity)
        place = end
    pieces += prose(extract, (place, section.end), head if not pieces else 0, size, capacity)
    if head:
        pieces.insert(0, (section.start, section.body))
    return packed(pieces, size, capacity)


def prose(extract: Extract, piece: Piece, head: int, size: Sizes, capacity: int) -> list[Piece]:
    start, end = piece
    text = extract.text[start:end]
    if not text.strip():
        return []
    if not head and size(start, end) <= capacity:
        return [piece]
    library = MarkdownSplitter if extract.kind == "markdown" else TextSplitter
    splitter = library.from_callback(Sizer(text, start, head, size), capacity)
    return [(start + offset, start + offset + len(chunk)) for offset, chunk in splitter.chunk_indices(text)]


def lines(extract: Extract, piece: Piece, size: Sizes, capacity: int) -> list[Piece]:
    """A block that is too large, cut between lines; a line that is too large, by the library."""
    pieces: list[Piece] = []
    place = piece[0]
    for line in extract.text[slice(*piece)].splitlines(keepends=True):
        end = place + len(line)
        pieces += [(place, end)] if size(place, end) <= capacity else prose(extract, (place, end), 0, size, capacity)
        place = end
    return packed(pieces, size, capacity)


def packed(pieces: list[Piece], size: Sizes, capacity: int) -> list[Piece]:
    """Neighbouring pieces put together as far as they fit."""
    together: list[Piece] = []
    for start, end in pieces:
        if together and size(together[-1][0], end) <= capacity:
            together[-1] = (together[-1][0], end)
        else:
            together.append((start, end))
    return together


def trimmed(extract: Extract, pieces: list[tuple[Piece, tuple[str, ...]]]) -> Iterator[Passage]:
    """The passages without white space around them. Pages are looked up for what is left."""
    pages = [page.start for page in extract.pages]
    for (start, end), heading in pieces:
        piece = extract.text[start:end]
        text = piece.strip()
        if text:
            start += len(piece) - len(piece.lstrip())
            place = bisect_right(pages, start)
            page = extract.pages[place - 1].number if place else None
            yield Passage(start, start + len(text), heading, page, text)


def too_many(passages: str, limit: int) -> DocumentRefused:
    return DocumentRefused(f"makes {passages} passages; a document may have {limit:,}")
