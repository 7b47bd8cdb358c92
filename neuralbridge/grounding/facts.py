"""What in a sentence has to agree exactly: numbers, dates, times, names. Pure.

A mention may be read in several ways ("1.500" is one and a half or fifteen hundred, 3/5 is in May or in March); two
mentions agree when one of the readings does. A sentence may say less than its source ("in 2021" for "3 May 2021"),
never more.
"""

import re
from dataclasses import dataclass
from itertools import product

from neuralbridge.words import IDENTIFIER, fold, is_stop_word

ENGLISH_MONTHS = "january february march april may june july august september october november december"
SHORT_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec"
PORTUGUESE_MONTHS = "janeiro fevereiro marco abril maio junho julho agosto setembro outubro novembro dezembro"
ONES = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen"""
TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
PORTUGUESE_ONES = """zero um dois tres quatro cinco seis sete oito nove dez onze doze treze catorze quinze dezasseis
    dezassete dezoito dezanove"""
PORTUGUESE_TENS = "vinte trinta quarenta cinquenta sessenta setenta oitenta noventa"
PORTUGUESE_HUNDREDS = "cento duzentos trezentos quatrocentos quinhentos seiscentos setecentos oitocentos novecentos"
THIRDS = "third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
PORTUGUESE_THIRDS = "terceiro quarto quinto sexto setimo oitavo nono decimo"


def numbered(words: str, first: int, step: int = 1) -> dict[str, int]:
    """Words that count on from `first`."""
    return {word: first + step * place for place, word in enumerate(words.split())}


MONTHS = {
    **numbered(ENGLISH_MONTHS, 1),
    **numbered(PORTUGUESE_MONTHS, 1),
    **numbered(SHORT_MONTHS, 1),
    "sept": 9,
    "fev": 2,
    "abr": 4,
    "ago": 8,
    "set": 9,
    "out": 10,
    "dez": 12,
}
SMALL = {
    **numbered(ONES, 0),
    **numbered(TENS, 20, 10),
    **numbered(PORTUGUESE_ONES, 0),
    **numbered(PORTUGUESE_TENS, 20, 10),
    **numbered(PORTUGUESE_HUNDREDS, 100, 100),
    "uma": 1,
    "duas": 2,
    "quatorze": 14,
    "dezesseis": 16,
    "dezessete": 17,
    "dezenove": 19,
    "cem": 100,
    "dozen": 12,
    "duzia": 12,
}
ORDINALS = {**numbered(THIRDS, 3), **numbered(PORTUGUESE_THIRDS, 3)}
SCALES = {
    "hundred": 100,
    "thousand": 1_000,
    "million": 10**6,
    "billion": 10**9,
    "k": 1_000,
    "mil": 1_000,
    "milhao": 10**6,
    "milhoes": 10**6,
}
# These also mean other things: a source may mean the number, a sentence is not held to it
VAGUE = {"one", "um", "uma", "second", "quarto", "quarta", "set", "out", "may", "mar"}
LOOSE = {
    "twice": 2,
    "double": 2,
    "both": 2,
    "half": 0.5,
    "first": 1,
    "second": 2,
    "single": 1,
    "once": 1,
    "pair": 2,
    "ambos": 2,
    "metade": 0.5,
    "primeiro": 1,
    "segundo": 2,
    "annual": 1,
    "daily": 1,
}
# Of lengths of time: in days, hours apart from them
DAYS = {
    "day": 1,
    "week": 7,
    "fortnight": 14,
    "month": 30,
    "year": 360,
    "dia": 1,
    "semana": 7,
    "mes": 30,
    "mese": 30,
    "ano": 360,
}
MINUTES = {"minute": 1, "minuto": 1, "min": 1, "hour": 60, "hora": 60, "h": 60}
# Words that begin sentences, and so have a capital beside a name's
OPENING = """both each all every when while after before although since because only under over during between through
    via like unlike neither either most many other another few several then also however therefore thus according use
    open run select choose click press see set type he she his her here today ambos cada todos todas depois antes
    embora segundo durante entre apenas outro outra ela ele quando enquanto abra use veja"""
OPENERS = frozenset(OPENING.split())
COMPOUND = re.compile(r"[^\W\d_]+(?:[-/'’][^\W\d_]+)+")  # twenty-seven, and/or: no identifiers
AMOUNT = re.compile(r"[\d.,:/–-]+(?:st|nd|rd|th|[ap]\.?m|h|[^\W\d_]{1,3})?|[€$£][\d.,]+\w?|\d+[.,]?\d*%", re.IGNORECASE)
WORD_OR_NUMBER = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Date:
    """Parts that are not said are None."""

    year: int | None
    month: int | None
    day: int | None

    def says_no_more_than(self, other: "Date") -> bool:
        pairs = ((self.year, other.year), (self.month, other.month), (self.day, other.day))
        return all(mine is None or mine == theirs for mine, theirs in pairs)


Reading = Date | float | str


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number, date or time. `place` is its word in the sentence, `kind` what may stand in its place."""

    kind: str  # "number", "date", "time"
    readings: tuple[Reading, ...]
    place: int
    text: str
    vague: bool = False

    def agrees(self, source: "Quantity") -> bool:
        """Whether the source says this, or more than this."""
        for mine, theirs in product(self.readings, source.readings):
            if isinstance(mine, Date) and isinstance(theirs, Date):
                if mine.says_no_more_than(theirs):
                    return True
            elif mine == theirs or (isinstance(theirs, Date) and mine in (theirs.year, theirs.day)):
                return True
        return False


