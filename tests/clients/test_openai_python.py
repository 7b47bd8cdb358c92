"""OpenAI's own client for Python, unmodified, in each of its ways to ask."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

import numpy as np
import openai
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel, Field

from neuralbridge.web.keys import SERVICES
from tests.conftest import Serve, Served
from tests.fakes import LOGPROB, FakeEmbedder, FakeRunner

HELLO: Any = [{"role": "user", "content": "hello"}]
ANSWER = "You asked: hello"
WEATHER = "How is the weather in Olhão?"
CALL = '<tool_call>\n{"name": "Weather", "arguments": {"city": "Olhão", "days": 2}}\n</tool_call>'

Connect = Callable[..., AsyncOpenAI]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Clients as anybody makes them: `connect(url)`; all are closed afterwards."""
    clients: list[AsyncOpenAI] = []

    def make(url: str, **more: Any) -> AsyncOpenAI:
        clients.append(AsyncOpenAI(base_url=f"{url}/v1", api_key="none", **{"max_retries": 0, **more}))
        return clients[-1]

    yield make
    for client in clients:
        await client.close()


@pytest.fixture
def client(served: Served, connect: Connect) -> AsyncOpenAI:
    return connect(served.url)


class Weather(BaseModel):
    """Tells the weather."""

    city: str
    days: int


# Chat


async def test_a_chat_at_once(client: AsyncOpenAI) -> None:
    told = await client.chat.completions.create(model="gpt-4", messages=HELLO)
    assert (told.choices[0].message.content, told.choices[0].finish_reason) == (ANSWER, "stop")
    assert (told.object, told.model, told.choices[0].message.role) == ("chat.completion", "gpt-4", "assistant")
    assert told.usage is not None
    assert told.usage.total_tokens == told.usage.prompt_tokens + told.usage.completion_tokens
    assert told.usage.prompt_tokens_details is not None
    assert told.usage.prompt_tokens_details.cached_tokens == 0


async def test_the_client_that_waits_in_a_thread(served: Served) -> None:
    def ask() -> str | None:
        with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none") as client:
            return client.chat.completions.create(model="gpt-4", messages=HELLO).choices[0].message.content

    assert await asyncio.to_thread(ask) == ANSWER


async def test_a_stream_with_its_usage(client: AsyncOpenAI) -> None:
    more: Any = {"stream_options": {"include_usage": True}}
    stream = await client.chat.completions.create(model="gpt-4", messages=HELLO, stream=True, **more)
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == ANSWER
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 2) + ["stop"]
    assert (chunks[-1].choices, [chunk.usage for chunk in chunks[:-1]]) == ([], [None] * (len(chunks) - 1))
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == len(ANSWER) + 1


async def test_a_stream_with_the_clients_own_helper(client: AsyncOpenAI) -> None:
    async with client.chat.completions.stream(model="gpt-4", messages=HELLO, n=2) as stream:
        kinds = {event.type async for event in stream}
        told = await stream.get_final_completion()
    assert [choice.message.content for choice in told.choices] == [ANSWER] * 2
    assert {"chunk", "content.delta", "content.done"} <= kinds


async def test_several_choices(client: AsyncOpenAI) -> None:
    told = await client.chat.completions.create(model="gpt-4", messages=HELLO, n=3)
    assert [(choice.index, choice.message.content) for choice in told.choices] == [(n, ANSWER) for n in range(3)]


@pytest.mark.parametrize("streamed", [False, True])
async def test_log_probabilities(client: AsyncOpenAI, streamed: bool) -> None:
    wanted: Any = {"model": "gpt-4", "messages": HELLO, "logprobs": True, "top_logprobs": 2}
    if streamed:
        async with client.chat.completions.stream(**wanted) as stream:
            told: Any = await stream.get_final_completion()
    else:
        told = await client.chat.completions.create(**wanted)
    content = told.choices[0].logprobs.content
    assert "".join(token.token for token in content) == ANSWER
    assert {(token.logprob, len(token.top_logprobs)) for token in content} == {(LOGPROB, 2)}
    assert bytes(byte for token in content for byte in token.bytes).decode() == ANSWER


async def test_a_conversation_that_the_server_keeps(client: AsyncOpenAI) -> None:
    headers = {"x-neuralbridge-session": "s"}
    for said in ("one", "two"):
        message: Any = {"role": "user", "content": said}
        raw = await client.chat.completions.with_raw_response.create(
            model="gpt-4", messages=[message], extra_headers=headers
        )
        assert raw.parse().choices[0].message.content == f"You asked: {said}"
        assert raw.headers["x-neuralbridge-model-served"] == "small"


# Tools


