"""What somebody who waits for an answer is told: how far the question is read, and what the model thinks aloud."""

import math
from typing import Any

import pytest

from tests.conftest import Serve, Served
from tests.fakes import FakeRunner
from tests.phoenix_client import Frame
from tests.web.test_v1 import CHAT, HELLO, events, post
from tests.web.wire import TOPIC, CheckedClient, connected, numbers, texts

LONG = "x" * 1_400  # three steps of the fake
AT_ONCE = 508  # tokens of a step
THOUGHTS = "\nHm. Is it five?\n"
THINKING = f"<think>{THOUGHTS}</think>\n\nIt is six."


async def streamed(client: CheckedClient, query: str, **more: Any) -> list[Frame]:
    """The events of a question, to the end of its last answer."""
    await client.push(TOPIC, "stream_query", {"query": query, **more})
    frames = await client.until("stream_complete", "stream_error")
    while "superseded_by" in frames[-1][4]["metadata"]:
        frames += await client.until("stream_complete", "stream_error")
    return frames


def told(frames: list[Frame], event: str) -> list[dict[str, Any]]:
    return [frame[4] for frame in frames if frame[3] == event]


def thoughts(frames: list[Frame]) -> str:
    return "".join(payload["token"] for payload in told(frames, "stream_thought"))


def same(frames: list[Frame]) -> list[tuple[Any, ...]]:
    """What of them is the same when they are told again."""
    return [(frame[3], frame[4]["seq"], frame[4].get("token"), frame[4].get("response")) for frame in frames]


# How far it is read


async def test_a_long_question_tells_how_far_it_is_read_before_the_first_token(served: Served) -> None:
    async with connected(served, TOPIC) as client:
        frames = await streamed(client, LONG)
    names = [frame[3] for frame in frames]
    progress = told(frames, "progress")
    total = frames[-1][4]["metadata"]["tokens"]["prompt"]
    assert names[: len(progress) + 2] == ["stream_start", *["progress"] * len(progress), "stream_token"]
    assert "progress" not in names[len(progress) + 1 :]
    assert [(each["read"], each["total"]) for each in progress] == [(AT_ONCE, total), (2 * AT_ONCE, total)]


async def test_progress_names_its_question_and_is_not_numbered(served: Served) -> None:
    async with connected(served, TOPIC) as client:
        frames = await streamed(client, LONG)
    start = frames[0][4]
    for progress in told(frames, "progress"):
        assert progress.keys() == {"stream_id", "ref", "read", "total"}
        assert (progress["stream_id"], progress["ref"]) == (start["stream_id"], start["ref"])
    counted = [frame for frame in frames if frame[3] != "progress"]
    assert numbers(counted) == [*range(1, len(counted) + 1)]


async def test_what_is_computed_already_counts_as_read(served: Served) -> None:
    async with connected(served, TOPIC) as client:
        await streamed(client, LONG, max_tokens=8)
        again = await streamed(client, "y" * 1_000, max_tokens=8)
    cached = again[-1][4]["metadata"]["tokens"]["cached"]
    assert cached >= len(LONG)
    assert told(again, "progress")[0]["read"] == cached + AT_ONCE


@pytest.mark.parametrize(("asked", "ended"), [("stream_query", "stream_complete"), ("query", "response")])
async def test_a_short_question_tells_nothing_of_it(served: Served, asked: str, ended: str) -> None:
    async with connected(served, TOPIC) as client:
        await client.push(TOPIC, asked, {"query": "hi"})
        assert told(await client.until(ended), "progress") == []


async def test_a_long_question_without_a_stream_gets_its_one_response(served: Served) -> None:
    async with connected(served, TOPIC) as client:
        assert (await client.ask(LONG))["seq"] == 1


async def test_followers_hear_how_far_it_is_read(served: Served) -> None:
    async with connected(served, TOPIC) as client, connected(served) as follower:
        await follower.join(TOPIC, {"follow": True})
        asked = await streamed(client, LONG)
        heard = await follower.until("stream_complete")
    assert told(heard, "progress") == told(asked, "progress")


async def test_progress_is_not_told_again_to_whoever_resumes(served: Served) -> None:
    async with connected(served, TOPIC) as client:
        frames = await streamed(client, LONG)
    async with connected(served) as client:
        await client.join(TOPIC, {"resume": {"stream_id": frames[0][4]["stream_id"], "seq": 0}})
        again = await client.until("stream_complete")
    assert same(again) == same([frame for frame in frames if frame[3] != "progress"])


async def test_clients_of_openai_hear_nothing_of_it(served: Served) -> None:
    parts = await events(served, CHAT, {"messages": [{"role": "user", "content": LONG}], "max_tokens": 3})
    deltas = [choice["delta"] for part in parts[:-1] for choice in part["choices"]]
    assert [delta["content"] for delta in deltas if "content" in delta][1:] == ["Y", "o", "u"]


# What it thinks


@pytest.fixture
async def thinker(serve: Serve) -> Served:
    return await serve(runner=FakeRunner(reply=lambda _: THINKING))


async def test_thoughts_come_apart_before_the_answer_and_are_numbered_with_it(thinker: Served) -> None:
    async with connected(thinker, TOPIC) as client:
        frames = await streamed(client, "how many?")
    names = [frame[3] for frame in frames]
    assert (thoughts(frames), texts(frames), frames[-1][4]["response"]) == (THOUGHTS, "It is six.", "It is six.")
    assert names.index("stream_token") > max(at for at, name in enumerate(names) if name == "stream_thought")
    assert numbers(frames) == [*range(1, len(frames) + 1)]


