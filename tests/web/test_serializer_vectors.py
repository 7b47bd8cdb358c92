"""Vectors 53 to 59 of phoenix-protocol.md: serializer 1.0.0, and the binary messages of 2.0.0."""

import json
from typing import Any
from unittest.mock import ANY

import pytest

from tests.conftest import Served
from tests.phoenix_client import Frame
from tests.web.raw import BINARY, TEXT, RawSocket, text
from tests.web.wire import TOPIC, closed, connected, error, joined, ok, pong, reply

V1_TARGET = "/socket/websocket?vsn=1.0.0"
JOIN = text("1", "1", TOPIC, "phx_join", {})
CONNECTED = {"status": "connected", "session_id": "s", "running": []}


def v1(event: str, ref: Any, payload: Any = None, **more: Any) -> bytes:
    return json.dumps({"topic": TOPIC, "event": event, "payload": payload or {}, "ref": ref, **more}).encode()


def heard_v1(event: str, ref: Any, payload: Any) -> dict[str, Any]:
    return {"topic": TOPIC, "event": event, "payload": payload, "ref": ref}


def push(join_ref: str, ref: str, event: str, data: bytes, topic: str = TOPIC) -> bytes:
    """A binary push, kind 0."""
    parts = [part.encode() for part in (join_ref, ref, topic, event)]
    return bytes([0, *map(len, parts)]) + b"".join(parts) + data


def broadcast(join_ref: str, ref: str, event: str, payload: bytes, *, is_json: bool) -> bytes:
    """Supabase's user broadcast, kind 3, with some metadata."""
    parts = [part.encode() for part in (join_ref, ref, TOPIC, event, "{}")]
    return bytes([3, *map(len, parts), is_json]) + b"".join(parts) + payload


async def test_v54_phxsocket_speaks_v1_with_integer_refs(served: Served) -> None:
    async with RawSocket(served.url, V1_TARGET) as raw:
        raw.send(TEXT, v1("phx_join", 0))
        raw.send(TEXT, v1("ping", 1))
        heard = [await raw.receive_json(), await raw.receive_json()]
        raw.send(TEXT, v1("phx_leave", 2))
        heard += [await raw.receive_json(), await raw.receive_json()]
    assert heard == [
        heard_v1("phx_reply", 0, ok(CONNECTED)),
        heard_v1("pong", None, {"timestamp": ANY}),
        heard_v1("phx_reply", 2, ok({})),
        heard_v1("phx_close", None, {}),
    ]


async def test_v54_a_second_v1_join_closes_nothing(served: Served) -> None:
    async with RawSocket(served.url, V1_TARGET) as raw:
        for said in (v1("phx_join", 0), v1("phx_join", 1), v1("ping", 2)):
            raw.send(TEXT, said)
        heard = [await raw.receive_json() for _ in range(3)]
    assert [frame["event"] for frame in heard] == ["phx_reply", "phx_reply", "pong"]


async def test_v53_supabase_speaks_v1_with_a_join_ref_and_extra_keys(served: Served) -> None:
    async with RawSocket(served.url, V1_TARGET) as raw:
        for said in (
            v1("phx_join", "1", join_ref="1", type="x"),
            v1("ping", "2", join_ref="0"),  # stale
            v1("phx_leave", "3", join_ref="1"),
        ):
            raw.send(TEXT, said)
        heard = [await raw.receive_json() for _ in range(3)]
    assert heard == [
        heard_v1("phx_reply", "1", ok(CONNECTED)),
        heard_v1("phx_reply", "3", ok({})),
        heard_v1("phx_close", "1", {}),
    ]


async def test_v53_v1_json_in_a_binary_message_is_read(served: Served) -> None:
    async with RawSocket(served.url, V1_TARGET) as raw:
        raw.send(BINARY, v1("phx_join", 0))
        assert await raw.receive_json() == heard_v1("phx_reply", 0, ok(CONNECTED))


