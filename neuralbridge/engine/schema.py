"""JSON Schemas from outside: which are refused and why, and what makes an answer easier to give under them. Pure.

Schemas are values that JSON can write. Nothing is ever fetched: a reference leads to another part of the same schema.
"""

import json
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any

from jsonschema import FormatChecker
from jsonschema.exceptions import SchemaError
from jsonschema.validators import Draft202012Validator, validator_for

from neuralbridge.errors import SchemaRefused

MAX_BYTES = 100_000
MAX_DEPTH = 64  # of lists and objects in each other; the libraries below recurse several calls deep for each
MAX_MULTIPLE = 10_000  # the grammar of the multiples of a number is as large as the number

Schema = dict[str, Any]

NEWEST = "https://json-schema.org/draft/2020-12/schema"
DIALECTS = {
    NEWEST,
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema",
    "http://json-schema.org/draft-06/schema",
}
# Where a schema holds others
BY_NAME = ("properties", "patternProperties", "$defs", "definitions")
IN_A_LIST = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
ALONE = ("items", "additionalProperties")
IN_PLACE = ("allOf", "anyOf", "oneOf")  # ... which hold for the same value as the schema they stand in

UNSUPPORTED = {
    *("not", "if", "then", "else", "dependentRequired", "dependentSchemas", "dependencies", "propertyNames"),
    *("contains", "minContains", "maxContains", "uniqueItems", "additionalItems"),
    *("unevaluatedItems", "unevaluatedProperties"),
    *("$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "$anchor", "$vocabulary"),
}
# What says nothing about which values conform
SILENT = {
    *("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "discriminator"),
    *("$comment", "$schema", "$id", "$defs", "definitions"),
}

# Characters of a time in microseconds with its zone; a grammar alone would allow any number of decimals
LONGEST = {"time": len("23:59:59.999999+00:00"), "date-time": len("2000-12-31T23:59:59.999999+00:00")}
# A day that the calendar has. Grammars know the lengths of months, and give every year a 29th of February.
DAY = (
    r"(?:[1-9]\d{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)"
    r"|02-(?:0[1-9]|1\d|2[0-8]))"
    r"|(?:[1-9]\d(?:0[48]|[2468][048]|[13579][26])|(?:[2468][048]|[13579][26])00)-02-29)"
)


def check(schema: Schema) -> None:
    """Raises SchemaRefused for everything that can be seen without a model."""
    check_size(schema)
    dialect = schema.get("$schema", NEWEST)
    if not isinstance(dialect, str) or dialect.rstrip("#") not in DIALECTS:
        raise SchemaRefused(f"The schema's $schema, {dialect!r:.100}, is none that is known here.")
    try:
        # Whether a pattern is one, the grammar's library decides: it does not know the same ones as Python
        validator_for(schema, default=Draft202012Validator).check_schema(schema, format_checker=FormatChecker(()))
    except SchemaError as error:
        raise SchemaRefused(f"The schema is wrong at {pointer(error.absolute_path)}: {error.message:.300}.") from None
    refuse_unsupported(schema)
    refuse_references(schema)


def check_size(schema: Schema) -> None:
    """Raises SchemaRefused. Without recursion: the schema may be as deep as JSON allowed."""
    left: list[tuple[object, int]] = [(schema, 1)]
    while left:
        value, depth = left.pop()
        if isinstance(value, dict | list):
            if depth > MAX_DEPTH:
                raise SchemaRefused(f"The schema is nested deeper than {MAX_DEPTH} levels.")
            left += [(inner, depth + 1) for inner in (value.values() if isinstance(value, dict) else value)]
    try:
        size = len(json.dumps(schema, ensure_ascii=False, allow_nan=False).encode())
    except ValueError:
        raise SchemaRefused("The schema has a number or a character that JSON does not know.") from None
    if size > MAX_BYTES:
        raise SchemaRefused(f"The schema has {size:,} bytes; {MAX_BYTES:,} are allowed.")


def refuse_unsupported(schema: Schema) -> None:
    """Raises SchemaRefused naming each keyword, and where it first stands."""
    found: dict[str, str] = {}
    for place, each in subschemas(schema):
        for keyword in each:
            nested_id = keyword == "$id" and place != "#"  # references would start from there
            if (keyword in UNSUPPORTED and not says_nothing(each, keyword)) or nested_id:
                found.setdefault(keyword, place)
        multiple = each.get("multipleOf")
        if multiple is not None and significant(multiple) > MAX_MULTIPLE:
            found.setdefault(f"multipleOf {multiple} (of more than {MAX_MULTIPLE:,})", place)
    if found:
        named = ", ".join(f"{keyword} (at {place})" for keyword, place in found.items())
        raise SchemaRefused(f"The schema uses what is not supported here: {named}.")


def refuse_references(schema: Schema) -> None:
    """Raises SchemaRefused for references to elsewhere, to nowhere, and to what they are a part of."""
    places = dict(subschemas(schema))
    same_value: dict[str, list[str]] = {}
    for place, each in places.items():
        held = [f"{place}/{name}/{at}" for name in IN_PLACE for at in range(len(listed(each, name)))]
        reference = each.get("$ref")
        if isinstance(reference, str):
            if not reference.startswith("#"):
                raise SchemaRefused(
                    f"The schema's $ref {reference!r:.200} (at {place}) leads elsewhere; nothing is fetched, so only"
                    " references within the schema, which begin with #, are supported."
                )
            if reference not in places and not isinstance(at_pointer(schema, reference), bool):
                raise SchemaRefused(f"The schema's $ref {reference!r:.200} (at {place}) leads to no schema.")
            held.append(reference)
        same_value[place] = held
    try:
        TopologicalSorter(same_value).prepare()
    except CycleError as error:
        raise SchemaRefused(f"The schema refers to itself without an end, at {error.args[1][0]}.") from None


def narrowed(schema: Schema) -> Schema:
    """A schema that allows no other answers, and spares a model those that lead nowhere.

    Objects that list their properties have no others: a small model would go on inventing some. That is left alone
    where schemas are combined, because there another part may know more properties. Dates are days of the calendar, and
    times end with microseconds.
    """
    combined = any(is_combined(each) for _, each in subschemas(schema))

    def narrow(each: Schema) -> Schema:
        new = {keyword: value for keyword, value in each.items() if not says_nothing(each, keyword)}
        for keyword in BY_NAME:
            if keyword in new:
                new[keyword] = {name: of(inner) for name, inner in named(new, keyword).items()}
        for keyword in IN_A_LIST:
            if isinstance(new.get(keyword), list):
                new[keyword] = [of(inner) for inner in new[keyword]]
        for keyword in ALONE:
            if isinstance(new.get(keyword), dict):
                new[keyword] = narrow(new[keyword])
        if new.get("format") in ("date", "date-time") and "pattern" not in new:
            new["pattern"] = f"^{DAY}"
        if new.get("format") in LONGEST and "maxLength" not in new:
            new["maxLength"] = LONGEST[new["format"]]
        if not combined and is_open(new):
            new["additionalProperties"] = False
        return new

    def of(inner: Any) -> Any:
        return narrow(inner) if isinstance(inner, dict) else inner

    return narrow(schema)


def is_open(schema: Schema) -> bool:
    """Whether an object that lists its properties may have others, and needs none of them."""
    properties = named(schema, "properties")
    others = ("additionalProperties", "patternProperties", "minProperties")
    needed = {*schema.get("required", ())}
    return bool(properties) and properties.keys() >= needed and not any(name in schema for name in others)


def is_combined(schema: Schema) -> bool:
    """Whether a value has to conform to several parts of this schema at once."""
    said = schema.keys() - SILENT
    return "allOf" in said or bool(said & {"$ref", "anyOf", "oneOf"} and len(said) > 1)


def says_nothing(schema: Schema, keyword: str) -> bool:
    """Whether a keyword that is not supported has the value that means nothing."""
    return keyword == "uniqueItems" and schema[keyword] is False


def subschemas(schema: Schema, place: str = "#") -> Iterator[tuple[str, Schema]]:
    """Every schema in a schema that is an object, itself first, with the JSON pointer to it."""
    yield place, schema
    for keyword in BY_NAME:
        for name, inner in named(schema, keyword).items():
            if isinstance(inner, dict):
                yield from subschemas(inner, f"{place}/{keyword}/{escaped(name)}")
    for keyword in IN_A_LIST:
        for at, inner in enumerate(listed(schema, keyword)):
            if isinstance(inner, dict):
                yield from subschemas(inner, f"{place}/{keyword}/{at}")
    for keyword in ALONE:
        if isinstance(schema.get(keyword), dict):
            yield from subschemas(schema[keyword], f"{place}/{keyword}")


def named(schema: Schema, keyword: str) -> Schema:
    """The schemas by name below a keyword. Older dialects do not know every keyword, so anything may stand there."""
    value = schema.get(keyword)
    return value if isinstance(value, dict) else {}


def listed(schema: Schema, keyword: str) -> list[Any]:
    """The schemas in a list below a keyword."""
    value = schema.get(keyword)
    return value if isinstance(value, list) else []


def pointer(path: Iterable[str | int]) -> str:
    return "/".join(["#", *(escaped(str(step)) for step in path)])


def escaped(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")


def at_pointer(schema: Schema, place: str) -> object:
    """What stands at a JSON pointer, None where nothing does."""
    value: Any = schema
    for step in place.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        value = value.get(name) if isinstance(value, dict) else None
    return value


def significant(number: float) -> int:
    """A number without its decimal point and the zeros at its end: 0.05 and 50 are 5."""
    digits = repr(number)
    return int(digits.partition("e")[0].replace(".", "").strip("0-") or 0)
