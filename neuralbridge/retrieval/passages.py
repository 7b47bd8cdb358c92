"""Cuts an extract into passages: along its structure, and in the embedder's own tokens. Pure."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from semantic_text_splitter import MarkdownSplitter, TextSplitter
from tokenizers import Tokenizer

from neuralbridge.errors import DocumentRefused
from neuralbridge.retrieval.extract import Extract, PassageSpan

ENCODED_AT_ONCE = 100_000  # characters; the tokenizer's work space grows with them
PATH_DEPTH = 6


@dataclass(frozen=True, slots=True)
class Span:
    """A candidate for a passage. `whole`: it is all that stands under its heading."""

    start: int
    end: int
    heading: tuple[str, ...]
    whole: bool


class Cutter:
    """Cuts documents for one embedder. `capacity` is in its tokens, `limit` in passages of a document."""

    def __init__(self, tokenizer: Tokenizer, capacity: int, limit: int) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self._capacity = capacity
        self._limit = limit
        self._text = TextSplitter.from_huggingface_tokenizer(tokenizer, capacity)
        self._markdown = MarkdownSplitter.from_huggingface_tokenizer(tokenizer, capacity)

    def cut(self, extract: Extract, name: str) -> list[PassageSpan]:
        """The document's passages in order: they do not overlap, and all of its text is in one of them.

        Raises DocumentRefused when there are more than the limit.
        """
        text = extract.text
        counted = Counted(self._tokenizer, text)
        # A passage has at most so many tokens, but for what cannot be cut
        if counted.total > self._limit * self._capacity:
            raise too_many(name, self._limit)
        spans = self._merged(
            [span for section in sections(extract) for span in self._parts(extract, section, counted)], counted
        )
        if len(spans) > self._limit:
            raise too_many(name, self._limit)
        pages = [page.start for page in extract.pages]
        passages = []
        for span in spans:
            start, end = trimmed(text, span.start, span.end)
            if start < end:
                place = bisect_left(pages, start + 1) - 1
                page = extract.pages[place].number if place >= 0 else None
                passages.append(PassageSpan(start, end, span.heading, page))
        return passages

    def _parts(self, extract: Extract, section: Span, counted: "Counted") -> Iterator[Span]:
        """A section as it is, or cut where it is too large: blocks by themselves, the rest by the library."""
        if counted(section.start, section.end) <= self._capacity:
            yield section
            return
        pieces: list[tuple[int, int]] = []
        place = section.start
        for block in extract.blocks:
            start, end = max(block.start, place), min(block.end, section.end)
            if start >= end:
                continue
            pieces += self._prose(extract, place, start)
            pieces += (
                [(start, end)]
                if counted(start, end) <= self._capacity
                else self._lines(extract.text, start, end, counted)
            )
            place = end
        pieces += self._prose(extract, place, section.end)
        for start, end in self._packed(pieces, counted):
            yield Span(start, end, section.heading, whole=False)

    def _prose(self, extract: Extract, start: int, end: int) -> list[tuple[int, int]]:
        text = extract.text[start:end]
        if not text.strip():
            return [(start, end)] if start < end else []
        splitter = self._markdown if extract.kind == "markdown" else self._text
        return [(start + offset, start + offset + len(chunk)) for offset, chunk in splitter.chunk_indices(text)]

    def _lines(self, text: str, start: int, end: int, counted: "Counted") -> list[tuple[int, int]]:
        """A block that is too large, cut between lines; a line that is too large, by the library."""
        pieces: list[tuple[int, int]] = []
        place = start
        for line in text[start:end].splitlines(keepends=True):
            stop = place + len(line)
            if counted(place, stop) > self._capacity:
                pieces += [(place + at, place + at + len(chunk)) for at, chunk in self._text.chunk_indices(line)]
            else:
                pieces.append((place, stop))
            place = stop
        return pieces

    def _packed(self, pieces: list[tuple[int, int]], counted: "Counted") -> list[tuple[int, int]]:
        """Neighbouring pieces put together as far as they fit."""
        packed: list[tuple[int, int]] = []
        for start, end in pieces:
            if packed and counted(packed[-1][0], end) <= self._capacity:
                packed[-1] = (packed[-1][0], end)
            else:
                packed.append((start, end))
        return packed

    def _merged(self, spans: list[Span], counted: "Counted") -> list[Span]:
        """Small neighbouring sections put together: two words by themselves are found by nobody."""
        merged: list[Span] = []
        for span in spans:
            last = merged[-1] if merged else None
            if last and last.whole and span.whole and counted(last.start, span.end) <= self._capacity:
                merged[-1] = Span(last.start, span.end, common(last.heading, span.heading) or last.heading, whole=True)
            else:
                merged.append(span)
        return merged


class Counted:
    """How many tokens any part of a text has: it is encoded once."""

    def __init__(self, tokenizer: Tokenizer, text: str) -> None:
        self._starts: list[int] = []
        for begin in range(0, len(text), ENCODED_AT_ONCE):
            encoding = tokenizer.encode(text[begin : begin + ENCODED_AT_ONCE], add_special_tokens=False)
            self._starts += [begin + start for start, _ in encoding.offsets]

    @property
    def total(self) -> int:
        return len(self._starts)

    def __call__(self, start: int, end: int) -> int:
        return bisect_left(self._starts, end) - bisect_left(self._starts, start)


def sections(extract: Extract) -> Iterator[Span]:
    """The text from each heading to the next, with the path of headings it stands under."""
    headings = [heading for heading in extract.headings if heading.title]
    ends = [heading.start for heading in headings] + [len(extract.text)]
    if ends[0] > 0:
        yield Span(0, ends[0], (), whole=True)
    path: list[tuple[int, str]] = []
    for heading, (start, end) in zip(headings, pairwise(ends), strict=True):
        path = [(level, title) for level, title in path if level < heading.level][-PATH_DEPTH + 1 :]
        path.append((heading.level, heading.title))
        yield Span(start, end, tuple(title for _, title in path), whole=True)


def common(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    """The headings that two places have in common."""
    same = 0
    while same < min(len(one), len(other)) and one[same] == other[same]:
        same += 1
    return one[:same]


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), start + len(part.rstrip())


def too_many(name: str, limit: int) -> DocumentRefused:
    return DocumentRefused(f"{name} makes more than {limit:,} passages, the most a document may have.")
