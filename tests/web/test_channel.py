"""The channel's events one by one, as docs/wire.md and websocket-interactions.md describe them.

The clients of these tests check every frame against the models of neuralbridge/protocol/pushes.py.
"""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from neuralbridge.web import channel
from tests.conftest import Serve, Served
from tests.fakes import FakeRunner
from tests.phoenix_client import Frame
from tests.web.wire import TOPIC, CheckedClient, connected, mid_answer

STORY = "It was a dark and stormy night; 😀 漢字. " * 4
METADATA = {
    "source": str,
    "confidence_score": float,
    "processing_time_ms": int,
    "rag_context_used": int,
    "sources": list,
    "sources_omitted": list,
    "model_used": str,
    "model_requested": str,
    "tokens": dict,
    "finish_reason": str,
    "messages_omitted": int,
    "message_id": str,
    "citations": list,
    "confidence": dict,
    "cache": type(None),
    "thoughts": str,
}


def is_now(timestamp: str) -> bool:
    assert timestamp.endswith("Z")
    return abs((datetime.now(UTC) - datetime.fromisoformat(timestamp)).total_seconds()) < 60


async def test_a_join_is_told_its_session_and_what_runs(served: Served) -> None:
    async with connected(served) as client, connected(served) as other:
        reply = await client.join(TOPIC)
        assert reply[4]["response"] == {"status": "connected", "session_id": "s", "running": []}
        stream_id = await mid_answer(served, client)
        assert (await other.join(TOPIC))[4]["response"]["running"] == [stream_id]


@pytest.mark.parametrize(
    "payload",
    [
        {"user_id": None, "resume": None, "follow": None},
        {"user_id": {"a": 1}, "resume": 7, "follow": "yes"},
        {"user_id": [], "resume": {}, "follow": 1, "auth_token": 7, "type": "x", "config": {}},
        {"resume": {"stream_id": 1, "seq": "2"}},
        {"resume": {"stream_id": "x", "seq": -1}},
        {"resume": {"stream_id": "x", "seq": True}},
        {"resume": {"stream_id": "x" * 100_000, "seq": 10**400}},
    ],
)
async def test_what_a_join_says_wrongly_is_not_held_against_it(served: Served, payload: dict[str, Any]) -> None:
    async with connected(served) as client:
        assert (await client.join(TOPIC, payload))[4]["status"] == "ok"
        await client.push(TOPIC, "query", {"query": "hi"})
        assert (await client.expect("response"))["response"] == "You asked: hi"


async def test_a_query_gets_one_response(served: Served) -> None:
    async with connected(served, TOPIC) as client:
        ref = await client.push(TOPIC, "query", {"query": "hi", "metadata": {"context_type": "programming"}})
        response = await client.expect("response")
        assert await client.fence() == []
    assert (response["response"], response["ref"], response["seq"]) == ("You asked: hi", ref, 1)
    assert is_now(response["timestamp"])


async def test_a_stream_is_a_start_its_tokens_and_a_completion(serve: Serve) -> None:
    served = await serve(FakeRunner(reply=lambda _: STORY))
    async with connected(served, TOPIC) as client:
        ref = await client.push(TOPIC, "stream_query", {"query": "a story"})
        frames = await client.until("stream_complete")
        assert await client.fence() == []
    (_, *tokens, complete), payloads = frames, [frame[4] for frame in frames]
    assert [frame[3] for frame in frames] == ["stream_start", *["stream_token"] * len(tokens), "stream_complete"]
    assert {frame[0] for frame in frames} == {client.joined[TOPIC]}
    assert "".join(frame[4]["token"] for frame in tokens) == complete[4]["response"] == STORY
    assert all(frame[4]["token"] for frame in tokens)
    assert payloads[0]["query"] == "a story"
    assert [payload["seq"] for payload in payloads] == [*range(1, len(payloads) + 1)]
    assert {(payload["stream_id"], payload["ref"]) for payload in payloads} == {(payloads[0]["stream_id"], ref)}
    assert is_now(payloads[0]["timestamp"])
    assert is_now(payloads[-1]["timestamp"])


@pytest.mark.parametrize(("asked", "answered"), [("query", "response"), ("stream_query", "stream_complete")])
async def test_metadata_has_every_key_and_no_number_is_null(served: Served, asked: str, answered: str) -> None:
    async with connected(served, TOPIC) as client:
        await client.push(TOPIC, asked, {"query": "hi", "model": "gpt-4"})
        metadata = (await client.until(answered))[-1][4]["metadata"]
    assert {name: type(value) for name, value in metadata.items()} == METADATA
    assert {name: type(value) for name, value in metadata["tokens"].items()} == dict.fromkeys(
        ("prompt", "cached", "completion"), int
    )
    answer = "You asked: hi"
    assert metadata["tokens"]["completion"] == len(answer) + 1  # a token is a byte here, and there is one at the end
    assert (metadata["source"], metadata["rag_context_used"], metadata["messages_omitted"]) == ("llm", 0, 0)
    assert (metadata["model_used"], metadata["model_requested"]) == ("small", "gpt-4")
    assert metadata["finish_reason"] == "stop"
    assert 0 < metadata["confidence_score"] < 1
    assert metadata["processing_time_ms"] >= 0