async def test_a_call_and_what_the_tool_said(with_tools: Served, connect: Connect) -> None:
    with_tools.runner.reply = lambda asked: CALL if asked == WEATHER else f"I hear: {asked}"
    client = connect(with_tools.url)
    messages: Any = [{"role": "user", "content": WEATHER}]
    tools: Any = [openai.pydantic_function_tool(Weather)]
    told = await client.chat.completions.create(model="gpt-4", messages=messages, tools=tools)
    assert (told.choices[0].finish_reason, told.choices[0].message.tool_calls is not None) == ("tool_calls", True)
    (call,) = told.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert (call.function.name, json.loads(call.function.arguments)) == ("Weather", {"city": "Olhão", "days": 2})
    messages += [told.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
    end = await client.chat.completions.create(model="gpt-4", messages=messages, tools=tools)
    assert end.choices[0].message.content == "I hear: tool\nsunny"


async def test_calls_in_a_stream_are_put_together_by_the_clients_helper(with_tools: Served, connect: Connect) -> None:
    with_tools.runner.reply = lambda _: CALL + CALL
    asked: Any = {"model": "gpt-4", "messages": HELLO, "tools": [openai.pydantic_function_tool(Weather)]}
    async with connect(with_tools.url).chat.completions.stream(**asked) as stream:
        done = [event async for event in stream if event.type == "tool_calls.function.arguments.done"]
        told = await stream.get_final_completion()
    assert [event.parsed_arguments for event in done] == [Weather(city="Olhão", days=2)] * 2
    assert (told.choices[0].finish_reason, told.choices[0].message.content) == ("tool_calls", "")
    calls = told.choices[0].message.tool_calls or []
    assert [call.function.parsed_arguments for call in calls] == [Weather(city="Olhão", days=2)] * 2


async def test_a_call_is_parsed_into_the_model_it_was_asked_as(with_tools: Served, connect: Connect) -> None:
    with_tools.runner.reply = lambda _: CALL.removesuffix("\n</tool_call>")
    told = await connect(with_tools.url).chat.completions.parse(
        model="gpt-4", messages=HELLO, tools=[openai.pydantic_function_tool(Weather)], tool_choice="required"
    )
    (call,) = told.choices[0].message.tool_calls or []
    assert call.function.parsed_arguments == Weather(city="Olhão", days=2)


# JSON, by the real model


class Animal(BaseModel):
    kind: Literal["cat", "dog", "bird"]
    legs: int = Field(ge=2, le=4)
    wild: bool


LION: Any = [{"role": "user", "content": "Describe a lion as JSON, with its kind, number of legs and if it is wild."}]


@pytest.mark.model
async def test_an_answer_conforms_to_a_json_schema(real_url: str, connect: Connect) -> None:
    schema = {**Animal.model_json_schema(), "additionalProperties": False}
    form: Any = {"type": "json_schema", "json_schema": {"name": "animal", "schema": schema, "strict": True}}
    told = await connect(real_url).chat.completions.create(
        model="gpt-4", messages=LION, response_format=form, temperature=0, max_tokens=100
    )
    assert told.choices[0].finish_reason == "stop"
    Animal.model_validate_json(told.choices[0].message.content or "")


@pytest.mark.model
async def test_an_answer_is_parsed_into_the_model_it_was_asked_as(real_url: str, connect: Connect) -> None:
    client = connect(real_url)
    asked: Any = {"model": "gpt-4", "messages": LION, "response_format": Animal, "seed": 1, "max_tokens": 100}
    told = await client.chat.completions.parse(**asked)
    assert isinstance(told.choices[0].message.parsed, Animal)
    async with client.chat.completions.stream(**asked) as stream:
        streamed = await stream.get_final_completion()
    assert isinstance(streamed.choices[0].message.parsed, Animal)


@pytest.mark.model
async def test_any_object_is_json(real_url: str, connect: Connect) -> None:
    form: Any = {"type": "json_object"}
    told = await connect(real_url).chat.completions.create(
        model="gpt-4", messages=LION, response_format=form, temperature=0, max_tokens=60
    )
    if told.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(told.choices[0].message.content or ""), dict)
    assert (told.choices[0].message.content or "").lstrip().startswith("{")


async def test_a_schema_that_is_not_supported_is_refused_with_its_keyword(client: AsyncOpenAI) -> None:
    schema = {"type": "object", "not": {"type": "null"}}
    form: Any = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    with pytest.raises(openai.BadRequestError, match="not") as refused:
        await client.chat.completions.create(model="gpt-4", messages=HELLO, response_format=form)
    assert refused.value.param == "response_format"


# Texts and embeddings


async def test_a_text_goes_on(serve: Serve, connect: Connect) -> None:
    client = connect((await serve(runner=FakeRunner(reply=lambda _: "ok"))).url)
    prompt = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    told = await client.completions.create(model="gpt-3.5-turbo-instruct", prompt=prompt, logprobs=1, echo=True)
    assert (told.choices[0].text, told.choices[0].finish_reason) == (f"{prompt}ok", "stop")
    assert told.choices[0].logprobs is not None
    stream = await client.completions.create(model="gpt-3.5-turbo-instruct", prompt=[prompt], stream=True)
    assert "".join([chunk.choices[0].text async for chunk in stream]) == "ok"


