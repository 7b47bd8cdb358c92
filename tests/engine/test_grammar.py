"""Grammars over a vocabulary of bytes: what they allow, what they refuse, and that a mistake stays their own."""

import copy
import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralbridge.engine.conformance import violation
from neuralbridge.engine.grammar import Bytes, Compiler, Constraint, Grammar, GrammarFailed, Number, Tokens, matches
from neuralbridge.errors import SchemaRefused
from neuralbridge.types import Sampling

END = 256
COMPILER = Compiler(Bytes())


def allowed(constraint: Constraint) -> set[int]:
    return {token for token, may in enumerate(constraint.allowed()) if may}


def accepts(grammar: Grammar, text: str) -> bool:
    """Whether a text may be the whole answer."""
    constraint = grammar.begin()
    for byte in text.encode():
        if byte not in allowed(constraint):
            return False
        constraint.accept(byte)
    return END in allowed(constraint)


OBJECT: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
STRING: dict[str, Any] = {"type": "string"}


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        (None, ['{"a":[1,null]}', "{}"], ["[]", "1", "x"]),
        (True, ["[]", "1", '"x"', "{}"], ["x", ""]),
        ({}, ["[]", "null"], ["nul"]),
        (OBJECT, ['{"a":1}', '{"a": 1}'], ["{}", '{"a":1,"b":2}', '{"a":  1}', '{ "a":1}', '{"a":"1"}']),
        ({"enum": ["x", 1, None]}, ['"x"', "1", "null"], ["2", '"y"']),
        ({"const": {"a": [1, "b"]}}, ['{"a":[1,"b"]}'], ['{"a":[1]}']),
        ({"type": ["integer", "null"], "minimum": 0, "maximum": 12}, ["0", "12", "null"], ["13", "-1", "1.5"]),
        ({"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 2}, ["[true, false]"], ["[]"]),
        ({"type": "array", "prefixItems": [STRING], "items": False}, ['["a"]', "[]"], ['["a",1]']),
        ({**STRING, "pattern": "^[a-c]{2}$"}, ['"ab"'], ['"abc"', '"ad"']),
        ({**STRING, "minLength": 2, "maxLength": 3}, ['"ab"', '"éé€"'], ['"a"', '"abcd"']),
        ({**STRING, "format": "date"}, ['"2024-02-29"'], ['"2023-02-29"', '"2023-2-1"', '"0000-01-01"']),
        ({**STRING, "format": "date-time"}, ['"2024-02-29T12:00:00Z"'], ['"2023-02-29T12:00:00Z"']),
        ({**STRING, "format": "time"}, ['"12:00:00.123456Z"'], ['"12:00:00.1234567890123456Z"', '"12:00"']),
        ({**STRING, "format": "uuid"}, ['"123e4567-e89b-12d3-a456-426614174000"'], ['"123e4567"']),
        ({"anyOf": [{"type": "integer"}, OBJECT]}, ["5", '{"a":1}'], ['"5"']),
        ({"oneOf": [{"const": "a"}, {"type": "integer"}]}, ['"a"', "3"], ['"b"']),
        ({"allOf": [OBJECT, {"properties": {"b": {"const": 2}}}]}, ['{"a":1,"b":2}', '{"a":1}'], ['{"a":1,"b":3}']),
        (
            {"$ref": "#/$defs/n", "$defs": {"n": {"items": {"$ref": "#/$defs/n"}, "type": "array"}}},
            ["[[],[[]]]"],
            ["[1]"],
        ),
        ({"type": "number", "multipleOf": 0.25, "minimum": 0}, ["0.75", "3"], ["0.3", "-1"]),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, ['{"x":1, "y":2}'], ['{"x":"1"}']),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"const": 1}]}, ["[1]"], ["[2]"]),
    ],
)
def test_a_grammar_allows_what_its_schema_does(schema: Any, good: list[str], bad: list[str]) -> None:
    grammar = COMPILER.compile(schema)
    assert [text for text in good if not accepts(grammar, text)] == []
    assert [text for text in bad if accepts(grammar, text)] == []


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (False, "is false: no answer conforms"),
        ({"not": {}}, r"not supported here: not \(at #\)"),
        ({"x-guidance": {"lenient": True}, **STRING, "format": "colour"}, "Unknown format: colour"),
        ({"$ref": "https://example.org/x"}, "nothing is fetched"),
        ({"type": "integer", "minimum": 5, "maximum": 3}, r"minimum \(5\) is greater than maximum \(3\)\.$"),
        ({"enum": []}, "not supported: Unsatisfiable schema"),
        ({**STRING, "format": "colour"}, r"Unknown format: colour\.$"),
        ({**STRING, "pattern": "(?=a)b"}, r"the pattern \(\?=a\)b: look-around.*not supported\.$"),
        ({**STRING, "pattern": "a(b"}, r"the pattern a\(b: unclosed group\.$"),
        (
            {"oneOf": [STRING, {**STRING, "minLength": 2}]},
            r"oneOf whose alternatives may hold at once \(anyOf is supported\)",
        ),
        ({"allOf": [{"type": "integer"}, STRING]}, "not supported: "),
        ({"type": "object", "properties": {f"a{n}": {} for n in range(2000)}}, "not supported: .*row has .* items"),
        ({**STRING, "minLength": 3, "pattern": "^a$"}, "Unsatisfiable schema"),
    ],
)
def test_a_schema_without_a_grammar_is_refused_in_a_sentence(schema: Any, said: str) -> None:
    with pytest.raises(SchemaRefused, match=said) as refused:
        COMPILER.compile(schema)
    assert "\n" not in str(refused.value)
    assert "<" not in str(refused.value)


