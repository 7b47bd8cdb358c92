"""A weak answer gives way: to that of another model, to the passage itself. Over a real socket, with fake models."""

import math
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from neuralbridge.engine.runner import DecodeFailed
from tests.conftest import Serve, Served
from tests.fakes import FakeRunner
from tests.web.test_documents_in_answers import PUMP, TOPIC, ask, asking, names

MODELS = {
    "small": {"path": "models/small.gguf"},
    "large": {"path": "models/large.gguf"},
}
CASCADE = {"small": {"to": "large", "below": 0.99}}
QUESTION = "How long is the warranty of the XK-204 pump?"


def saying(text: str, probability: float = 0.9) -> FakeRunner:
    runner = FakeRunner(reply=lambda _: text)
    runner.logprob = math.log(probability)
    return runner


async def two(serve: Serve, small: FakeRunner, large: FakeRunner, **more: Any) -> Served:
    return await serve(runner=small, others={"large": large}, models=MODELS, **{"cascade": CASCADE, **more})


async def test_the_larger_model_is_asked_and_its_answer_takes_the_place_of_the_first(serve: Serve) -> None:
    served = await two(serve, saying("Nine moons.", 0.2), saying("Twenty seven."))
    async with asking(served) as client:
        events = await ask(client, "How many?", max_tokens=40)
        events += [(frame[3], frame[4]) for frame in await client.until("stream_complete")]
        await client.push(TOPIC, "get_history", {})
        history = (await client.expect("history"))["messages"]
    told = [(name, payload) for name, payload in events if name != "phx_reply"]
    starts = [payload for name, payload in told if name == "stream_start"]
    ends = [payload for name, payload in told if name == "stream_complete"]
    assert [end["response"] for end in ends] == ["Nine moons.", "Twenty seven."]
    assert ends[0]["metadata"]["superseded_by"] == ends[1]["stream_id"] == starts[1]["stream_id"]
    assert starts[1]["replaces"] == starts[0]["stream_id"] == ends[0]["stream_id"]
    assert "superseded_by" not in ends[1]["metadata"]
    assert "replaces" not in starts[0]
    assert [end["metadata"]["model_used"] for end in ends] == ["small", "large"]
    assert ends[1]["metadata"]["source"] == "llm"
    assert [payload["seq"] for _, payload in told] == [*range(1, len(told) + 1)]
    for end in ends:
        tokens = [p["token"] for name, p in told if name == "stream_token" and p["stream_id"] == end["stream_id"]]
        assert "".join(tokens) == end["response"]
    assert [message["content"] for message in history] == ["How many?", "Twenty seven."]
    (record,) = history[1]["metadata"]["attempts"]
    assert (record["text"], record["model_used"]) == ("Nine moons.", "small")


async def test_a_query_gets_one_response(serve: Serve) -> None:
    served = await two(serve, saying("Nine moons.", 0.2), saying("Twenty seven."))
    async with asking(served) as client:
        await client.push(TOPIC, "query", {"query": "How many?", "max_tokens": 40})
        response = await client.expect("response")
        await client.push(TOPIC, "ping", {})
        assert (await client.receive())[3] == "pong"
    assert response["response"] == "Twenty seven."
    assert response["seq"] == 1


async def test_both_models_are_shown_the_same_question_and_the_same_conversation(serve: Serve) -> None:
    seen: dict[str, list[str]] = {"small": [], "large": []}

    def noting(name: str, text: str, probability: float) -> FakeRunner:
        def reply(question: str) -> str:
            seen[name].append(question)
            return text

        runner = FakeRunner(reply=reply)
        runner.logprob = math.log(probability)
        return runner

    served = await two(serve, noting("small", "No idea at all.", 0.2), noting("large", "Twenty seven.", 0.9))
    async with asking(served, pump=PUMP) as client:
        await ask(client, QUESTION, max_tokens=40)
        await client.until("stream_complete")
    assert seen["small"][0] == seen["large"][0]
    assert PUMP in seen["large"][0]


async def test_when_the_larger_model_is_missing_the_first_answer_stands_and_says_so(serve: Serve) -> None:
    class Broken(FakeRunner):
        def decode(self, shares: list[Any], threads: int) -> None:
            raise DecodeFailed("it is broken")

    served = await two(serve, saying("Nine moons.", 0.2), Broken())
    async with asking(served) as client:
        events = await ask(client, "How many?", max_tokens=40)
    assert names(events).count("stream_start") == 1
    metadata = events[-1][1]["metadata"]
    assert (events[-1][1]["response"], metadata["model_used"]) == ("Nine moons.", "small")
    assert any("no second opinion" in reason for reason in metadata["confidence"]["reasons"])


async def test_a_larger_model_that_fails_half_way_gives_the_first_answer_back(serve: Serve) -> None:
    large = saying("Twenty seven and more.")
    large.fails = lambda share: share.position > 40
    served = await two(serve, saying("Nine moons.", 0.2), large)
    async with asking(served) as client:
        events = await ask(client, "How many?", max_tokens=40)
        while "superseded_by" in events[-1][1]["metadata"]:
            events += [(frame[3], frame[4]) for frame in await client.until("stream_complete")]
        await client.push(TOPIC, "get_history", {})
        history = (await client.expect("history"))["messages"]
    assert events[-1][1]["response"] == "Nine moons."
    assert history[-1]["content"] == "Nine moons."
    assert history[-1]["status"] == "complete"