async def test_embeddings_come_in_the_clients_base64(client: AsyncOpenAI) -> None:
    texts = ["warm bread", "cold iron"]
    told = await client.embeddings.create(model="text-embedding-3-small", input=texts)
    plain = await client.embeddings.create(model="text-embedding-3-small", input=texts, encoding_format="float")
    assert [len(each.embedding) for each in told.data] == [FakeEmbedder.dimensions] * 2
    for packed, written in zip(told.data, plain.data, strict=True):
        assert packed.embedding == pytest.approx(written.embedding)
    short = await client.embeddings.create(model="text-embedding-3-small", input="warm bread", dimensions=8)
    assert len(short.data[0].embedding) == 8


@pytest.mark.model
async def test_real_embeddings_know_what_is_alike(real_url: str, connect: Connect) -> None:
    texts = ["A cat sleeps on the sofa.", "A kitten naps on the couch.", "Interest rates rose in March."]
    told = await connect(real_url).embeddings.create(model="text-embedding-3-small", input=texts)
    cat, kitten, rates = (np.array(each.embedding) for each in told.data)
    assert np.linalg.norm(cat) == pytest.approx(1, abs=1e-3)
    assert cat @ kitten > 0.5 > cat @ rates


async def test_token_ids_are_refused_with_what_mends_it(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length=False") as refused:
        await client.embeddings.create(model="text-embedding-3-small", input=[[1, 2, 3]])
    assert refused.value.param == "input"


# Names


async def test_names_are_listed_and_told(client: AsyncOpenAI) -> None:
    listed = [model async for model in client.models.list()]
    one = await client.models.retrieve("gpt-4")
    assert one in listed
    assert (one.id, one.object, one.owned_by) == ("gpt-4", "model", "neuralbridge")
    assert (await client.models.retrieve("openai/gpt-4")).id == "openai/gpt-4"


# What goes wrong


async def test_a_wrong_field_is_a_bad_request_that_names_it(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await client.chat.completions.create(model="gpt-4", messages=HELLO, temperature=3)
    error = refused.value
    assert (error.status_code, error.param, error.code, error.type) == (
        *(400, "temperature", "invalid_params", "invalid_request_error"),
    )


async def test_a_prompt_over_the_context_has_the_code_that_programs_look_for(client: AsyncOpenAI) -> None:
    messages: Any = [{"role": "user", "content": "x" * 5_000}]
    with pytest.raises(openai.BadRequestError, match="4,096") as refused:
        await client.chat.completions.create(model="gpt-4", messages=messages)
    assert (refused.value.code, refused.value.param) == ("context_length_exceeded", "messages")


async def test_an_unknown_name_is_not_found_where_that_is_wanted(serve: Serve, connect: Connect) -> None:
    served = await serve(routing={"default": "gpt-4", "unknown_model": "error"})
    client = connect(served.url)
    for asking in (
        client.chat.completions.create(model="gtp-4", messages=HELLO),
        client.models.retrieve("gtp-4"),
    ):
        with pytest.raises(openai.NotFoundError, match="gpt-4") as missed:
            await asking
        assert (missed.value.code, missed.value.param) == ("model_not_found", "model")


async def test_a_full_server_is_tried_again_when_it_says_so(serve: Serve, connect: Connect) -> None:
    served = await serve(runner=FakeRunner(slots=1), limits={"waiting_questions": 1})
    served.runner.hold()
    patient, impatient = connect(served.url, max_retries=5), connect(served.url)
    asking = [asyncio.create_task(patient.chat.completions.create(model="gpt-4", messages=HELLO)) for _ in range(2)]
    models = served.server.app[SERVICES].models
    async with asyncio.timeout(60):
        while models.busy < 2:  # noqa: ASYNC110  # the server tells nobody
            await asyncio.sleep(0.01)
    with pytest.raises(openai.APIStatusError) as busy:
        await impatient.chat.completions.create(model="gpt-4", messages=HELLO)
    error = busy.value
    assert (error.status_code, error.code) == (503, "server_busy")
    assert float(error.response.headers["retry-after-ms"]) <= 1000 * float(error.response.headers["retry-after"])
    third = asyncio.create_task(patient.chat.completions.create(model="gpt-4", messages=HELLO))
    served.runner.release()
    answers = [await each for each in (*asking, third)]
    assert [answer.choices[0].message.content for answer in answers] == [ANSWER] * 3


async def test_an_engine_that_fails_in_a_stream_raises_there(served: Served, client: AsyncOpenAI) -> None:
    served.runner.fails = lambda share: len(share.tokens) == 1 and share.position > 30
    stream = await client.chat.completions.create(model="gpt-4", messages=HELLO, stream=True)
    said = (await anext(stream)).choices + (await anext(stream)).choices
    with pytest.raises(openai.APIError) as failed:
        [chunk async for chunk in stream]
    assert (said[1].delta.content, failed.value.code) == ("Y", "processing_failed")
    with pytest.raises(openai.InternalServerError):
        await client.chat.completions.create(model="gpt-4", messages=HELLO)
