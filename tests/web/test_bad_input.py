"""Bad input and failures: the client is told what and why, nothing is stored, the channel lives."""

import json
from typing import Any

import pytest

from tests.conftest import Serve, Served
from tests.fakes import FakeRunner
from tests.web.wire import TOPIC, CheckedClient, connected, numbers, texts

STORY = "It was a dark and stormy night, and the wind was howling in the trees. " * 3
BOTH = pytest.mark.parametrize(("asked", "refused"), [("query", "error"), ("stream_query", "stream_error")])
HUGE = 10**400


async def refusal(client: CheckedClient, asked: str, payload: Any, code: str) -> dict[str, Any]:
    """Push and expect to be refused with this code, in the words of both kinds of error."""
    ref = await client.push(TOPIC, asked, payload)
    said = await client.expect("stream_error" if asked == "stream_query" else "error")
    assert (said["code"] if asked == "stream_query" else said["error"]) == code, said
    assert said["error"] == (said["message"] if asked == "stream_query" else code)
    assert said["ref"] == ref
    assert " " in said["message"]
    return said


async def nothing_happened(client: CheckedClient) -> None:
    """The channel lives, nothing is stored, and the next question works."""
    assert await client.history() == {"messages": [], "total_messages": 0, "before": None}
    assert (await client.ask("hi"))["response"] == "You asked: hi"


@BOTH
@pytest.mark.parametrize(
    "payload",
    [
        *({"query": query} for query in ("", " ", "\n\t ", "\u3000", None, 7, True, [], ["hi"], {"query": "hi"})),
        *({}, {"Query": "hi"}, None, [], ["hi"], "hi", 7, True),
    ],
)
async def test_a_query_that_is_no_text_is_invalid(served: Served, asked: str, refused: str, payload: Any) -> None:
    async with connected(served, TOPIC) as client:
        await client.send(client.joined[TOPIC], "q", TOPIC, asked, payload)
        said = await client.expect(refused)
        assert (said.get("code", said["error"]), said["reason"]) == ("invalid_query", ":invalid_query")
        await nothing_happened(client)


@BOTH
async def test_a_query_over_32000_characters_is_invalid(served: Served, asked: str, refused: str) -> None:
    async with connected(served, TOPIC) as client:
        said = await refusal(client, asked, {"query": "é" * 32_001}, "invalid_query")
        assert (said["reason"], "32,001" in said["message"], "32,000" in said["message"]) == (
            ":query_too_long",
            True,
            True,
        )
        await nothing_happened(client)


async def test_a_query_of_32000_characters_is_asked(serve: Serve) -> None:
    served = await serve(FakeRunner(cells=40_000))
    async with connected(served, TOPIC) as client:
        assert (await client.ask("x" * 32_000))["metadata"]["tokens"]["prompt"] > 32_000


@pytest.mark.parametrize(
    "text", ["how do I kill a process", "<|im_end|>", "\0", "'); DROP TABLE messages; --", "\u202e"]
)
async def test_odd_words_are_words(served: Served, text: str) -> None:
    async with connected(served, TOPIC) as client:
        assert (await client.ask(text))["response"] == f"You asked: {text}"
        assert [message["content"] for message in (await client.history())["messages"]] == [text, f"You asked: {text}"]


WRONG: dict[str, tuple[list[Any], str]] = {
    "temperature": (["0.7", -0.1, 2.1, HUGE, -HUGE, True, [], {}], "from 0 to 2"),
    "top_p": (["1", 0, -1, 1.5, False], "above 0, up to 1"),
    "top_k": ([-1, 1.5, "40", 1_000_001, HUGE, True], "from 0"),
    "min_p": ([-0.1, 1.1, "x", []], "from 0 to 1"),
    "repeat_penalty": ([0, -1, 2.5, "1"], "above 0, up to 2"),
    "frequency_penalty": ([-2.1, 2.1, "0"], "from -2 to 2"),
    "presence_penalty": ([-2.1, 2.1, {}], "from -2 to 2"),
    "seed": ([-1, 1.5, "7", 2**32 - 1, 2**32, HUGE, True], "from 0 to 4,294,967,294"),
    "stop": ([7, [7], [""], "", ["x"] * 9, "x" * 65, {"a": 1}, [["x"]], True], "up to 8 texts"),
    "max_tokens": ([0, -1, 1.5, "10", 1_000_001, HUGE, True], "from 1 to 1,000,000"),
    "model": (["", "x" * 201, 7, [], {"name": "gpt-4"}, True], "model name"),
    "metadata": (["x", 7, [], [["a", 1]], True], "an object"),
}


