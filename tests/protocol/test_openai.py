"""What OpenAI's clients send becomes types, or a sentence that names the first wrong field, what it is and may be."""

import copy
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from neuralbridge.errors import InvalidParams
from neuralbridge.protocol.openai import (
    MAX_CHOICES,
    MAX_DEPTH,
    MAX_INPUTS,
    MAX_MESSAGES,
    MAX_TOOLS,
    UNSUPPORTED,
    Body,
    ChatRequest,
    CompletionRequest,
    EmbeddingsRequest,
    Message,
    NamedTool,
    read,
    unsupported,
)
from neuralbridge.types import Params

HI = {"role": "user", "content": "Hi"}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a town.",
        "parameters": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
    },
}
CALLED = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"town": "Oslo"}'}}
FULL_CHAT: dict[str, Any] = {
    "model": "gpt-4",
    "messages": [
        {"role": "developer", "content": "Be brief."},
        {"role": "system", "content": [{"type": "text", "text": "And kind."}]},
        {
            "role": "user",
            "content": [{"type": "text", "text": "How"}, {"type": "text", "text": "warm?"}],
            "name": "Ann",
        },
        {"role": "assistant", "content": None, "tool_calls": [CALLED]},
        {"role": "tool", "tool_call_id": "call_1", "content": "12"},
    ],
    "temperature": 1,
    "top_p": 0.5,
    "top_k": 5,
    "min_p": 0,
    "repeat_penalty": 1.1,
    "frequency_penalty": -2,
    "presence_penalty": 2.0,
    "seed": 7,
    "stop": ["\n", "END"],
    "max_tokens": 10,
    "max_completion_tokens": 20,
    "stream": True,
    "stream_options": {"include_usage": True},
    "n": 2,
    "logit_bias": {"50256": -100, "7": 0.5},
    "retrieval": "off",
    "logprobs": True,
    "top_logprobs": 20,
    "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
    "tools": [WEATHER],
    "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
    "parallel_tool_calls": False,
    "user": "somebody",
    "metadata": {"of": "ours"},
}
FULL_TEXT: dict[str, Any] = {"prompt": ["Once", "upon"], "logprobs": 5, "echo": True, "suffix": "", "n": 3, "stop": "."}
FULL_EMBEDDINGS: dict[str, Any] = {
    "model": "text-embedding-3-small",
    "input": ["one", "two"],
    "encoding_format": "base64",
    "dimensions": 64,
}


def chat(**fields: Any) -> ChatRequest:
    return read(ChatRequest, {"messages": [HI], **fields})


def refusal(model: type[Body], body: object) -> tuple[str | None, str]:
    """Which field is wrong, and what is said of it."""
    with pytest.raises(InvalidParams) as refused:
        read(model, body)
    return refused.value.param, str(refused.value)


# What is understood


def test_a_question_alone_has_every_default_of_openai() -> None:
    wanted = chat()
    assert (wanted.n, wanted.stream, wanted.stream_options.include_usage) == (1, False, False)
    assert (wanted.logprobs, wanted.top_logprobs, wanted.tools, wanted.tool_choice) == (False, 0, [], "auto")
    assert (wanted.model, wanted.retrieval, wanted.response_format.type) == (None, None, "text")
    assert (wanted.params, wanted.biases, wanted.parallel_tool_calls) == (Params(), (), True)


def test_everything_that_a_chat_may_ask_for_is_read() -> None:
    wanted = read(ChatRequest, FULL_CHAT)
    assert [message.text for message in wanted.messages] == ["Be brief.", "And kind.", "How\nwarm?", "", "12"]
    assert wanted.messages[3].tool_calls[0].function.arguments == '{"town": "Oslo"}'
    assert wanted.messages[4].tool_call_id == "call_1"
    assert wanted.biases == ((50256, -100.0), (7, 0.5))
    assert wanted.response_format.json_schema is not None
    assert wanted.response_format.json_schema.schema_ == {"type": "object"}
    assert isinstance(wanted.tool_choice, NamedTool)
    assert wanted.tool_choice.function.name == wanted.tools[0].function.name == "get_weather"
    assert wanted.tools[0].function.parameters == WEATHER["function"]["parameters"]  # type: ignore[index]