async def test_a_v1_stream_is_put_together_from_objects(served: Served) -> None:
    async with RawSocket(served.url, V1_TARGET) as raw:
        raw.send(TEXT, v1("phx_join", 0))
        raw.send(TEXT, v1("stream_query", 1, {"query": "olá"}))
        heard = [await raw.receive_json()]
        while heard[-1]["event"] != "stream_complete":
            heard.append(await raw.receive_json())
    assert {(frame["topic"], frame["ref"]) for frame in heard[1:]} == {(TOPIC, None)}
    assert "".join(frame["payload"].get("token", "") for frame in heard) == heard[-1]["payload"]["response"]


def unknown(event: str, ref: Any) -> Frame:
    said = {"error": "unknown_event", "message": f"There is no event {event!r} on this channel.", "event": event}
    return ["1", None, TOPIC, "error", {**said, "ref": ref}]


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        pytest.param(
            [push("", "7", "heartbeat", b"", "phoenix")], [reply(None, "7", ok({}), "phoenix")], id="v56-heartbeat"
        ),
        pytest.param(
            [push("1", "1", "phx_join", b"{}")], [reply("1", "1", error("join crashed"))], id="v24-binary-join"
        ),
        pytest.param(
            [JOIN, push("1", "2", "query", b"\x01\x02")], [joined("1", "1"), unknown("query", "2")], id="v57-query"
        ),
        pytest.param(
            [JOIN, push("1", "2", "stream_query", b"")],
            [joined("1", "1"), unknown("stream_query", "2")],
            id="v57-stream",
        ),
        pytest.param([JOIN, push("", "2", "ping", b"\xff")], [joined("1", "1"), pong("1")], id="v58-null-join-ref"),
        pytest.param([JOIN, push("9", "2", "ping", b"")], [joined("1", "1")], id="v30-stale-binary-push"),
        pytest.param(
            [JOIN, push("1", "", "phx_leave", b"")],
            [joined("1", "1"), reply("1", None, ok({})), closed("1")],
            id="v38-binary-leave",
        ),
        pytest.param(
            [JOIN, broadcast("1", "2", "nope", b"{}", is_json=True)],
            [joined("1", "1"), unknown("nope", "2")],
            id="v59-unknown-event",
        ),
        pytest.param(
            [JOIN, broadcast("1", "2", "query", b"raw", is_json=False)],
            [joined("1", "1"), unknown("query", "2")],
            id="v59-raw-payload",
        ),
    ],
)
async def test_binary_messages_are_answered_in_text(served: Served, said: list[bytes], heard: list[Frame]) -> None:
    fence = text(None, "fence", TOPIC, "get_history", {})
    async with RawSocket(served.url) as raw:
        for message in said:
            raw.send(TEXT if message.startswith(b"[") else BINARY, message)
        raw.send(TEXT, fence)
        got = []
        while (frame := await raw.receive_json())[3] != "history" and frame[1] != "fence":
            got.append(frame)
    assert got == heard


async def test_v58_get_history_needs_no_payload_it_can_read(served: Served) -> None:
    async with RawSocket(served.url) as raw:
        raw.send(TEXT, JOIN)
        raw.send(BINARY, push("1", "2", "get_history", b"\0"))
        assert [(await raw.receive_json())[3] for _ in range(2)] == ["phx_reply", "history"]


async def test_v59_a_broadcast_of_supabase_is_a_query(served: Served) -> None:
    async with RawSocket(served.url) as raw:
        raw.send(TEXT, JOIN)
        raw.send(BINARY, broadcast("1", "2", "query", b'{"query":"hi","type":"broadcast"}', is_json=True))
        assert (await raw.receive_json())[3] == "phx_reply"
        answer = await raw.receive_json()
    assert (answer[3], answer[4]["response"]) == ("response", "You asked: hi")


async def test_access_token_of_supabase_is_swallowed(served: Served) -> None:
    async with connected(served, TOPIC) as client:
        await client.push(TOPIC, "access_token", {"access_token": "t"})
        assert await client.fence() == []
