"""LangChain's chat models and embeddings, unmodified. A name that is no address of this machine is never looked up."""

import socket
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

import openai
import pytest
import tiktoken
import tiktoken.registry
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, Field

from neuralbridge.offline import stays_here
from tests.conftest import Served
from tests.fakes import FakeEmbedder

CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Olhão"}}\n</tool_call>'

Settings = Callable[[str], dict[str, Any]]
ChatModel = Callable[..., ChatOpenAI]
Embeddings = Callable[..., OpenAIEmbeddings]


@pytest.fixture(autouse=True)
def only_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    look_up = socket.getaddrinfo

    def checked(host: Any, *rest: Any, **more: Any) -> Any:
        assert stays_here(host or ""), f"{host} was looked up"
        return look_up(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", checked)


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """LangChain fetches the vocabulary of OpenAI's models to split texts by their tokens; here each byte is one."""
    vocabulary = tiktoken.Encoding(
        "letters", pat_str="(?s).", mergeable_ranks={bytes([byte]): byte for byte in range(256)}, special_tokens={}
    )
    monkeypatch.setattr(tiktoken, "encoding_for_model", lambda _: vocabulary)


@pytest.fixture
async def settings() -> AsyncIterator[Settings]:
    """What both kinds of model are made with. LangChain leaves its connections open; these are closed afterwards."""
    async with openai.DefaultAsyncHttpxClient() as http:
        yield lambda url: {"base_url": f"{url}/v1", "api_key": "none", "http_async_client": http, "max_retries": 0}


@pytest.fixture
def chat_model(settings: Settings) -> ChatModel:
    return lambda url, **more: ChatOpenAI(**{"model": "gpt-4", **settings(url), **more})


@pytest.fixture
def embeddings(settings: Settings, served: Served) -> Embeddings:
    return lambda **more: OpenAIEmbeddings(model="text-embedding-3-small", **settings(served.url), **more)


async def test_a_chat_at_once(served: Served, chat_model: ChatModel) -> None:
    told = await chat_model(served.url).ainvoke([SystemMessage("Be brief."), HumanMessage("hello")])
    assert told.content == "You asked: hello"
    assert told.response_metadata["finish_reason"] == "stop"
    assert told.usage_metadata is not None
    assert told.usage_metadata["output_tokens"] == len("You asked: hello") + 1


async def test_a_stream_with_its_usage(served: Served, chat_model: ChatModel) -> None:
    chunks = [chunk async for chunk in chat_model(served.url, stream_usage=True).astream("hello")]
    assert len(chunks) > len("You asked: hello")
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert whole.content == "You asked: hello"
    assert whole.usage_metadata is not None
    assert whole.usage_metadata["output_tokens"] == len("You asked: hello") + 1


@tool
def weather(city: str) -> str:
    """Tell the weather."""
    return f"sunny in {city}"


@pytest.mark.parametrize("streamed", [False, True])
async def test_tools_are_called_and_what_they_say_goes_back(
    with_tools: Served, chat_model: ChatModel, streamed: bool
) -> None:
    with_tools.runner.reply = lambda asked: CALL if asked == "How is the weather?" else f"I hear: {asked}"
    model = chat_model(with_tools.url, streaming=streamed).bind_tools([weather])
    messages: list[Any] = [HumanMessage("How is the weather?")]
    called = await model.ainvoke(messages)
    assert isinstance(called, AIMessage)
    (call,) = called.tool_calls
    assert (call["name"], call["args"]) == ("weather", {"city": "Olhão"})
    said = weather.invoke(call)
    assert isinstance(said, ToolMessage)
    assert (await model.ainvoke([*messages, called, said])).content == "I hear: tool\nsunny in Olhão"


class Animal(BaseModel):
    """An animal."""

    kind: Literal["cat", "dog", "bird"]
    legs: int = Field(ge=2, le=4)


@pytest.mark.model
@pytest.mark.parametrize(("name", "method"), [("gpt-4o", "json_schema"), ("gpt-4", "function_calling")])
async def test_structured_output_is_what_it_was_asked_as(
    real_url: str, chat_model: ChatModel, name: str, method: str
) -> None:
    """Of gpt-4, LangChain believes that it knows no schemas, and has it call a tool instead."""
    model = chat_model(real_url, model=name, temperature=0, max_completion_tokens=100)
    told = await model.with_structured_output(Animal, method=method).ainvoke(
        "Describe a lion: its kind and its number of legs."
    )
    assert isinstance(told, Animal)


async def test_embeddings_of_texts(embeddings: Embeddings) -> None:
    model = embeddings(check_embedding_ctx_length=False)
    vectors = await model.aembed_documents(["warm bread", "cold iron"])
    assert [len(vector) for vector in vectors] == [FakeEmbedder.dimensions] * 2
    assert await model.aembed_query("warm bread") == pytest.approx(vectors[0])


@pytest.mark.usefixtures("letters")
async def test_without_that_switch_the_error_names_it(embeddings: Embeddings) -> None:
    with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length=False"):
        await embeddings().aembed_query("warm bread")