def test_sampling_parameters_are_those_of_every_other_question() -> None:
    params = read(ChatRequest, FULL_CHAT).params
    assert type(params) is Params
    assert (params.temperature, params.top_k, params.stop) == (1, 5, ("\n", "END"))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"max_tokens": 10}, 10),
        ({"max_completion_tokens": 20}, 20),
        ({"max_tokens": 10, "max_completion_tokens": 20}, 20),
    ],
)
def test_the_newer_name_of_max_tokens_wins(fields: dict[str, int], expected: int | None) -> None:
    assert chat(**fields).params.max_tokens == expected


def test_everything_that_a_text_completion_may_ask_for_is_read() -> None:
    wanted = read(CompletionRequest, FULL_TEXT)
    assert (wanted.prompt, wanted.logprobs, wanted.echo, wanted.params.stop) == (["Once", "upon"], 5, True, (".",))


def test_everything_that_embeddings_may_ask_for_is_read() -> None:
    wanted = read(EmbeddingsRequest, FULL_EMBEDDINGS)
    assert (wanted.input, wanted.encoding_format, wanted.dimensions) == (["one", "two"], "base64", 64)


@pytest.mark.parametrize("text", ["", "x" * (MAX_INPUTS + 1), "é" * 100_000])
def test_how_many_texts_are_embedded_is_limited_and_not_how_long_one_is(text: str) -> None:
    assert read(EmbeddingsRequest, {"input": text}).input == text
    assert read(EmbeddingsRequest, {"input": [text] * 2}).input == [text] * 2


