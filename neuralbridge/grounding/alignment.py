"""How a claim and a part of a passage fit together, in figures. Pure.

What has to agree exactly (numbers, dates, names, denials, opposites), how many of the claim's words the passage has,
and how near the two are in meaning.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from neuralbridge.grounding.names import Name
from neuralbridge.grounding.numbers import Date, Quantity
from neuralbridge.grounding.opposites import opposite
from neuralbridge.grounding.sentences import Span, sentences
from neuralbridge.grounding.statements import Statement, read
from neuralbridge.grounding.stems import stem
from neuralbridge.words import is_stop_word

Similar = Callable[[str, Sequence[str]], float | None]  # cosine of a text and some others; None where not known


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a passage: a sentence, or two that follow one another."""

    span: Span
    statement: Statement
    sentences: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Alignment:
    """All from 0 to 1 but the counts.

    `shared`: of the claim's words, those the window has; `known`: ... that the whole passage has; `denied`: of the
    shared words, those that are denied on one side only; `opposed`: words of the claim whose opposite the window has,
    counted; `wrong` and `missing`: numbers that the window has otherwise, or not at all; `invented` and `elsewhere`:
    names that the passage does not have, or has in another sentence; `rivals`: names in their place.
    """

    shared: float
    known: float
    denied: float
    opposed: int
    wrong: int
    missing: int
    invented: int
    elsewhere: int
    rivals: int
    numbers: int
    cosine: float | None
    words: int


def windows(passage: str) -> list[Window]:
    """Sentences, and each two neighbours."""
    spans = [part for span in sentences(passage) for part in in_halves(passage, span)]
    statements = [read(passage[slice(*span)]) for span in spans]
    found = [Window(span, said, (said,)) for span, said in zip(spans, statements, strict=True)]
    for (one, first), (other, second) in pairwise(zip(spans, statements, strict=True)):
        found.append(Window((one[0], other[1]), read(passage[one[0] : other[1]]), (first, second)))
    return found


def in_halves(text: str, span: Span) -> list[Span]:
    """What stands before and behind a semicolon are two statements."""
    start, end = span
    parts: list[Span] = []
    while (at := text.find("; ", start, end)) >= 0:
        parts.append((start, at))
        start = at + 2
    return [part for part in (*parts, (start, end)) if text[slice(*part)].strip()]


def align(claim: Statement, window: Window, passage: Statement, about: frozenset[str], similar: Similar) -> Alignment:
    """Hold a claim against a window of a passage; `about` are the words of the document's name and headings."""
    first = max(window.sentences, key=lambda statement: sum(statement.twin(word) is not None for word in claim.words))
    there = [(word, first.twin(word) or window.statement.twin(word)) for word in claim.words]
    shared = [(word, other) for word, other in there if other is not None]
    about_stems = {stem(word) for word in about}
    known = [
        word for word, other in there if other is None and (word.stem in passage.by_stem or word.stem in about_stems)
    ]
    # Of the words that the sentence lacks, those that it has the opposite of
    opposed = [
        1 if word.denied == other.denied else -1
        for word in claim.words
        if first.twin(word) is None
        for other in first.words
        if other.stem not in claim.by_stem and opposite(word.folded, other.folded)
    ]
    beside = [(word, other) for word in claim.words if (other := first.twin(word)) is not None]
    denied = sum(word.denied != other.denied for word, other in beside)
    if sum(opposed) < 0:  # "not open" and "closed": the opposite says the same as the denial
        denied = 0
    wrong, missing = differing(claim.quantities, window.statement.quantities)
    everywhere, here = passage.all_words | about, first.all_words | about
    invented = [name for name in claim.names if not stands_in(name, everywhere)]
    elsewhere = [name for name in claim.names if name not in invented and not stands_in(name, here)]
    rivals = [name for name in first.names if not stands_in(name, claim.all_words)]
    amount = len(claim.words)
    return Alignment(
        shared=len(shared) / amount if amount else 1.0,
        known=(len(shared) + len(known)) / amount if amount else 1.0,
        denied=denied / len(beside) if beside else 0.0,
        opposed=max(0, sum(opposed)),
        wrong=wrong,
        missing=missing,
        invented=sum(name.sure for name in invented),
        elsewhere=sum(name.sure for name in elsewhere),
        rivals=len(rivals) if elsewhere or invented else 0,
        numbers=sum(not quantity.vague for quantity in claim.quantities),
        cosine=similar(claim.text, [statement.text for statement in window.sentences]),
        words=amount,
    )


def differing(said: Sequence[Quantity], here: Sequence[Quantity]) -> tuple[int, int]:
    """How many quantities the window has otherwise, and how many not at all."""
    wrong = missing = 0
    meant = [quantity for quantity in said if not quantity.vague]
    for quantity in meant:
        if any(quantity.agrees(other) for other in here) or within(quantity, here):
            continue
        free = [
            other
            for other in here
            if comparable(quantity, other) and not other.vague and not any(mine.agrees(other) for mine in meant)
        ]
        wrong += bool(free)
        missing += not free
    return wrong, missing


def comparable(one: Quantity, other: Quantity) -> bool:
    """Whether two quantities can stand in each other's place."""
    if one.unit is None or other.unit is None:
        return one.kind == other.kind and one.unit is other.unit
    return one.unit.kind == other.unit.kind


def within(quantity: Quantity, here: Sequence[Quantity]) -> bool:
    """Whether a month lies between two that are named one after the other: July, and "from April to October"."""
    months = [months_only(other) for other in here]
    return any(
        first <= month <= last
        for month in [months_only(quantity)]
        for first, last in pairwise(months)
        if month is not None and first is not None and last is not None
    )


def months_only(quantity: Quantity) -> int | None:
    match quantity.readings:
        case (Date(None, int(month), None),):
            return month
        case _:
            return None


def stands_in(name: Name, known: frozenset[str]) -> bool:
    """Whether the words of a name, or their plurals, are known."""
    return all(
        is_stop_word(part) or part in known or part.removesuffix("s") in known or part + "s" in known
        for part in name.words
    )
