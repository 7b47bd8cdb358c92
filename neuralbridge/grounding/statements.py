"""A sentence in its parts: words that mean something and whether they are denied, numbers, names. Pure."""

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache

from neuralbridge.grounding.names import Name, names
from neuralbridge.grounding.numbers import MONTHS, ORDINALS, PARTS, SCALES, SMALL, VAGUE, Quantity, quantities
from neuralbridge.grounding.opposites import BORDERS, DENIALS, LACKS, REACH, turned
from neuralbridge.grounding.stems import BEGINNING, akin, stem
from neuralbridge.grounding.units import UNIT_WORDS
from neuralbridge.words import is_stop_word, words

CLAUSE = re.compile(r"[,;:()—–]|\.\s|\s-\s")
# Where a sentence goes on to something else: what stands before and behind it are two claims
OTHER_CLAUSE = r"""[,;]\s+(?:and|but|while|whereas|which|who|whose|so|either|because|although|though|accompanied|e|mas
    |enquanto|que|cuja|cujo|porque|embora|acompanhad\w+)\s+|;\s+|\s+(?:because|although|though|porque|embora)\s+"""
JOINTS = [
    (re.compile("".join(OTHER_CLAUSE.split()), re.IGNORECASE), 1),
    (re.compile(r"\s+(?:and|but|e|mas)\s+", re.IGNORECASE), 2),
]  # and how many words with a meaning of their own there have to be on either side
# They are compared as numbers
COUNTING = frozenset({*SMALL, *ORDINALS, *PARTS, *SCALES, *MONTHS, *UNIT_WORDS} - VAGUE - {"half", "may", "set"})
# Said of what follows, or between people: a sentence means the same without them
FRAME = """yes sim according segundo acordo manual passage document text states says mentions sim also besides please
    should must need needs may might shall would will can could deve devem pode podem tem ter ha haver"""
FRAMING = frozenset(FRAME.split())


@dataclass(frozen=True, slots=True)
class Word:
    stem: str
    folded: str
    denied: bool


class Statement:
    """`words` are those with a meaning of their own, without those that are numbers, units or names of months."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.words = tuple(content_words(text))
        self.by_stem: dict[str, list[Word]] = {}
        self._by_beginning: dict[str, list[Word]] = {}
        for word in self.words:
            self.by_stem.setdefault(word.stem, []).append(word)
            self._by_beginning.setdefault(word.folded[:BEGINNING], []).append(word)

    @cached_property
    def quantities(self) -> tuple[Quantity, ...]:
        return tuple(quantities(self.text))

    @cached_property
    def names(self) -> tuple[Name, ...]:
        return tuple(names(self.text))

    @cached_property
    def all_words(self) -> frozenset[str]:
        return frozenset(words(self.text))

    def twin(self, word: Word) -> Word | None:
        """The same word here, denied or not as it is there where there are several."""
        alike = self.by_stem.get(word.stem) or [
            other for other in self._by_beginning.get(word.folded[:BEGINNING], ()) if akin(word.folded, other.folded)
        ]
        return next((other for other in alike if other.denied == word.denied), alike[0]) if alike else None


@lru_cache(8192)
def read(text: str) -> Statement:
    """Take a sentence apart; what was read before is kept."""
    return Statement(text)


def content_words(text: str) -> list[Word]:
    return [word for clause in clauses(turned(text)) for word in words_of(clause)]


def clauses(text: str) -> list[list[str]]:
    """The words of folded text, clause by clause."""
    found: list[list[str]] = []
    for part in CLAUSE.split(text):
        clause: list[str] = []
        for word in words(part):
            if word in BORDERS:
                found.append(clause)
                clause = []
            clause.append(word)
        found.append(clause)
    return found


def words_of(clause: list[str]) -> list[Word]:
    """Two denials in one clause are none."""
    denied = sum(word in DENIALS for word in clause) % 2 == 1
    found: list[Word] = []
    reach = 0
    for word in clause:
        if word in LACKS:
            reach = REACH
        elif len(word) > 1 and not (
            word.isdigit() or is_stop_word(word) or word in DENIALS or word in COUNTING or word in FRAMING
        ):
            found.append(Word(stem(word), word, denied != (reach > 0)))
            reach -= 1
    return found


def claims(sentence: str) -> list[str]:
    """The parts of a sentence that say something each."""
    parts = [sentence]
    for joint, least in JOINTS:
        parts = [part for whole in parts for part in divided(whole, joint, least)]
    return parts


def divided(text: str, joint: re.Pattern[str], least: int) -> list[str]:
    found: list[str] = []
    start = 0
    for match in joint.finditer(text):
        before, after = text[start : match.start()], text[match.end() :]
        if min(weight(before), weight(after)) >= least and not counts_on(before, after):
            found.append(before.strip())
            start = match.end()
    return [*found, text[start:].strip()]


def counts_on(before: str, after: str) -> bool:
    """Whether it is a number in words that is joined there: one hundred and eighty."""
    last, first = words(before)[-1:], words(after)[:1]
    return bool(last and first) and last[0] in COUNTING and first[0] in SMALL


def weight(text: str) -> int:
    """How many words and numbers with a meaning of their own there are."""
    said = read(text)
    return len(said.words) + sum(not quantity.vague for quantity in said.quantities)