def tokens(text: str) -> list[str]:
    """The words, numbers and signs of a text, as they stand."""
    spaced = re.sub(r"(?<=\d)[\u00a0\u202f ](?=\d{3}\b)", ",", text.replace("’", "'"))
    return re.findall(r"\d[\d.,:/-]*\d|\d|[^\W\d_]+(?:'[^\W\d_]+)?|[%€$£§]", spaced)


def quantities(text: str) -> list[Quantity]:
    """The numbers, dates and times of a sentence, in order."""
    parts = tokens(text)
    folded = [fold(part) for part in parts]
    found: list[Quantity] = []
    place = 0
    while place < len(parts):
        quantity, used = read_date(folded, place) or read_number(folded, place) or (None, 1)
        if quantity is not None:
            found.append(quantity)
        place += used
    return found


def read_date(words: list[str], place: int) -> tuple[Quantity, int] | None:
    """A date that begins here, and how many words it takes."""
    word = words[place]

    def quantity(used: int, *readings: Date) -> tuple[Quantity, int]:
        return Quantity("date", readings, place, " ".join(words[place : place + used])), used

    if match := re.fullmatch(r"(\d{4})-(\d{1,2})-(\d{1,2})", word):
        return quantity(1, Date(int(match[1]), int(match[2]), int(match[3])))
    if match := re.fullmatch(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4}|\d{2})", word):
        first, second, written = int(match[1]), int(match[2]), int(match[3])
        years = [written] if written > 99 else [1900 + written, 2000 + written]
        return quantity(1, *(Date(y, m, d) for y in years for d, m in ((first, second), (second, first)) if m <= 12))

    def number(at: int, low: int, high: int) -> int | None:
        if at >= len(words) or not (match := re.fullmatch(r"(\d{1,4})", words[at])):
            return None
        return int(match[1]) if low <= int(match[1]) <= high else None

    def skip(at: int, *fillers: str) -> int:
        while at < len(words) and words[at] in fillers:
            at += 1
        return at

    if (day := number(place, 1, 31)) is not None:
        at = skip(place + 1, "st", "nd", "rd", "th", "de", "of", "o", "a")
        if at < len(words) and words[at] in MONTHS:
            after = skip(at + 1, "de", "of")
            year = number(after, 1000, 2999)
            return quantity((after if year else at) + 1 - place, Date(year, MONTHS[words[at]], day))
    if word not in MONTHS:
        return None
    month, at = MONTHS[word], skip(place + 1, "de", "of", "the")
    if (day := number(at, 1, 31)) is not None:
        after = skip(at + 1, "st", "nd", "rd", "th")
        year = number(after, 1000, 2999)
        return quantity((after + 1 if year else after) - place, Date(year, month, day))
    if (year := number(at, 1000, 2999)) is not None:
        return quantity(at + 1 - place, Date(year, month, None))
    return quantity(1, Date(None, month, None)) if word not in VAGUE and len(word) > 3 else None


