"""Which of the languages we write ourselves a question is in. Pure."""

from neuralbridge.words import ENGLISH, PORTUGUESE, fold, words

ASKING = """quanto quanta quantos quantas onde quando quem como qual quais pode podem posso devo preciso tenho ha dura
    custa fica abre fecha meu minha meus minhas"""
BOTH = frozenset({"a", "as", "do", "no", "me", "e", "o", "os", "or", "so"})  # words of either
FOLDED_ENGLISH = frozenset(ENGLISH.split()) - BOTH
FOLDED_PORTUGUESE = frozenset(fold(word) for word in [*PORTUGUESE.split(), *ASKING.split()]) - BOTH


def in_portuguese(query: str) -> bool:
    """Whether a question is in Portuguese rather than in English; undecided ones count as English."""
    asked = words(query)
    portuguese = sum(word in FOLDED_PORTUGUESE - FOLDED_ENGLISH for word in asked)
    return portuguese > sum(word in FOLDED_ENGLISH - FOLDED_PORTUGUESE for word in asked)
