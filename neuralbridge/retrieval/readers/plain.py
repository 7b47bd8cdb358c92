"""Plain text: verbatim, with the headings that nobody can mistake and the pages that form feeds part."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from neuralbridge.retrieval.extract import Extract, Heading, Page

RULE = re.compile(r"(=|-|~|\*|\^)\1{2,}")
NUMBERED = re.compile(r"(\d{1,2}(?:\.\d{1,3}){0,4})\.?[ \t]{1,4}(\w.*)")
LETTERS = re.compile(r"[^\W\d_]")
MAX_HEADING = 80  # characters


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a text: where it begins, and what stands on it."""

    start: int
    text: str

    @property
    def blank(self) -> bool:
        return not self.text or self.text.isspace()


BLANK = Line(0, "")


def read_plain(text: str) -> Extract:
    return Extract("text", text, headings=tuple(headings(text)), pages=pages(text))


def pages(text: str) -> tuple[Page, ...]:
    starts = [0, *(match.end() for match in re.finditer("\f", text))]
    return tuple(Page(start, number) for number, start in enumerate(starts, 1)) if len(starts) > 1 else ()


def headings(text: str) -> Iterator[Heading]:
    """Underlined lines, numbered ones ("2.1 Limits") and upper-case ones ("SYNOPSIS"), each after a blank line."""
    waiting: Heading | None = None  # a numbered one, until text follows: without any between them they are a list
    for before, line, after in windows(text):
        if line.blank:
            continue
        numbered = numbered_heading(line, after) if before.blank else None
        if waiting and not (numbered and numbered.level <= waiting.level):
            yield waiting
        waiting = numbered
        if numbered or not before.blank or line.text[0].isspace() or len(line.text) > MAX_HEADING:
            continue
        if RULE.fullmatch(after.text) and abs(len(after.text) - len(line.text)) <= 3 and LETTERS.search(line.text):
            yield Heading(line.start, 1 if after.text[0] in "=*" else 2, title(line))
        elif is_upper_case(line.text) and (after.blank or after.text[0] in " \t"):
            yield Heading(line.start, 1, title(line))


def windows(text: str) -> Iterator[tuple[Line, Line, Line]]:
    """Each line, between the one before and the one after it."""
    before, line = BLANK, BLANK
    for after in chain(lines(text), [BLANK]):
        yield before, line, after
        before, line = line, after


def numbered_heading(line: Line, after: Line) -> Heading | None:
    match = NUMBERED.fullmatch(line.text.rstrip())
    if match and after.blank and len(line.text) <= MAX_HEADING and is_title(match[2]):
        return Heading(line.start, match[1].count(".") + 1, title(line))
    return None


def is_title(text: str) -> bool:
    """No sentence, and no line of a table of contents, whose page number stands apart."""
    return text[0].isupper() and text[-1] not in ".,;:!?" and not re.search(r"\.{3}|\s{3}|\s\d+$", text)


def is_upper_case(text: str) -> bool:
    return text.isupper() and is_title(text.rstrip()) and len(LETTERS.findall(text)) >= 3 and "  " not in text


def title(line: Line) -> str:
    return " ".join(line.text.split())


def lines(text: str) -> Iterator[Line]:
    start = 0
    for line in text.split("\n"):
        if line.startswith("\f"):  # a page begins like after a blank line
            yield BLANK
        yield Line(start + (line.startswith("\f")), line.strip("\f"))
        start += len(line) + 1
