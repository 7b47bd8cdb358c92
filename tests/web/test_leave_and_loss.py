"""Leaving a channel ends what it asked. Losing the connection does not, unless nobody comes back."""

import pytest

from tests.conftest import Serve, Served
from tests.fakes import FakeRunner
from tests.web.wire import TOPIC, connected, mid_answer, until_under_way

STORY = "It was a dark and stormy night, and the wind was howling in the trees. " * 3
NOVEL = STORY * 4  # as long as an answer may be


@pytest.fixture
async def storyteller(serve: Serve) -> Served:
    return await serve(FakeRunner(reply=lambda _: STORY))


@pytest.mark.parametrize("asked", ["query", "stream_query"])
async def test_leaving_cancels_what_the_channel_asked_also_what_waits(storyteller: Served, asked: str) -> None:
    async with connected(storyteller, TOPIC) as client:
        await mid_answer(storyteller, client)
        await client.push(TOPIC, asked, {"query": "another"})
        await client.until("queued")
        await client.push(TOPIC, "phx_leave")
        await client.until("phx_close")
        await until_under_way(storyteller, 0)
        await client.join(TOPIC)
        messages = (await client.history())["messages"]
    assert [(message["content"], message["status"]) for message in messages[::2]] == [("a story", "complete")]
    assert [message["status"] for message in messages] == ["complete", "cancelled"]


async def test_leaving_leaves_alone_what_another_device_asked(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as client, connected(storyteller, TOPIC) as other:
        await mid_answer(storyteller, client)
        await other.push(TOPIC, "phx_leave")
        await other.until("phx_close")
        storyteller.runner.release()
        complete = (await client.until("stream_complete"))[-1][4]
    assert complete["metadata"]["finish_reason"] == "stop"


async def test_leaving_one_topic_leaves_the_other_alone(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC, "proxy:other") as client:
        await mid_answer(storyteller, client)
        await client.push("proxy:other", "phx_leave")
        await client.until("phx_close")
        storyteller.runner.release()
        complete = (await client.until("stream_complete"))[-1][4]
    assert complete["metadata"]["finish_reason"] == "stop"


async def test_a_leave_after_a_rejoin_cancels_the_answer_from_before(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as client:
        await mid_answer(storyteller, client)
        await client.vanish()
    async with connected(storyteller, TOPIC) as client:
        await client.push(TOPIC, "phx_leave")
        await client.until("phx_close")
        await until_under_way(storyteller, 0)
        await client.join(TOPIC)
        messages = (await client.history())["messages"]
    assert messages[-1]["status"] == "cancelled"


@pytest.mark.parametrize("asked", ["stream_query", "query"])
async def test_an_answer_nobody_comes_back_for_is_interrupted_with_its_text(serve: Serve, asked: str) -> None:
    served = await serve(FakeRunner(reply=lambda _: NOVEL), limits={"unwatched_seconds": 0.05})
    async with connected(served, TOPIC) as client:
        served.runner.hold()
        await client.push(TOPIC, asked, {"query": "a novel"})
        await client.fence()
        await client.vanish()
    await until_under_way(served, 0)
    async with connected(served, TOPIC) as client:
        question, answer = (await client.history())["messages"]
    assert (question["status"], answer["status"]) == ("complete", "interrupted")
    assert NOVEL.startswith(answer["content"])
    assert len(answer["content"]) < len(NOVEL)


@pytest.mark.parametrize("payload", [{}, {"follow": True}])
async def test_somebody_who_is_back_in_time_keeps_the_answer(serve: Serve, payload: dict[str, object]) -> None:
    runner = FakeRunner(cells=16_384, reply=lambda _: NOVEL)
    served = await serve(runner, limits={"unwatched_seconds": 0.3})
    async with connected(served, TOPIC, "proxy:clock") as client:
        runner.hold()
        for topic in client.joined:
            await client.push(topic, "stream_query", {"query": "a novel"})
            await client.until("stream_start")
        await client.vanish()
    async with connected(served) as client:
        await client.join(TOPIC, payload)
        await until_under_way(served, 1)  # so the other one has been given up
        runner.release()
        complete = (await client.until("stream_complete"))[-1][4]
    assert (complete["response"], complete["metadata"]["finish_reason"]) == (NOVEL, "stop")


async def test_a_device_that_only_waits_for_the_end_is_somebody(serve: Serve) -> None:
    """Without `follow` it hears no token, but it will hear the end."""
    runner = FakeRunner(cells=16_384, reply=lambda _: NOVEL)
    served = await serve(runner, limits={"unwatched_seconds": 0.1})
    async with connected(served, TOPIC, "proxy:clock") as asking, connected(served) as other:
        runner.hold()
        for topic in asking.joined:
            await asking.push(topic, "stream_query", {"query": "a novel"})
            await asking.until("stream_start")
        await other.join(TOPIC)
        await asking.vanish()
        await until_under_way(served, 1)
        runner.release()
        complete = await other.expect("stream_complete")
    assert complete["metadata"]["finish_reason"] == "stop"


async def test_a_subscriber_from_before_the_question_is_somebody(serve: Serve) -> None:
    """It is subscribed to the conversation; that it joined before the question makes it no stranger."""
    runner = FakeRunner(cells=16_384, reply=lambda _: NOVEL)
    served = await serve(runner, limits={"unwatched_seconds": 0.1})
    async with connected(served, TOPIC) as other, connected(served, TOPIC, "proxy:clock") as asking:
        runner.hold()
        for topic in asking.joined:
            await asking.push(topic, "stream_query", {"query": "a novel"})
            await asking.until("stream_start")
        await asking.vanish()
        await until_under_way(served, 1)
        runner.release()
        await until_under_way(served, 0)
        (_, answer) = (await other.history())["messages"]
    assert (answer["status"], answer["content"]) == ("complete", NOVEL)
