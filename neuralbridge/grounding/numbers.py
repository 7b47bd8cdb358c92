"""Numbers, dates and times in a sentence, with their units, as people mean them. Pure.

A mention may be read in several ways ("1.500" is one and a half or fifteen hundred, 3/5 is in May or in March); two
mentions agree when one of the readings does. A sentence may say less than its source ("in 2021" for "3 May 2021"),
never more.
"""

import math
import re
from dataclasses import dataclass
from itertools import product

from neuralbridge.grounding.units import CURRENCIES, UNITS, Unit
from neuralbridge.words import fold

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
FEMININE_THIRDS = "terceira quarta quinta sexta setima oitava nona decima"


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
ORDINALS = {**numbered(THIRDS, 3), **numbered(PORTUGUESE_THIRDS, 3), **numbered(FEMININE_THIRDS, 3)}
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
PARTS = {
    "half": 2,
    "halves": 2,
    "third": 3,
    "thirds": 3,
    "quarter": 4,
    "quarters": 4,
    **{word + "s": n for word, n in numbered(THIRDS, 3).items()},
    **{word: n for word, n in numbered(THIRDS, 3).items() if n > 4},
    "terco": 3,
    "tercos": 3,
    "quartos": 4,
    "quintos": 5,
    "decimos": 10,
}
# These also mean other things: a source may mean the number, a sentence is not held to it
VAGUE = {"one", "um", "uma", "second", "quarto", "quarta", "quinta", "sexta", "terceira", "set", "out", "may", "mar"}
LOOSE = {
    "twice": 2.0,
    "double": 2.0,
    "both": 2.0,
    "half": 0.5,
    "first": 1.0,
    "second": 2.0,
    "single": 1.0,
    "once": 1.0,
    "pair": 2.0,
    "ambos": 2.0,
    "dobro": 2.0,
    "metade": 0.5,
    "meia": 0.5,
    "meio": 0.5,
    "primeiro": 1.0,
    "primeira": 1.0,
    "segundo": 2.0,
    "segunda": 2.0,
    "noon": 12.0,
    "midnight": 0.0,
}
EVENING = ("evening", "night", "afternoon", "noite", "tarde")


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
    """A number, date or time, from its word `place` in the sentence on. `kind` is what may stand in its place."""

    kind: str  # "number", "date", "time"
    readings: tuple[Reading, ...]
    place: int
    text: str
    vague: bool = False
    unit: Unit | None = None

    def agrees(self, source: "Quantity") -> bool:
        """Whether the source says this, or more than this."""
        return any(
            same(mine, self.unit, theirs, source.unit) for mine, theirs in product(self.readings, source.readings)
        )


def same(mine: Reading, unit: Unit | None, theirs: Reading, other: Unit | None) -> bool:
    if isinstance(mine, Date):
        return isinstance(theirs, Date) and mine.says_no_more_than(theirs)
    if isinstance(theirs, Date):
        return unit is None and mine in (theirs.year, theirs.day)
    if isinstance(mine, str) or isinstance(theirs, str):
        return mine == theirs
    if unit is not None and other is not None:
        near = 0.02 if unit.factor != other.factor else 1e-9  # a month is 30 days, more or less
        return unit.kind == other.kind and math.isclose(mine * unit.factor, theirs * other.factor, rel_tol=near)
    if mine == theirs:
        return True
    if unit is not None:
        return unit.kind == "percent" and math.isclose(mine * unit.factor, theirs, rel_tol=0.02)  # 50 % is a half
    return other is not None and other.kind == "percent" and math.isclose(theirs * other.factor, mine, rel_tol=0.02)


def tokens(text: str) -> list[str]:
    """The words, numbers and signs of a text, as they stand."""
    spaced = re.sub(r"(?<=\d)[\u00a0\u202f ](?=\d{3}\b)", ",", text.replace("’", "'"))
    return re.findall(r"\d[\d.,:/-]*\d|\d|[^\W\d_]+(?:'[^\W\d_]+)?|[%€$£§°º]", spaced)


def quantities(text: str) -> list[Quantity]:
    """The numbers, dates and times of a sentence, in order."""
    words = [folded for part in tokens(text) if (folded := fold(part))]  # some marks fold to nothing
    found: list[Quantity] = []
    place = 0
    while place < len(words):
        quantity, used = read_date(words, place) or read_time(words, place) or read_number(words, place) or (None, 1)
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
        at = skip(place + 1, "st", "nd", "rd", "th", "º", "de", "of", "o", "a")
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