@pytest.mark.parametrize(
    ("payload", "reason"), [({}, "stop"), ({"max_tokens": 3}, "length"), ({"stop": "asked"}, "stop")]
)
@pytest.mark.parametrize(("asked", "answered"), [("query", "response"), ("stream_query", "stream_complete")])
async def test_parameters_count_for_both_ways_to_ask(
    served: Served, asked: str, answered: str, payload: dict[str, Any], reason: str
) -> None:
    texts = {0: "You asked: hi", 3: "You"}
    async with connected(served, TOPIC) as client:
        await client.push(TOPIC, asked, {"query": "hi", **payload})
        complete = (await client.until(answered))[-1][4]
    expected = "You " if "stop" in payload else texts[payload.get("max_tokens", 0)]
    assert (complete["response"], complete["metadata"]["finish_reason"]) == (expected, reason)


async def test_without_a_model_name_the_default_is_what_was_requested(served: Served) -> None:
    async with connected(served, TOPIC) as client:
        await client.push(TOPIC, "query", {"query": "hi", "model": None})
        metadata = (await client.expect("response"))["metadata"]
    assert (metadata["model_used"], metadata["model_requested"]) == ("small", "gpt-4")


async def test_an_empty_answer_is_an_answer(serve: Serve) -> None:
    served = await serve(FakeRunner(reply=lambda _: ""))
    async with connected(served, TOPIC) as client:
        await client.push(TOPIC, "stream_query", {"query": "hi"})
        frames = await client.until("stream_complete")
        messages = (await client.history())["messages"]
    assert [frame[3] for frame in frames] == ["stream_start", "stream_complete"]
    assert (frames[-1][4]["response"], frames[-1][4]["metadata"]["finish_reason"]) == ("", "stop")
    assert [message["content"] for message in messages] == ["hi", ""]


async def test_ping_is_answered_with_the_time(served: Served) -> None:
    async with connected(served, TOPIC) as client:
        await client.push(TOPIC, "ping")
        assert is_now((await client.expect("pong"))["timestamp"])


async def test_the_model_remembers_what_was_said(served: Served) -> None:
    async with connected(served, TOPIC) as client:
        await client.push(TOPIC, "query", {"query": "first"})
        first = (await client.expect("response"))["metadata"]["tokens"]
        await client.push(TOPIC, "query", {"query": "second"})
        second = (await client.expect("response"))["metadata"]["tokens"]
    assert second["prompt"] > first["prompt"] + first["completion"]
    assert second["cached"] >= first["prompt"] + first["completion"] - 1


async def test_two_conversations_of_one_socket_are_answered_side_by_side(served: Served) -> None:
    async with connected(served, "proxy:a", "proxy:b") as client:
        for topic in ("proxy:a", "proxy:b"):
            await client.push(topic, "stream_query", {"query": topic})
        frames: list[Frame] = []
        while sum(frame[3] == "stream_complete" for frame in frames) < 2:
            frames.append(await client.receive())
    for topic in ("proxy:a", "proxy:b"):
        mine = [frame for frame in frames if frame[2] == topic]
        assert mine[-1][4]["response"] == f"You asked: {topic}"
        assert [frame[4]["seq"] for frame in mine] == [*range(1, len(mine) + 1)]


# History


async def test_a_conversation_without_questions_has_an_empty_history(served: Served) -> None:
    async with connected(served, TOPIC) as client:
        assert await client.history() == {"messages": [], "total_messages": 0, "before": None}


async def test_history_has_questions_and_answers_in_their_order(served: Served) -> None:
    async with connected(served, TOPIC, params="vsn=2.0.0&user_id=ana") as client:
        await client.push(TOPIC, "query", {"query": "one", "metadata": {"context_type": "x", "status": "draft"}})
        response = await client.expect("response")
        await client.push(TOPIC, "stream_query", {"query": "two"})
        await client.until("stream_complete")
        told = await client.history(None)
    messages = told["messages"]
    assert told["total_messages"] == 4
    assert [(message["role"], message["content"]) for message in messages] == [
        ("user", "one"),
        ("assistant", "You asked: one"),
        ("user", "two"),
        ("assistant", "You asked: two"),
    ]
    assert [message["parent"] for message in messages] == [None, *[message["id"] for message in messages[:3]]]
    assert {message["status"] for message in messages} == {"complete"}
    assert all(is_now(message["timestamp"]) for message in messages)
    assert messages[0]["metadata"] == {"user_id": "ana", "context_type": "x", "status": "draft"}  # as it was sent
    assert messages[1]["id"] == response["metadata"]["message_id"]
    kept = messages[1]["metadata"]
    del kept["confidence"]["score"], kept["confidence"]["features"]  # which are for the record
    assert response["metadata"] == {name: kept[name] for name in response["metadata"]}


