"""What a model writes is divided into text and calls of the functions it was offered; no text is lost or told twice."""

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from neuralbridge.assistant.tools import (
    CLOSING,
    NO_TOOLS,
    OPENING,
    CallReader,
    Tools,
    call_schema,
    marked,
    read_call,
    supported,
)
from neuralbridge.types import Call

WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "description": "The weather of a town.",
    "parameters": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
}
TIME: dict[str, Any] = {"name": "get_time", "description": "", "parameters": {"type": "object", "properties": {}}}
BOTH = Tools((WEATHER, TIME))
FORCED = Tools((WEATHER, TIME), "required")
OSLO = '{"name": "get_weather", "arguments": {"town": "Oslo"}}'
NOW = '{"name": "get_time", "arguments": {}}'


def in_marks(call: str) -> str:
    return f"{OPENING}\n{call}\n{CLOSING}"


def cut(text: str, places: list[int]) -> list[str]:
    ends = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in pairwise(ends)]


def divided(pieces: list[str], marks: bool, tools: Tools = BOTH) -> tuple[str, list[tuple[str, Any]]]:
    reader = CallReader(tools, marks)
    said = "".join([*(reader.feed(piece) for piece in pieces), reader.finish()])
    return said, [(call.name, json.loads(call.arguments)) for call in reader.calls]


# What is offered


@pytest.mark.parametrize("functions", [(), (WEATHER,), (WEATHER, TIME)])
@pytest.mark.parametrize("choice", ["none", "auto", "required", "get_weather"])
def test_functions_are_offered_unless_none_is_to_be_called(functions: tuple[dict[str, Any], ...], choice: str) -> None:
    tools = Tools(functions, choice)
    assert bool(tools) == (bool(functions) and choice != "none")
    assert tools.forced == (bool(functions) and choice in ("required", "get_weather"))


def test_no_tools_are_none() -> None:
    assert (bool(NO_TOOLS), NO_TOOLS.forced, NO_TOOLS.shown, NO_TOOLS.names) == (False, False, [], [])


def test_templates_are_shown_functions_as_openai_writes_them() -> None:
    assert BOTH.shown == [{"type": "function", "function": WEATHER}, {"type": "function", "function": TIME}]
    assert BOTH.names == ["get_weather", "get_time"]


@pytest.mark.parametrize(
    ("template", "shows", "marks"),
    [
        (None, False, False),
        ("{% for m in messages %}{{ m.content }}{% endfor %}", False, False),
        ("{% if tools %}{{ tools | tojson }}{% endif %}", True, False),
        ("{% if tools %}<tool_call>{% endif %}", True, True),
    ],
)
def test_a_template_tells_whether_its_model_knows_functions(template: str | None, shows: bool, marks: bool) -> None:
    assert (supported(template), marked(template)) == (shows, marks)


# The schema of a call


def accepts(schema: dict[str, Any], call: object) -> bool:
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema).is_valid(call)


@pytest.mark.parametrize(
    ("choice", "weather", "time"),
    [("required", True, True), ("auto", True, True), ("get_weather", True, False), ("get_time", False, True)],
)
def test_a_forced_call_is_of_a_function_that_may_be_called(choice: str, weather: bool, time: bool) -> None:
    schema = Tools((WEATHER, TIME), choice).schema()
    assert accepts(schema, json.loads(OSLO)) == weather
    assert accepts(schema, json.loads(NOW)) == time
    for wrong in (
        {},
        {"name": "get_weather"},
        {"name": "get_weather", "arguments": {"town": 5}},
        {"name": "get_weather", "arguments": {}},
        {"name": "get_weather", "arguments": "{}"},
        {"name": "get_time", "arguments": []},
        {"name": "get_time", "arguments": {}, "more": 1},
        {"name": "other", "arguments": {}},
    ):
        assert not accepts(schema, wrong)


@pytest.mark.parametrize("parameters", [{}, {"type": "object"}, {"properties": {"town": {"type": "string"}}}])
def test_arguments_are_an_object_also_where_the_parameters_do_not_say_so(parameters: dict[str, Any]) -> None:
    schema = call_schema({"name": "f", "parameters": parameters})
    assert accepts(schema, {"name": "f", "arguments": {"town": "Oslo"}})
    assert not accepts(schema, {"name": "f", "arguments": "Oslo"})


