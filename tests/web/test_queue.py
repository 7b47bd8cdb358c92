"""Questions behind a running answer: they wait, hear their places, and are refused when there are too many."""

import pytest

from tests.conftest import Serve, Served
from tests.fakes import FakeRunner
from tests.phoenix_client import Frame
from tests.web.wire import TOPIC, CheckedClient, connected, events, mid_answer, numbers

STORY = "It was a dark and stormy night, and the wind was howling in the trees. " * 3
MOST = 8


@pytest.fixture
async def storyteller(serve: Serve) -> Served:
    return await serve(FakeRunner(reply=lambda _: STORY))


async def fill(served: Served, client: CheckedClient, amount: int) -> list[str]:
    """Ask for a stream, hold it, and put so many questions behind it; the refs of those."""
    await mid_answer(served, client)
    refs = [await client.push(TOPIC, "stream_query", {"query": str(number)}) for number in range(amount)]
    for _ in refs:
        await client.until("queued")
    return refs


async def until_answered(client: CheckedClient, amount: int) -> list[Frame]:
    frames: list[Frame] = []
    while sum(frame[3] in ("stream_complete", "response") for frame in frames) < amount:
        frames.append(await client.receive())
    return frames


def of(ref: str, frames: list[Frame]) -> list[Frame]:
    return [frame for frame in frames if frame[4].get("ref") == ref]


def places(frames: list[Frame]) -> list[int]:
    return [frame[4]["place"] for frame in frames if frame[3] == "queued"]


async def test_questions_are_answered_in_turn_and_hear_every_place_once(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as client:
        refs = await fill(storyteller, client, MOST)
        storyteller.runner.release()
        await until_answered(client, MOST + 1)
        assert await client.fence() == []
        messages = (await client.history())["messages"]
    for place, ref in enumerate(refs, 1):
        frames = of(ref, client.heard)
        assert places(frames) == [*range(place, 0, -1)]
        assert events(frames) == ["queued", "stream_start", "stream_token", "stream_complete"]
        assert numbers(frames) == [*range(1, len(frames) + 1)]
    answered = [frame[4]["ref"] for frame in client.heard if frame[3] == "stream_complete"]
    assert answered[1:] == refs
    assert [message["content"] for message in messages[2::2]] == [str(number) for number in range(MOST)]
    assert {message["status"] for message in messages} == {"complete"}


@pytest.mark.parametrize(("asked", "refused"), [("query", "error"), ("stream_query", "stream_error")])
async def test_one_more_than_may_wait_is_refused_with_when_to_try_again(
    storyteller: Served, asked: str, refused: str
) -> None:
    async with connected(storyteller, TOPIC) as client:
        await fill(storyteller, client, MOST)
        ref = await client.push(TOPIC, asked, {"query": "too many"})
        said = (await client.until(refused))[-1][4]
        storyteller.runner.release()
        await until_answered(client, MOST + 1)
        total = (await client.history())["total_messages"]
    assert (said.get("code", said["error"]), said["ref"], "8" in said["message"]) == ("server_busy", ref, True)
    assert type(said["retry_after_ms"]) is int
    assert said["retry_after_ms"] > 0
    assert total == 2 * (MOST + 1)


async def test_how_many_may_wait_is_configured_and_counts_by_conversation(serve: Serve) -> None:
    served = await serve(FakeRunner(reply=lambda _: STORY), limits={"waiting_per_conversation": 1})
    async with connected(served, TOPIC, "proxy:other") as client:
        await fill(served, client, 1)
        await client.push(TOPIC, "query", {"query": "too many"})
        await client.until("error")
        await client.push("proxy:other", "query", {"query": "mine"})
        served.runner.release()
        assert {frame[2] for frame in await until_answered(client, 3)} == {TOPIC, "proxy:other"}


@pytest.mark.parametrize(("asked", "refused"), [("query", "error"), ("stream_query", "stream_error")])
async def test_a_full_engine_is_busy_too(serve: Serve, asked: str, refused: str) -> None:
    served = await serve(FakeRunner(slots=1, reply=lambda _: STORY), limits={"waiting_questions": 1})
    async with connected(served, TOPIC, "proxy:waiting", "proxy:late") as client:
        await mid_answer(served, client)
        await client.push("proxy:waiting", "stream_query", {"query": "a story"})
        await client.until("stream_start")
        ref = await client.push("proxy:late", asked, {"query": "a story"})
        said = (await client.until(refused))[-1][4]
        served.runner.release()
        await until_answered(client, 2)
        total = (await client.history(topic="proxy:late"))["total_messages"]
        await client.ask("and now?", "proxy:late")
    assert (said.get("code", said["error"]), said["ref"], said["seq"], total) == ("server_busy", ref, 1, 0)
    assert said["retry_after_ms"] > 0


async def test_a_stopped_waiting_question_ends_at_once_and_those_behind_move_up(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as client:
        refs = await fill(storyteller, client, 3)
        second = of(refs[1], client.heard)[0][4]["stream_id"]
        await client.push(TOPIC, "stop", {"stream_id": second})
        complete = (await client.until("stream_complete"))[-1][4]
        assert (complete["stream_id"], complete["response"]) == (second, "")
        assert complete["metadata"]["finish_reason"] == "cancelled"
        storyteller.runner.release()
        await until_answered(client, 3)
        messages = (await client.history())["messages"]
    assert [places(of(ref, client.heard)) for ref in refs] == [[1], [2], [3, 2, 1]]
    assert [message["content"] for message in messages[::2]] == ["a story", "0", "2"]


async def test_stop_without_a_name_ends_the_running_answer_and_the_next_has_its_turn(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as client:
        (ref,) = await fill(storyteller, client, 1)
        await client.push(TOPIC, "stop")
        await client.push(TOPIC, "ping")
        await client.until("pong")
        storyteller.runner.release()
        first, second = [frame[4] for frame in await until_answered(client, 2) if frame[3] == "stream_complete"]
    assert first["metadata"]["finish_reason"] == "cancelled"
    assert (second["ref"], second["metadata"]["finish_reason"]) == (ref, "stop")


async def test_a_failed_answer_lets_the_next_have_its_turn(storyteller: Served) -> None:
    storyteller.runner.fails = lambda share: (
        b"a story" in bytes(min(token, 255) for token in share.sequence.tokens[-60:])
    )
    async with connected(storyteller, TOPIC) as client:
        storyteller.runner.hold()
        await client.push(TOPIC, "stream_query", {"query": "a story"})
        ref = await client.push(TOPIC, "query", {"query": "and then?"})
        await client.until("queued")
        storyteller.runner.release()
        await client.until("stream_error")
        response = (await client.until("response"))[-1][4]
    assert (response["ref"], response["response"]) == (ref, STORY)


async def test_questions_of_two_devices_wait_in_one_line(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as one, connected(storyteller, TOPIC) as two:
        await mid_answer(storyteller, one)
        await two.push(TOPIC, "query", {"query": "mine"})
        assert (await two.expect("queued"))["place"] == 1
        storyteller.runner.release()
        assert (await two.expect("response"))["response"] == STORY
        await one.until("stream_complete")
        assert await one.fence() == []