@pytest.mark.parametrize(
    ("model", "body"),
    [(ChatRequest, FULL_CHAT), (CompletionRequest, FULL_TEXT), (EmbeddingsRequest, FULL_EMBEDDINGS)],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_a_field_that_is_null_counts_as_absent(model: type[Body], body: dict[str, Any]) -> None:
    for name in body.keys() - {"messages", "prompt", "input"}:
        absent = {key: value for key, value in body.items() if key != name}
        assert read(model, {**body, name: None}) == read(model, absent)


def test_unknown_fields_are_ignored_everywhere() -> None:
    message = {**HI, "name": "Ann", "refusal": None, "audio": {"id": 1}, "annotations": []}
    assert read(ChatRequest, {"messages": [message], "extra_body": {}, "\ud800": 5}) == chat()


@pytest.mark.parametrize("kind", ["image_url", "input_audio", "file"])
@pytest.mark.parametrize("place", [0, 1])
def test_a_part_that_is_no_text_is_known_by_its_type(kind: str, place: int) -> None:
    parts: list[dict[str, Any]] = [{"type": "text", "text": "What is this?"}]
    parts.insert(place, {"type": kind, kind: {"url": "data:,"}})
    message = Message.model_validate({"role": "user", "content": parts})
    assert (message.foreign, message.text) == (kind, "What is this?")


@pytest.mark.parametrize("content", ["Hi", [], [{"type": "text", "text": "Hi"}], None])
def test_texts_have_no_foreign_part(content: object) -> None:
    assert Message.model_validate({"role": "user", "content": content}).foreign is None


@pytest.mark.parametrize("names", [("a",), ("a-b_c.D9", "x" * 64)])
def test_functions_have_the_names_that_openai_allows(names: tuple[str, ...]) -> None:
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    wanted = chat(tools=tools)
    assert tuple(tool.function.name for tool in wanted.tools) == names
    assert wanted.tools[0].function.parameters == {"type": "object", "properties": {}}


# What is refused

TOO_DEEP: dict[str, Any] = {}
for _ in range(MAX_DEPTH):
    TOO_DEEP = {"not": TOO_DEEP}


def tool(**function: Any) -> dict[str, Any]:
    return {"tools": [{"type": "function", "function": {"name": "f", **function}}]}


def message(**fields: Any) -> dict[str, Any]:
    return {"messages": [HI, {**HI, **fields}]}


WRONG_CHAT: list[tuple[dict[str, Any], str, str]] = [
    ({"messages": None}, "messages", "a list of 1 to 2,000 messages with role and content, not None"),
    ({"messages": []}, "messages", "messages with role and content, not []"),
    ({"messages": "Hi"}, "messages", "not 'Hi'"),
    ({"messages": [HI] * (MAX_MESSAGES + 1)}, "messages", "a list of 1 to 2,000 messages"),
    ({"messages": ["Hi"]}, "messages[0]", "an object, not 'Hi'"),
    ({"messages": [{"content": "Hi"}]}, "messages[0].role", "given, not missing"),
    (message(role="bot"), "messages[1].role", "'system', 'developer', 'user', 'assistant' or 'tool', not 'bot'"),
    (message(content=5), "messages[1].content", "a text, or a list of parts with a type, not 5"),
    (message(content="\ud800"), "messages[1].content", "a text, or a list of parts with a type, not '\\ud800'"),
    (message(content=["Hi"]), "messages[1].content[0]", "an object, not 'Hi'"),
    (message(content=[{"text": "Hi"}]), "messages[1].content[0]", "an object with a type, not {'text': 'Hi'}"),
    (message(content=[{"type": "txt"}]), "messages[1].content[0]", "an object with the type text, image_url"),
    (message(content=[{"type": "text"}]), "messages[1].content[0].text", "given, not missing"),
    (message(content=[{"type": "text", "text": 5}]), "messages[1].content[0].text", "a text, not 5"),
    (message(tool_calls=[{"id": "x"}]), "messages[1].tool_calls[0].function", "given, not missing"),
    (message(tool_calls=[{**CALLED, "type": "custom"}]), "messages[1].tool_calls[0].type", "'function', not 'custom'"),
    (
        message(tool_calls=[{"function": {"name": ""}}]),
        "messages[1].tool_calls[0].function.name",
        "a string with at least 1 character, not ''",
    ),
    (message(tool_call_id=5), "messages[1].tool_call_id", "a text, not 5"),
    (message(tool_call_id="\ud800"), "messages[1].tool_call_id", "a text of whole characters"),
    (message(tool_calls=[{**CALLED, "id": "\ud800"}]), "messages[1].tool_calls[0].id", "a text of whole characters"),
    ({"model": 5}, "model", "a model name, not 5"),
    ({"model": "x" * 10_001}, "model", "a model name, not 'xxx"),
    ({"stream": 1}, "stream", "true or false, not 1"),
    ({"stream_options": []}, "stream_options", "an object such as {include_usage: true}, not []"),
    ({"stream_options": {"include_usage": "yes"}}, "stream_options.include_usage", "true or false, not 'yes'"),
    ({"n": 0}, "n", "a whole number from 1 to 8, not 0"),
    ({"n": MAX_CHOICES + 1}, "n", "a whole number from 1 to 8, not 9"),
    ({"n": 1.0}, "n", "not 1.0"),
    ({"n": True}, "n", "not True"),
    ({"temperature": 2.1}, "temperature", "a number from 0 to 2, not 2.1"),
    ({"temperature": "0.5"}, "temperature", "a number from 0 to 2, not '0.5'"),
    ({"temperature": float("nan")}, "temperature", "not nan"),
    ({"temperature": 10**400}, "temperature", "not 1000"),
    ({"top_p": 0}, "top_p", "a number above 0, up to 1, not 0"),
    ({"frequency_penalty": -2.1}, "frequency_penalty", "a number from -2 to 2"),
    ({"presence_penalty": float("inf")}, "presence_penalty", "a number from -2 to 2, not inf"),
    ({"seed": -2}, "seed", "a whole number from 0 to 4,294,967,294, not -2"),
    ({"max_tokens": 0}, "max_tokens", "a whole number from 1 to 1,000,000, not 0"),
    ({"max_completion_tokens": 0}, "max_completion_tokens", "a whole number from 1 to 1,000,000, not 0"),
    ({"stop": 5}, "stop", "a text, or a list of up to 8 texts, of 1 to 64 characters each, not 5"),
    ({"stop": ""}, "stop", "of 1 to 64 characters each, not ''"),
    ({"stop": ["a"] * 9}, "stop", "a list of up to 8 texts"),
    ({"stop": ["a", ""]}, "stop[1]", "a string with at least 1 character, not ''"),
    ({"stop": ["a", 5]}, "stop[1]", "a text, not 5"),
    ({"logit_bias": []}, "logit_bias", "an object of up to 1,024 token ids with numbers from -100 to 100, not []"),
    ({"logit_bias": {str(n): 0 for n in range(1_025)}}, "logit_bias", "an object of up to 1,024 token ids"),
    ({"logit_bias": {"7": 101}}, "logit_bias.7", "less than or equal to 100, not 101"),
    ({"logit_bias": {"stop": "x"}}, "logit_bias.stop", "a valid number, not 'x'"),
    ({"logprobs": 5}, "logprobs", "true or false, not 5"),
    ({"top_logprobs": 21}, "top_logprobs", "a whole number from 0 to 20, not 21"),
    ({"response_format": "text"}, "response_format", "the type text, json_object or json_schema, not 'text'"),
    ({"response_format": {"type": "xml"}}, "response_format.type", "'json_schema', not 'xml'"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "given with the type json_schema"),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"schema": [5]}}},
        "response_format.json_schema.schema",
        "an object, not [5]",
    ),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"schema": TOO_DEEP}}},
        "response_format.json_schema.schema",
        "nested at most 64 levels deep, not {'not': {",
    ),
    ({"tools": {}}, "tools", "a list of up to 128 functions, not {}"),
    ({"tools": [WEATHER] * (MAX_TOOLS + 1)}, "tools", "a list of up to 128 functions"),
    ({"tools": [{"type": "code_interpreter"}]}, "tools[0].type", "'function', not 'code_interpreter'"),
    ({"tools": [WEATHER, {"type": "function"}]}, "tools[1].function", "given, not missing"),
    (tool(name="get weather"), "tools[0].function.name", "a string of the pattern '^[a-zA-Z0-9_.-]{1,64}$'"),
    (tool(name="x" * 65), "tools[0].function.name", "a string of the pattern"),
    (tool(name="x\n"), "tools[0].function.name", "a string of the pattern"),
    (tool(description=5), "tools[0].function.description", "a text, not 5"),
    (tool(parameters=[]), "tools[0].function.parameters", "an object, not []"),
    (tool(parameters=TOO_DEEP), "tools[0].function.parameters", "nested at most 64 levels deep"),
    (tool(parameters={"enum": ["\ud83d"]}), "tools[0].function.parameters", "of texts of whole characters"),
    (tool(parameters={"\udc00": {}}), "tools[0].function.parameters", "of texts of whole characters"),
    ({"tool_choice": "any"}, "tool_choice", '"none", "auto", "required" or a function of tools, not \'any\''),
    ({"tool_choice": {"type": "function"}}, "tool_choice.function", "given, not missing"),
    ({"tool_choice": {"type": "function", "function": {"name": 5}}}, "tool_choice.function.name", "a text, not 5"),
    ({"parallel_tool_calls": "no"}, "parallel_tool_calls", "true or false, not 'no'"),
    ({"retrieval": "on"}, "retrieval", '"auto", "off" or "strict", not \'on\''),
]


