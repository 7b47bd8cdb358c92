"""The final check: whether a text conforms to a JSON Schema, by another library than that of its grammar. Pure."""

import json
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from jsonschema import FormatChecker
from jsonschema.exceptions import ValidationError
from jsonschema.validators import Draft202012Validator, extend, validator_for
from referencing import Registry

from neuralbridge.engine.grammar import ANY_OBJECT, matches
from neuralbridge.engine.schema import Schema

MAX_MESSAGE = 300


def violation(schema: Schema | bool | None, text: str) -> str | None:
    """Why a text does not conform to a schema that a grammar was made of, None if it does. Blocking."""
    try:
        value = json.loads(text, parse_constant=refuse_constant)
        wanted = ANY_OBJECT if schema is None else schema
        found = next(validator(wanted).iter_errors(value), None)
    except ValueError as error:
        return f"It is not JSON: {error}."
    except RecursionError:
        return "It is nested too deep."
    return None if found is None else f"At {found.json_path}: {found.message[:MAX_MESSAGE]}."


def refuse_constant(name: str) -> None:
    """Python reads NaN and Infinity; JSON has neither."""
    raise ValueError(name)


def validator(schema: Schema | bool) -> Any:
    """For the dialect that the schema names. Fetches nothing."""
    dialect = validator_for(schema, default=Draft202012Validator)
    keywords = {**KEYWORDS, "$ref": References()}
    return extend(dialect, keywords)(schema, registry=Registry(), format_checker=FORMATS)


class References:
    """The keyword $ref. What a reference says of a value is looked at once: twenty levels of references, two on each,
    would be a million ways to the same question.
    """

    def __init__(self) -> None:
        self._found: dict[tuple[str, int], str | None] = {}  # by reference and value, which outlives this: the message

    def __call__(self, of: Any, reference: str, value: object, _: Schema) -> Iterator[ValidationError]:
        asked = reference, id(value)
        if asked not in self._found:
            first = next(REFERENCE(of, reference, value, {}), None)
            self._found[asked] = first and first.message
            if first is not None:
                yield first
        elif (message := self._found[asked]) is not None:
            yield ValidationError(message)


REFERENCE: Any = Draft202012Validator.VALIDATORS["$ref"]


FORMATS = FormatChecker(["date", "email", "ipv4", "ipv6", "uuid"])


def multiple_of(_: object, factor: float, value: object, __: Schema) -> Iterator[ValidationError]:
    """In decimals: 0.3 is a multiple of 0.1."""
    if (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and (abs(value) == float("inf") or Fraction(str(value)) % Fraction(str(factor)))
    ):
        yield ValidationError(f"{value} is not a multiple of {factor}")


def pattern(_: object, wanted: str, value: object, __: Schema) -> Iterator[ValidationError]:
    if isinstance(value, str) and not matches(wanted, value):
        yield ValidationError(f"{value!r} does not match {wanted!r}")


def pattern_properties(of: Any, patterns: Schema, value: object, _: Schema) -> Iterator[ValidationError]:
    if isinstance(value, dict):
        for wanted, schema in patterns.items():
            for name, inner in value.items():
                if matches(wanted, name):
                    yield from of.descend(inner, schema, path=name, schema_path=wanted)


def additional_properties(of: Any, wanted: Schema | bool, value: object, schema: Schema) -> Iterator[ValidationError]:
    if isinstance(value, dict):
        patterns = schema.get("patternProperties", {})
        for name, inner in value.items():
            if name in schema.get("properties", {}) or any(matches(each, name) for each in patterns):
                continue
            if wanted is False:
                yield ValidationError(f"the property {name!r} is one too many")
            else:
                yield from of.descend(inner, wanted, path=name)


# Python's own `re` can take for ever, and nobody could stop it
KEYWORDS: dict[str, Any] = {
    "multipleOf": multiple_of,
    "pattern": pattern,
    "patternProperties": pattern_properties,
    "additionalProperties": additional_properties,
}
