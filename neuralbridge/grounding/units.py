"""What numbers are counted in: units that can be compared with one another. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unit:
    """Two numbers of one `kind` are equal when they are so after multiplication by their factors."""

    kind: str
    factor: float


DAY = 86_400.0
# The names of a unit in English and Portuguese, folded, in the singular
NAMES = {
    ("time", 1.0): "second sec segundo",
    ("time", 60.0): "minute min minuto",
    ("time", 3_600.0): "hour hr hora",
    ("time", DAY): "day dia",
    ("time", 7 * DAY): "week semana",
    ("time", 14 * DAY): "fortnight quinzena",
    ("time", 30.4 * DAY): "month mes",
    ("time", 365.0 * DAY): "year ano",
    ("time", 3_650.0 * DAY): "decade decada",
    ("time", 36_500.0 * DAY): "century seculo",
    ("mass", 0.001): "mg milligram milligramme miligrama",
    ("mass", 1.0): "g gram gramme grama gr",
    ("mass", 1_000.0): "kg kilo kilogram kilogramme quilo quilograma",
    ("mass", 1_000_000.0): "t ton tonne tonelada",
    ("length", 0.001): "mm millimetre millimeter milimetro",
    ("length", 0.01): "cm centimetre centimeter centimetro",
    ("length", 1.0): "m metre meter metro",
    ("length", 1_000.0): "km kilometre kilometer quilometro",
    ("volume", 0.001): "ml millilitre milliliter mililitro",
    ("volume", 0.01): "cl centilitre centiliter centilitro",
    ("volume", 0.1): "dl decilitre deciliter decilitro",
    ("volume", 1.0): "l litre liter litro",
    ("bytes", 1.0): "byte",
    ("bytes", 1e3): "kb kilobyte kib",
    ("bytes", 1e6): "mb megabyte mib",
    ("bytes", 1e9): "gb gigabyte gib",
    ("bytes", 1e12): "tb terabyte tib",
    ("power", 1.0): "w watt",
    ("power", 1e3): "kw kilowatt quilowatt",
    ("degree", 1.0): "degree grau",
    ("percent", 0.01): "% percent",
    ("euro", 1.0): "€ eur euro",
    ("dollar", 1.0): "$ usd dollar dolar",
    ("pound", 1.0): "£ gbp pound libra",
    ("real", 1.0): "brl real reai",
}
UNITS = {name: Unit(kind, factor) for (kind, factor), names in NAMES.items() for name in names.split()}
UNITS["meses"] = UNITS["mes"]
UNITS["dolares"] = UNITS["dolar"]
CURRENCIES = {name: unit for name, unit in UNITS.items() if unit.kind in ("euro", "dollar", "pound", "real")}
UNIT_WORDS = frozenset({*UNITS, *(name + "s" for name in UNITS if len(name) > 2), "meses", "dolares", "cent", "cento"})
