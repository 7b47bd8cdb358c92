"""Which JSON Schemas are refused, in which words, and what is made of the others."""

import calendar
import json
import re
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from neuralbridge.engine.schema import DAY, MAX_BYTES, MAX_DEPTH, check, narrowed, significant, subschemas
from neuralbridge.errors import SchemaRefused

NAMED: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "string"}}}
STRINGS: dict[str, Any] = {"type": "array", "items": {"type": "string"}}


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(levels):
        schema = {"items": schema}
    return schema


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "array", "uniqueItems": True}, r"not supported here: uniqueItems \(at #\)"),
        (
            {"properties": {"a/b": {"not": {}}, "c": {"if": {}, "then": {}}}},
            r"not \(at #/properties/a~1b\), if \(at #/properties/c\), then \(at #/properties/c\)",
        ),
        ({"items": {"anyOf": [{}, {"contains": {}}]}}, r"contains \(at #/items/anyOf/1\)"),
        ({"$defs": {"a": {"propertyNames": {}}}}, r"propertyNames \(at #/\$defs/a\)"),
        ({"properties": {"a": {"$id": "b"}}}, r"\$id \(at #/properties/a\)"),
        ({"multipleOf": 10_007}, r"multipleOf 10007 \(of more than 10,000\)"),
        ({"$ref": "https://example.org/a.json"}, r"\$ref 'https://example.org/a.json' \(at #\) leads elsewhere"),
        ({"items": {"$ref": "other.json#/a"}}, r"'other.json#/a' \(at #/items\) leads elsewhere"),
        ({"$ref": "#/$defs/a"}, r"'#/\$defs/a' \(at #\) leads to no schema"),
        ({"$ref": "#/title", "title": "x"}, "leads to no schema"),
        ({"$ref": "#"}, "refers to itself without an end, at #"),
        (
            {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"anyOf": [{}, {"$ref": "#/$defs/a"}]}}},
            "end",
        ),
        ({"type": "text"}, r"wrong at #/type: 'text' is not valid"),
        ({"properties": {"a": 5}}, "wrong at #/properties/a: 5 is not of type"),
        ({"multipleOf": 0}, "wrong at #/multipleOf"),
        ({"minLength": -1}, "wrong at #/minLength"),
        ({"$schema": "https://example.org/mine"}, r"\$schema, 'https://example.org/mine', is none"),
        ({"$schema": "http://json-schema.org/draft-04/schema#"}, "draft-04.*is none"),
        ({"$schema": 7}, r"\$schema, 7, is none"),
        ({"const": float("nan")}, "JSON does not know"),
        ({"const": "\ud800"}, "JSON does not know"),
        ({"description": "x" * MAX_BYTES}, r"100,0\d\d bytes; 100,000 are allowed"),
        (nested(MAX_DEPTH), f"deeper than {MAX_DEPTH} levels"),
        (nested(100_000), f"deeper than {MAX_DEPTH} levels"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_supported_is_refused_by_name_and_place(schema: dict[str, Any], said: str) -> None:
    with pytest.raises(SchemaRefused, match=said):
        check(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {},
        nested(MAX_DEPTH - 1),
        {"type": "array", "uniqueItems": False},
        {"properties": {"not": {"type": "string"}, "contains": {"const": {"if": 1}}}},  # names and values, no keywords
        {"$ref": "#/$defs/a", "$defs": {"a": {"properties": {"next": {"$ref": "#/$defs/a"}}}}},
        {"properties": {"a": {"$ref": "#"}}},
        {"$ref": "#/$defs/a", "$defs": {"a": True}},
        {"$schema": "https://json-schema.org/draft/2020-12/schema"},
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "items": [{"type": "integer"}],
            "definitions": {"a": {}},
        },
        {"$schema": "http://json-schema.org/draft-07/schema#", "$defs": 5, "prefixItems": 5},
        {"$id": "https://example.org/a", "multipleOf": 0.05},
        {"discriminator": {"propertyName": "kind"}, "nullable": True, "x-order": 1},
    ],
)
def test_what_is_supported_passes(schema: dict[str, Any]) -> None:
    check(schema)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (NAMED, {**NAMED, "additionalProperties": False}),
        ({"type": "object"}, {"type": "object"}),
        ({**NAMED, "required": ["a", "b"]}, {**NAMED, "required": ["a", "b"]}),
        ({**NAMED, "additionalProperties": True}, {**NAMED, "additionalProperties": True}),
        ({**NAMED, "minProperties": 2}, {**NAMED, "minProperties": 2}),
        ({"allOf": [NAMED, {}]}, {"allOf": [NAMED, {}]}),
        ({**NAMED, "anyOf": [{"required": ["a"]}]}, {**NAMED, "anyOf": [{"required": ["a"]}]}),
        ({"anyOf": [NAMED], "title": "x"}, {"anyOf": [{**NAMED, "additionalProperties": False}], "title": "x"}),
        ({"items": NAMED, "uniqueItems": False}, {"items": {**NAMED, "additionalProperties": False}}),
        ({"format": "time"}, {"format": "time", "maxLength": 21}),
        ({"format": "time", "maxLength": 9}, {"format": "time", "maxLength": 9}),
        ({"format": "date", "pattern": "^2"}, {"format": "date", "pattern": "^2"}),
        ({"format": "date-time"}, {"format": "date-time", "pattern": f"^{DAY}", "maxLength": 32}),
    ],
)
def test_a_schema_is_narrowed_where_nothing_else_can_be_meant(schema: dict[str, Any], expected: dict[str, Any]) -> None:
    before = json.dumps(schema)
    assert narrowed(schema) == expected
    assert json.dumps(schema) == before