async def ask_often(client: CheckedClient, amount: int) -> list[str]:
    """Ask so many questions; the ids of all messages."""
    for number in range(amount):
        await client.push(TOPIC, "query", {"query": str(number)})
        await client.expect("response")
    return [message["id"] for message in (await client.history({"limit": 500}))["messages"]]


async def test_history_is_read_in_pages_from_the_end(served: Served) -> None:
    async with connected(served, TOPIC) as client:
        ids = await ask_often(client, 4)
        pages, before = [], None
        while page := (await client.history({"limit": 3, "before": before}))["messages"]:
            pages.insert(0, [message["id"] for message in page])
            before = page[0]["id"]
        total = (await client.history({"limit": 1}))["total_messages"]
    assert (pages, total) == ([ids[:2], ids[2:5], ids[5:]], 8)


async def test_a_part_of_the_history_is_so_large_and_nothing_is_left_out(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "HISTORY_BYTES", 1)
    async with connected(served, TOPIC) as client:
        for number in range(2):
            await client.push(TOPIC, "query", {"query": str(number)})
            await client.expect("response")
        told, before = [], None
        while page := (await client.history({"limit": 500, "before": before}))["messages"]:
            told.insert(0, [message["content"] for message in page])
            before = page[0]["id"]
        assert (await client.history())["total_messages"] == 4
    assert told == [["0"], ["You asked: 0"], ["1"], ["You asked: 1"]]


async def test_without_a_limit_history_is_the_last_50_messages(served: Served) -> None:
    async with connected(served, TOPIC) as client:
        ids = await ask_often(client, 26)
        told = await client.history()
    assert ([message["id"] for message in told["messages"]], told["total_messages"]) == (ids[2:], 52)


async def test_before_an_unknown_message_there_is_nothing(served: Served) -> None:
    async with connected(served, TOPIC, "proxy:other") as client:
        (first, *_) = await ask_often(client, 1)
        assert (await client.history({"before": "nothing"}))["messages"] == []
        assert (await client.history({"before": first}))["messages"] == []
        await client.push("proxy:other", "query", {"query": "hi"})
        await client.expect("response")
        assert (await client.history({"before": first}, "proxy:other"))["messages"] == []


async def test_history_in_mid_answer_has_the_answer_as_streaming(serve: Serve) -> None:
    served = await serve(FakeRunner(reply=lambda _: STORY))
    async with connected(served, TOPIC) as client, connected(served, TOPIC) as other:
        await mid_answer(served, client)
        messages = (await other.history())["messages"]
    assert [message["status"] for message in messages] == ["complete", "streaming"]
    assert STORY.startswith(messages[1]["content"])


async def test_history_survives_a_restart(serve: Serve) -> None:
    served = await serve()
    async with connected(served, TOPIC) as client:
        await ask_often(client, 2)
        before = await client.history()
    await served.stop()
    async with connected(await serve(), TOPIC) as client:
        assert await client.history() == before


async def test_conversations_of_different_sessions_do_not_mix(served: Served) -> None:
    async with connected(served, TOPIC, "proxy:S", "proxy:s ", "proxy:s%", "realtime:proxy:s") as client:
        await client.push(TOPIC, "query", {"query": "hi"})
        await client.expect("response")
        totals = {topic: (await client.history(topic=topic))["total_messages"] for topic in client.joined}
    assert totals == {TOPIC: 2, "proxy:S": 0, "proxy:s ": 0, "proxy:s%": 0, "realtime:proxy:s": 2}


async def test_history_of_two_clients_at_once_is_one_conversation(served: Served) -> None:
    async with connected(served, TOPIC) as one, connected(served, TOPIC) as two:
        await asyncio.gather(
            *(client.push(TOPIC, "query", {"query": name}) for client, name in ((one, "one"), (two, "two")))
        )
        await one.until("response")
        await two.until("response")
        messages = (await one.history())["messages"]
    assert [message["parent"] for message in messages] == [None, *[message["id"] for message in messages[:3]]]
    assert {message["content"] for message in messages[::2]} == {"one", "two"}
