"""How sure a model was of its words, from the probabilities of the tokens it chose. Pure.

Words that mean something count, and not the "the" and "of" between them, of which every model is sure.
"""

import math
from collections import Counter
from collections.abc import Sequence

from neuralbridge.types import Piece
from neuralbridge.words import is_stop_word, words

SHARE_OF_LOWEST = 0.1
REPEATED_WORDS = 4  # in a row, said before: a small model that runs in circles says little else


class Certainty:
    """Takes an answer's pieces as they come."""

    def __init__(self) -> None:
        self._word = ""
        self._of_word: list[float] = []
        self._content: list[float] = []
        self._all: list[float] = []

    def add(self, piece: Piece) -> None:
        """A word ends where the next piece begins with a blank."""
        chosen = [token.logprob for token in piece.tokens]
        self._all += chosen
        if self._word and piece.text[:1].isspace():
            self._end_word()
        self._word += piece.text
        self._of_word += chosen

    @property
    def mean(self) -> float:
        """The geometric mean of the probabilities of the content words' tokens; 0 when nothing was said."""
        return geometric(self._counted())

    @property
    def lowest(self) -> float:
        """The same of the tenth of them with the lowest probabilities."""
        counted = sorted(self._counted())
        return geometric(counted[: max(1, round(len(counted) * SHARE_OF_LOWEST))])

    def _counted(self) -> list[float]:
        self._end_word()
        return self._content or self._all

    def _end_word(self) -> None:
        if any(not is_stop_word(word) for word in words(self._word)):
            self._content += self._of_word
        self._word, self._of_word = "", []


def geometric(logprobs: Sequence[float]) -> float:
    return math.exp(math.fsum(each / len(logprobs) for each in logprobs)) if logprobs else 0.0


def repeated(text: str) -> float:
    """The share of a text's runs of words that it has said before, from 0 to 1."""
    said = words(text)
    runs = Counter(tuple(said[at : at + REPEATED_WORDS]) for at in range(len(said) - REPEATED_WORDS + 1))
    return 1 - len(runs) / total if (total := runs.total()) else 0.0
