"""Numbers, dates and times are read as people mean them, and agree only when they do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralbridge.grounding.numbers import quantities


def agree(one: str, other: str) -> bool:
    """Whether the second says every quantity of the first."""
    source = quantities(other)
    return all(any(mine.agrees(theirs) for theirs in source) for mine in quantities(one))


@pytest.mark.parametrize(
    ("said", "source"),
    [
        ("1,500 people", "1500 people"),
        ("1.500 pessoas", "1 500 pessoas"),
        ("1500", "fifteen hundred"),
        ("27", "twenty-seven"),
        ("325", "trezentos e vinte e cinco"),
        ("205", "two hundred and five"),
        ("2,000,000", "2 million"),
        ("50 %", "50 percent"),
        ("3.5", "3,5"),
        ("the third", "the 3rd"),
        ("3 May 2021", "May 3rd, 2021"),
        ("2021-05-03", "3 de maio de 2021"),
        ("03/05/2021", "2021-05-03"),
        ("May 2021", "on 3 May 2021"),
        ("in 2021", "on 3 May 2021"),
        ("5 pm", "17:00"),
        ("9:30 am", "9:30"),
        ("two years", "24 months"),
        ("90 minutes", "an hour and 90 minutes"),
        ("two days", "48 hours"),
        ("half price", "50 % of the price"),
        ("20 %", "one fifth"),
        ("half past four", "16:30"),
        ("a quarter past four", "4.15 pm"),
        ("nine in the evening", "21:00"),
        ("às três da tarde", "15h"),
        ("40 cm", "forty centimetres"),
        ("34 euros", "€34"),
        ("one month", "30 days"),
        ("2 hours", "120 minutes"),
    ],
)
def test_what_is_the_same(said: str, source: str) -> None:
    assert quantities(said)
    assert agree(said, source)


@pytest.mark.parametrize(
    ("said", "source"),
    [
        ("1,500", "1,501"),
        ("27", "72"),
        ("3 May 2021", "May 2021"),
        ("3 May 2021", "3 May 2020"),
        ("2021-05-03", "2021-05-04"),
        ("5 pm", "5 am"),
        ("twelve", "twenty"),
        ("14", "15"),
        ("10.5.2", "10.5.3"),
        ("2 years", "2 hours"),
        ("40 €", "£40"),
        ("101 days", "100 days"),
    ],
)
def test_what_is_not(said: str, source: str) -> None:
    assert quantities(said)
    assert not agree(said, source)


@given(st.integers(0, 999_999))
def test_a_number_agrees_with_itself_however_it_is_grouped(number: int) -> None:
    assert agree(f"{number:,} of them", f"{number} of them")
    assert not agree(f"{number + 1} of them", f"{number} of them")