@pytest.mark.parametrize(("fields", "param", "said"), WRONG_CHAT, ids=[param for _, param, _ in WRONG_CHAT])
def test_a_wrong_field_of_a_chat_is_named_with_what_it_is_and_may_be(
    fields: dict[str, Any], param: str, said: str
) -> None:
    named, told = refusal(ChatRequest, {"messages": [HI], **fields})
    assert named == param
    assert told.startswith(f"{param} must be ")
    assert said in told


@pytest.mark.parametrize(
    ("model", "body", "param", "said"),
    [
        (CompletionRequest, {}, "prompt", "prompt must be a text, or a list of texts, not missing."),
        (CompletionRequest, {"prompt": 5}, "prompt", "prompt must be a text, or a list of texts, not 5."),
        (CompletionRequest, {"prompt": [1, 2]}, "prompt[0]", "prompt[0] must be a text, not 1."),
        (CompletionRequest, {"prompt": [["a"]]}, "prompt[0]", "prompt[0] must be a text, not ['a']."),
        (CompletionRequest, {"prompt": "a", "logprobs": True}, "logprobs", "from 0 to 20, not True."),
        (CompletionRequest, {"prompt": "a", "echo": 1}, "echo", "echo must be true or false, not 1."),
        (CompletionRequest, {"prompt": "a", "suffix": 1}, "suffix", "suffix must be a text, not 1."),
        (EmbeddingsRequest, {}, "input", "input must be a text, or a list of up to 2,048 texts, not missing."),
        (EmbeddingsRequest, {"input": 5}, "input", "up to 2,048 texts, not 5."),
        (EmbeddingsRequest, {"input": ["a"] * (MAX_INPUTS + 1)}, "input", "up to 2,048 texts, not ['a', 'a',"),
        (EmbeddingsRequest, {"input": ["a", 5]}, "input[1]", "input[1] must be a text, not 5."),
        (EmbeddingsRequest, {"input": [5, "a"]}, "input", "check_embedding_ctx_length=False"),
        (EmbeddingsRequest, {"input": [5, 6]}, "input", "check_embedding_ctx_length=False"),
        (EmbeddingsRequest, {"input": [[5, 6]]}, "input", "check_embedding_ctx_length=False"),
        (EmbeddingsRequest, {"input": "a", "encoding_format": "int8"}, "encoding_format", '"float" or "base64"'),
        (EmbeddingsRequest, {"input": "a", "dimensions": 0}, "dimensions", "a whole number from 1, not 0."),
    ],
)
def test_a_wrong_field_of_a_text_or_an_embedding_is_named_too(
    model: type[Body], body: dict[str, Any], param: str, said: str
) -> None:
    named, told = refusal(model, body)
    assert named == param
    assert said in told


