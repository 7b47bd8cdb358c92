"""Lost connections: what was missed comes after a rejoin, without gap or repeat, and nobody waits for ever."""

import random
from typing import Any
from unittest.mock import ANY

import pytest

from tests.conftest import Serve, Served
from tests.fakes import FakeRunner
from tests.phoenix_client import Frame
from tests.web.wire import TOPIC, CheckedClient, connected, mid_answer, numbers, texts

STORY = "It was a dark and stormy night, and the wind was howling in the trees. " * 5
CUTS = 30


@pytest.fixture
async def storyteller(serve: Serve) -> Served:
    return await serve(FakeRunner(reply=lambda _: STORY))


def after(stream_id: str, seq: int) -> dict[str, Any]:
    return {"resume": {"stream_id": stream_id, "seq": seq}}


async def join(client: CheckedClient, payload: dict[str, Any], topic: str = TOPIC) -> Any:
    """Join; what the reply says of resuming."""
    return (await client.join(topic, payload))[4]["response"].get("resume")


async def whole_stream(client: CheckedClient) -> list[Frame]:
    await client.push(TOPIC, "stream_query", {"query": "a story"})
    return await client.until("stream_complete")


async def test_a_stream_cut_at_30_random_points_is_the_whole_stream(storyteller: Served) -> None:
    chance = random.Random(4000)
    async with connected(storyteller, TOPIC) as client:
        stream_id = await mid_answer(storyteller, client)
        frames = client.heard[1:]
        await client.vanish()
    for cut in range(CUTS):
        async with connected(storyteller) as client:
            assert await join(client, after(stream_id, frames[-1][4]["seq"])) == "ok"
            steps = chance.randint(1, 8)  # each makes one token
            storyteller.runner.step(steps)
            frames += [await client.receive() for _ in range(chance.randint(0, steps))]
            if cut % 2:
                await client.vanish()
    async with connected(storyteller) as client:
        assert await join(client, after(stream_id, frames[-1][4]["seq"])) == "ok"
        storyteller.runner.release()
        frames += await client.until("stream_complete")
    assert numbers(frames) == [*range(1, len(frames) + 1)]
    assert {frame[4]["stream_id"] for frame in frames} == {stream_id}
    assert texts(frames) == frames[-1][4]["response"] == STORY


async def test_a_finished_stream_can_be_fetched_from_any_point(storyteller: Served) -> None:
    chance = random.Random(4000)
    async with connected(storyteller, TOPIC) as client:
        frames = await whole_stream(client)
        stream_id = frames[0][4]["stream_id"]
        for seq in [0, 1, len(frames) - 1, *chance.sample(range(len(frames)), CUTS)]:
            assert await join(client, after(stream_id, seq)) == "ok"
            await client.receive()  # the phx_close of the join before
            missed = [await client.receive() for _ in frames[seq:]]
            assert [frame[3] for frame in missed] == [frame[3] for frame in frames[seq:]]
            assert [said(frame) for frame in missed] == [said(frame) for frame in frames[seq:]]
        assert await client.fence() == []


def said(frame: Frame) -> dict[str, Any]:
    """What a frame tells, without the time at which it was told."""
    return {name: value for name, value in frame[4].items() if name != "timestamp"}


