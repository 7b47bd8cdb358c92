"""A channel joined with {"follow": true} hears what other devices of its conversation ask and get."""

from typing import Any
from unittest.mock import ANY

import pytest

from tests.conftest import Serve, Served
from tests.fakes import FakeRunner
from tests.phoenix_client import Frame
from tests.web.wire import TOPIC, CheckedClient, connected, events, mid_answer, numbers, texts

STORY = "It was a dark and stormy night, and the wind was howling in the trees. " * 3
FOLLOW = {"follow": True}


@pytest.fixture
async def storyteller(serve: Serve) -> Served:
    return await serve(FakeRunner(reply=lambda _: STORY))


def bare(frames: list[Frame]) -> list[tuple[str, Any]]:
    """Events and payloads, without what differs between channels or replays."""
    return [(frame[3], {**frame[4], "timestamp": None}) for frame in frames]


async def follower(client: CheckedClient, payload: dict[str, Any] | None = None) -> CheckedClient:
    assert (await client.join(TOPIC, payload or FOLLOW))[4]["status"] == "ok"
    return client


async def test_a_follower_hears_a_stream_of_another_device_with_its_question(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as asking, connected(storyteller) as other:
        await follower(other)
        await asking.push(TOPIC, "stream_query", {"query": "a story"})
        told = await asking.until("stream_complete")
        question, *heard = await other.until("stream_complete")
        assert {frame[0] for frame in other.heard} == {other.joined[TOPIC]}
        assert await other.fence() == await asking.fence() == []
    assert (question[3], question[4]["query"]) == ("question", "a story")
    assert question[4]["stream_id"] == told[0][4]["stream_id"]
    assert bare(heard) == bare(told)


async def test_a_follower_hears_a_query_as_question_and_response(served: Served) -> None:
    async with connected(served, TOPIC) as asking, connected(served) as other:
        await follower(other)
        response = await asking.ask("hi")
        assert (await other.expect("question"))["query"] == "hi"
        assert {**await other.expect("response"), "timestamp": ANY} == {**response, "timestamp": ANY}
        assert await other.fence() == []


async def test_a_follower_that_comes_in_mid_answer_hears_it_from_its_beginning(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as asking, connected(storyteller) as other:
        await mid_answer(storyteller, asking)
        await follower(other)
        storyteller.runner.release()
        question, *heard = await other.until("stream_complete")
        await asking.until("stream_complete")
    assert question[4]["query"] == "a story"
    assert numbers(heard) == [*range(1, len(heard) + 1)]
    assert bare(heard) == bare(asking.heard[1:])


async def test_a_follower_hears_the_waiting_questions_too(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as asking, connected(storyteller) as other:
        await mid_answer(storyteller, asking)
        await asking.push(TOPIC, "stream_query", {"query": "another"})
        await asking.until("queued")
        await follower(other)
        storyteller.runner.release()
        heard = [*await other.until("stream_complete"), *await other.until("stream_complete")]
    first, second = [frame[4]["stream_id"] for frame in heard if frame[3] == "question"]
    assert events([frame for frame in heard if frame[4]["stream_id"] == second]) == [
        "question",
        "queued",
        "stream_start",
        "stream_token",
        "stream_complete",
    ]
    assert texts([frame for frame in heard if frame[4]["stream_id"] == first]) == STORY


async def test_a_follower_that_resumes_hears_nothing_twice(storyteller: Served) -> None:
    async with connected(storyteller) as client:
        await follower(client)
        stream_id = await mid_answer(storyteller, client)
        frames = client.heard[1:]
        await client.vanish()
    async with connected(storyteller) as client:
        await follower(client, {**FOLLOW, "resume": {"stream_id": stream_id, "seq": frames[-1][4]["seq"]}})
        storyteller.runner.release()
        frames += await client.until("stream_complete")
        assert await client.fence() == []
    assert numbers(frames) == [*range(1, len(frames) + 1)]
    assert texts(frames) == STORY


async def test_a_follower_does_not_hear_its_own_question_again(served: Served) -> None:
    async with connected(served) as client:
        await follower(client)
        await client.push(TOPIC, "stream_query", {"query": "hi"})
        frames = await client.until("stream_complete")
        assert await client.fence() == []
    assert events(frames) == ["stream_start", "stream_token", "stream_complete"]
    assert numbers(frames) == [*range(1, len(frames) + 1)]


@pytest.mark.parametrize("payload", [{}, {"follow": False}, {"follow": None}, {"follow": "true"}, {"follow": 1}])
async def test_only_true_is_follow(served: Served, payload: dict[str, Any]) -> None:
    async with connected(served, TOPIC) as asking, connected(served) as other:
        await follower(other, payload or {"user_id": "u"})
        await asking.ask("hi")
        assert await other.fence() == []


async def test_a_follower_hears_nothing_of_other_conversations(served: Served) -> None:
    async with connected(served, "proxy:other") as asking, connected(served) as other:
        await follower(other)
        await asking.ask("hi", "proxy:other")
        assert await other.fence() == []


@pytest.mark.parametrize("end", ["leave", "vanish", "close"])
async def test_a_follower_that_goes_does_not_end_what_others_asked(storyteller: Served, end: str) -> None:
    async with connected(storyteller, TOPIC) as asking:
        await mid_answer(storyteller, asking)
        async with connected(storyteller) as other:
            await follower(other)
            if end == "leave":
                await other.push(TOPIC, "phx_leave")
                await other.until("phx_close")
            elif end == "vanish":
                await other.vanish()
        storyteller.runner.release()
        complete = (await asking.until("stream_complete"))[-1][4]
    assert (complete["response"], complete["metadata"]["finish_reason"]) == (STORY, "stop")


async def test_a_follower_learns_that_the_asker_left(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as asking, connected(storyteller) as other:
        await follower(other)
        await mid_answer(storyteller, asking)
        await asking.push(TOPIC, "phx_leave")
        await asking.until("phx_close")
        storyteller.runner.release()
        complete = (await other.until("stream_complete"))[-1][4]
    assert complete["metadata"]["finish_reason"] == "cancelled"
    assert complete["response"] == texts(other.heard)


async def test_a_follower_learns_of_a_failure(storyteller: Served) -> None:
    storyteller.runner.fails = lambda share: share.sequence.completion_tokens > 9
    async with connected(storyteller, TOPIC) as asking, connected(storyteller) as other:
        await follower(other)
        await asking.push(TOPIC, "stream_query", {"query": "a story"})
        told = await asking.until("stream_error")
        _, *heard = await other.until("stream_error")
    assert bare(heard) == bare(told)


async def test_many_followers_hear_the_same(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as asking, connected(storyteller) as one, connected(storyteller) as two:
        await follower(one)
        await follower(two)
        await asking.push(TOPIC, "stream_query", {"query": "a story"})
        assert bare(await one.until("stream_complete")) == bare(await two.until("stream_complete"))