@pytest.mark.parametrize("body", [None, [], "messages", 5, True])
def test_a_body_that_is_no_object_is_refused(body: object) -> None:
    assert refusal(ChatRequest, body) == (None, "The body must be an object.")


@pytest.mark.parametrize("key", ["", "a", "-1", "1.0", "٣", "1234567890", "\ud800", "x" * 10_000])
def test_what_is_no_token_id_cannot_be_biased(key: str) -> None:
    with pytest.raises(InvalidParams, match="logit_bias must have token ids for keys, not ") as refused:
        _ = chat(logit_bias={key: 1}).biases
    assert refused.value.param == "logit_bias"
    assert len(str(refused.value)) < 120


def test_a_schema_may_be_nested_up_to_the_limit() -> None:
    assert chat(**tool(parameters=TOO_DEEP["not"])).tools[0].function.parameters == TOO_DEEP["not"]


# Whatever comes

texts = st.text(max_size=8) | st.sampled_from(
    ["\ud800", "text", "type", "function", "user", "\0", "<|im_end|>", "a" * 99]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
BODIES: list[tuple[type[Body], dict[str, Any]]] = [
    (ChatRequest, FULL_CHAT),
    (CompletionRequest, FULL_TEXT),
    (EmbeddingsRequest, FULL_EMBEDDINGS),
]


def places(value: object, above: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Of everything in a body."""
    inside: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        inside = list(value.items())
    elif isinstance(value, list):
        inside = list(enumerate(value))
    return [place for key, each in inside for place in [(*above, key), *places(each, (*above, key))]]


def read_or_refuse(model: type[Body], body: object) -> None:
    """Nothing but InvalidParams is raised, in words that go over the wire."""
    try:
        wanted = read(model, body)
        wanted.model_dump_json()
        if isinstance(wanted, ChatRequest | CompletionRequest):
            json.dumps([wanted.params.model_dump(), wanted.biases])
        return
    except InvalidParams as error:
        refused = error
    assert len(str(refused).encode()) < 2_000
    assert len((refused.param or "").encode()) < 1_000
    assert refused.param is None or refused.param.split("[")[0].split(".")[0] in str(refused)
    assert (refused.param is None) == (not isinstance(body, dict))


@given(st.sampled_from([model for model, _ in BODIES]), values)
def test_any_body_is_read_or_refused(model: type[Body], body: object) -> None:
    read_or_refuse(model, body)


@settings(max_examples=500)
@given(st.data(), st.sampled_from(BODIES), values)
def test_any_value_in_any_place_is_read_or_refused(
    data: st.DataObject, known: tuple[type[Body], dict[str, Any]], value: object
) -> None:
    model, body = known[0], copy.deepcopy(known[1])
    *above, last = data.draw(st.sampled_from(places(body)))
    inside: Any = body
    for key in above:
        inside = inside[key]
    inside[last] = value
    read_or_refuse(model, body)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("depth", [100, 900, 20_000])
def test_a_body_that_is_nested_deeply_is_read_or_refused(opening: str, depth: int) -> None:
    closing = "]" if opening == "[" else "}"
    try:
        value = json.loads(opening * depth + "1" + closing * depth)
    except RecursionError:
        return  # the reader of the body has refused it
    for name in ChatRequest.model_fields:
        read_or_refuse(ChatRequest, {"messages": [HI], name: value})
    for fields in (tool(parameters={"x": value}), tool(name=value), message(content=[value]), message(content=value)):
        assert refusal(ChatRequest, {"messages": [HI], **fields})[0]


@settings(max_examples=50)
@given(st.lists(texts, max_size=40))
@example(["properties"] * 200)
def test_a_schema_that_is_read_can_be_written(keys: list[str]) -> None:
    schema: dict[str, Any] = {}
    for key in keys:
        schema = {key: schema}
    read_or_refuse(ChatRequest, {"messages": [HI], **tool(parameters=schema)})


MANY = [1] * 100_000
MISTAKES: dict[str, tuple[type[Body], dict[str, Any]]] = {
    "stop": (ChatRequest, {"stop": MANY}),
    "tools": (ChatRequest, {"tools": MANY}),
    "messages": (ChatRequest, {"messages": MANY}),
    "parts": (ChatRequest, {"messages": [{**HI, "content": MANY}]}),
    "calls": (ChatRequest, {"messages": [{**HI, "tool_calls": MANY}]}),
    "calls of messages": (ChatRequest, {"messages": [{**HI, "tool_calls": [1] * MAX_TOOLS}] * MAX_MESSAGES}),
    "biases": (ChatRequest, {"logit_bias": {str(key): "x" for key in range(100_000)}}),
    "prompts": (CompletionRequest, {"prompt": MANY}),
    "inputs": (EmbeddingsRequest, {"input": ["a", *MANY]}),
    "few inputs": (EmbeddingsRequest, {"input": ["a", *MANY[: MAX_INPUTS - 1]]}),
}


@pytest.mark.parametrize(("model", "fields"), MISTAKES.values(), ids=MISTAKES.keys())
def test_of_a_million_mistakes_few_are_looked_at(model: type[Body], fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as failed:
        model.model_validate({"messages": [HI], **fields})
    assert failed.value.error_count() <= 3


# What is asked for in vain


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_a_field_that_changes_nothing_here_is_named(name: str) -> None:
    assert unsupported({"messages": [HI], name: "something", "user": "x"}) == [name]


@pytest.mark.parametrize("value", [None, False, "auto"])
def test_a_field_that_asks_for_nothing_is_not_named(value: object) -> None:
    assert unsupported(dict.fromkeys(UNSUPPORTED, value)) == []


@given(st.dictionaries(texts | st.sampled_from(UNSUPPORTED), values))
def test_only_known_names_are_named(body: dict[str, Any]) -> None:
    assert set(unsupported(body)) <= set(UNSUPPORTED)
