"""Whether a passage says what a sentence says. Pure: similarities of meaning are given to it.

First what has to agree exactly: numbers, dates, names, negations, opposites. Then how much of the sentence's words
the passage has, and how near the two are in meaning. A sentence is held against each sentence of the passage, each two
neighbours, and the two that have most of its words.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, pairwise
from typing import Literal

from neuralbridge.grounding.facts import Name, Quantity, names, quantities
from neuralbridge.grounding.opposites import BORDERS, NEGATIONS, REACH, opposite, turned
from neuralbridge.grounding.sentences import Span, sentences
from neuralbridge.words import is_stop_word, words

Verdict = Literal["supported", "partial", "unsupported", "contradicted"]
Similar = Callable[[str, str], float | None]  # cosine of two texts' meaning; None where it is not known

# The logistic curve from shared words and cosine to how well a sentence is supported; fitted by scripts/eval
SHARED = 6.0
COSINE = 4.0
OFFSET = -5.2
SHARED_ALONE = 9.0  # where there is no cosine
OFFSET_ALONE = -5.4
SUPPORTED = 0.5
PARTIAL = 0.25
DECISIVE = 0.95  # of the words shared: what the meaning adds changes nothing
ABOUT_THE_SAME = 0.45  # of its words shared: then a fact that differs contradicts, and is not of another matter
NEAR = 0.62  # ... or a cosine of this
ENDINGS = """ization isation ations ation ingly edly ments ment ness ings ing ies ied ers er ed es ly s e coes cao mente
    ados adas idos idas ado ada ido ida ando endo indo ares eres ar er ir os as o a"""
SUFFIXES = sorted(ENDINGS.split(), key=len, reverse=True)


@dataclass(frozen=True, slots=True)
class Word:
    stem: str
    folded: str
    negated: bool


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence in its parts. `words` are those with a meaning of their own."""

    text: str
    words: tuple[Word, ...]
    quantities: tuple[Quantity, ...]
    names: tuple[Name, ...]

    @property
    def stems(self) -> frozenset[str]:
        return frozenset(word.stem for word in self.words)


@dataclass(frozen=True, slots=True)
class Judgement:
    """`span` is where the passage supports or contradicts the sentence, None where it does neither; `score` 0 to 1."""

    verdict: Verdict
    score: float
    span: Span | None


@dataclass(frozen=True, slots=True)
class Window:
    """Sentences of a passage that a sentence is held against."""

    span: Span
    statement: Statement


@lru_cache(4096)
def read(text: str) -> Statement:
    """Take a sentence apart."""
    return Statement(text, tuple(content_words(text)), tuple(quantities(text)), tuple(names(text)))


def content_words(text: str) -> list[Word]:
    found: list[Word] = []
    reach = 0
    for part in turned(text).replace(",", " , ").replace(";", " , ").replace(":", " , ").split():
        word = "".join(letter for letter in part if letter.isalnum() or letter in "-'")
        if part == "," or word in BORDERS:
            reach = 0
        if word in NEGATIONS:
            reach = REACH
            continue
        for piece in words(word):
            if piece.isdigit() or is_stop_word(piece) or len(piece) < 2:
                continue
            found.append(Word(stem(piece), piece, reach > 0))
            reach -= 1
    return found


def stem(word: str) -> str:
    """A word without its ending; the same for "publish", "published" and "publishes"."""
    for suffix in SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            return word[: -len(suffix)]
    return word


def unknown(_one: str, _other: str) -> None:
    """Where there is no model for the meaning of texts."""


def judge(sentence: str, passage: str, about: str = "", similar: Similar = unknown) -> Judgement:
    """How a passage bears on a sentence. `about`: its document's name and headings, whose words it may use."""
    said = read(sentence)
    if not said.words and not said.quantities:
        return Judgement("unsupported", 0.0, None)
    known = frozenset(words(f"{about} {passage}"))
    judged = [weigh(said, window, known, frozenset(words(about)), similar) for window in windows(passage, said)]
    if not judged:
        return Judgement("unsupported", 0.0, None)
    best = max(judged, key=lambda found: (RANK[found.verdict], found.score, -(found.span or (0, 0))[1]))
    opposing = max(
        (found for found in judged if found.verdict == "contradicted"), key=lambda found: found.score, default=None
    )
    if opposing is not None and best.verdict != "supported":
        return opposing
    return best if best.verdict != "unsupported" else Judgement("unsupported", best.score, None)


RANK: dict[Verdict, int] = {"supported": 3, "partial": 2, "contradicted": 1, "unsupported": 0}


