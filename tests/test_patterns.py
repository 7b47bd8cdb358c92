"""`*` is any text, `#` is any digit, and nothing takes longer than it has to."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralbridge.patterns import matches, specificity, without_ending
from neuralbridge.yaml_file import after

LETTERS = st.text(alphabet="ab-", max_size=12)


@given(st.text(alphabet="ab-*", max_size=8), LETTERS)
def test_a_pattern_matches_what_the_same_regular_expression_does(pattern: str, name: str) -> None:
    expression = ".*".join(map(re.escape, pattern.split("*")))
    assert matches(pattern, name) == (re.fullmatch(expression, name) is not None)


@given(st.lists(LETTERS, min_size=1, max_size=5), st.lists(LETTERS, min_size=5, max_size=5))
def test_whatever_stands_for_the_stars_is_matched(parts: list[str], between: list[str]) -> None:
    name = parts[0] + "".join(text + part for text, part in zip(between, parts[1:], strict=False))
    assert matches("*".join(parts), name)


def test_a_pattern_that_makes_regular_expressions_search_without_end_is_answered() -> None:
    assert not matches("*a" * 99 + "*b", "a" * 10_000)


def test_more_letters_stand_before_fewer_and_fewer_stars_before_more() -> None:
    patterns = ["*", "gpt-*", "*gpt-*", "gpt-4*", "gpt-*-mini*", "gpt-4*-mini"]
    assert sorted(patterns, key=specificity) == ["gpt-4*-mini", "gpt-*-mini*", "gpt-4*", "gpt-*", "*gpt-*", "*"]


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4-0613", "gpt-4"),
        ("llama3:latest", "llama3"),
        ("gpt-4o-2024-8-06", "gpt-4o-2024-8-06"),
        ("gpt-4o-٢٠٢٤", "gpt-4o-٢٠٢٤"),
        (":latest", ":latest"),
        ("-0613", "-0613"),
        ("", ""),
    ],
)
def test_an_ending_is_taken_off_where_something_is_left(name: str, left: str) -> None:
    assert without_ending(name, ("-####-##-##", "-####", ":latest")) == left


@pytest.mark.parametrize(("text", "place"), [("", "1:1"), ("ab", "1:3"), ("a\n", "2:1"), ("a\n\nbc", "3:3")])
def test_the_place_after_a_text_is_counted_from_one(text: str, place: str) -> None:
    assert after(text) == place
