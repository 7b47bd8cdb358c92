"""Questions edited, answers made again and continued, branches chosen: over a real socket, with a scripted model."""

from itertools import count
from typing import Any
from unittest.mock import ANY

import aiohttp
import pytest

from tests.conftest import Serve, Served
from tests.fakes import FakeRunner
from tests.phoenix_client import Frame
from tests.web.wire import TOPIC, CheckedClient, connected, events, mid_answer, numbers, texts

STORY = "It was a dark and stormy night, and the wind was howling in the trees. " * 3


@pytest.fixture
async def storyteller(serve: Serve) -> Served:
    return await serve(FakeRunner(reply=lambda _: STORY))


async def told(client: CheckedClient, event: str, **payload: Any) -> list[Frame]:
    """What comes of an event, up to its end."""
    ref = await client.push(TOPIC, event, payload)
    frames = await client.until("stream_complete", "stream_error")
    while frames[-1][4]["ref"] != ref:
        frames += await client.until("stream_complete", "stream_error")
    return [frame for frame in frames if frame[4].get("ref") == ref]


async def stopped(served: Served, client: CheckedClient) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A story that was stopped half way: its closing event, and the history."""
    await mid_answer(served, client)
    await stop(client)
    served.runner.release()
    complete = (await client.until("stream_complete"))[-1][4]
    return complete, (await client.history())["messages"]


async def stop(client: CheckedClient) -> None:
    """Stop, and wait until the server knows."""
    await client.push(TOPIC, "stop")
    await client.push(TOPIC, "ping")
    await client.until("pong")


def contents(history: dict[str, Any]) -> list[str]:
    return [message["content"] for message in history["messages"]]


async def test_stream_start_names_the_rows_of_question_and_answer(served: Served) -> None:
    async with connected(served, TOPIC) as client:
        start = (await told(client, "stream_query", query="hi"))[0][4]
        question, answer = (await client.history())["messages"]
    assert (start["question_id"], start["message_id"]) == (question["id"], answer["id"])


# Edited


@pytest.mark.parametrize("asked", ["query", "stream_query"])
async def test_an_edited_question_takes_the_place_of_the_first_and_sees_what_stood_above_it(
    served: Served, asked: str
) -> None:
    async with connected(served, TOPIC) as client:
        for query in ("one", "two", "three"):
            await client.ask(query)
        before = await client.history()
        second, tokens = before["messages"][2], before["messages"][3]["metadata"]["tokens"]
        await client.push(TOPIC, asked, {"query": "TWO", "edits": second["id"]})
        end = (await client.until("response", "stream_complete"))[-1][4]
        after = await client.history()
    assert contents(after) == ["one", "You asked: one", "TWO", "You asked: TWO"]
    assert end["metadata"]["tokens"]["prompt"] == tokens["prompt"]
    assert end["metadata"]["messages_omitted"] == 0
    assert [len(message["siblings"]) for message in after["messages"]] == [1, 1, 2, 1]
    assert after["messages"][2]["siblings"] == [second["id"], after["messages"][2]["id"]]


async def test_the_first_question_can_be_edited_and_the_conversation_goes_on_from_there(served: Served) -> None:
    async with connected(served, TOPIC) as client:
        await client.ask("one")
        await client.ask("two")
        first = (await client.history())["messages"][0]["id"]
        await told(client, "stream_query", query="ONE", edits=first)
        await client.ask("and then?")
        history = await client.history()
    assert contents(history) == ["ONE", "You asked: ONE", "and then?", "You asked: and then?"]
    assert (history["total_messages"], history["messages"][0]["parent"]) == (4, None)
    assert history["messages"][0]["siblings"] == [first, history["messages"][0]["id"]]


async def test_an_edit_while_an_answer_runs_waits_its_turn(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as client:
        await client.ask("one")
        first = (await client.history())["messages"][0]["id"]
        await mid_answer(storyteller, client)
        await client.push(TOPIC, "stream_query", {"query": "ONE", "edits": first})
        queued = (await client.until("queued"))[-1][4]
        storyteller.runner.release()
        await client.until("stream_complete")
        frames = await client.until("stream_complete")
        history = await client.history()
    assert {frame[4]["stream_id"] for frame in frames} == {queued["stream_id"]}
    assert contents(history) == ["ONE", STORY]


async def test_an_edit_of_what_is_no_question_here_is_refused_and_nothing_is_stored(served: Served) -> None:
    async with connected(served, TOPIC, "proxy:other") as client:
        await client.ask("one")
        answer = (await client.history())["messages"][1]["id"]
        await client.ask("theirs", "proxy:other")
        theirs = (await client.history(topic="proxy:other"))["messages"][0]["id"]
        for wrong in ("unknown", answer, theirs, "", 7, "\0💥", "x" * 65):
            (error,) = await told(client, "stream_query", query="two", edits=wrong)
            assert (error[3], error[4]["code"]) == ("stream_error", "invalid_params")
            assert "edits must be the id of a question" in error[4]["message"]
        assert (await client.history())["total_messages"] == 2


async def test_an_edit_over_http_is_an_edit(served: Served) -> None:
    async with connected(served, TOPIC) as client, aiohttp.ClientSession(base_url=served.url) as http:
        await client.ask("one")
        first = (await client.history())["messages"][0]["id"]
        asked = {"query": "ONE", "session_id": "s", "edits": first}
        async with http.post("/api/proxy/query", json=asked) as response:
            assert response.status == 200
        async with http.post("/api/proxy/query", json={**asked, "edits": "\ud800"}) as response:
            assert response.status == 400
        async with http.get("/api/conversations/s/history") as response:
            assert await response.json() == await client.history()
    assert contents(await response.json()) == ["ONE", "You asked: ONE"]


# Made again


async def test_answered_twice_again_a_question_has_three_answers_and_the_last_is_active(serve: Serve) -> None:
    turn = count(1)
    served = await serve(FakeRunner(reply=lambda _: STORY), cache={"enabled": True})
    async with connected(served, TOPIC) as client:
        starts = [(await told(client, "stream_query", query="one"))[0][4]]
        for _ in range(2):
            frames = await told(client, "regenerate", message_id=starts[0]["message_id"], seed=next(turn))
            starts.append(frames[0][4])
        question, answer = (await client.history())["messages"]
    assert events(frames) == ["stream_start", "stream_token", "stream_complete"]
    assert numbers(frames) == [*range(1, len(frames) + 1)]
    assert {(start["question_id"], start["query"]) for start in starts} == {(question["id"], "one")}
    assert answer["siblings"] == [start["message_id"] for start in starts]
    assert (answer["id"], question["siblings"]) == (starts[2]["message_id"], [question["id"]])
    assert frames[-1][4]["metadata"]["source"] == "llm"


async def test_an_answer_made_again_sees_what_stood_above_its_question(served: Served) -> None:
    async with connected(served, TOPIC) as client:
        for query in ("one", "two", "three"):
            await client.ask(query)
        second = (await client.history())["messages"][3]
        end = (await told(client, "regenerate", message_id=second["id"]))[-1][4]
        history = await client.history()
    assert end["response"] == "You asked: two"
    assert end["metadata"]["tokens"]["prompt"] == second["metadata"]["tokens"]["prompt"]
    assert contents(history) == ["one", "You asked: one", "two", "You asked: two"]


async def test_another_model_may_answer_again(serve: Serve) -> None:
    large = FakeRunner(reply=lambda _: "Large.")
    models = {"small": {"path": "models/small.gguf"}, "large": {"path": "models/large.gguf"}}
    served = await serve(others={"large": large}, models=models)
    async with connected(served, TOPIC) as client:
        start = (await told(client, "stream_query", query="one"))[0][4]
        end = (await told(client, "regenerate", message_id=start["message_id"], model="large"))[-1][4]
        (unknown,) = await told(client, "regenerate", message_id=start["message_id"], temperature=9)
    assert (end["response"], end["metadata"]["model_used"]) == ("Large.", "large")
    assert (unknown[4]["code"], "temperature" in unknown[4]["message"]) == ("invalid_params", True)


@pytest.mark.parametrize("event", ["regenerate", "continue"])
async def test_only_an_answer_of_this_conversation_is_made_again_or_continued(served: Served, event: str) -> None:
    async with connected(served, TOPIC, "proxy:other") as client:
        question = (await told(client, "stream_query", query="one"))[0][4]["question_id"]
        await client.ask("theirs", "proxy:other")
        theirs = (await client.history(topic="proxy:other"))["messages"][1]["id"]
        for wrong in ({"message_id": question}, {"message_id": theirs}, {"message_id": "x"}, {"message_id": None}, {}):
            (error,) = await told(client, event, **wrong)
            assert (error[3], error[4]["code"]) == ("stream_error", "invalid_params")
            assert "message_id must be the id of an answer" in error[4]["message"]
        assert (await client.history())["total_messages"] == 2


# Continued


async def test_a_stopped_answer_goes_on_in_its_own_row_to_its_end(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as client:
        end, (question, half) = await stopped(storyteller, client)
        frames = await told(client, "continue", message_id=half["id"])
        again, whole = (await client.history())["messages"]
    start, first = frames[0][4], frames[1][4]
    assert (start["question_id"], start["message_id"], start["query"]) == (question["id"], half["id"], "a story")
    assert first["token"] == end["response"] == half["content"] != ""
    assert texts(frames) == frames[-1][4]["response"] == whole["content"] == STORY
    assert (again, whole["id"], whole["status"]) == (question, half["id"], "complete")
    tokens = whole["metadata"]["tokens"]["completion"]
    assert tokens == len(STORY) + 1 + half["metadata"]["tokens"]["completion"] - len(half["content"])
    assert 0 < whole["metadata"]["confidence_score"] < 1


async def test_an_answer_that_met_its_limit_goes_on_with_the_model_that_was_asked(serve: Serve) -> None:
    models = {"small": {"path": "models/small.gguf"}, "large": {"path": "models/large.gguf"}}
    large = FakeRunner(reply=lambda _: STORY)
    served = await serve(others={"large": large}, models=models)
    async with connected(served, TOPIC) as client:
        frames = await told(client, "stream_query", query="a story", model="large", max_tokens=9)
        frames = await told(client, "continue", message_id=frames[0][4]["message_id"])
    end = frames[-1][4]
    assert (texts(frames), end["response"]) == (STORY, STORY)
    assert (end["metadata"]["model_used"], end["metadata"]["finish_reason"]) == ("large", "stop")


async def test_an_answer_can_be_stopped_and_continued_as_often_as_one_likes(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as client:
        _, (_, half) = await stopped(storyteller, client)
        storyteller.runner.hold()
        await client.push(TOPIC, "continue", {"message_id": half["id"]})
        storyteller.runner.step(20)
        await client.until("stream_token")
        await client.until("stream_token")
        await stop(client)
        storyteller.runner.release()
        await client.until("stream_complete")
        more = (await client.history())["messages"][1]
        frames = await told(client, "continue", message_id=half["id"])
    assert len(half["content"]) < len(more["content"]) < len(STORY)
    assert (more["status"], texts(frames)) == ("cancelled", STORY)


async def test_what_is_whole_or_not_the_last_or_has_no_text_is_not_continued(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as client:
        _, (_, half) = await stopped(storyteller, client)
        whole = (await told(client, "stream_query", query="two"))[0][4]["message_id"]
        errors = [await told(client, "continue", message_id=each) for each in (whole, half["id"])]
        unsaid = (await told(client, "stream_query", query="three", stop=["It"]))[0][4]["message_id"]
        errors.append(await told(client, "continue", message_id=unsaid))
    said = [(frame[3], frame[4]["code"], frame[4]["message"]) for (frame,) in errors]
    assert said == [
        ("stream_error", "invalid_params", "The answer is complete: it came to its own end."),
        ("stream_error", "invalid_params", ANY),
        ("stream_error", "invalid_params", "The answer is complete: it came to its own end."),
    ]
    assert "last answer of the active branch" in said[1][2]


async def test_an_answer_that_fails_while_it_goes_on_keeps_its_text(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as client:
        _, (_, half) = await stopped(storyteller, client)
        storyteller.runner.fails = lambda share: share.sequence.completion_tokens > 9
        frames = await told(client, "continue", message_id=half["id"])
        storyteller.runner.fails = lambda share: False
        failed = (await client.history())["messages"][1]
        again = await told(client, "continue", message_id=half["id"])
    assert (frames[-1][3], frames[-1][4]["code"]) == ("stream_error", "processing_failed")
    assert failed["content"].startswith(half["content"])
    assert (failed["status"], texts(again)) == ("error", STORY)


async def test_of_an_answer_that_had_nothing_to_add_it_is_not_said_how_sure_it_is(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as client:
        cut = await told(client, "stream_query", query="a story", max_tokens=len(STORY))
        end = (await told(client, "continue", message_id=cut[0][4]["message_id"]))[-1][4]
    before, after = cut[-1][4]["metadata"], end["metadata"]
    assert (before["finish_reason"], after["finish_reason"], end["response"]) == ("length", "stop", STORY)
    assert (before["confidence"] is None, after["confidence"]) == (False, None)


async def test_an_answer_that_goes_on_is_resumed_like_any_other(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as client:
        _, (_, half) = await stopped(storyteller, client)
        storyteller.runner.hold()
        await client.push(TOPIC, "continue", {"message_id": half["id"]})
        frames = await client.until("stream_token")
        await client.vanish()
    async with connected(storyteller) as client:
        resume = {"stream_id": frames[0][4]["stream_id"], "seq": frames[-1][4]["seq"]}
        await client.join(TOPIC, {"resume": resume})
        storyteller.runner.release()
        frames += await client.until("stream_complete")
    assert texts(frames) == STORY
    assert numbers(frames) == [*range(1, len(frames) + 1)]


async def test_what_a_continued_answer_costs_is_counted_once(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as client, aiohttp.ClientSession(base_url=storyteller.url) as http:
        _, (_, half) = await stopped(storyteller, client)
        end = (await told(client, "continue", message_id=half["id"]))[-1][4]
        async with http.get("/api/proxy/stats") as response:
            tokens = (await response.json())["tokens"]
    assert tokens["completion"] == end["metadata"]["tokens"]["completion"]


# Chosen


async def test_a_chosen_branch_is_the_history_and_what_is_asked_next_goes_beneath_it(served: Served) -> None:
    async with connected(served, TOPIC) as client:
        await client.ask("one")
        await client.ask("two")
        second = (await client.history())["messages"][2]["id"]
        await told(client, "stream_query", query="TWO", edits=second)
        await client.push(TOPIC, "select", {"message_id": second})
        assert await client.expect("branch") == {"message_id": second}
        chosen = await client.history()
        await client.ask("three")
        history = await client.history()
    assert contents(chosen) == ["one", "You asked: one", "two", "You asked: two"]
    assert contents(history) == [*contents(chosen), "three", "You asked: three"]


async def test_followers_hear_of_edits_and_branches_and_others_do_not(served: Served) -> None:
    async with (
        connected(served, TOPIC) as client,
        connected(served) as follower,
        connected(served, TOPIC) as other,
    ):
        await follower.join(TOPIC, {"follow": True})
        first = (await told(client, "stream_query", query="one"))[0][4]
        edited = (await told(client, "stream_query", query="ONE", edits=first["question_id"], max_tokens=3))[0][4]
        await told(client, "continue", message_id=edited["message_id"])
        await told(client, "regenerate", message_id=edited["message_id"])
        await client.push(TOPIC, "select", {"message_id": first["message_id"]})
        await client.expect("branch")
        heard = await follower.until("branch")
        assert await other.fence() == await follower.fence() == []
    asked = [{**frame[4], "stream_id": ANY, "timestamp": ANY} for frame in heard if frame[3] == "question"]
    of = {"stream_id": ANY, "timestamp": ANY}
    assert asked == [
        {"query": "one", **of},
        {"query": "ONE", "edits": first["question_id"], **of},
        {"query": "", "continues": edited["message_id"], **of},
        {"query": "", "regenerates": edited["message_id"], **of},
    ]
    assert heard[-1][4] == {"message_id": first["message_id"]}


async def test_a_follower_that_selects_hears_of_it_once(served: Served) -> None:
    async with connected(served) as client:
        await client.join(TOPIC, {"follow": True})
        start = (await told(client, "stream_query", query="one"))[0][4]
        await client.push(TOPIC, "select", {"message_id": start["question_id"]})
        await client.expect("branch")
        assert await client.fence() == []


async def test_no_branch_goes_through_what_is_unknown(served: Served) -> None:
    async with connected(served, TOPIC, "proxy:other") as client:
        await client.ask("one")
        await client.ask("theirs", "proxy:other")
        theirs = (await client.history(topic="proxy:other"))["messages"][0]["id"]
        for payload in ({"message_id": "unknown"}, {"message_id": theirs}, {"message_id": 7}, {}, []):
            ref = await client.push(TOPIC, "select", payload)
            error = await client.expect("error")
            assert (error["error"], error["ref"]) == ("invalid_params", ref)
            assert "message_id must be the id of a message" in error["message"]


async def test_an_answer_goes_on_in_its_branch_while_another_is_chosen(storyteller: Served) -> None:
    async with connected(storyteller, TOPIC) as client:
        one = (await told(client, "stream_query", query="one"))[0][4]
        await told(client, "stream_query", query="ONE", edits=one["question_id"])
        await mid_answer(storyteller, client)
        await client.push(TOPIC, "select", {"message_id": one["question_id"]})
        await client.until("branch")
        storyteller.runner.release()
        end = (await client.until("stream_complete"))[-1][4]
        history = await client.history()
    assert (end["response"], contents(history)) == (STORY, ["one", STORY])


async def test_a_restart_keeps_all_branches_and_which_of_them_is_active(serve: Serve) -> None:
    served = await serve()
    async with connected(served, TOPIC) as client:
        one = (await told(client, "stream_query", query="one"))[0][4]
        await told(client, "regenerate", message_id=one["message_id"])
        await told(client, "stream_query", query="ONE", edits=one["question_id"])
        await client.push(TOPIC, "select", {"message_id": one["message_id"]})
        await client.expect("branch")
        before = await client.history()
    await served.stop()
    async with connected(await serve(), TOPIC) as client:
        assert await client.history() == before
    assert [len(message["siblings"]) for message in before["messages"]] == [2, 2]
    assert before["messages"][1]["id"] == one["message_id"]
