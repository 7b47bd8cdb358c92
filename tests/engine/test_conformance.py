"""The final check of an answer against its schema."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralbridge.engine.conformance import violation

OBJECT: dict[str, Any] = {
    "type": "object",
    "properties": {"a": {"type": "integer"}},
    "patternProperties": {"^x": {"type": "string"}},
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (None, "{}"),
        (True, "1"),
        ({}, "[]"),
        (OBJECT, '{"a": 1, "xa": "b"}'),
        ({"multipleOf": 0.1}, "0.3"),
        ({"multipleOf": 0.1}, '"no number"'),
        ({"multipleOf": 3}, "true"),
        ({"additionalProperties": {"type": "integer"}}, '{"a": 1}'),
        ({"additionalProperties": False, "pattern": "a", "patternProperties": {"a": False}}, "7"),
        ({"pattern": r"^\p{Lu}$"}, '"É"'),
        ({"format": "date"}, '"2024-02-29"'),
        ({"format": "made-up"}, '"x"'),
        ({"$ref": "#/$defs/n", "$defs": {"n": {"items": {"$ref": "#/$defs/n"}}}}, "[[], [[]]]"),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"const": 1}]}, "[1, 2]"),
    ],
)
def test_an_answer_that_conforms_has_no_fault(schema: Any, text: str) -> None:
    assert violation(schema, text) is None


@pytest.mark.parametrize(
    ("schema", "text", "said"),
    [
        (None, "[]", r"At \$: \[\] is not of type 'object'\."),
        (None, '{"a"', "It is not JSON: "),
        (None, "", "It is not JSON: "),
        (True, "[NaN]", "It is not JSON: NaN"),
        (False, "1", r"At \$: False schema does not allow 1"),
        (OBJECT, '{"a": "1"}', r"At \$\.a: '1' is not of type 'integer'"),
        (OBJECT, '{"xa": 1}', r"At \$\.xa: 1 is not of type 'string'"),
        (OBJECT, '{"b": 1}', r"At \$: the property 'b' is one too many"),
        ({"additionalProperties": {"type": "integer"}}, '{"a": ""}', r"At \$\.a: '' is not of type"),
        ({"multipleOf": 0.1}, "0.35", "0.35 is not a multiple of 0.1"),
        ({"multipleOf": 2}, "1e999", "inf is not a multiple"),
        ({"pattern": "^(a+)+$"}, json.dumps("a" * 64 + "!"), "does not match"),
        ({"format": "date"}, '"2023-02-29"', "is not a 'date'"),
        ({"items": {}}, "[" * 100_000, "It is nested too deep"),
        (
            {"$ref": "#/$defs/n", "$defs": {"n": {"items": {"$ref": "#/$defs/n"}}}},
            "[" * 900 + "]" * 900,
            "nested too deep",
        ),
        (True, "9" * 5000, "It is not JSON: "),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"const": 1}]}, "[2]", "1 was expected"),
    ],
)
def test_a_fault_is_said_with_its_place(schema: Any, text: str, said: str) -> None:
    fault = violation(schema, text)
    assert fault is not None
    assert re.search(said, fault), fault


@given(st.integers(-(10**6), 10**6), st.sampled_from([(0.1, 1), (0.01, 2), (0.001, 3)]))
def test_decimals_are_multiples_of_their_last_place(number: int, place: tuple[float, int]) -> None:
    factor, digits = place
    assert violation({"multipleOf": factor}, f"{number / 10**digits:.{digits}f}") is None


@pytest.mark.parametrize("combined", ["allOf", "anyOf"])
@pytest.mark.parametrize("text", ['"x"', "7"])
def test_references_that_fork_on_forty_levels_are_looked_at_once(combined: str, text: str) -> None:
    levels = {f"{n}": {combined: [{"$ref": f"#/$defs/{n + 1}"}] * 2} for n in range(40)}  # 2 ** 40 ways down
    schema = {"$ref": "#/$defs/0", "$defs": {**levels, "40": {"type": "string"}}}
    assert (violation(schema, text) is None) == (text == '"x"')


def test_the_same_reference_is_asked_of_each_value() -> None:
    schema = {"$defs": {"a": {"maxLength": 1}}, "items": {"$ref": "#/$defs/a"}}
    assert violation(schema, '["x", "y"]') is None
    assert violation(schema, '["x", "yy"]') == "At $[1]: 'yy' is too long."