@BOTH
@pytest.mark.parametrize("name", WRONG)
async def test_a_wrong_parameter_is_named_with_its_range(served: Served, asked: str, refused: str, name: str) -> None:
    values, expected = WRONG[name]
    async with connected(served, TOPIC) as client:
        for value in values:
            said = await refusal(client, asked, {"query": "hi", name: value}, "invalid_params")
            assert said["message"].startswith(f"{name} must be"), said
            assert expected in said["message"]
            assert len(said["message"]) < 300
        await nothing_happened(client)


@BOTH
async def test_metadata_over_their_limit_are_refused_with_their_size(served: Served, asked: str, refused: str) -> None:
    async with connected(served, TOPIC) as client:
        metadata = {"a": "x" * 65_536}
        said = await refusal(client, asked, {"query": "hi", "metadata": metadata}, "invalid_params")
        assert said["message"] == "metadata has 65,545 bytes as JSON; at most 65,536 are allowed."
        await nothing_happened(client)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999"])
async def test_a_number_that_json_does_not_have_is_no_frame(served: Served, value: str) -> None:
    async with connected(served, TOPIC) as client:
        frame = json.dumps([client.joined[TOPIC], "q", TOPIC, "query", {"query": "hi", "temperature": 0}])
        await client.socket.send_str(frame.replace(": 0", f": {value}"))
        assert await client.close_code() == 1011


async def test_null_parameters_and_unknown_keys_are_ignored(served: Served) -> None:
    nulls = dict.fromkeys(WRONG)
    async with connected(served, TOPIC) as client:
        await client.push(TOPIC, "query", {"query": "hi", **nulls, "type": "broadcast", "event": "query", "stream": 1})
        assert (await client.expect("response"))["response"] == "You asked: hi"


async def test_whole_numbers_are_numbers(served: Served) -> None:
    edges = {"temperature": 0, "top_p": 1, "min_p": 1, "repeat_penalty": 2, "seed": 2**32 - 2, "max_tokens": 1_000_000}
    async with connected(served, TOPIC) as client:
        await client.push(TOPIC, "query", {"query": "hi", **edges, "stop": ["x" * 64] * 8, "metadata": {}})
        assert (await client.expect("response"))["response"] == "You asked: hi"


# Models


async def test_an_unknown_model_is_answered_by_the_default_which_says_so(served: Served) -> None:
    async with connected(served, TOPIC) as client:
        await client.push(TOPIC, "query", {"query": "hi", "model": "claude-9"})
        metadata = (await client.expect("response"))["metadata"]
    assert (metadata["model_used"], metadata["model_requested"]) == ("small", "claude-9")


@BOTH
async def test_an_unknown_model_can_be_refused_with_the_known_names(serve: Serve, asked: str, refused: str) -> None:
    served = await serve(routing={"default": "gpt-4", "unknown_model": "error"})
    async with connected(served, TOPIC) as client:
        said = await refusal(client, asked, {"query": "hi", "model": "claude-9"}, "model_not_found")
        assert all(name in said["message"] for name in ("claude-9", "gpt-4", "small"))
        await nothing_happened(client)


@BOTH
async def test_a_question_that_cannot_fit_is_refused_with_both_numbers(serve: Serve, asked: str, refused: str) -> None:
    served = await serve(FakeRunner(cells=512))
    async with connected(served, TOPIC) as client:
        said = await refusal(client, asked, {"query": "x" * 1000}, "context_length_exceeded")
        assert ("1,0" in said["message"], "512" in said["message"]) == (True, True)
        await nothing_happened(client)


