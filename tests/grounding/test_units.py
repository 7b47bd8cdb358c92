"""Units with several names are one unit, and only units of a kind can be compared."""

import pytest

from neuralbridge.grounding.units import CURRENCIES, UNIT_WORDS, UNITS


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("kg", "quilo"),
        ("litre", "liter"),
        ("litre", "litro"),
        ("hour", "hora"),
        ("mes", "meses"),
        ("€", "euro"),
        ("$", "dolares"),
        ("%", "percent"),
    ],
)
def test_names_of_one_unit(one: str, other: str) -> None:
    assert UNITS[one] == UNITS[other]


@pytest.mark.parametrize(
    ("large", "small", "times"),
    [("hour", "minute", 60), ("week", "day", 7), ("kg", "g", 1_000), ("km", "m", 1_000), ("l", "ml", 1_000)],
)
def test_units_of_one_kind_are_multiples_of_one_another(large: str, small: str, times: float) -> None:
    assert UNITS[large].kind == UNITS[small].kind
    assert UNITS[large].factor == pytest.approx(times * UNITS[small].factor)


@pytest.mark.parametrize(("one", "other"), [("m", "minute"), ("kg", "l"), ("euro", "dollar"), ("pound", "real")])
def test_units_of_different_kinds(one: str, other: str) -> None:
    assert UNITS[one].kind != UNITS[other].kind


def test_money_is_what_stands_before_its_number() -> None:
    assert {"€", "$", "£", "eur", "libra"} <= CURRENCIES.keys()
    assert CURRENCIES.keys().isdisjoint({"kg", "day", "%"})


def test_plurals_are_words_for_units() -> None:
    assert {"litros", "hours", "meses", "dolares", "cento"} <= UNIT_WORDS
