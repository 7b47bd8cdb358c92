"""Vectors 16 to 43 of phoenix-protocol.md, as tables: what is said, and all that is heard. Each row has its number."""

from typing import Any

import pytest

from tests.conftest import Served
from tests.phoenix_client import Frame
from tests.web.raw import TEXT, RawSocket, encode, text
from tests.web.wire import TOPIC, closed, connected, error, joined, ok, pong, reply

UNMATCHED = error("unmatched topic")
JOIN = ["1", "1", TOPIC, "phx_join", {"user_id": "u"}]
JOINED = joined("1", "1")
AGAIN = ["5", "5", TOPIC, "phx_join", {}]
REPLACED = [joined("5", "5"), closed("1")]
LEAVE = ["1", "2", TOPIC, "phx_leave", {}]
LEFT = [reply("1", "2", ok({})), closed("1")]


def heartbeat(join_ref: Any, ref: Any) -> Frame:
    return [join_ref, ref, "phoenix", "heartbeat", {}]


def beat(ref: Any) -> Frame:
    return reply(None, ref, ok({}), "phoenix")


def join(topic: Any, payload: Any = None) -> Frame:
    return ["1", "1", topic, "phx_join", {} if payload is None else payload]


def ping(join_ref: Any, ref: Any) -> Frame:
    return [join_ref, ref, TOPIC, "ping", {}]


VECTORS: dict[str, tuple[list[Frame], list[Frame]]] = {
    "v16-heartbeat": ([heartbeat(None, "5")], [beat("5")]),
    "v17-heartbeat-with-join-ref": ([heartbeat("9", "5")], [beat("5")]),
    "v17-heartbeat-with-odd-payload": ([[None, "5", "phoenix", "heartbeat", None]], [beat("5")]),
    "v18-join": ([JOIN], [JOINED]),
    "v19-empty-session-id": ([join("proxy:")], [reply("1", "1", error("invalid_session_id"), "proxy:")]),
    # the client's join_ref in the reply is the superset of 3.2
    "v20-no-colon": ([join("proxy")], [reply("1", "1", UNMATCHED, "proxy")]),
    "v20-other-topic": ([join("room:x")], [reply("1", "1", UNMATCHED, "room:x")]),
    "v20-case-counts": ([join("Proxy:s")], [reply("1", "1", UNMATCHED, "Proxy:s")]),
    "v20-the-socket's-own-topic": ([join("phoenix")], [reply("1", "1", UNMATCHED, "phoenix")]),
    "v21-colon": ([join("proxy:a:b")], [joined("1", "1", "a:b", "proxy:a:b")]),
    "v21-star": ([join("proxy:*")], [joined("1", "1", "*", "proxy:*")]),
    "v21-unicode": ([join("proxy:ção 😀/漢")], [joined("1", "1", "ção 😀/漢", "proxy:ção 😀/漢")]),
    "v21-supabase-prefix": ([join("realtime:proxy:s")], [joined("1", "1", "s", "realtime:proxy:s")]),
    "v22-topic-is-a-number": ([join(123)], [reply("1", "1", UNMATCHED, 123)]),
    "v22-topic-is-null": ([join(None)], [reply("1", "1", UNMATCHED, None)]),
    "v22-topic-is-an-object": ([join({"a": [1]})], [reply("1", "1", UNMATCHED, {"a": [1]})]),
    "v24-no-object": (
        [join(TOPIC, []), join(TOPIC, "x"), ["1", "1", TOPIC, "phx_join", None], JOIN],
        [*[reply("1", "1", error("join crashed"))] * 3, JOINED],
    ),
    "v27-join-again": ([JOIN, AGAIN, ping("5", "6")], [JOINED, *REPLACED, pong("5")]),
    "v29-identical-join": ([JOIN, JOIN, ping("1", "2")], [JOINED, JOINED, pong("1")]),
    "v30-stale-ping": ([JOIN, AGAIN, ping("1", "6")], [JOINED, *REPLACED]),
    "v31-stale-leave": (
        [JOIN, AGAIN, ["1", "7", TOPIC, "phx_leave", {}], ping("5", "8")],
        [JOINED, *REPLACED, pong("5")],
    ),
    "v32-null-join-ref-is-taken": ([JOIN, ping(None, "2")], [JOINED, pong("1")]),
    "v33-join-without-join-ref": (
        [[None, "4", TOPIC, "phx_join", {}], ping("4", "5"), ping(None, "6")],
        [joined(None, "4"), pong("4")],
    ),
    "v34-refs-are-type-strict": (
        [[1, 1, TOPIC, "phx_join", {}], ping("1", 3), ping(1.0, 3), ping(True, 3), ping(1, 2)],
        [joined(1, 1), pong(1)],
    ),
    "v35-true-is-not-1": ([[True, True, TOPIC, "phx_join", {}], ping(1, 2)], [joined(True, True)]),
    "v35-zero-and-empty-are-refs": (
        [[0, 0, TOPIC, "phx_join", {}], ping("", 1), ping(False, 1), ping(0, 1)],
        [joined(0, 0), pong(0)],
    ),
    "v35-any-json-is-a-ref": ([heartbeat(None, {"a": [1.5, None]})], [beat({"a": [1.5, None]})]),
    "v37-push-before-join": ([ping(None, "2"), ping("1", "3")], [reply(None, ref, UNMATCHED) for ref in ("2", "3")]),
    "v38-leave": ([JOIN, LEAVE], [JOINED, *LEFT]),
    "v38-leave-of-a-join-without-join-ref": (
        [[None, "4", TOPIC, "phx_join", {}], [None, "5", TOPIC, "phx_leave", {}]],
        [joined(None, "4"), reply("4", "5", ok({})), closed(None)],
    ),
    "v39-ping-after-leave": ([JOIN, LEAVE, ping("1", "3")], [JOINED, *LEFT, reply(None, "3", UNMATCHED)]),
    "v41-leave-of-what-was-never-joined": (
        [["8", "9", TOPIC, "phx_leave", {}]],
        [reply("8", "9", ok({}))],
    ),
    "v42-leave-twice": (
        [JOIN, LEAVE, ["1", "3", TOPIC, "phx_leave", {}]],
        [JOINED, *LEFT, reply("1", "3", ok({}))],
    ),
    "v43-leave-and-rejoin": ([JOIN, LEAVE, AGAIN, ping("5", "6")], [JOINED, *LEFT, joined("5", "5"), pong("5")]),
    "v50-unknown-event": (
        [JOIN, ["1", "2", TOPIC, "nope", {}], ping("1", "3")],
        [
            JOINED,
            [
                *("1", None, TOPIC, "error"),
                {
                    "error": "unknown_event",
                    "message": "There is no event 'nope' on this channel.",
                    "event": "nope",
                    "ref": "2",
                },
            ],
            pong("1"),
        ],
    ),
    "v52-extra-elements": ([[*JOIN, "extra"]], [JOINED]),
}