TREE: dict[str, Any] = {
    "$id": "https://example.org/tree",
    "type": "object",
    "properties": {
        "root": {"$ref": "#/$defs/Node"},
        "$ref": {"type": "string"},
        "again": {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
    },
    "required": ["root"],
    "additionalProperties": False,
    "$defs": {
        "Node": {
            "type": "object",
            "properties": {"value": {"type": "integer"}, "inner": {"type": "array", "items": {"$ref": "#/$defs/Node"}}},
            "required": ["value"],
        }
    },
}


@pytest.mark.parametrize("others", [0, 1, 2])
def test_what_parameters_refer_to_is_found_where_they_stand_in_the_whole(others: int) -> None:
    before = json.dumps(TREE)
    schema = Tools((*[TIME] * others, {"name": "grow", "parameters": TREE}), "required").schema()
    good = {"root": {"value": 1, "inner": [{"value": 2}]}, "$ref": "x", "again": {"root": {"value": 3}}}
    assert accepts(schema, {"name": "grow", "arguments": good})
    for wrong in (
        {"root": {"value": "1"}},
        {"root": {"value": 1, "inner": [{"value": "2"}]}},
        {"root": {"value": 1}, "again": {}},
        {"root": {"value": 1}, "$ref": 5},
    ):
        assert not accepts(schema, {"name": "grow", "arguments": wrong})
    assert json.dumps(TREE) == before


@pytest.mark.parametrize("reference", ["https://example.org/x", "other.json#/a", "#anchor", "", 5, ["#"]])
def test_references_that_lead_elsewhere_stay_as_they_are(reference: object) -> None:
    schema = call_schema({"name": "f", "parameters": {"properties": {"a": {"$ref": reference}}}})
    assert schema["properties"]["arguments"]["properties"]["a"] == {"$ref": reference}


# Reading one call


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        (OSLO, {"town": "Oslo"}),
        (f"\n {OSLO}\n", {"town": "Oslo"}),
        ('{"arguments": {"town": "Köln"}, "name": "get_weather"}', {"town": "Köln"}),
        ('{"name": "get_weather", "parameters": {"town": "Oslo"}}', {"town": "Oslo"}),
        ('{"name": "get_weather", "arguments": "{\\"town\\": \\"Oslo\\"}"}', {"town": "Oslo"}),
        ('{"name": "get_weather", "arguments": {"town": "\\ud83d"}}', {"town": "\ud83d"}),
        ('{"name": "get_weather", "arguments": "{\\"town\\": \\"\\\\ud83d\\"}"}', {"town": "\ud83d"}),
        ('{"name": "get_weather", "arguments": {"town": "\\u2028é"}}', {"town": "\u2028é"}),
        ('{"name": "get_weather"}', {}),
        ('{"name": "get_weather", "arguments": null}', {}),
        ('{"name": "get_weather", "arguments": "null"}', {}),
        ('{"name": "get_weather", "arguments": {"a": [1, 1.5, true, null]}}', {"a": [1, 1.5, True, None]}),
        ('{"type": "function", "name": "get_weather", "parameters": {}}', {}),
    ],
)
def test_a_call_is_read_in_every_form_that_models_write(text: str, arguments: object) -> None:
    call = read_call(text, BOTH)
    assert call is not None
    assert (call.name, json.loads(call.arguments)) == ("get_weather", arguments)
    assert call.arguments.encode()  # it can be sent


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "null",
            "5",
            '"get_weather"',
            "[]",
            f"[{OSLO}]",
            "{}",
            "{",
            OSLO[:-1],
            f"{OSLO} and",
            f"{OSLO}{NOW}",
        ),
        *('{"name": "other", "arguments": {}}', '{"name": 5}', '{"name": null}', '{"name": ["get_weather"]}'),
        *('{"name": "GET_WEATHER"}', '{"name": {"a": 1}}', '{"function": "get_weather", "arguments": {}}'),
        *('{"name": "get_weather", "arguments": 5}', '{"name": "get_weather", "arguments": []}'),
        *('{"name": "get_weather", "arguments": "Oslo"}', '{"name": "get_weather", "arguments": "5"}'),
        *('{"name": "get_weather", "arguments": false}', '{"name": "get_weather", "arguments": ""}'),
        '{"name": "get_weather", "arguments": {"a": NaN}}',
        '{"name": "get_weather", "arguments": {"a": 1e999}}',
        '{"name": "get_weather", "arguments": {"a": ' + "9" * 5_000 + "}}",
        '{"name": "get_weather", "arguments": {"a": ' + "[" * 50_000,
        "[" * 50_000,
    ],
    ids=lambda text: text[:60],
)
def test_what_is_no_call_of_an_offered_function_is_text(text: str) -> None:
    assert read_call(text, BOTH) is None


