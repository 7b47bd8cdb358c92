"""Names in a sentence: of people, places, products, and identifiers, which have to agree exactly. Pure."""

import re
from dataclasses import dataclass

from neuralbridge.grounding.numbers import MONTHS
from neuralbridge.words import IDENTIFIER, fold, is_stop_word

# Words that begin sentences, and so have a capital beside a name's
OPENING = """both each all every when while after before although since because only under over during between through
    via like unlike neither either most many other another few several then also however therefore thus according use
    open run select choose click press see set type he she his her here today ambos cada todos todas depois antes
    embora segundo durante entre apenas outro outra ela ele quando enquanto abra use veja"""
OPENERS = frozenset(OPENING.split())
ADVERB = re.compile(r"\w{3,}(?:ally|ully|ntly|tely|rely)|\w{4,}mente")  # Usually, Recently; not Sally or Clemente
COMPOUND = re.compile(r"[^\W\d_]+(?:[-/'’][^\W\d_]+)+")  # twenty-seven, and/or: no identifiers
AMOUNT = re.compile(r"[\d.,:/–-]+(?:st|nd|rd|th|[ap]\.?m|h|[^\W\d_]{1,3})?|[€$£][\d.,]+\w?|\d+[.,]?\d*%", re.IGNORECASE)
WORD_OR_NUMBER = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Name:
    """Folded words. `sure` is False where a capital may only be that of a sentence's beginning."""

    words: tuple[str, ...]
    sure: bool


def names(text: str) -> list[Name]:
    """Names of people, products and places, and identifiers. A run of words with a capital counts as one name."""
    found: dict[tuple[str, ...], bool] = {}
    for match in re.finditer(r"\S+", text):
        part = match[0].strip(".,;:!?\"'`()[]{}<>«»„“”*_")
        if IDENTIFIER.fullmatch(part) and not quantities_only(part) and not COMPOUND.fullmatch(part):
            found[tuple(WORD_OR_NUMBER.findall(fold(part)))] = True
    run: list[str] = []
    opening = at_opening = True
    for word in [*re.findall(r"[^\W\d_][^\W_]*(?:['’]s\b)?|[^\w\s]|\d+", text), "."]:
        if word[:1].isupper():
            if not run:
                at_opening = opening
            run.append(fold(word.removesuffix("'s").removesuffix("’s")))
        elif run and word != "-":
            if at_opening and (is_stop_word(run[0]) or run[0] in OPENERS or ADVERB.fullmatch(run[0])):
                run, at_opening = run[1:], False
            name = tuple(part for part in run if part not in MONTHS and len(part) > 1)
            if name and not all(is_stop_word(part) for part in name):
                found[name] = found.get(name, False) or not at_opening or len(name) > 1
            run = []
        opening = word in ".!?:•-"
    return [Name(words, sure) for words, sure in found.items() if words]


def quantities_only(part: str) -> bool:
    """Whether something that looks like an identifier is a number with its unit, a date or a time."""
    return AMOUNT.fullmatch(part) is not None