def read_number(words: list[str], place: int) -> tuple[Quantity, int] | None:
    """A number or time that begins here, with the scale or unit behind it."""
    word = words[place]
    if match := re.fullmatch(r"(\d{1,2})[:.](\d{2})", word):
        after = words[place + 1] if place + 1 < len(words) else ""
        if ":" in word or after in ("am", "pm", "a", "p", "h"):
            return clock(int(match[1]), int(match[2]), words, place)
    if re.fullmatch(r"\d{1,2}", word) and words[place + 1 : place + 2] in (["am"], ["pm"]):
        return clock(int(word), 0, words, place)
    if word[0].isdigit():
        values, used = [*read_digits(word)], 1
        if not values:
            return Quantity("number", (word,), place, word), 1
        vague = False
    else:
        value, used = spelled(words, place)
        if value is None:
            if word not in LOOSE:
                return None
            return Quantity("number", (float(LOOSE[word]),), place, word, vague=True), 1
        values, vague = [float(value)], used == 1 and word in VAGUE
    if place + used < len(words) and (scale := SCALES.get(words[place + used])):
        values, used = [value * scale for value in values], used + 1
    unit = words[place + used].rstrip("s") if place + used < len(words) else ""
    readings: list[Reading] = [*values]
    if unit in DAYS:
        readings += [f"{value * DAYS[unit]:g} days" for value in values]
    elif unit in MINUTES:
        readings += [f"{value * MINUTES[unit]:g} minutes" for value in values]
    return Quantity("number", tuple(readings), place, " ".join(words[place : place + used]), vague), used


def clock(hour: int, minute: int, words: list[str], place: int) -> tuple[Quantity, int]:
    after = words[place + 1] if place + 1 < len(words) else ""
    hours = {hour + 12 if hour < 12 else hour} if after in ("pm", "p") else {hour % 12 if after == "am" else hour}
    readings = tuple(f"{hour}:{minute:02}" for hour in sorted(hours))
    return Quantity("time", readings, place, words[place]), 2 if after in ("am", "pm") else 1


def read_digits(word: str) -> set[float]:
    """What a number in digits may mean: 1.500 is 1.5 to some and 1500 to others. Nothing for versions and the like."""
    found = set()
    for separator, point in ((",", "."), (".", ",")):
        whole, _, fraction = word.partition(point)
        grouped = re.fullmatch(rf"\d{{1,3}}(?:{re.escape(separator)}\d{{3}})+|\d+", whole)
        if grouped and (not fraction or fraction.isdigit()) and word.count(point) <= 1:
            found.add(float(whole.replace(separator, "") + "." + (fraction or "0")))
    return found


def spelled(words: list[str], place: int) -> tuple[float | None, int]:
    """A number in words: "twenty-seven", "two hundred and five", "vinte e sete"; and how many words it takes."""
    total: float | None = None
    at = place
    while at < len(words):
        word = words[at]
        if word in SMALL and (total is None or SMALL[word] < scale_of(total)):
            total = (total or 0) + SMALL[word]
        elif word in ORDINALS and (total is None or ORDINALS[word] < scale_of(total)):
            total = (total or 0) + ORDINALS[word]
        elif word == "hundred" and total is not None and total < 100:
            total *= 100
        elif not (word in ("and", "e") and total is not None and at + 1 < len(words) and words[at + 1] in SMALL
                  and SMALL[words[at + 1]] < scale_of(total)):  # fmt: skip
            break
        at += 1
    return total, max(1, at - place)


def scale_of(total: float) -> float:
    """What may still be added to a number in words: below 10 to twenty, below 100 to two hundred."""
    if total and total % 100 == 0:
        return 100
    return 10 if total >= 20 and total % 10 == 0 else 0


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
            if at_opening and (is_stop_word(run[0]) or run[0] in OPENERS):
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