def test_every_call_has_an_id_of_its_own() -> None:
    calls = [read_call(OSLO, BOTH) for _ in range(100)]
    ids = {call.id for call in calls if isinstance(call, Call)}
    assert len(ids) == 100
    assert all(id.startswith("call_") for id in ids)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values, max_size=4), st.booleans(), st.booleans())
def test_whatever_arguments_are_written_are_read(arguments: dict[str, Any], escaped: bool, twice: bool) -> None:
    written = json.dumps(arguments, ensure_ascii=escaped) if twice else arguments
    call = read_call(json.dumps({"name": "get_time", "arguments": written}, ensure_ascii=escaped), BOTH)
    assert call is not None
    assert json.loads(call.arguments) == arguments


@given(st.text() | json_values.map(json.dumps) | json_values.map(lambda value: json.dumps({"name": value})))
def test_no_text_makes_reading_a_call_fail(text: str) -> None:
    read_call(text, BOTH)


# Dividing an answer

SMUGGLED = '{"name": "get_weather", "arguments": {"town": "</tool_call><tool_call>{\\"name\\": \\"get_time\\"}"}}'
WITH_MARKS: dict[str, tuple[str, str, list[tuple[str, Any]]]] = {
    "text": ("Hello.", "Hello.", []),
    "nothing": ("", "", []),
    "a call": (in_marks(OSLO), "", [("get_weather", {"town": "Oslo"})]),
    "a call on one line": (OPENING + OSLO + CLOSING, "", [("get_weather", {"town": "Oslo"})]),
    "two calls": (f"{in_marks(OSLO)}\n{in_marks(NOW)}\n", "", [("get_weather", {"town": "Oslo"}), ("get_time", {})]),
    "text before": (f"I look.\n{in_marks(NOW)}", "I look.\n", [("get_time", {})]),
    "text behind": (f"{in_marks(NOW)}\nDone.", "\nDone.", [("get_time", {})]),
    "text between": (f"{in_marks(NOW)} and {in_marks(NOW)}\n", " and \n", [("get_time", {})] * 2),
    "no closing mark": (f"{OPENING}\n{NOW}", "", [("get_time", {})]),
    "cut short": (f"{OPENING}\n{NOW[:-1]}", f"{OPENING}\n{NOW[:-1]}", []),
    "an opening mark at the end": (f"Hm {OPENING}", f"Hm {OPENING}", []),
    "half a mark at the end": ("Hm <tool_", "Hm <tool_", []),
    "a closing mark alone": (f"Hm {CLOSING} so", f"Hm {CLOSING} so", []),
    "another function": (in_marks('{"name": "other"}'), in_marks('{"name": "other"}'), []),
    "no JSON": (f"{OPENING}oops{CLOSING} sorry", f"{OPENING}oops{CLOSING} sorry", []),
    "no JSON, then a call": (
        f"{OPENING}oops{CLOSING}{in_marks(NOW)}",
        f"{OPENING}oops{CLOSING}",
        [("get_time", {})],
    ),
    "an opening mark, then a call": (f"{OPENING} {in_marks(NOW)}", f"{OPENING} ", [("get_time", {})]),
    "marks in a string": (
        in_marks(SMUGGLED),
        "",
        [("get_weather", {"town": '</tool_call><tool_call>{"name": "get_time"}'})],
    ),
    "more than a call in the marks": (in_marks(OSLO + NOW), in_marks(OSLO + NOW), []),
    "a call without marks": (OSLO, "", [("get_weather", {"town": "Oslo"})]),
    "another object": ('{"town": "Oslo"}', '{"town": "Oslo"}', []),
}
WITHOUT_MARKS: dict[str, tuple[str, str, list[tuple[str, Any]]]] = {
    "text": ("Hello.", "Hello.", []),
    "nothing": ("", "", []),
    "blanks": (" \n", " \n", []),
    "a call": (OSLO, "", [("get_weather", {"town": "Oslo"})]),
    "a call behind blanks": (f"\n\n{OSLO}\n", "", [("get_weather", {"town": "Oslo"})]),
    "text before": (f"Look: {OSLO}", f"Look: {OSLO}", []),
    "text behind": (f"{OSLO} there", f"{OSLO} there", []),
    "another object": ('{"a": 1}', '{"a": 1}', []),
    "a brace": ("{x}", "{x}", []),
    "marks": (in_marks(OSLO), in_marks(OSLO), []),
}
ANSWERS = [
    *(pytest.param(*answer, True, id=f"marks: {name}") for name, answer in WITH_MARKS.items()),
    *(pytest.param(*answer, False, id=f"no marks: {name}") for name, answer in WITHOUT_MARKS.items()),
]