async def test_stopping_during_a_second_opinion_stops_both(serve: Serve) -> None:
    large = saying("Twenty seven.")
    large.hold(load=True)
    served = await two(serve, saying("Nine moons.", 0.2), large)
    async with asking(served) as client:
        await client.push(TOPIC, "stream_query", {"query": "How many?", "max_tokens": 40})
        await large.until_held()
        await client.push(TOPIC, "stop", {})
        await client.push(TOPIC, "ping", {})
        frames = await client.until("pong")  # so the server has taken the stop
        large.release()
        if not any(frame[3] == "stream_complete" for frame in frames):
            frames += await client.until("stream_complete")
    (ended,) = (frame[4] for frame in frames if frame[3] == "stream_complete")
    assert ended["response"] == "Nine moons."
    assert ended["metadata"]["finish_reason"] == "cancelled"


async def test_a_sure_answer_asks_nobody_else(serve: Serve) -> None:
    large = saying("Twenty seven.")
    served = await two(serve, saying("Nine moons.", 0.99), large, cascade={"small": {"to": "large", "below": 0.01}})
    async with asking(served) as client:
        events = await ask(client, "How many?", max_tokens=40)
    assert events[-1][1]["response"] == "Nine moons."
    assert large.decoded == 0


# The passage itself


@pytest.mark.parametrize(
    ("query", "opening"),
    [(QUESTION, "I have no answer"), ("Qual é a warranty da XK-204 pump, quantos months lasts?", "Não tenho")],
)
async def test_a_weak_answer_with_strong_evidence_gives_way_to_the_passage(
    serve: Serve, query: str, opening: str
) -> None:
    served = await serve(runner=saying("Bananas are yellow.", 0.05), answers={"extract_below": 0.9})
    async with asking(served, pump=PUMP) as client:
        events = await ask(client, query, max_tokens=60)
        events += [(frame[3], frame[4]) for frame in await client.until("stream_complete")]
    told = events[-1][1]
    metadata = told["metadata"]
    assert told["response"].startswith(opening)
    assert told["response"].endswith(PUMP)
    assert (metadata["source"], metadata["finish_reason"]) == ("rag", "stop")
    (citation,) = metadata["citations"]
    start, end = citation["sentence"]
    assert told["response"][start:end] == citation["text"] == PUMP
    assert citation["verdict"] == "supported"
    assert 0 < metadata["confidence_score"] < 1


async def test_without_strong_evidence_a_weak_answer_stays(serve: Serve) -> None:
    served = await serve(runner=saying("Bananas are yellow.", 0.05), answers={"extract_below": 0.9})
    async with asking(served, pump=PUMP) as client:
        events = await ask(client, "What is the colour of a banana that is ripe?", max_tokens=60)
    assert events[-1][1]["response"] == "Bananas are yellow."


# Citations


async def test_every_sentence_is_checked_against_the_passages(serve: Serve) -> None:
    answer = "The warranty of the pump lasts 27 months. It lasts 72 months. Bananas are yellow."
    served = await serve(runner=saying(answer))
    async with asking(served, pump=f"Some heading text.\n\n{PUMP}") as client:
        events = await ask(client, QUESTION, max_tokens=120)
    metadata = events[-1][1]["metadata"]
    cited = metadata["citations"]
    assert [answer[slice(*each["sentence"])] for each in cited] == [
        "The warranty of the pump lasts 27 months.",
        "It lasts 72 months.",
        "Bananas are yellow.",
    ]
    assert [each["verdict"] for each in cited] == ["supported", "contradicted", "unsupported"]
    assert cited[0]["text"] == PUMP
    assert cited[2]["document_id"] is None
    assert names(events)[-2:] == ["citations", "stream_complete"]
    assert dict(events)["citations"]["citations"] == cited
    source = metadata["sources"][0]
    start, end = cited[0]["span"]
    assert source["text"][start - source["start"] : end - source["start"]] == PUMP


async def test_without_passages_nothing_is_cited_and_the_reasons_say_so(serve: Serve) -> None:
    async with asking(await serve(runner=saying("Nine moons.", 0.95))) as client:
        events = await ask(client, "How many?", max_tokens=40)
    metadata = events[-1][1]["metadata"]
    assert "citations" not in names(events)
    assert metadata["citations"] == []
    assert "probabilities alone" in metadata["confidence"]["reasons"][0]
    assert metadata["confidence"]["level"] in ("high", "medium", "low")


async def test_a_document_that_goes_while_it_is_cited_is_named_as_gone(serve: Serve, tmp_path: Path) -> None:
    runner = saying("The warranty of the XK-204 pump lasts 27 months.")
    served = await serve(runner=runner)
    async with asking(served, pump=PUMP) as client:
        runner.hold()
        await client.push(TOPIC, "stream_query", {"query": QUESTION, "max_tokens": 80})
        runner.step(40)
        sources = (await client.until("sources"))[-1][4]["sources"]
        path = f"/api/knowledge/documents/{sources[0]['document_id']}"
        async with aiohttp.ClientSession(base_url=served.url) as http, http.delete(path) as response:
            assert response.status == 204
        runner.release()
        ended = (await client.until("stream_complete"))[-1][4]
    (citation,) = ended["metadata"]["citations"]
    assert (citation["text"], citation["source_gone"]) == (PUMP, True)