def test_after_the_whole_answer_only_its_end_is_allowed() -> None:
    constraint = COMPILER.compile(OBJECT).begin()
    for byte in b'{"a":1}':
        constraint.accept(byte)
    assert allowed(constraint) == {END}


def test_a_token_that_is_not_allowed_is_not_accepted() -> None:
    constraint = COMPILER.compile(OBJECT).begin()
    with pytest.raises(GrammarFailed, match="doesn't satisfy the grammar"):
        constraint.accept(ord("x"))
    with pytest.raises(GrammarFailed):
        constraint.allowed()


def test_whatever_the_library_raises_is_a_failure_of_the_grammar() -> None:
    constraint = COMPILER.compile(OBJECT).begin()
    with pytest.raises(GrammarFailed, match="out of range"):
        constraint.accept(-1)


def test_sequences_of_one_grammar_do_not_know_of_each_other() -> None:
    grammar = COMPILER.compile(OBJECT)
    one, other = grammar.begin(), grammar.begin()
    one.accept(ord("{"))
    assert allowed(other) == {ord("{")}
    assert allowed(one) == {ord('"')}


def test_a_grammar_in_sampling_can_be_hashed_and_written_down() -> None:
    grammar = COMPILER.compile(OBJECT)
    sampling = Sampling(grammar=grammar)
    assert hash(sampling) != hash(Sampling())
    assert asdict(sampling)["grammar"] is grammar
    assert copy.deepcopy(sampling) == sampling
    assert json.loads(grammar.schema) == OBJECT


def test_a_number_ends_where_a_machine_keeps_no_more_of_it() -> None:
    grammar = COMPILER.compile({"type": "array", "items": {"type": "number"}})
    assert accepts(grammar, "[18446744073709551615, -1234567.1234567, 0.3333333333333, 1e300, 5]")
    assert not accepts(grammar, "[184467440737095516150]")
    assert not accepts(grammar, "[0.33333333333333]")
    assert not accepts(grammar, "[1234567.12345678]")
    assert accepts(grammar, "[12345678901234567.1]")
    assert not accepts(grammar, "[12345678901234567.12]")


