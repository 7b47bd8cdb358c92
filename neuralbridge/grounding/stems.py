"""Words without their endings, in English and Portuguese. Pure; rough, but the same for all forms of most words."""

from functools import lru_cache

ENDINGS = """ization isation ations ation ingly edly ments ment ness ings ing ies ied ers er ed es ly s e coes cao mente
    ados adas idos idas ido ada ado ida ando endo indo ares eres ar er ir os as o a"""
SUFFIXES = sorted(ENDINGS.split(), key=len, reverse=True)
SHORTEST = 3  # letters that are left
LONGEST = 40  # letters; what has more is no word of a language, and has no endings
KEPT = 100_000  # words: whatever people write comes by here
BEGINNING = 4  # letters that forms of a word have in common at least


def stem(word: str) -> str:
    """A folded word without its endings; the same for "lower", "lowers" and "lowered"."""
    return word if len(word) > LONGEST else stripped(word)


@lru_cache(KEPT)
def stripped(word: str) -> str:
    for suffix in SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= SHORTEST:
            return stripped(undoubled(word[: -len(suffix)]))
    return undoubled(word)


def undoubled(word: str) -> str:
    """ "stopp" of "stopped" is "stop" """
    return word[:-1] if len(word) > SHORTEST and word[-1] == word[-2] and word[-1] not in "aeiou" else word


def akin(one: str, other: str) -> bool:
    """Whether two folded words begin alike far enough to be forms of one another."""
    longer = max(len(one), len(other))
    same = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return same >= max(BEGINNING, 0.65 * longer)
