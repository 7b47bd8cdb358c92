"""Vectors 44 to 49 and 68 of phoenix-protocol.md: those with an answer or a crash in them."""

import logging
import sqlite3
from pathlib import Path

import pytest

from tests.conftest import Serve, Served
from tests.fakes import FakeRunner
from tests.web.raw import CLOSE, TEXT, RawSocket, encode, text
from tests.web.wire import TOPIC, closed, connected, error, joined, mid_answer, ok, pong, reply

STORY = "It was a dark and stormy night. " * 9


@pytest.fixture
async def storyteller(serve: Serve) -> Served:
    return await serve(FakeRunner(reply=lambda _: STORY))


async def test_v44_after_leaving_in_a_stream_nothing_more_comes_and_the_answer_ends(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as client:
        await mid_answer(storyteller, client)
        await client.push(TOPIC, "phx_leave")
        *tokens, close = await client.until("phx_close")
        assert {frame[3] for frame in tokens} <= {"stream_token", "phx_reply"}
        assert close == closed(client.joined[TOPIC])
        storyteller.runner.release()
        assert await client.fence() == []
        # once another question of the conversation is answered, what was before it has ended
        await client.join(TOPIC)
        await client.push(TOPIC, "query", {"query": "again"})
        await client.until("response")
        await client.push(TOPIC, "get_history")
        statuses = [message["status"] for message in (await client.expect("history"))["messages"]]
    assert statuses == ["complete", "cancelled", "complete", "complete"]


def break_history(tmp_path: Path) -> None:
    """Nobody can cause a mistake of ours from outside, so the tables are taken away."""
    with sqlite3.connect(tmp_path / "data" / "neuralbridge.db") as connection:
        connection.executescript("DROP TABLE messages; DROP TABLE conversations")
    connection.close()


async def test_v45_a_crash_ends_its_own_channel_only(served: Served, tmp_path: Path) -> None:
    async with connected(served, "proxy:a", "proxy:b") as client:
        break_history(tmp_path)
        await client.push("proxy:a", "get_history")
        a, b = client.joined["proxy:a"], client.joined["proxy:b"]
        assert await client.receive() == [a, a, "proxy:a", "phx_error", {"reason": "channel_crash"}]
        await client.push("proxy:b", "ping")
        assert await client.receive() == pong(b, "proxy:b")


async def test_v46_after_a_crash_the_topic_is_free_to_join_again(served: Served, tmp_path: Path) -> None:
    async with connected(served) as client:
        break_history(tmp_path)
        for frame in (["1", "1", TOPIC, "phx_join", {}], ["1", "2", TOPIC, "get_history", {}]):
            await client.send(*frame)
        await client.until("phx_error")
        await client.send("1", "3", TOPIC, "ping", {})
        await client.send("4", "4", TOPIC, "phx_join", {})
        await client.send("4", "5", TOPIC, "ping", {})
        heard = [await client.receive() for _ in range(3)]
    assert heard == [reply(None, "3", error("unmatched topic")), joined("4", "4"), pong("4")]


async def test_v46_a_crash_with_a_full_queue_behind_it_does_not_stop_the_socket(served: Served, tmp_path: Path) -> None:
    async with connected(served, TOPIC) as client:
        break_history(tmp_path)
        for number in range(1500):
            await client.send(None, number, TOPIC, "get_history", {})
        await client.send(None, "last", "phoenix", "heartbeat", {})
        while (await client.receive())[1] != "last":
            pass


async def test_v47_events_go_to_the_socket_that_asked_and_history_to_both(served: Served) -> None:
    async with connected(served, TOPIC) as one, connected(served, TOPIC) as two:
        await one.push(TOPIC, "query", {"query": "hi"})
        await one.expect("response")
        assert await two.fence() == []
        await two.push(TOPIC, "get_history")
        history = await two.expect("history")
    assert [message["content"] for message in history["messages"]] == ["hi", "You asked: hi"]


async def test_v48_the_answer_goes_on_when_its_socket_closes(
    storyteller: Served, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(storyteller, TOPIC) as two:
        async with connected(storyteller, TOPIC) as one:
            await mid_answer(storyteller, one)
        assert await two.fence() == []
        async with connected(storyteller, TOPIC) as three:
            storyteller.runner.release()
            complete = await three.expect("stream_complete")
        await two.push(TOPIC, "ping")
        assert await two.receive() == pong(two.joined[TOPIC])
    assert (complete["response"], complete["metadata"]["finish_reason"]) == (STORY, "stop")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("asked", ["query", "stream_query"])
async def test_v48_a_question_that_came_with_the_close_is_answered(served: Served, asked: str) -> None:
    async with RawSocket(served.url) as raw:
        frames = [
            text("1", "1", TOPIC, "phx_join", {}),
            text("1", "2", TOPIC, "get_history", {}),
            text("1", "3", TOPIC, asked, {"query": "hi"}),
        ]
        raw.writer.write(b"".join(encode(TEXT, frame) for frame in frames) + encode(CLOSE, b"\x03\xe9"))
        await raw.ended()
    async with connected(served, TOPIC) as client:
        await client.push(TOPIC, "query", {"query": "and then?"})
        await client.until("response")
        await client.push(TOPIC, "get_history")
        history = await client.expect("history")
    assert [message["content"] for message in history["messages"]][:2] == ["hi", "You asked: hi"]


async def test_v49_a_heartbeat_is_answered_while_the_model_is_busy(served: Served) -> None:
    served.runner.hold()
    async with connected(served, TOPIC) as client:
        await client.push(TOPIC, "query", {"query": "hi"})
        await client.send(None, "beat", "phoenix", "heartbeat", {})
        assert await client.receive() == reply(None, "beat", ok({}), "phoenix")
        served.runner.release()
        assert (await client.expect("response"))["response"] == "You asked: hi"
        assert await client.fence() == []


@pytest.mark.parametrize("payload", [{"query": ""}, {"query": 7}, {}])
@pytest.mark.parametrize(("asked", "refused"), [("query", "error"), ("stream_query", "stream_error")])
async def test_v68_a_question_without_text_is_refused_and_the_channel_lives(
    served: Served, asked: str, refused: str, payload: dict[str, object]
) -> None:
    async with connected(served, TOPIC) as client:
        ref = await client.push(TOPIC, asked, payload)
        said = await client.expect(refused)
        assert (said.get("code", said["error"]), said["ref"], said["reason"]) == (
            "invalid_query",
            ref,
            ":invalid_query",
        )
        await client.push(TOPIC, "ping")
        assert await client.receive() == pong(client.joined[TOPIC])