LEAVES = st.sampled_from(
    [{"type": "string"}, {"const": 1}, {"format": "date"}, {"type": "array", "uniqueItems": False}]
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: (
        st.fixed_dictionaries(
            {"properties": st.dictionaries(st.sampled_from("abc"), inner)}, optional={"title": st.text()}
        )
        | st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=3)})
        | st.fixed_dictionaries({"allOf": st.lists(inner, min_size=1, max_size=3)})
        | st.fixed_dictionaries({"items": inner, "additionalProperties": inner})
    ),
    max_leaves=8,
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["2024-02-30", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=8,
)


@given(SCHEMAS, VALUES)
def test_what_conforms_to_the_narrowed_schema_conforms_to_the_schema(schema: dict[str, Any], value: object) -> None:
    check(schema)
    if Draft202012Validator(narrowed(schema)).is_valid(value):
        assert Draft202012Validator(schema).is_valid(value)


@given(SCHEMAS)
def test_every_schema_in_a_schema_has_a_place_of_its_own(schema: dict[str, Any]) -> None:
    places = [place for place, _ in subschemas(schema)]
    assert places[0] == "#"
    assert len(places) == len({*places})


@given(st.integers(1000, 9999), st.integers(0, 13), st.integers(0, 32))
def test_a_day_is_one_that_the_calendar_has(year: int, month: int, day: int) -> None:
    exists = 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]
    assert bool(re.fullmatch(DAY, f"{year:04}-{month:02}-{day:02}")) == exists


@given(st.dates(min_value=date(1000, 1, 1)))
def test_every_day_from_the_year_1000_is_a_day(day: date) -> None:
    assert re.fullmatch(DAY, day.isoformat())


@pytest.mark.parametrize(
    ("number", "digits"),
    [
        (7, 7),
        (50, 5),
        (0.05, 5),
        (1e-7, 1),
        (2.5e-9, 25),
        (10_007, 10_007),
        (0.125, 125),
        (1e22, 1),
        (10**400, 1),
        (-30, 3),
    ],
)
def test_the_significant_digits_of_a_number(number: float, digits: int) -> None:
    assert significant(number) == digits