def read_time(words: list[str], place: int) -> tuple[Quantity, int] | None:
    """A time of day that begins here: 16:30, 4.30 pm, 23h15, half past four, nine in the evening."""
    word = words[place]
    after = words[place + 1 :]
    if word == "half" and after[:1] == ["past"] and after[1:] and after[1] in SMALL:
        return clock(SMALL[after[1]], 30, words, place, 3)
    if word == "quarter" and after[:1] == ["past"] and after[1:] and after[1] in SMALL:
        return clock(SMALL[after[1]], 15, words, place, 3)
    if match := re.fullmatch(r"(\d{1,2})[:.](\d{2})", word):
        if ":" in word or after[:1] in (["am"], ["pm"], ["a"], ["p"], ["h"]):
            return clock(int(match[1]), int(match[2]), words, place, 1)
        return None
    hour = int(word) if re.fullmatch(r"\d{1,2}", word) else SMALL.get(word, -1)
    if not 0 <= hour <= 24:
        return None
    if after[:1] == ["h"] and word.isdigit():
        minutes = int(after[1]) if after[1:] and re.fullmatch(r"[0-5]\d", after[1]) else 0
        return clock(hour, minutes, words, place, 3 if minutes else 2)
    if after[:1] in (["am"], ["pm"]) or after[:2] in (["a", "m"], ["p", "m"]):
        return clock(hour, 0, words, place, 1)
    if after[:2] in (["in", "the"], ["at", "night"]) and set(after[1:3]) & {*EVENING, "morning"}:
        return clock(hour, 0, words, place, 1)
    if after[:1] == ["da"] and after[1:2] and after[1] in (*EVENING, "manha"):
        return clock(hour, 0, words, place, 1)
    if after[:2] == ["horas", "da"]:
        return clock(hour, 0, words, place, 2)
    return None


def clock(hour: int, minute: int, words: list[str], place: int, used: int) -> tuple[Quantity, int]:
    """Half a day later where it says so; where it does not, an hour below 12 may be meant either way."""
    following = words[place + used : place + used + 3]
    if following[:1] in (["am"], ["pm"]):
        used += 1
    elif following[:2] in (["a", "m"], ["p", "m"]):
        used += 2
    late = following[:1] in (["pm"], ["p"]) or bool(set(following) & {*EVENING})
    early = following[:1] in (["am"], ["a"]) or "morning" in following or "manha" in following
    sure = late or early or ":" in words[place] or used > 1 or hour >= 13
    hours = {hour + 12 if late and hour < 12 else hour % 24}
    if not sure or (words[place] in ("half", "quarter") and not late and not early):
        hours.add((hour + 12) % 24)
    readings = tuple(f"{each}:{minute:02}" for each in sorted(hours))
    return Quantity("time", readings, place, " ".join(words[place : place + used])), used


def read_number(words: list[str], place: int) -> tuple[Quantity, int] | None:
    """A number that begins here, with the scale and the unit beside it."""
    word = words[place]
    vague = False
    if word[0].isdigit():
        values, used = [*read_digits(word)], 1
        if not values:
            return Quantity("number", (word,), place, word), 1
    elif (part := fraction(words, place)) is not None:
        values, used = [part[0]], part[1]
    else:
        value, used = spelled(words, place)
        if value is None:
            if word not in LOOSE:
                return None
            return Quantity("number", (LOOSE[word],), place, word, vague=True), 1
        values, vague = [value], used == 1 and word in VAGUE
    if place + used < len(words) and (scale := SCALES.get(words[place + used])):
        values, used = [value * scale for value in values], used + 1
    unit, length = unit_at(words, place, used)
    text = " ".join(words[place : place + used + length])
    return Quantity("number", tuple(values), place, text, vague and unit is None, unit), used + length


def unit_at(words: list[str], place: int, used: int) -> tuple[Unit | None, int]:
    """The unit of the number there, before it or behind it; and how many words behind the number it takes."""
    at = place + used
    if words[at : at + 2] in (["per", "cent"], ["por", "cento"]):
        return UNITS["%"], 2
    if words[at : at + 1] in (["°"], ["º"]):
        return UNITS["degree"], 2 if words[at + 1 : at + 2] in (["c"], ["f"]) else 1
    if at < len(words):
        word = words[at].removesuffix("'s").removesuffix("'")
        unit = UNITS.get(word) or UNITS.get(word.removesuffix("s")) or UNITS.get(word.removesuffix("es"))
        if unit is not None:
            return unit, 1
    return (CURRENCIES.get(words[place - 1]) if place else None), 0


def read_digits(word: str) -> set[float]:
    """What a number in digits may mean: 1.500 is 1.5 to some and 1500 to others. Nothing for versions and the like."""
    found = set()
    for separator, point in ((",", "."), (".", ",")):
        whole, _, rest = word.partition(point)
        grouped = re.fullmatch(rf"\d{{1,3}}(?:{re.escape(separator)}\d{{3}})+|\d+", whole)
        if grouped and (not rest or rest.isdigit()) and word.count(point) <= 1:
            found.add(float(whole.replace(separator, "") + "." + (rest or "0")))
    return found


def fraction(words: list[str], place: int) -> tuple[float, int] | None:
    """ "two thirds", "one fifth", "half a", "um terço": from 0 to 1, and how many words it takes."""
    numerator = SMALL.get(words[place])
    if numerator and words[place + 1 : place + 2] and (denominator := PARTS.get(words[place + 1])):
        many = words[place + 1].endswith("s") or numerator == 1
        if many and numerator < denominator:
            return numerator / denominator, 2
    return None


def spelled(words: list[str], place: int) -> tuple[float | None, int]:
    """A number in words: "twenty-seven", "two hundred and five", "vinte e sete"; and how many words it takes."""
    total: float | None = None
    at = place
    while at < len(words):
        word = words[at]
        if word in SMALL and (total is None or SMALL[word] < scale_of(total)):
            total = (total or 0.0) + SMALL[word]
        elif word in ORDINALS and (total is None or ORDINALS[word] < scale_of(total)):
            total = (total or 0.0) + ORDINALS[word]
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
