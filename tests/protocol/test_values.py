"""The amount of values in a JSON text, told without parsing it."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralbridge.protocol.values import value_exceeds, values_exceed

JSON = st.recursive(
    st.none() | st.integers() | st.text() | st.text('"\\,[{}]'),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('"\\,[{a'), inner, max_size=4),
)


def amount(value: object) -> int:
    """Opening brackets and commas."""
    if not isinstance(value, list | dict):
        return 0
    inner = [*value.values()] if isinstance(value, dict) else value
    return 1 + max(len(inner) - 1, 0) + sum(map(amount, inner))


@given(JSON, st.booleans(), st.text(" ,[]{}\n"), st.text(' ,[]{}"\\'))
def test_what_stands_in_strings_before_and_behind_does_not_count(
    value: object, escaped: bool, before: str, behind: str
) -> None:
    text, found = json.dumps(value, ensure_ascii=escaped), amount(value)
    assert not values_exceed(text, found)
    assert found == 0 or values_exceed(text, found - 1)
    if found:
        assert not value_exceeds(before + text + behind, found, len(before))
        assert value_exceeds(before + text + behind, found - 1, len(before))


@given(st.text('"\\,[]{}a'), st.integers(0, 3))
def test_what_is_no_json_comes_to_an_end_too(text: str, most: int) -> None:
    assert values_exceed(text, most) in (True, False)


@pytest.mark.parametrize("piece", ["a,", "\\n,", '\\",', "\\\\,", "\u00e9,"])
@pytest.mark.parametrize("end", ['"', "", "\\"])
def test_a_long_string_is_one_value_and_quickly_passed(piece: str, end: str) -> None:
    text = '["' + piece * 300_000 + end
    began = time.perf_counter()
    assert not values_exceed(text, 10)
    assert time.perf_counter() - began < 0.5
