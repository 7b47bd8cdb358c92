"""`stop` ends an answer with its usual closing event, within one step of the model."""

import pytest

from tests.conftest import Serve, Served
from tests.fakes import FakeRunner
from tests.web.wire import TOPIC, CheckedClient, connected, mid_answer, numbers, texts

STORY = "It was a dark and stormy night, and the wind was howling in the trees. " * 3


@pytest.fixture
async def storyteller(serve: Serve) -> Served:
    return await serve(FakeRunner(reply=lambda _: STORY))


async def stop(client: CheckedClient, payload: object = None) -> None:
    """Stop, and wait until the server knows."""
    await client.push(TOPIC, "stop", payload)
    await client.push(TOPIC, "ping")
    await client.until("pong")


@pytest.mark.parametrize("named", [True, False])
async def test_stop_ends_a_stream_within_one_step(storyteller: Served, named: bool) -> None:
    async with connected(storyteller, TOPIC) as client:
        stream_id = await mid_answer(storyteller, client)
        await stop(client, {"stream_id": stream_id} if named else {})
        storyteller.runner.step()
        complete = (await client.until("stream_complete"))[-1][4]
        assert await client.fence() == []
        frames = [frame for frame in client.heard if frame[4].get("stream_id") == stream_id]
        question, answer = (await client.history())["messages"]
    assert complete["metadata"]["finish_reason"] == "cancelled"
    assert texts(frames) == complete["response"] == answer["content"]
    assert STORY.startswith(complete["response"])
    assert 0 < len(complete["response"]) < len(STORY)
    assert numbers(frames) == [*range(1, len(frames) + 1)]
    assert (question["status"], answer["status"]) == ("complete", "cancelled")
    assert answer["metadata"]["finish_reason"] == "cancelled"
    assert answer["metadata"]["tokens"]["completion"] >= len(complete["response"])


async def test_stop_ends_a_query_with_its_response(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as client:
        storyteller.runner.hold()
        await client.push(TOPIC, "query", {"query": "a story"})
        await stop(client)
        storyteller.runner.step()
        response = await client.expect("response")
    assert response["metadata"]["finish_reason"] == "cancelled"
    assert STORY.startswith(response["response"])


async def test_stop_works_while_the_prompt_is_still_read(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as client:
        storyteller.runner.hold()
        await client.push(TOPIC, "stream_query", {"query": "a very long question " * 100})
        await client.expect("stream_start")
        await stop(client)
        storyteller.runner.step()
        complete = (await client.until("stream_complete"))[-1][4]
    assert (complete["response"], complete["metadata"]["finish_reason"]) == ("", "cancelled")


async def test_stop_from_another_device_ends_the_answer(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as client, connected(storyteller, TOPIC) as other:
        await mid_answer(storyteller, client)
        await stop(other)
        storyteller.runner.step()
        complete = (await client.until("stream_complete"))[-1][4]
        assert await other.fence() == []
    assert complete["metadata"]["finish_reason"] == "cancelled"


@pytest.mark.parametrize("payload", [{}, {"stream_id": "x"}, {"stream_id": None}, None, []])
async def test_stop_with_nothing_running_does_nothing(served: Served, payload: object) -> None:
    async with connected(served, TOPIC) as client:
        await client.push(TOPIC, "stop", payload)
        assert await client.fence() == []
        await client.ask("hi")
        await client.push(TOPIC, "stop", payload)
        assert await client.fence() == []


async def test_stop_of_another_answer_leaves_this_one_alone(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC, "proxy:other") as client:
        stream_id = await mid_answer(storyteller, client)
        await stop(client, {"stream_id": "x"})
        await client.push("proxy:other", "stop", {"stream_id": stream_id})
        await client.push("proxy:other", "stop")
        await client.push("proxy:other", "ping")
        await client.until("pong")
        storyteller.runner.release()
        complete = (await client.until("stream_complete"))[-1][4]
    assert (complete["response"], complete["metadata"]["finish_reason"]) == (STORY, "stop")


async def test_stop_with_a_wrong_id_type_is_refused(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as client:
        await mid_answer(storyteller, client)
        ref = await client.push(TOPIC, "stop", {"stream_id": 7})
        said = (await client.until("error"))[-1][4]
        storyteller.runner.release()
        complete = (await client.until("stream_complete"))[-1][4]
    assert (said["error"], said["ref"], "stream_id" in said["message"]) == ("invalid_params", ref, True)
    assert complete["metadata"]["finish_reason"] == "stop"


async def test_stopping_twice_is_stopping_once(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as client:
        await mid_answer(storyteller, client)
        await stop(client)
        await stop(client)
        storyteller.runner.release()
        await client.until("stream_complete")
        assert await client.fence() == []


async def test_a_stopped_answer_frees_its_slot(serve: Serve) -> None:
    served = await serve(FakeRunner(slots=1, reply=lambda _: STORY))
    async with connected(served, TOPIC, "proxy:other") as client:
        await mid_answer(served, client)
        await client.push("proxy:other", "query", {"query": "and I?"})
        await stop(client)
        served.runner.release()
        assert (await client.until("response"))[-1][2] == "proxy:other"