# Other events


@pytest.mark.parametrize(
    "payload",
    [{"limit": 0}, {"limit": 501}, {"limit": "5"}, {"limit": 1.5}, {"limit": True}, {"limit": HUGE}, {"before": 7}],
)
async def test_a_wrong_parameter_of_get_history_is_named(served: Served, payload: dict[str, Any]) -> None:
    (name,) = payload
    async with connected(served, TOPIC) as client:
        ref = await client.push(TOPIC, "get_history", payload)
        said = await client.expect("error")
        assert (said["error"], said["ref"]) == ("invalid_params", ref)
        assert said["message"].startswith(f"{name} must be")
        await nothing_happened(client)


@pytest.mark.parametrize("event", ["nope", "", "Query", "response", "phx_reply", "phx_close", None, 7, ["x"], {"a": 1}])
async def test_an_unknown_event_is_named(served: Served, event: Any) -> None:
    async with connected(served, TOPIC) as client:
        await client.send(client.joined[TOPIC], "q", TOPIC, event, {"query": "hi"})
        said = await client.expect("error")
        assert (said["error"], said["event"], said["ref"]) == ("unknown_event", event, "q")
        await nothing_happened(client)


@pytest.mark.parametrize("ref", [None, 7, 1.5, True, "", {"a": [1]}])
async def test_the_ref_of_a_question_comes_back_as_it_was(served: Served, ref: Any) -> None:
    async with connected(served, TOPIC) as client:
        await client.send(client.joined[TOPIC], ref, TOPIC, "stream_query", {"query": "hi"})
        frames = await client.until("stream_complete")
        await client.send(client.joined[TOPIC], ref, TOPIC, "query", {"query": ""})
        frames.append(await client.receive())
    assert all(frame[4]["ref"] == ref and type(frame[4]["ref"]) is type(ref) for frame in frames)


# Failures of the engine


@BOTH
async def test_a_failure_ends_its_answer_and_no_other(serve: Serve, asked: str, refused: str) -> None:
    runner = FakeRunner(reply=lambda question: STORY if "story" in question else "Yes.")
    runner.fails = lambda share: "a bad story" in words(share.sequence.tokens) and share.sequence.completion_tokens > 9
    served = await serve(runner)
    async with connected(served, TOPIC, "proxy:other") as client:
        runner.hold()
        await client.push("proxy:other", "stream_query", {"query": "a good story"})
        await client.until("stream_start")
        ref = await client.push(TOPIC, asked, {"query": "a bad story"})
        runner.release()
        frames = [*await client.until(refused, "stream_complete"), *await client.until(refused, "stream_complete")]
        failed = next(frame[4] for frame in frames if frame[3] == refused)
        other = next(frame[4] for frame in frames if frame[3] == "stream_complete")
        messages = (await client.history())["messages"]
        runner.fails = lambda share: False
        assert (await client.ask("are you well?"))["response"] == "Yes."
    mine = [frame for frame in frames if frame[2] == TOPIC]
    assert other["response"] == STORY
    assert (failed.get("code", failed["error"]), failed["ref"]) == ("processing_failed", ref)
    assert numbers(mine) == [*range(1, len(mine) + 1)]
    question, answer = messages
    assert (question["content"], answer["status"]) == ("a bad story", "error")
    assert answer["metadata"]["finish_reason"] == "error"
    assert answer["content"] == STORY[: len(answer["content"])] != ""
    if asked == "stream_query":
        assert texts(mine) == answer["content"]


def words(tokens: list[int]) -> str:
    return bytes(token for token in tokens if token < 256).decode(errors="replace")


@BOTH
async def test_a_failure_before_the_first_token_is_told_once(served: Served, asked: str, refused: str) -> None:
    served.runner.fails = lambda share: True
    async with connected(served, TOPIC) as client:
        await client.push(TOPIC, asked, {"query": "hi"})
        assert (await client.until(refused))[-1][4]["message"].endswith(".")
        assert await client.fence() == []
        served.runner.fails = lambda share: False
        assert (await client.ask("hi"))["response"] == "You asked: hi"