async def test_thoughts_stand_in_the_closing_event_and_in_the_history(thinker: Served) -> None:
    async with connected(thinker, TOPIC) as client:
        metadata = (await streamed(client, "how many?"))[-1][4]["metadata"]
        (_, answer) = (await client.history())["messages"]
    assert metadata["thoughts"] == answer["metadata"]["thoughts"] == THOUGHTS
    assert answer["content"] == "It is six."


async def test_an_answer_without_thoughts_says_so(served: Served) -> None:
    async with connected(served, TOPIC) as client:
        frames = await streamed(client, "hi")
        (_, answer) = (await client.history())["messages"]
    assert (thoughts(frames), frames[-1][4]["metadata"]["thoughts"], answer["metadata"]["thoughts"]) == ("", "", "")


async def test_a_query_gets_the_thoughts_in_its_one_response(thinker: Served) -> None:
    async with connected(thinker, TOPIC) as client:
        response = await client.ask("how many?")
    assert (response["response"], response["metadata"]["thoughts"]) == ("It is six.", THOUGHTS)


async def test_thoughts_are_told_again_to_whoever_resumes(thinker: Served) -> None:
    async with connected(thinker, TOPIC) as client:
        frames = await streamed(client, "how many?")
    async with connected(thinker) as client:
        await client.join(TOPIC, {"resume": {"stream_id": frames[0][4]["stream_id"], "seq": 3}})
        again = await client.until("stream_complete")
    assert same(again) == same(frames[3:])


async def test_later_questions_do_not_see_what_was_thought(thinker: Served) -> None:
    read = []
    for topic, reply in (("proxy:thinking", THINKING), ("proxy:not", "It is six.")):
        thinker.runner.reply = lambda _, reply=reply: reply  # type: ignore[misc]
        async with connected(thinker, topic) as client:
            await client.ask("how many?", topic)
            read.append((await client.ask("sure?", topic))["metadata"]["tokens"]["prompt"])
    assert read[0] == read[1]


async def test_an_answer_that_is_stopped_while_it_thinks_keeps_its_thoughts(serve: Serve) -> None:
    served = await serve(runner=FakeRunner(reply=lambda _: f"<think>{'Hm. ' * 500}"))
    async with connected(served, TOPIC) as client:
        served.runner.hold()
        await client.push(TOPIC, "stream_query", {"query": "how many?"})
        served.runner.step(40)
        before = await client.until("stream_thought")
        await client.push(TOPIC, "stop", {})
        served.runner.release()
        frames = before + await client.until("stream_complete")
        (_, answer) = (await client.history())["messages"]
    assert frames[-1][4]["metadata"]["finish_reason"] == "cancelled"
    assert thoughts(frames) == answer["metadata"]["thoughts"] != ""


async def test_an_answer_that_fails_while_it_thinks_keeps_its_thoughts(serve: Serve) -> None:
    runner = FakeRunner(reply=lambda _: THINKING)
    runner.fails = lambda share: share.sequence.completion_tokens > 12
    served = await serve(runner=runner)
    async with connected(served, TOPIC) as client:
        await client.push(TOPIC, "stream_query", {"query": "how many?"})
        frames = await client.until("stream_error")
        (_, answer) = (await client.history())["messages"]
    assert thoughts(frames) == answer["metadata"]["thoughts"] != ""


async def test_an_answer_from_before_has_the_thoughts_it_was_made_with(serve: Serve, tmp_path: Any) -> None:
    model = tmp_path / "small.gguf"
    model.write_text("small")  # models are told apart by their digests
    served = await serve(
        runner=FakeRunner(reply=lambda _: THINKING), models={"small": {"path": str(model)}}, cache={"enabled": True}
    )
    async with connected(served, TOPIC, "proxy:other") as client:
        await streamed(client, "how many?")
        await client.push("proxy:other", "stream_query", {"query": "how many?"})
        frames = await client.until("stream_complete")
    metadata = frames[-1][4]["metadata"]
    assert (metadata["source"], metadata["thoughts"], thoughts(frames)) == ("cache", THOUGHTS, THOUGHTS)


async def test_a_second_opinion_brings_its_own_thoughts_in_its_own_stream(serve: Serve) -> None:
    small = FakeRunner(reply=lambda _: "<think>No idea.</think>Five moons.")
    small.logprob = math.log(0.2)
    served = await serve(
        runner=small,
        others={"large": FakeRunner(reply=lambda _: THINKING)},
        models={"small": {"path": "models/small.gguf"}, "large": {"path": "models/large.gguf"}},
        cascade={"small": {"to": "large", "below": 0.99}},
    )
    async with connected(served, TOPIC) as client:
        frames = await streamed(client, LONG)
        (_, answer) = (await client.history())["messages"]
    ends = told(frames, "stream_complete")
    for end in ends:
        of = [frame for frame in frames if frame[4]["stream_id"] == end["stream_id"]]
        assert (thoughts(of), texts(of)) == (end["metadata"]["thoughts"], end["response"])
    assert [end["metadata"]["thoughts"] for end in ends] == ["No idea.", THOUGHTS]
    assert answer["metadata"]["thoughts"] == THOUGHTS
    assert {payload["stream_id"] for payload in told(frames, "progress")} == {ends[0]["stream_id"]}


@pytest.mark.parametrize("stream", [False, True])
async def test_clients_of_openai_get_the_thoughts_of_a_conversation_of_ours(thinker: Served, stream: bool) -> None:
    session = {"x-neuralbridge-session": "s"}
    if stream:
        parts = await events(thinker, CHAT, {"messages": HELLO}, **session)
        deltas = [choice["delta"] for part in parts[:-1] for choice in part["choices"]]
        thought = "".join(delta.get("reasoning_content", "") for delta in deltas)
    else:
        _, told_whole = await post(thinker, CHAT, {"messages": HELLO}, **session)
        thought = told_whole["choices"][0]["message"]["reasoning_content"]
    assert thought == THOUGHTS
