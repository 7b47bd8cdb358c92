"""Which of the languages we write ourselves a question is in. Pure."""

from neuralbridge.words import ENGLISH, PORTUGUESE, fold, words

FOLDED_ENGLISH = frozenset(ENGLISH.split())
FOLDED_PORTUGUESE = frozenset(fold(word) for word in PORTUGUESE.split())


def in_portuguese(query: str) -> bool:
    """Whether a question is in Portuguese rather than in English; undecided ones count as English."""
    asked = words(query)
    portuguese = sum(word in FOLDED_PORTUGUESE - FOLDED_ENGLISH for word in asked)
    return portuguese > sum(word in FOLDED_ENGLISH - FOLDED_PORTUGUESE for word in asked)