@pytest.mark.parametrize(("said", "heard"), VECTORS.values(), ids=VECTORS)
async def test_a_session_says_this_and_nothing_more(served: Served, said: list[Frame], heard: list[Frame]) -> None:
    async with connected(served) as client:
        for frame in said:
            await client.send(*frame)
        assert same_json(await client.fence(), heard)


def same_json(one: Any, other: Any) -> bool:
    """Equality that tells 1 from true and 1.0, which Python's does not."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_json, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(one[key], other[key]) for key in one)
    return one == other and (type(one) is type(other) or type(other).__name__ == "_ANY")


@pytest.mark.parametrize("session_id", ["x" * 256, "x" * 300, "a\0b"])
async def test_v23_a_session_id_that_cannot_be_kept_is_refused(served: Served, session_id: str) -> None:
    async with connected(served) as client:
        topic = f"proxy:{session_id}"
        await client.send("1", "1", topic, "phx_join", {})
        assert await client.fence(topic) == [reply("1", "1", error("failed_to_start_conversation"), topic)]


async def test_v23_the_longest_session_id_is_taken(served: Served) -> None:
    async with connected(served) as client:
        assert (await client.join(f"proxy:{'x' * 255}"))[4]["status"] == "ok"


async def test_v25_after_a_refused_join_there_is_no_channel(served: Served) -> None:
    async with connected(served) as client:
        topic = f"proxy:{'x' * 300}"
        await client.send("1", "1", topic, "phx_join", {})
        assert (await client.receive())[4]["status"] == "error"
        await client.send("1", "2", topic, "ping", {})
        assert await client.receive() == reply(None, "2", UNMATCHED, topic)


async def test_v26_a_socket_has_100_channels_and_no_more(served: Served) -> None:
    async with connected(served, *(f"proxy:{number}" for number in range(100))) as client:
        await client.send("1", "1", "proxy:100", "phx_join", {})
        assert await client.receive() == reply("1", "1", error("too many channels joined"), "proxy:100")
        for topic in client.joined:
            await client.push(topic, "ping")
        assert {(await client.receive())[2] for _ in range(100)} == client.joined.keys()
        await client.push("proxy:0", "phx_leave")
        await client.until("phx_close")
        assert (await client.join("proxy:100"))[4]["status"] == "ok"


async def test_v26_joining_again_is_no_101st_channel(served: Served) -> None:
    async with connected(served, *(f"proxy:{number}" for number in range(100))) as client:
        assert (await client.join("proxy:7"))[4]["status"] == "ok"


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        pytest.param(
            [["3", "3", TOPIC, "phx_join", {}], AGAIN], [joined("3", "3"), joined("5", "5"), closed("3")], id="v28"
        ),
        pytest.param([JOIN, LEAVE, ping("1", "3")], [JOINED, *LEFT, reply(None, "3", UNMATCHED)], id="v40"),
        pytest.param([JOIN, ping("1", "3"), LEAVE], [JOINED, *LEFT], id="v40-leave-overtakes"),
    ],
)
async def test_frames_of_one_segment_are_taken_in_order(served: Served, said: list[Frame], heard: list[Frame]) -> None:
    async with RawSocket(served.url) as raw:
        said = [*said, heartbeat(None, "last")]
        raw.writer.write(b"".join(encode(TEXT, text(*frame)) for frame in said))
        got = []
        while not got or got[-1] != beat("last"):
            got.append(await raw.receive_json())
        assert got[:-1] == heard


async def test_v36_a_ref_of_1_mib_is_echoed_intact(served: Served) -> None:
    """As long as the frame itself is no longer than the limit."""
    room = 1024 * 1024 - len(text(*heartbeat(None, "")))
    async with RawSocket(served.url) as raw:
        raw.send(TEXT, text(*heartbeat(None, "r" * room)))
        assert await raw.receive_json() == beat("r" * room)


async def test_v69_a_burst_of_pings_is_answered_in_full(served: Served) -> None:
    async with connected(served, TOPIC) as client:
        for number in range(1000):
            await client.send(None, number, TOPIC, "ping", {})
        assert await client.fence() == [pong(client.joined[TOPIC])] * 1000