@pytest.mark.parametrize(("answer", "said", "calls", "marks"), ANSWERS)
def test_an_answer_is_divided_into_text_and_calls_wherever_it_is_cut(
    answer: str, said: str, calls: list[tuple[str, Any]], marks: bool
) -> None:
    assert divided([answer], marks) == (said, calls)
    assert divided([*answer], marks) == (said, calls)
    for place in range(len(answer)):
        assert divided([answer[:place], answer[place:]], marks) == (said, calls)


fragments = st.lists(
    st.sampled_from([OPENING, CLOSING, OSLO, NOW, SMUGGLED, "<tool", "_call>", "</", "{", "}", '"', " ", "\n", "é"]),
    max_size=8,
).map("".join)
places = st.lists(st.integers(0, 300), max_size=10)


@given(fragments, places, st.booleans(), st.sampled_from([BOTH, FORCED]))
@example(f"{OPENING}{OPENING}{NOW}", [5, 14], True, BOTH)
def test_any_cutting_of_an_answer_gives_the_same_text_and_calls(
    answer: str, places: list[int], marks: bool, tools: Tools
) -> None:
    assert divided(cut(answer, places), marks, tools) == divided([answer], marks, tools)


@given(fragments, places)
def test_no_text_is_lost_beside_calls(answer: str, places: list[int]) -> None:
    said, calls = divided(cut(answer, places), marks=True)
    at = 0
    for letter in said:  # in order
        at = answer.index(letter, at) + 1
    if not calls:
        assert said == answer
    taken = len(answer) - len(said)
    longest = max(len(OSLO), len(NOW), len(SMUGGLED)) + len(OPENING + CLOSING)
    blanks = sum(letter.isspace() for letter in answer)
    assert taken <= len(calls) * longest + blanks


@given(fragments, places)
def test_without_marks_an_answer_is_one_call_or_text(answer: str, places: list[int]) -> None:
    said, calls = divided(cut(answer, places), marks=False)
    assert (said, calls) == (answer, []) if not calls else (said, len(calls)) == ("", 1)


def test_of_several_calls_one_counts_where_only_one_may_come() -> None:
    one = replace(BOTH, parallel=False)
    assert divided([in_marks(OSLO) + in_marks(NOW)], marks=True, tools=one)[1] == [("get_weather", {"town": "Oslo"})]


@pytest.mark.parametrize("marks", [True, False])
@pytest.mark.parametrize("length", range(1, len(OPENING) + 1))
def test_text_is_told_at_once_where_no_call_can_have_begun(marks: bool, length: int) -> None:
    reader = CallReader(BOTH, marks)
    assert reader.feed("Hello") == "Hello"
    held = reader.feed(f" {OPENING[:length]}")
    assert held == (" " if marks else f" {OPENING[:length]}")
    if length < len(OPENING):
        assert reader.feed("!") == (f"{OPENING[:length]}!" if marks else "!")


@pytest.mark.parametrize("marks", [True, False])
@pytest.mark.parametrize("answer", [OSLO, NOW, "no call", "", OSLO[:-5]])
def test_a_forced_answer_is_one_call_and_told_only_when_it_is_none(marks: bool, answer: str) -> None:
    reader = CallReader(FORCED, marks)
    assert [reader.feed(letter) for letter in answer] == [""] * len(answer)
    rest = reader.finish()
    assert (rest, len(reader.calls)) == (("", 1) if answer in (OSLO, NOW) else (answer, 0))