def windows(passage: str, said: Statement) -> list[Window]:
    """What a sentence is held against: single sentences, neighbours, and the two that share most with it."""
    spans = sentences(passage)
    wanted: dict[Span, None] = dict.fromkeys(spans)
    wanted.update(dict.fromkeys((one[0], other[1]) for one, other in pairwise(spans)))
    found = [Window(span, read(passage[slice(*span)])) for span in wanted]
    best = sorted(spans, key=lambda span: -len(said.stems & read(passage[slice(*span)]).stems))[:3]
    for one, other in combinations(sorted(best), 2):
        if (one[0], other[1]) not in wanted:
            joined = passage[slice(*one)] + " " + passage[slice(*other)]
            found.append(Window((one[0], other[1]), read(joined)))
    return found


def weigh(said: Statement, window: Window, known: frozenset[str], about: frozenset[str], similar: Similar) -> Judgement:
    source = window.statement
    shared = share(said, source, about)
    cosine = similar(said.text, source.text) if shared > 0 else 0.0
    score = support(shared, cosine)
    same_matter = shared >= ABOUT_THE_SAME or (cosine or 0.0) >= NEAR
    opposed = same_matter and turns_round(said, source)
    wrong = differing(said.quantities, source.quantities)
    if opposed or (same_matter and any(other is not None for _, other in wrong)):
        return Judgement("contradicted", score, window.span)
    invented = [name for name in said.names if not there(name, known)]
    elsewhere = [name for name in said.names if name.sure and not there(name, frozenset(words(source.text)) | about)]
    if wrong or any(name.sure for name in invented):
        return Judgement("unsupported", score / 2, window.span)
    if score >= SUPPORTED and not elsewhere:
        return Judgement("supported", score, window.span)
    if score >= PARTIAL:
        return Judgement("partial", min(score, SUPPORTED), window.span)
    return Judgement("unsupported", score, window.span)


def support(shared: float, cosine: float | None) -> float:
    """How well a window supports a sentence, facts apart: from 0 to 1."""
    total = SHARED_ALONE * shared + OFFSET_ALONE if cosine is None else SHARED * shared + COSINE * cosine + OFFSET
    return 1 / (1 + math.exp(-total))


def share(said: Statement, source: Statement, about: frozenset[str]) -> float:
    """How much of a sentence's words its source has, from 0 to 1; words of the headings count half."""
    if not said.words:
        return 1.0
    stems = source.stems
    about_stems = {stem(word) for word in about}
    total = 0.0
    for word in said.words:
        if word.stem in stems or any(akin(word.folded, other.folded) for other in source.words):
            total += 1
        elif word.stem in about_stems:
            total += 0.5
    return total / len(said.words)


def akin(one: str, other: str) -> bool:
    """Whether two words begin alike far enough to be forms of one another."""
    longer = max(len(one), len(other))
    same = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return same >= max(4, 0.65 * longer)


def turns_round(said: Statement, source: Statement) -> bool:
    """Whether one of the two denies what the other says: by a negation, or by a word that means the opposite."""
    negated = {word.stem: word.negated for word in source.words}
    own = {word.stem for word in said.words}
    flipped = [word for word in said.words if word.stem in negated and negated[word.stem] != word.negated]
    turns = 0
    for word in said.words:
        if word.stem in negated:
            continue
        for other in source.words:
            if other.stem not in own and opposite(word.folded, other.folded):
                turns += 1 if word.negated == other.negated else -1
                break
    return turns > 0 or (turns == 0 and bool(flipped))


def differing(said: Sequence[Quantity], source: Sequence[Quantity]) -> list[tuple[Quantity, Quantity | None]]:
    """Quantities the source does not have, each with one of the source's that stands in its place, if any."""
    found = []
    for quantity in said:
        if quantity.vague or any(quantity.agrees(other) for other in source):
            continue
        free = [
            other
            for other in source
            if other.kind == quantity.kind and not other.vague and not any(mine.agrees(other) for mine in said)
        ]
        found.append((quantity, free[0] if free else None))
    return found


def there(name: Name, known: frozenset[str]) -> bool:
    """Whether the words of a name, or their plurals, are known."""
    return all(
        is_stop_word(part) or part in known or part.removesuffix("s") in known or part + "s" in known
        for part in name.words
    )


def promising(sentence: str, passages: Sequence[str], count: int = 4) -> list[str]:
    """The parts of passages that a sentence may rest on: those whose meaning is worth comparing with it.

    None where the words alone decide, which spares most of the work.
    """
    said = read(sentence)
    rated = [
        (share(said, window.statement, frozenset()), window.statement.text)
        for passage in passages
        for window in windows(passage, said)
    ]
    best = sorted((found for found in rated if found[0] > 0), key=lambda found: (-found[0], len(found[1])))[:count]
    return [] if best and best[0][0] >= DECISIVE else [text for _, text in best]


def same_facts(one: str, other: str) -> bool:
    """Whether two questions name the same numbers, dates and names, and neither turns the other round."""
    first, second = read(one), read(other)
    return (
        not differing(first.quantities, second.quantities)
        and not differing(second.quantities, first.quantities)
        and not turns_round(first, second)
        and {name.words for name in first.names if name.sure} == {name.words for name in second.names if name.sure}
    )
