"""What a reader makes of a document: its text, and what is known about places in it. Pure values.

Offsets count characters of `text`, which is what is stored, shown and quoted: a passage is `text[start:end]`.
"""

from dataclasses import dataclass


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
        title = " ".join(title.split())
        if title:
            self._headings.append(Heading(self._begin(), level, title))
            self._add(title)

    def paragraph(self, text: str) -> None:
        text = text.strip()
        if text:
            self._begin()
            self._add(text)

    def block(self, text: str) -> None:
        """A table, with a line for each row, or a piece of code."""
        text = text.strip("\n")
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
        return Extract(self._kind, "".join(self._parts), tuple(self._headings), pages, tuple(self._blocks), self.title)

    def _begin(self) -> int:
        """Where the next part starts."""
        if self._parts:
            self._add("\n\n")
        return self._length

    def _add(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)