def test_a_number_above_a_bound_is_above_it_for_whoever_reads_it() -> None:
    schema = {"type": "number", "exclusiveMinimum": 0.1, "maximum": 1}
    assert accepts(COMPILER.compile(schema), "0.10000000000009")
    assert violation(schema, "0.10000000000009") is None
    assert violation(schema, "0.10000000000000000001") is not None
    assert not accepts(COMPILER.compile(schema), "0.100000000000000")


def test_a_number_is_as_long_as_its_schema_wants() -> None:
    assert accepts(COMPILER.compile({"const": 10**24}), str(10**24))


def test_a_multiple_is_found_by_whoever_would_rather_write_zeros() -> None:
    constraint, text = COMPILER.compile({"type": "integer", "minimum": 1, "multipleOf": 7}).begin(), ""
    while END not in (tokens := allowed(constraint)) or tokens - {END}:
        token = ord("0") if ord("0") in tokens else min(tokens - {END})
        constraint.accept(token)
        text += chr(token)
    assert text.startswith("1" + "0" * 19)
    assert len(text) < 30
    assert int(text) % 7 == 0


def test_digits_in_strings_are_counted_by_the_schema_alone() -> None:
    assert accepts(COMPILER.compile({**STRING, "pattern": "^[0-9]{30}$"}), json.dumps("7" * 30))


# Controls may be written in several ways, not all of which a grammar knows
TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(-(10**6), 10**6, places=3).map(float) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@given(JSON, st.integers())
def test_digits_are_counted_at_the_end_of_any_json_and_not_in_its_strings(value: object, number: int) -> None:
    count = Number()
    count.feed(json.dumps([value])[:-1].encode() + f",{number}".encode())
    assert count.digits == len(str(abs(number)))
    count.feed(b',"12')
    assert count.digits == 0


@given(JSON)
def test_what_python_writes_conforms_to_any_object(value: object) -> None:
    text = json.dumps({"a": value}, ensure_ascii=False)
    assert accepts(COMPILER.compile(None), text) or "\\u" in text or any(len(run) > 20 for run in runs(text))


def runs(text: str) -> list[str]:
    """Digits in a row."""
    return "".join(each if each.isdigit() else " " for each in text).split()


class SpaceFirst(Bytes):
    """As some models do, it puts a space before every text. It has some longer tokens too."""

    size = 260
    words = (b" {", b'{"', b'":')

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        return [*b" ", *text.encode()]

    def piece(self, token: int) -> bytes:
        return self.words[token - 257] if token > END else super().piece(token)


def test_a_tokeniser_that_puts_a_space_in_front_does_not_break_forced_text() -> None:
    grammar = Compiler(SpaceFirst()).compile(OBJECT)
    constraint, text = grammar.begin(), b""
    while END not in (tokens := allowed(constraint)):
        token = (
            max(tokens - {*b"0123456789-"} or {ord("7")}) if text.count(b":") == 0 else min(tokens & {*b"7}"} or tokens)
        )
        if text.endswith(b"7"):
            token = ord("}")
        constraint.accept(token)
        text += SpaceFirst().piece(token)
    assert json.loads(text) == {"a": 7}


def test_text_becomes_the_longest_tokens_where_the_tokeniser_changes_it() -> None:
    tokens = Tokens(SpaceFirst())
    assert tokens(b'{"a":1') == [258, ord("a"), 259, ord("1")]


def test_a_vocabulary_without_an_end_is_refused() -> None:
    class Endless(Bytes):
        def is_end(self, token: int) -> bool:
            return False

    with pytest.raises(SchemaRefused, match="no token that ends an answer"):
        Compiler(Endless()).compile(None)


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("b", "abc", True),
        ("^b", "abc", False),
        (r"^\d+$", "१", False),
        (r"^\p{L}+$", "é", True),
        ("^(a+)+$", "a" * 200 + "!", False),  # Python's `re` would never end
        ("^.$", "\u0001", True),
        ("^a$", 'a"', False),
        ("^.$", "\ud800", True),
    ],
)
def test_a_pattern_is_looked_for_in_a_text(pattern: str, text: str, found: bool) -> None:
    assert matches(pattern, text) is found
