"""What a reader makes of a document: its text, and what is known about places in it. Pure values.

Offsets count characters of `text`, which is what is stored, shown and quoted: a passage is `text[start:end]`.
What refuses a document while it is read says what is wrong with it; whoever knows its name puts that in front.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from neuralbridge.errors import DocumentTooLarge

MAX_CHARACTERS = 20_000_000  # of one document's text; a 4,000-page book has half of that
# Lines end in one way, and no control character is stored or shown
LINE_ENDS = re.compile("\r\n?|[\x0b\x85\u2028\u2029]")
UNWANTED = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ufeff\ufffe\uffff]")
SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading begins at `start`. `level` 1 is the widest. It holds until the next one as wide or wider."""

    start: int
    level: int
    title: str


@dataclass(frozen=True, slots=True)
class Page:
    """From `start` on, the text stands on page `number`, counted from 1 (a slide, a sheet)."""

    start: int
    number: int


@dataclass(frozen=True, slots=True)
class Block:
    """A table or a piece of code: kept whole where it fits into a passage, else cut between lines."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Extract:
    """A document's text with its headings, pages and blocks, each in the order of the text.

    `kind` is the format it was read as ("pdf", "markdown", ...); `title` is what the document calls itself.
    """

    kind: str
    text: str
    headings: tuple[Heading, ...] = ()
    pages: tuple[Page, ...] = ()
    blocks: tuple[Block, ...] = ()
    title: str | None = None


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document that is found and quoted as one; `text` is the document's text[start:end].

    `heading` is the path of headings it stands under, the widest first; `page` is the page it starts on.
    """

    start: int
    end: int
    heading: tuple[str, ...]
    page: int | None
    text: str


class ExtractBuilder:
    """Puts an extract together from the parts of a document, in their order. Parts are set apart by blank lines."""

    def __init__(self, kind: str) -> None:
        self.title: str | None = None
        self._kind = kind
        self._parts: list[str] = []
        self._length = 0
        self._headings: list[Heading] = []
        self._pages: list[Page] = []
        self._blocks: list[Block] = []

    @property
    def length(self) -> int:
        """Characters so far."""
        return self._length

    def heading(self, level: int, title: str) -> None:
        title = one_line(title)
        if title:
            self._headings.append(Heading(self._begin(), level, title))
            self._add(title)

    def paragraph(self, text: str) -> None:
        text = clean(text).strip()
        if text:
            self._begin()
            self._add(text)

    def lines(self, lines: Iterable[str]) -> None:
        """A paragraph that comes line by line, with no blank one among them."""
        for index, line in enumerate(lines):
            if index:
                self._add("\n")
            else:
                self._begin()
            self._add(clean(line))

    def block(self, text: str) -> None:
        """A table, with a line for each row, or a piece of code."""
        text = clean(text).strip("\n")
        if text.strip():
            start = self._begin()
            self._add(text)
            self._blocks.append(Block(start, self._length))

    def page(self, number: int) -> None:
        """What follows stands on this page."""
        start = self._length + 2 if self._parts else 0
        if self._pages and self._pages[-1].start == start:  # the page before had no text
            self._pages.pop()
        self._pages.append(Page(start, number))

    def build(self) -> Extract:
        pages = tuple(page for page in self._pages if page.start < self._length)
        title = one_line(self.title or "") or None
        return Extract(self._kind, "".join(self._parts), tuple(self._headings), pages, tuple(self._blocks), title)

    def _begin(self) -> int:
        """Where the next part starts."""
        if self._parts:
            self._add("\n\n")
        return self._length

    def _add(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)
        check_length(self._length)


def clean(text: str) -> str:
    """Valid Unicode without NUL and other control characters; lines end in a line feed, pages may in a form feed."""
    return SURROGATE.sub("\ufffd", UNWANTED.sub("", LINE_ENDS.sub("\n", text)))


def one_line(text: str) -> str:
    return " ".join(clean(text).split())


def shown(name: str) -> str:
    """A document's name as part of a sentence, whatever is in it."""
    name = "".join(character if character.isprintable() else "\ufffd" for character in name)
    return name if len(name) <= 100 else f"{name[:60]}…{name[-30:]}"


def check_length(characters: int) -> None:
    """Raises DocumentTooLarge."""
    if characters > MAX_CHARACTERS:
        raise DocumentTooLarge(
            f"has at least {characters:,} characters of text; a document may have {MAX_CHARACTERS:,}"
        )