async def test_after_the_last_event_there_is_nothing_to_fetch(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as client:
        frames = await whole_stream(client)
        seq, stream_id = frames[-1][4]["seq"], frames[0][4]["stream_id"]
    async with connected(storyteller) as client:
        assert await join(client, after(stream_id, seq)) == "ok"
        assert await client.fence() == []


@pytest.mark.parametrize("topic", [TOPIC, "proxy:other"])
@pytest.mark.parametrize("point", ["unknown", "beyond", "not a point"])
async def test_what_cannot_be_resumed_is_gone(storyteller: Served, topic: str, point: str) -> None:
    async with connected(storyteller, TOPIC) as client:
        frames = await whole_stream(client)
    stream_id, seq = frames[0][4]["stream_id"], frames[-1][4]["seq"]
    wanted = {"unknown": after("x", 1), "beyond": after(stream_id, seq + 1), "not a point": {"resume": [stream_id]}}
    async with connected(storyteller) as client:
        assert await join(client, wanted[point], topic) == "gone"
        assert await client.fence(topic) == []


async def test_an_answer_of_another_conversation_is_gone(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as client, connected(storyteller) as other:
        stream_id = await mid_answer(storyteller, client)
        assert await join(other, after(stream_id, 1), "proxy:other") == "gone"
        storyteller.runner.release()
        await client.until("stream_complete")
        assert await join(other, after(stream_id, 1), "proxy:another") == "gone"
        assert await other.fence("proxy:another") == []


async def test_a_supabase_topic_is_the_same_conversation(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as client:
        frames = await whole_stream(client)
    topic = f"realtime:{TOPIC}"
    async with connected(storyteller) as client:
        assert await join(client, after(frames[0][4]["stream_id"], len(frames) - 1), topic) == "ok"
        assert (await client.receive())[2:4] == [topic, "stream_complete"]


async def test_a_finished_answer_is_kept_for_a_while_only(serve: Serve) -> None:
    served = await serve(limits={"resume_seconds": 0})
    async with connected(served, TOPIC) as client:
        stream_id = (await client.ask("hi"))["stream_id"]
        await client.ask("once more")  # by now the first is forgotten
    async with connected(served) as client:
        assert await join(client, after(stream_id, 0)) == "gone"


async def test_after_a_restart_everything_is_gone_and_the_history_has_it(serve: Serve) -> None:
    served = await serve()
    async with connected(served, TOPIC) as client:
        stream_id = (await client.ask("hi"))["stream_id"]
    await served.stop()
    async with connected(await serve()) as client:
        assert await join(client, after(stream_id, 0)) == "gone"
        assert (await client.history())["total_messages"] == 2


async def test_a_query_is_resumed_with_its_response(served: Served) -> None:
    served.runner.hold()
    async with connected(served, TOPIC) as client:
        await client.push(TOPIC, "query", {"query": "hi"})
        await client.fence()
    async with connected(served) as client:
        (stream_id,) = (await client.join(TOPIC))[4]["response"]["running"]
        assert await join(client, after(stream_id, 0)) == "ok"
        await client.expect("phx_close")
        served.runner.release()
        response = await client.expect("response")
        assert await client.fence() == []
    assert (response["response"], response["seq"], response["stream_id"]) == ("You asked: hi", 1, stream_id)


async def test_a_waiting_question_is_resumed_like_any_other(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as client:
        await mid_answer(storyteller, client)
        await client.push(TOPIC, "stream_query", {"query": "another"})
        queued = (await client.until("queued"))[-1][4]
    async with connected(storyteller) as client:
        assert await join(client, after(queued["stream_id"], queued["seq"])) == "ok"
        storyteller.runner.release()
        frames = await client.until("stream_complete")  # of the first one, which was not resumed
        frames += await client.until("stream_complete")
    mine = [frame for frame in frames if frame[4]["stream_id"] == queued["stream_id"]]
    assert numbers(mine) == [*range(queued["seq"] + 1, queued["seq"] + 1 + len(mine))]
    assert texts(mine) == STORY
    assert [frame[3] for frame in frames if frame not in mine] == ["stream_complete"]


async def test_a_failed_stream_is_resumed_with_its_error(serve: Serve) -> None:
    served = await serve(FakeRunner(reply=lambda _: STORY))
    served.runner.fails = lambda share: share.sequence.completion_tokens > 9
    async with connected(served, TOPIC) as client:
        await client.push(TOPIC, "stream_query", {"query": "a story"})
        frames = await client.until("stream_error")
    async with connected(served) as client:
        assert await join(client, after(frames[0][4]["stream_id"], 1)) == "ok"
        again = await client.until("stream_error")
    assert numbers(again) == numbers(frames)[1:]
    assert texts(again) == texts(frames) == STORY[: len(texts(frames))]


# Rejoining without a word about the past, as documented clients do


@pytest.mark.parametrize(("asked", "closing"), [("stream_query", "stream_complete"), ("query", "response")])
async def test_a_rejoin_during_an_answer_gets_exactly_its_closing_event(
    storyteller: Served, asked: str, closing: str
) -> None:
    storyteller.runner.hold()
    async with connected(storyteller, TOPIC) as client:
        await client.push(TOPIC, asked, {"query": "a story"})
        assert await client.fence() in ([], [[client.joined[TOPIC], None, TOPIC, "stream_start", ANY]])
        await client.vanish()
    async with connected(storyteller, TOPIC) as client:
        storyteller.runner.release()
        complete = await client.expect(closing)
        assert await client.fence() == []
    assert (complete["response"], complete["metadata"]["finish_reason"]) == (STORY, "stop")


async def test_gone_in_mid_answer_still_gets_the_closing_event(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as client:
        await mid_answer(storyteller, client)
    async with connected(storyteller) as client:
        assert await join(client, after("x", 1)) == "gone"
        storyteller.runner.release()
        assert (await client.expect("stream_complete"))["response"] == STORY
        assert await client.fence() == []


async def test_a_duplicate_join_in_mid_answer_cancels_nothing(storyteller: Served) -> None:
    """phoenix.js up to 1.8.15 joins twice whenever its first attempt to connect failed."""
    async with connected(storyteller, TOPIC) as client:
        await mid_answer(storyteller, client)
        await client.push(TOPIC, "ping")
        await client.until("pong")  # the tokens made so far have come
        await client.join(TOPIC)
        await client.expect("phx_close")
        storyteller.runner.release()
        complete = await client.expect("stream_complete")
        assert await client.fence() == []
    assert (complete["response"], complete["metadata"]["finish_reason"]) == (STORY, "stop")


async def test_a_question_and_a_duplicate_join_in_one_breath_lose_nothing(served: Served) -> None:
    async with connected(served, TOPIC) as client:
        await client.push(TOPIC, "query", {"query": "hi"})
        await client.join(TOPIC)
        frames = await client.until("response")
    assert [frame[3] for frame in frames] in (["phx_close", "response"], ["response"])
    assert frames[-1][4]["response"] == "You asked: hi"


async def test_a_duplicate_join_can_resume_on_the_same_socket(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as client:
        stream_id = await mid_answer(storyteller, client)
        await client.push(TOPIC, "ping")
        await client.until("pong")
        assert await join(client, after(stream_id, 2)) == "ok"
        await client.expect("phx_close")
        storyteller.runner.release()
        frames = await client.until("stream_complete")
    assert numbers(frames) == [*range(3, 3 + len(frames))]


async def test_whoever_resumed_owns_the_answer(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as client:
        stream_id = await mid_answer(storyteller, client)
    async with connected(storyteller, TOPIC) as watching, connected(storyteller) as client:
        await join(client, after(stream_id, 1))
        await client.push(TOPIC, "phx_leave")
        await client.until("phx_close")
        storyteller.runner.release()
        complete = await watching.expect("stream_complete")
    assert complete["metadata"]["finish_reason"] == "cancelled"
    assert STORY.startswith(complete["response"])
