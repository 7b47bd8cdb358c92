"""A question over the channel: what is heard of it, of what others ask meanwhile, and of a server that goes."""

import asyncio
from contextlib import aclosing

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralbridge.commands import talk
from neuralbridge.commands.talk import Asked, Ended, Heard, Queued, Said, Started, ask, heard_in, is_ours
from neuralbridge.errors import AnswerFailed, InvalidQuery, ServerUnusable
from neuralbridge.protocol.frames import Frame
from tests.commands.command import until_answers
from tests.commands.test_ask import weak_then_better
from tests.conftest import Serve, Served

WHY = Asked("trip", "why?")


async def heard_of(served: Served, asked: Asked = WHY) -> list[Heard]:
    async with aiohttp.ClientSession(served.url) as session:
        return [heard async for heard in ask(session, asked)]


async def test_an_answer_begins_grows_and_ends(served: Served) -> None:
    first, *pieces, last = await heard_of(served)
    assert first == Started()
    assert "".join(piece.text for piece in pieces if isinstance(piece, Said)) == "You asked: why?"
    assert {type(piece) for piece in pieces} == {Said}
    assert isinstance(last, Ended)
    assert (last.text, last.superseded, last.metadata.model_used) == ("You asked: why?", False, "small")
    assert last.told["message_id"] == last.metadata.message_id


async def test_an_answer_that_gives_way_ends_and_another_begins(serve: Serve) -> None:
    heard = await heard_of(await weak_then_better(serve))
    told = [each for each in heard if not isinstance(each, Said)]
    assert [type(each) for each in told] == [Started, Ended, Started, Ended]
    ends = [each for each in told if isinstance(each, Ended)]
    assert [(each.text, each.superseded) for each in ends] == [("Nine moons.", True), ("Twenty seven.", False)]


async def test_another_devices_answer_is_not_taken_for_ours(served: Served) -> None:
    served.runner.hold()
    async with served.client() as other:
        await other.join("proxy:trip")
        await other.push("proxy:trip", "stream_query", {"query": "theirs"})
        await other.expect("stream_start")
        listening = asyncio.create_task(heard_of(served))
        await until_answers(served, 2)
        served.runner.release()
        heard = await listening
    assert heard[0] == Queued(1)
    assert [each.text for each in heard if isinstance(each, Ended)] == ["You asked: why?"]


@pytest.mark.parametrize("said", [False, True])
async def test_closed_before_its_end_it_stops_the_answer_and_no_other(served: Served, said: bool) -> None:
    served.runner.hold()
    async with aiohttp.ClientSession(served.url) as session, served.client() as other:
        await other.join("proxy:other")
        await other.push("proxy:other", "stream_query", {"query": "theirs"})
        async with aclosing(ask(session, WHY)) as events:
            assert await anext(events) == Started()
            if said:
                served.runner.step(12)
                assert isinstance(await anext(events), Said)
        served.runner.release()
        (*_, end) = await other.until("stream_complete")
    assert end[4]["metadata"]["finish_reason"] == "stop"
    async with served.client() as client:
        await client.join("proxy:trip")
        await client.push("proxy:trip", "get_history", {})
        statuses = [message["status"] for message in (await client.expect("history"))["messages"]]
    assert statuses == ["complete", "cancelled"]


async def test_a_waiting_question_that_is_given_up_is_not_answered(served: Served) -> None:
    served.runner.hold()
    async with aiohttp.ClientSession(served.url) as session, served.client() as other:
        await other.join("proxy:trip")
        await other.push("proxy:trip", "stream_query", {"query": "theirs"})
        await other.expect("stream_start")
        async with aclosing(ask(session, WHY)) as events:
            assert await anext(events) == Queued(1)
        await until_answers(served, 1)
        served.runner.release()
        await other.until("stream_complete")
        await other.push("proxy:trip", "get_history", {})
        said = [message["content"] for message in (await other.expect("history"))["messages"]]
    assert said[:2] == ["theirs", "You asked: theirs"]
    assert "You asked: why?" not in said


async def test_a_sign_of_life_is_given_while_an_answer_takes_its_time(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(talk, "HEARTBEAT_SECONDS", 0.1)
    served = await serve(server={"idle_seconds": 0.5})
    served.runner.hold()
    listening = asyncio.create_task(heard_of(served))
    await until_answers(served, 1)
    await asyncio.sleep(1.5)  # three times what ends a silent socket
    served.runner.release()
    assert isinstance((await listening)[-1], Ended)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Asked("trip", "x" * 32_001), "32,000"),
        (Asked("trip", " "), "query"),
        (Asked("x" * 256, "why?"), "refuses the conversation"),
        (Asked("a\0b", "why?"), "refuses the conversation"),
        (Asked("trip", "why?", retrieval="strict"), "document"),
    ],
)
async def test_what_the_server_refuses_is_said_in_its_words(serve: Serve, asked: Asked, said: str) -> None:
    served = await serve(documents={"enabled": False})
    with pytest.raises(AnswerFailed, match=said):
        await heard_of(served, asked)


@pytest.mark.parametrize("asked", [Asked("a\udcff", "b"), Asked("a", "\udcff"), Asked("a", "b", model="\udcff")])
async def test_half_a_surrogate_pair_is_refused_before_it_is_sent(served: Served, asked: Asked) -> None:
    with pytest.raises(InvalidQuery):
        await heard_of(served, asked)


async def test_without_a_server_the_connection_is_said_to_be_lost() -> None:
    async with aiohttp.ClientSession("http://127.0.0.1:1") as session:
        with pytest.raises(ServerUnusable):
            await anext(ask(session, WHY))


def test_metadata_of_another_version_are_named() -> None:
    with pytest.raises(ServerUnusable, match=r"metadata\.source"):
        heard_in("stream_complete", {"response": "", "metadata": {}, "timestamp": ""})


@pytest.mark.parametrize("event", ["phx_error", "phx_close"])
def test_a_channel_that_ends_is_told(event: str) -> None:
    with pytest.raises(AnswerFailed):
        heard_in(event, {})


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner), max_leaves=5)


@given(
    st.sampled_from(["stream_token", "stream_start", "queued", "stream_complete", "citations", "phx_reply", "news"]),
    st.dictionaries(st.sampled_from(["token", "place", "response", "metadata", "timestamp", "status"]), JSON),
)
def test_whatever_an_event_carries_it_is_understood_or_left(event: str, payload: dict[str, object]) -> None:
    heard = heard_in(event, payload)
    assert heard is None or isinstance(heard, Said | Started | Queued)


def test_only_our_question_and_our_channel_are_ours() -> None:
    def frame(event: str, payload: object) -> Frame:
        return Frame("join", None, "proxy:trip", event, payload)

    assert is_ours(frame("stream_token", {"ref": "mine"}), "mine")
    assert is_ours(frame("phx_error", {}), "mine")
    assert not is_ours(frame("stream_complete", {"ref": "theirs"}), "mine")
    assert not is_ours(frame("question", {}), "mine")
    assert not is_ours(frame("stream_token", b"bytes"), "mine")
