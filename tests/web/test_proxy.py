"""The original's HTTP API: a question gets its whole answer, in the same conversation and queue as on the channel."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from neuralbridge.errors import DocumentsUnavailable
from neuralbridge.protocol.proxy import Components, QueryAnswered, Refused, Stats
from tests.conftest import Serve, Served
from tests.fakes import FakeEmbedder, FakeRunner
from tests.web.wire import TOPIC, connected, mid_answer, until_under_way

STORY = "It was a dark and stormy night, and the wind was howling in the trees. " * 3
QUERY = "/api/proxy/query"


async def call(served: Served, method: str, path: str, **more: Any) -> tuple[int, dict[str, Any]]:
    async with (
        aiohttp.ClientSession(base_url=served.url) as http,
        http.request(method, path, **more) as response,
    ):
        assert response.headers["Cache-Control"] == "no-store"
        return response.status, await response.json()


async def ask(served: Served, query: Any = "why?", **more: Any) -> dict[str, Any]:
    status, told = await call(served, "POST", QUERY, json={"query": query, **more})
    assert status == 200, told
    QueryAnswered.model_validate(told)
    return told


async def refused(served: Served, **asked: Any) -> tuple[int, str, dict[str, Any]]:
    """Status, code and details."""
    status, told = await call(served, "POST", QUERY, json=asked)
    assert Refused.model_validate(told).model_dump() == told
    assert told["message"]
    return status, told["error"], told["details"]


@pytest.fixture
async def storyteller(serve: Serve) -> Served:
    return await serve(FakeRunner(reply=lambda _: STORY))


# A question and its answer


async def test_a_question_gets_its_whole_answer_and_how_it_came_about(served: Served) -> None:
    told = await ask(served, "Why is the sea salty?", session_id="s", model="gpt-4", temperature=0, max_tokens=200)
    assert told["success"] is True
    assert (told["session_id"], told["response"]) == ("s", "You asked: Why is the sea salty?")
    assert (told["metadata"]["source"], told["metadata"]["model_used"]) == ("llm", "small")
    assert told["metadata"]["model_requested"] == "gpt-4"
    assert told["timestamp"].endswith("Z")


async def test_without_a_session_id_a_conversation_begins_that_can_be_gone_on_with(served: Served) -> None:
    first, other = await ask(served, "one"), await ask(served, "two")
    assert first["session_id"] != other["session_id"]
    await ask(served, "and?", session_id=first["session_id"])
    async with connected(served, f"proxy:{first['session_id']}") as client:
        history = await client.history(topic=f"proxy:{first['session_id']}")
    assert [message["content"] for message in history["messages"][::2]] == ["one", "and?"]


async def test_it_is_the_same_conversation_as_the_channels(serve: Serve) -> None:
    served = await serve(FakeRunner())
    async with connected(served, TOPIC) as client:
        await client.ask("one")
        told = await ask(served, "two", session_id="s", user_id="ana", metadata={"x": [1]})
        await client.ask("three")
        messages = (await client.history())["messages"]
    assert [message["content"] for message in messages[::2]] == ["one", "two", "three"]
    assert messages[2]["metadata"] == {"status": "complete", "user_id": "ana", "x": [1]}
    assert messages[3]["id"] == told["metadata"]["message_id"]
    assert {message["parent"] for message in messages[1:]} == {message["id"] for message in messages[:-1]}


async def test_it_waits_its_turn_behind_what_the_channel_asked(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as client:
        await mid_answer(storyteller, client)
        asking = asyncio.create_task(ask(storyteller, "second", session_id="s"))
        await until_waiting(storyteller, 2)
        storyteller.runner.release()
        await client.until("stream_complete")
        await asking
        messages = (await client.history())["messages"]
    assert [message["content"] for message in messages[::2]] == ["a story", "second"]


async def until_waiting(served: Served, amount: int) -> None:
    while (await call(served, "GET", "/api/proxy/health"))[1]["answers_under_way"] != amount:
        pass


async def test_who_follows_the_conversation_hears_of_it(served: Served) -> None:
    async with served.client() as client:
        await client.join(TOPIC, {"follow": True})
        told = await ask(served, "why?", session_id="s")
        question, response = [frame[4] for frame in await client.until("response")]
    assert (question["query"], response["response"]) == ("why?", told["response"])


async def test_a_channel_that_leaves_meanwhile_ends_only_what_it_asked(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as client:
        storyteller.runner.hold()
        asking = asyncio.create_task(ask(storyteller, session_id="s"))
        await until_waiting(storyteller, 1)
        await client.push(TOPIC, "phx_leave")
        await client.until("phx_close")
        storyteller.runner.release()
        assert (await asking)["response"] == STORY


async def test_an_answer_that_the_channel_stops_comes_as_far_as_it_came(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as client:
        storyteller.runner.hold()
        asking = asyncio.create_task(ask(storyteller, session_id="s"))
        await until_waiting(storyteller, 1)
        await client.push(TOPIC, "stop")
        await client.push(TOPIC, "ping")
        await client.until("pong")
        storyteller.runner.release()
        told = await asking
    assert told["metadata"]["finish_reason"] == "cancelled"
    assert STORY.startswith(told["response"])


async def test_a_client_that_hangs_up_stops_its_answer_and_no_other(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as client:
        await mid_answer(storyteller, client)
        for query, session in (("gone", "t"), ("waiting", "s")):
            asking = asyncio.create_task(ask(storyteller, query, session_id=session))
            await until_waiting(storyteller, 2)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            await until_under_way(storyteller, 1)
        storyteller.runner.release()
        complete = (await client.until("stream_complete"))[-1][4]
        assert complete["metadata"]["finish_reason"] == "stop"
    _, history = await call(storyteller, "GET", "/api/conversations/t/history")
    assert [message["status"] for message in history["messages"]] in ([], ["complete", "cancelled"])
    _, history = await call(storyteller, "GET", "/api/conversations/s/history")
    assert [message["content"] for message in history["messages"][::2]] == ["a story"]


async def test_a_question_can_be_answered_from_before(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "small.gguf").write_text("small")
    served = await serve(models={"small": {"path": str(tmp_path / "small.gguf")}}, cache={"enabled": True})
    sources = [(await ask(served, cache=cache))["metadata"]["source"] for cache in (None, True, False)]
    assert sources == ["llm", "cache", "llm"]


async def test_strict_answers_from_documents_or_says_that_there_are_none(served: Served) -> None:
    told = await ask(served, "Why is the sea salty?", retrieval="strict")
    assert (told["metadata"]["source"], told["metadata"]["finish_reason"]) == ("rag", "no_evidence")


async def test_parameters_reach_the_model(served: Served) -> None:
    await ask(served, temperature=1.5, max_tokens=7, seed=3, stop="x", top_k=5)
    sampling = served.runner.samplers[-1].sampling
    assert (sampling.temperature, sampling.max_tokens, sampling.seed, sampling.stop, sampling.top_k) == (
        *(1.5, 7, 3, ("x",), 5),
    )


# What is refused


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        *(({"query": value}, "query") for value in (None, "", " \n", 7, [], {}, "x" * 32_001, "\ud800")),
        *(({"session_id": value}, "session_id") for value in ("", "x" * 256, "a\0b", 7, [], True)),
        *(({"user_id": value}, "user_id") for value in ("x" * 256, 7, [])),
        *(({"model": value}, "model") for value in ("", 7, "x" * 201)),
        *(({"temperature": value}, "temperature") for value in (-0.1, 2.1, "1", True, [])),
        *(({"max_tokens": value}, "max_tokens") for value in (0, -1, 1.5, "7", 10**7)),
        *(({"retrieval": value}, "retrieval") for value in ("on", True)),
        *(({"cache": value}, "cache") for value in ("no", 1)),
        *(({"metadata": value}, "metadata") for value in ("x", [])),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_a_wrong_field_is_named_and_nothing_is_asked(served: Served, wrong: dict[str, Any], param: str) -> None:
    status, code, details = await refused(served, **{"query": "why?", "session_id": "s", **wrong})
    assert (status, details) == (400, {"param": param})
    assert code == ("invalid_query" if param == "query" else "invalid_params")
    assert (await call(served, "GET", "/api/conversations"))[1]["total"] == 0


@pytest.mark.parametrize("session_id", ["x" * 255, "a/b?c#d %41", "Olhão 💥", "\n", ".."])
async def test_a_session_id_of_any_other_characters_is_fine(served: Served, session_id: str) -> None:
    assert (await ask(served, session_id=session_id))["session_id"] == session_id


@pytest.mark.parametrize("metadata", ["[" * 64 + "]" * 64, "[1e400]", "-1e999"], ids=["deep", "in a list", "infinite"])
async def test_metadata_that_could_not_be_written_out_again_is_refused(served: Served, metadata: str) -> None:
    body = f'{{"query": "why?", "session_id": "s", "metadata": {{"a": {metadata}}}}}'
    status, told = await call(served, "POST", QUERY, data=body, headers={"Content-Type": "application/json"})
    assert (status, told["details"]) == (400, {"param": "metadata"})
    assert (await call(served, "GET", "/api/conversations/s"))[0] == 404


async def test_metadata_that_every_history_would_have_to_carry_are_refused_by_their_size(served: Served) -> None:
    longest = {"a": "x" * (65_536 - len('{"a": ""}'))}
    await ask(served, session_id="s", metadata=longest)
    status, told = await call(served, "POST", QUERY, json={"query": "why?", "metadata": {"a": longest["a"] + "x"}})
    assert (status, told["details"]) == (400, {"param": "metadata"})
    assert told["message"] == "metadata has 65,537 bytes as JSON; at most 65,536 are allowed."


async def test_null_counts_as_absent_and_unknown_fields_are_ignored(served: Served) -> None:
    names = ("session_id", "user_id", "model", "temperature", "max_tokens", "retrieval", "cache", "metadata")
    await ask(served, **dict.fromkeys(names), context_type="x", stream=True)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"7", b'{"query": NaN}'])
async def test_a_body_that_is_no_question_is_refused(served: Served, body: bytes) -> None:
    status, told = await call(served, "POST", QUERY, data=body, headers={"Content-Type": "application/json"})
    assert (status, told["success"]) == (400, False)
    assert told["error"] in ("invalid_params", "invalid_query")


async def test_the_longest_question_fits_however_it_is_written(served: Served) -> None:
    body = json.dumps({"query": "💥" * 32_000, "retrieval": "off"})
    assert body.isascii()
    status, told = await call(served, "POST", QUERY, data=body, headers={"Content-Type": "application/json"})
    assert (status, told["error"]) == (400, "context_length_exceeded")
    assert told["details"]["tokens"] > told["details"]["limit"] == 4096


async def test_a_body_beyond_the_limit_is_refused(serve: Serve) -> None:
    served = await serve(server={"max_frame_bytes": 1024})
    status, told = await call(served, "POST", QUERY, json={"query": "x" * 1024})
    assert (status, told["success"], told["error"]) == (413, False, "document_too_large")


async def test_an_unknown_model_is_refused_where_that_is_wanted(serve: Serve) -> None:
    served = await serve(routing={"default": "gpt-4", "unknown_model": "error"})
    assert (await refused(served, query="why?", model="nobody"))[:2] == (404, "model_not_found")


async def test_a_full_line_says_when_to_come_back(serve: Serve) -> None:
    served = await serve(FakeRunner(reply=lambda _: STORY), limits={"waiting_per_conversation": 1})
    async with connected(served, TOPIC) as client:
        await mid_answer(served, client)
        await client.push(TOPIC, "query", {"query": "waiting"})
        await client.until("queued")
        async with (
            aiohttp.ClientSession(base_url=served.url) as http,
            http.post(QUERY, json={"query": "too many", "session_id": "s"}) as response,
        ):
            told = await response.json()
        served.runner.release()
    assert (response.status, told["error"], told["success"]) == (429, "server_busy", False)
    assert int(response.headers["Retry-After"]) * 1000 == told["details"]["retry_after_ms"]


async def test_a_model_that_fails_is_told(serve: Serve) -> None:
    served = await serve()
    await ask(served)
    served.runner.fails = lambda share: True
    assert (await refused(served, query="why?"))[:2] == (500, "processing_failed")


async def test_a_mistake_of_ours_keeps_its_text_to_itself(serve: Serve) -> None:
    def reply(question: str) -> str:
        raise KeyError("a secret of ours")

    status, told = await call(await serve(FakeRunner(reply=reply)), "POST", QUERY, json={"query": "why?"})
    assert (status, told["success"], "secret" in json.dumps(told)) == (500, False, False)


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
async def test_a_page_of_another_origin_asks_nothing(served: Served, headers: dict[str, str]) -> None:
    status, told = await call(served, "POST", QUERY, json={"query": "why?"}, headers=headers)
    assert (status, told["error"], told["success"], told["details"]) == (403, "forbidden", False, {})
    assert (await call(served, "GET", "/api/conversations"))[1]["total"] == 0


# Health and figures


async def test_health_tells_of_each_component(served: Served) -> None:
    await ask(served)
    status, told = await call(served, "GET", "/api/proxy/health")
    assert (status, told["status"], told["models"]) == (200, "ok", ["gpt-4", "small"])
    assert told["components"] == {
        "models": {"status": "ok", "waiting": 0},
        "documents": {"status": "ok", "waiting": 0},
        "database": {"status": "ok"},
        "cache": {"status": "off"},
    }
    Components.model_validate(told["components"])


async def test_health_says_that_documents_are_switched_off(serve: Serve) -> None:
    served = await serve(documents={"enabled": False})
    assert (await call(served, "GET", "/api/proxy/health"))[1]["components"]["documents"] == {"status": "off"}


async def test_health_says_why_there_are_no_documents(serve: Serve) -> None:
    def missing(folder: Path, busy: Callable[[], bool]) -> FakeEmbedder:
        raise DocumentsUnavailable("The embedding model is not there.")

    served = await serve(open_embedder=missing)
    told = await call(served, "GET", "/api/proxy/health")
    while told[1]["components"]["documents"]["status"] == "loading":
        told = await call(served, "GET", "/api/proxy/health")
    documents = {"status": "unavailable", "reason": "The embedding model is not there."}
    assert (told[0], told[1]["status"], told[1]["components"]["documents"]) == (200, "ok", documents)


async def test_figures_are_nothing_at_first(served: Served) -> None:
    status, told = await call(served, "GET", "/api/proxy/stats")
    Stats.model_validate(told)
    assert (status, told["success"], told["questions"]) == (200, True, {"total": 0, "by_source": {}, "by_status": {}})
    assert (told["mean"], told["conversations"], told["messages"]) == ({"answer_ms": None, "by_source": {}}, 0, 0)


async def test_figures_count_every_end_of_a_question(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "small.gguf").write_text("small")
    served = await serve(
        models={"small": {"path": str(tmp_path / "small.gguf")}},
        cache={"enabled": True},
        routing={"default": "gpt-4", "unknown_model": "error"},
    )
    first = await ask(served, session_id="s")
    await ask(served, session_id="t")
    await ask(served, "Anything?", session_id="s", retrieval="strict")
    await refused(served, query="why?", model="nobody")
    _, told = await call(served, "GET", "/api/proxy/stats")
    assert told["questions"] == {
        "total": 4,
        "by_source": {"llm": 1, "cache": 1, "rag": 1},
        "by_status": {"stop": 2, "no_evidence": 1, "model_not_found": 1},
    }
    assert told["tokens"] == first["metadata"]["tokens"]
    assert (told["conversations"], told["messages"], told["documents"], told["cache"]["entries"]) == (2, 6, 0, 1)
    assert told["mean"]["by_source"].keys() == {"llm", "cache", "rag"}
    assert told["mean"]["by_source"]["llm"] == first["metadata"]["processing_time_ms"]


async def test_a_model_that_does_not_get_on_is_told_of(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """F14."""
    monkeypatch.setattr("neuralbridge.engine.engine.STALLED_SECONDS", 0.05)
    served = await serve(FakeRunner(reply=lambda _: STORY))
    served.runner.hold()
    async with served.client() as client:
        await client.join(TOPIC)
        await client.push(TOPIC, "query", {"query": "why?"})
        async with asyncio.timeout(20):
            while (told := (await call(served, "GET", "/api/proxy/health"))[1])["status"] == "ok":
                pass
        assert told["status"] == "degraded"
        assert told["components"]["models"]["status"] == "stalled"
        served.runner.release()
        await client.until("response")
    status, told = await call(served, "GET", "/api/proxy/health")
    assert (status, told["status"]) == (200, "ok")
