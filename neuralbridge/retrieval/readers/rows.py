"""Rows of a table as lines of text: `Name: Ada | Born: 1815`, so that a line makes sense away from its header."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from neuralbridge.errors import DocumentRefused
from neuralbridge.retrieval.extract import Extract, ExtractBuilder, one_line

SEPARATORS = ",;\t|"
MAX_LABEL = 80  # characters; a header cell with more is text
SAMPLED_LINES = 20


def read_delimited(text: str) -> Extract:
    csv.field_size_limit(len(text) + 1)
    builder = ExtractBuilder("table")
    try:
        builder.lines(lines_of_rows(csv.reader(io.StringIO(text), delimiter=separator(text))))
    except csv.Error as error:
        raise DocumentRefused(f"is not a table that can be read: {error}", "unreadable") from error
    return builder.build()


def separator(text: str) -> str:
    """What parts the cells: whatever stands in most of the first lines, and as often in each."""
    sample = [line for line in text[:100_000].split("\n") if line.strip()][:SAMPLED_LINES]

    def fits(character: str) -> tuple[int, int]:
        counts = [line.count(character) for line in sample]
        usual = max(set(counts), key=lambda count: (count > 0, counts.count(count)))
        return (counts.count(usual) if usual else 0, usual)

    return max(SEPARATORS, key=fits)


def lines_of_rows(rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """A line for each row that has anything in it. The first with more than one cell is the header, if it can be."""
    labels: list[str] | None = None
    for row in rows:
        cells = [spoken(cell) for cell in row]
        filled = [cell for cell in cells if cell]
        if labels is None and len(filled) > 1:
            labels = cells if can_be_header(filled) else []
            yield " | ".join(filled)
        elif labels and len(filled) > 1:
            yield " | ".join(labelled(labels, cells))
        elif filled:
            yield " | ".join(filled)


def spoken(cell: object) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:.12g}"  # spreadsheets have no other numbers
    if isinstance(cell, str):
        return one_line(cell)
    return str(cell).removesuffix(" 00:00:00")  # ... and their days are moments


def can_be_header(cells: Sequence[str]) -> bool:
    return len({*cells}) == len(cells) and all(len(cell) <= MAX_LABEL and any(map(str.isalpha, cell)) for cell in cells)


def labelled(labels: Sequence[str], cells: Sequence[str]) -> Iterator[str]:
    for index, cell in enumerate(cells):
        label = labels[index] if index < len(labels) else ""
        if cell:
            yield f"{label}: {cell}" if label else cell
