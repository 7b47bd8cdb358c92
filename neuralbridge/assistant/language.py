"""Which of the languages we write ourselves a question is in. Pure."""

from neuralbridge.words import ENGLISH, PORTUGUESE, fold, words

ASKING = """quanto quanta quantos quantas onde quando quem como qual quais pode podem posso devo preciso tenho ha dura
    custa fica abre fecha meu minha meus minhas"""
# Words of German, Spanish, French and Italian, which share others with Portuguese
OTHERS = """der die das ist und wann wie was wo ein eine el los las del es una cuando donde cuanto le les des du est
    quand quel quelle et il lo gli di si che dove"""
ELSEWHERE = frozenset(OTHERS.split())
BOTH = frozenset({"a", "as", "do", "no", "me", "e", "o", "os", "or", "so"})  # words of either
FOLDED_ENGLISH = frozenset(ENGLISH.split()) - BOTH
FOLDED_PORTUGUESE = frozenset(fold(word) for word in [*PORTUGUESE.split(), *ASKING.split()]) - BOTH


def in_portuguese(query: str) -> bool:
    """Whether a question is in Portuguese rather than in another language; undecided ones count as English."""
    asked = words(query)
    portuguese = sum(word in FOLDED_PORTUGUESE - FOLDED_ENGLISH for word in asked)
    english = sum(word in FOLDED_ENGLISH - FOLDED_PORTUGUESE for word in asked)
    return portuguese > english and portuguese > sum(word in ELSEWHERE for word in asked)
