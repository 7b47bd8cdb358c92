"""A repeated question gets its answer again, as long as what the answer rests on is the same. Over a real socket."""

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count, product
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from neuralbridge.assistant.events import Answered, Question
from neuralbridge.engine.runner import DecodeFailed
from neuralbridge.retrieval.arrays import Ids, Matrix
from neuralbridge.retrieval.documents import Source
from neuralbridge.retrieval.ingestion import Content
from neuralbridge.retrieval.vectors import Vectors
from neuralbridge.store.conversations import Conversation
from neuralbridge.types import Cancellation
from neuralbridge.web.keys import SERVICES
from tests.conftest import Serve, Served
from tests.fakes import FakeRunner, place_of
from tests.phoenix_client import PhoenixClient

PUMP = "The warranty of the XK-204 pump lasts 27 months."
BOAT = "The boat Esperança leaves the harbour on Tuesdays."
BREAD = "The bread of the bakery in Olhão needs 500 grams of rye flour."
QUESTION = "How long is the warranty of the XK-204 pump?"
QUESTIONS = {
    "pump": QUESTION,
    "boat": "When does the boat Esperança leave the harbour?",
    "bread": "How many grams of rye flour does the bread of the bakery in Olhão need?",
    "none": "Hello, how are you?",
}
SESSIONS = count(1)  # a conversation is never entered twice
ANSWER = "The warranty of the XK-204 pump lasts 27 months, and not a day longer."

Begin = Callable[..., Awaitable[Served]]
Events = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def begin(serve: Serve, tmp_path: Path) -> Begin:
    """Start a server that keeps answers. Its models are files with other bytes: their digests tell them apart."""

    async def start(runner: FakeRunner | None = None, cache: dict[str, Any] | None = None, **sections: Any) -> Served:
        models: dict[str, Any] = {}
        for name in ("small", "large"):
            path = tmp_path / f"{name}.gguf"
            if not path.exists():
                path.write_text(name)
            models[name] = {"path": str(path)}
        settings = {"models": models, "cache": {"enabled": True, **(cache or {})}, **sections}
        runner = runner or FakeRunner(reply=lambda question: ANSWER)
        return await serve(runner=runner, others={"large": FakeRunner(reply=lambda _: "Large.")}, **settings)

    return start


@asynccontextmanager
async def http_of(served: Served) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(base_url=served.url) as http:
        yield http


async def put(served: Served, **documents: str) -> dict[str, str]:
    """Take documents in, by name; their ids."""
    ids = {}
    async with http_of(served) as http:
        for name, content in documents.items():
            text = {"content": content, "source_document": f"{name}.md"}
            async with http.post("/api/knowledge/ingest", json=text) as response:
                assert response.status == 201
                ids[name] = (await response.json())["document_id"]
    return ids


async def stats(served: Served) -> dict[str, Any]:
    async with http_of(served) as http, http.get("/api/cache/stats") as response:
        assert (response.status, response.headers["Cache-Control"]) == (200, "no-store")
        told: dict[str, Any] = await response.json()
        return told


@asynccontextmanager
async def session(served: Served) -> AsyncIterator[tuple[PhoenixClient, str]]:
    """A client in a conversation that nobody was in before, and its topic."""
    async with served.client() as client:
        topic = f"proxy:{next(SESSIONS)}"
        await client.join(topic)
        yield client, topic


async def stream(client: PhoenixClient, topic: str, query: str, **more: Any) -> Events:
    """The events of a streamed question, by name."""
    await client.push(topic, "stream_query", {"query": query, **more})
    frames = await client.until("stream_complete", "stream_error")
    return [(frame[3], frame[4]) for frame in frames if frame[3] != "phx_reply"]


async def ask(served: Served, query: str = QUESTION, **more: Any) -> dict[str, Any]:
    """The one response to a question in a new conversation."""
    async with session(served) as (client, topic):
        await client.push(topic, "query", {"query": query, **more})
        response: dict[str, Any] = (await client.until("response", "error"))[-1][4]
    return response


def source(response: dict[str, Any]) -> str:
    return str(response["metadata"]["source"])


async def repeated(served: Served, *names: str) -> list[str]:
    """Which of the questions are answered from the cache."""
    return [name for name in names if source(await ask(served, QUESTIONS[name])) == "cache"]


# Saying it again


async def test_a_repeated_question_gets_the_same_answer_with_all_that_is_known_of_it(begin: Begin) -> None:
    served = await begin()
    await put(served, pump=PUMP, boat=BOAT)
    first, again = await ask(served), await ask(served)
    assert again["response"] == first["response"] == ANSWER
    kept = ("sources", "sources_omitted", "citations", "confidence", "confidence_score", "rag_context_used", "tokens")
    assert {name: again["metadata"][name] for name in kept} == {name: first["metadata"][name] for name in kept}
    assert (first["metadata"]["sources"] != [], first["metadata"]["citations"] != []) == (True, True)
    assert [told["metadata"][name] for told in (first, again) for name in ("model_used", "finish_reason")] == [
        *("small", "stop", "small", "stop")
    ]
    assert [source(first), source(again)] == ["llm", "cache"]


async def test_a_repeated_answer_says_how_old_it_is(begin: Begin) -> None:
    served = await begin()
    first, again = await ask(served), await ask(served)
    assert first["metadata"]["cache"] is None
    told = again["metadata"]["cache"]
    assert told["answered_at"] == (await stats(served))["oldest"]
    assert 0 <= told["age_seconds"] < 20


async def test_a_repeated_answer_comes_as_a_stream_of_several_tokens(begin: Begin) -> None:
    served = await begin()
    await put(served, pump=PUMP)
    await ask(served)
    async with session(served) as (client, topic):
        events = await stream(client, topic, QUESTION)
    names = [name for name, _ in events]
    tokens = [payload["token"] for name, payload in events if name == "stream_token"]
    ended = events[-1][1]
    assert names == ["stream_start", "sources", *["stream_token"] * len(tokens), "citations", "stream_complete"]
    assert (len(tokens) > 1, all(tokens), "".join(tokens)) == (True, True, ended["response"])
    assert [payload["seq"] for _, payload in events] == [*range(1, len(events) + 1)]
    assert {payload["stream_id"] for _, payload in events} == {ended["stream_id"]}
    assert dict(events)["sources"]["sources"] == ended["metadata"]["sources"]
    assert dict(events)["citations"]["citations"] == ended["metadata"]["citations"]


async def test_a_query_gets_one_response_also_from_the_cache(begin: Begin) -> None:
    served = await begin()
    await ask(served)
    async with session(served) as (client, topic):
        await client.push(topic, "query", {"query": QUESTION})
        response = await client.expect("response")
        await client.push(topic, "ping", {})
        await client.expect("pong")
    assert (source(response), response["seq"]) == ("cache", 1)


async def test_a_repeated_answer_asks_no_model(begin: Begin) -> None:
    served = await begin()
    await ask(served)
    computed = served.runner.decoded
    await ask(served)
    assert served.runner.decoded == computed


async def test_a_repeated_answer_is_a_message_of_its_own_in_the_history(begin: Begin) -> None:
    served = await begin()
    await put(served, pump=PUMP)
    first = await ask(served)
    async with session(served) as (client, topic):
        ended = (await stream(client, topic, QUESTION))[-1][1]
        await client.push(topic, "get_history", {})
        question, answer = (await client.expect("history"))["messages"]
    assert (question["content"], answer["content"], answer["status"]) == (QUESTION, ANSWER, "complete")
    assert answer["id"] == ended["metadata"]["message_id"] != first["metadata"]["message_id"]
    assert answer["metadata"]["source"] == "cache"


async def test_a_conversation_goes_on_from_a_repeated_answer_as_from_the_first(begin: Begin) -> None:
    served = await begin(runner=FakeRunner())
    await put(served, pump=PUMP)
    told = []
    for _ in range(2):
        async with session(served) as (client, topic):
            told.append((await stream(client, topic, QUESTION))[-1][1])
            told.append((await stream(client, topic, "And how long is that in days?"))[-1][1])
    assert [source(response) for response in told] == ["llm", "llm", "cache", "cache"]
    assert told[3]["response"] == told[1]["response"]
    assert told[3]["metadata"]["sources"] == told[1]["metadata"]["sources"]


async def test_an_extract_is_repeated_as_one(begin: Begin) -> None:
    weak = FakeRunner(reply=lambda _: "Bananas are yellow.")
    weak.logprob = math.log(0.05)
    served = await begin(runner=weak, answers={"extract_below": 0.9})
    await put(served, pump=PUMP)
    first, again = await ask(served), await ask(served)
    assert [source(first), source(again)] == ["rag", "cache"]
    assert again["response"] == first["response"] != "Bananas are yellow."
    assert again["metadata"]["citations"] == first["metadata"]["citations"]


# Which questions are the same


@pytest.mark.parametrize(
    "typed", [QUESTION.upper(), f"  {QUESTION}\n", QUESTION.removesuffix("?"), QUESTION.replace(" ", "  ") + "?!."]
)
async def test_blanks_capitals_and_final_marks_make_no_other_question(begin: Begin, typed: str) -> None:
    served = await begin()
    await ask(served)
    assert source(await ask(served, typed)) == "cache"


@pytest.mark.parametrize(
    "other",
    [
        {"query": "How long is the warranty of the XK-205 pump?"},
        {"model": "large"},
        {"model": "curt"},
        {"temperature": 0.9},
        {"seed": 1},
        {"max_tokens": 20},
        {"stop": ["x"]},
        {"retrieval": "off"},
        {"retrieval": "strict"},
    ],
)
async def test_other_words_models_names_and_parameters_are_other_questions(begin: Begin, other: dict[str, Any]) -> None:
    curt = {"model_name": "curt", "use": "small", "system_prompt": "One word."}
    served = await begin(model_list=[{"model_name": "gpt-4", "use": "small"}, curt])
    await put(served, pump=PUMP)
    await ask(served)
    told = await ask(served, **{"query": QUESTION, **other})
    again = await ask(served, **{"query": QUESTION, **other})
    assert [source(told), source(again)] in (["llm", "cache"], ["rag", "rag"])
    assert source(await ask(served)) == "cache"


@pytest.mark.parametrize(
    "same",
    [{"model": "small"}, {"model": "gpt-4"}, {"model": "unheard of"}, {"metadata": {"a": 1}}, {"temperature": 0.3}],
)
async def test_what_comes_to_the_same_is_the_same_question(begin: Begin, same: dict[str, Any]) -> None:
    served = await begin(model_list=[{"model_name": "gpt-4", "use": "small"}])
    await ask(served)
    assert source(await ask(served, **same)) == "cache"


async def test_another_conversation_so_far_is_another_question(begin: Begin) -> None:
    served = await begin()
    await ask(served)
    async with session(served) as (client, topic):
        sources = [source((await stream(client, topic, query))[-1][1]) for query in ("Hello", QUESTION)]
    assert sources == ["llm", "llm"]


async def test_two_owners_with_different_documents_never_share(begin: Begin) -> None:
    served = await begin(runner=FakeRunner())
    services = served.server.app[SERVICES]
    for owner, months in (("ana", 27), ("rui", 72)):
        submitted = await services.library.ingestion.submit(
            Source(owner, "pump.md", "pump.md", "2024-01-01T00:00:00Z"), Content(PUMP.replace("27", str(months)))
        )
        assert (await services.library.ingestion.finished(submitted)).state == "done"

    async def answered(owner: str, session_id: str) -> Answered:
        question = Question(Conversation(owner, session_id), QUESTION)
        events = [event async for event in services.assistant.ask(question, Cancellation())]
        last = events[-1]
        assert isinstance(last, Answered)
        return last

    told = [await answered(owner, session_id) for session_id in "st" for owner in ("ana", "rui")]
    assert [answer.receipt.source for answer in told] == ["llm", "llm", "cache", "cache"]
    assert ["27 months" in answer.text for answer in told] == [True, False, True, False]
    assert ["72 months" in answer.text for answer in told] == [False, True, False, True]


# Going round it


async def test_a_question_may_go_round_the_cache_and_leaves_nothing_in_it(begin: Begin) -> None:
    served = await begin()
    assert [source(await ask(served, cache=False)) for _ in range(2)] == ["llm", "llm"]
    assert (await stats(served))["entries"] == 0
    await ask(served)
    assert [source(await ask(served, cache=wanted)) for wanted in (False, True, None)] == ["llm", "cache", "cache"]


async def test_a_name_may_go_round_the_cache(begin: Begin) -> None:
    fresh = {"model_name": "fresh", "use": "small", "cache": False}
    served = await begin(model_list=[{"model_name": "gpt-4", "use": "small"}, fresh])
    assert [source(await ask(served, model="fresh", cache=True)) for _ in range(2)] == ["llm", "llm"]
    await ask(served, model="gpt-4")
    assert [source(await ask(served, model=name)) for name in ("fresh", "gpt-4")] == ["llm", "cache"]


async def test_a_cache_that_is_off_keeps_nothing(begin: Begin) -> None:
    served = await begin(cache={"enabled": False})
    assert [source(await ask(served, cache=True)) for _ in range(2)] == ["llm", "llm"]
    told = await stats(served)
    assert (told["enabled"], told["entries"]) == (False, 0)


@pytest.mark.parametrize("wrong", ["no", 0, 1, [], {}])
async def test_a_wrong_value_is_named(begin: Begin, wrong: Any) -> None:
    told = await ask(await begin(), cache=wrong)
    assert (told["error"], "cache must be true or false" in told["message"]) == ("invalid_params", True)


# What makes an answer go, and what does not


async def asked_all(served: Served) -> dict[str, str]:
    """Ask about three documents and none; their ids."""
    ids = await put(served, pump=PUMP, boat=BOAT, bread=BREAD)
    for name, query in QUESTIONS.items():
        told = await ask(served, query)
        fetched = [fetched["source_document"] for fetched in told["metadata"]["sources"]]
        assert fetched == ([f"{name}.md"] if name != "none" else [])
    assert await repeated(served, *QUESTIONS) == [*QUESTIONS]
    return ids


@pytest.mark.parametrize("changed", ["pump", "boat", "bread"])
async def test_a_changed_document_drops_only_the_answers_that_rest_on_it(begin: Begin, changed: str) -> None:
    served = await begin()
    await asked_all(served)
    text = {"pump": PUMP, "boat": BOAT, "bread": BREAD}[changed]
    await put(served, **{changed: f"{text} So it was said."})
    assert await repeated(served, *QUESTIONS) == [name for name in QUESTIONS if name != changed]


@pytest.mark.parametrize("removed", ["pump", "boat", "bread"])
async def test_a_removed_document_drops_only_the_answers_that_rest_on_it(begin: Begin, removed: str) -> None:
    served = await begin()
    ids = await asked_all(served)
    async with http_of(served) as http, http.delete(f"/api/knowledge/documents/{ids[removed]}") as response:
        assert response.status == 204
    assert (await stats(served))["entries"] == len(QUESTIONS) - 1
    assert await repeated(served, *QUESTIONS) == [name for name in QUESTIONS if name != removed]


async def test_a_new_document_that_fits_a_question_drops_only_that_questions_answer(begin: Begin) -> None:
    served = await begin()
    await asked_all(served)
    await put(served, addendum="As to how long the warranty of the XK-204 pump is: it is 31 months long now.")
    assert await repeated(served, "boat", "bread", "none") == ["boat", "bread", "none"]
    told = await ask(served, QUESTION)
    assert source(told) == "llm"
    assert "addendum.md" in {fetched["source_document"] for fetched in told["metadata"]["sources"]}
    assert await repeated(served, *QUESTIONS) == [*QUESTIONS]


async def test_a_document_for_a_question_that_had_none_drops_its_answer(begin: Begin) -> None:
    served = await begin()
    assert (await ask(served))["metadata"]["sources"] == []
    await put(served, pump=PUMP)
    told = await ask(served)
    assert (source(told), len(told["metadata"]["sources"])) == ("llm", 1)


async def test_documents_that_have_nothing_to_do_with_it_drop_nothing(begin: Begin) -> None:
    served = await begin()
    await asked_all(served)
    await put(served, giraffe="Giraffes eat the leaves of acacias.", sun="The sun is a star of medium age.")
    assert await repeated(served, *QUESTIONS) == [*QUESTIONS]


async def test_the_same_document_again_drops_nothing(begin: Begin) -> None:
    served = await begin()
    await asked_all(served)
    await put(served, pump=PUMP)
    assert await repeated(served, *QUESTIONS) == [*QUESTIONS]


async def test_a_pinned_document_drops_nothing_and_a_renamed_one_what_names_it(begin: Begin) -> None:
    served = await begin()
    ids = await asked_all(served)
    path = f"/api/knowledge/documents/{ids['pump']}"
    async with http_of(served) as http:
        async with http.patch(path, json={"pinned": True}) as response:
            assert response.status == 200
        assert await repeated(served, *QUESTIONS) == [*QUESTIONS]
        async with http.patch(path, json={"source_document": "engine.md"}) as response:
            assert response.status == 200
    assert await repeated(served, *QUESTIONS) == ["boat", "bread", "none"]


async def test_an_answer_without_documents_outlives_all_changes(begin: Begin) -> None:
    served = await begin()
    await ask(served, retrieval="off")
    await put(served, pump=PUMP)
    assert source(await ask(served, retrieval="off")) == "cache"


# What is not kept


async def test_a_stopped_answer_is_not_kept(begin: Begin) -> None:
    served = await begin()
    served.runner.hold()
    async with session(served) as (client, topic):
        await client.push(topic, "stream_query", {"query": QUESTION})
        served.runner.step(8)
        await client.until("stream_token")
        await client.push(topic, "stop", {})
        await client.push(topic, "ping", {})
        await client.until("pong")  # the server knows
        served.runner.release()
        ended = (await client.until("stream_complete"))[-1][4]
    assert ended["metadata"]["finish_reason"] == "cancelled"
    assert ((await stats(served))["entries"], source(await ask(served))) == (0, "llm")


async def test_a_failed_answer_is_not_kept(begin: Begin) -> None:
    served = await begin()
    served.runner.fails = lambda share: True
    async with session(served) as (client, topic):
        assert (await stream(client, topic, QUESTION))[-1][0] == "stream_error"
    served.runner.fails = lambda share: False
    assert ((await stats(served))["entries"], source(await ask(served))) == (0, "llm")


async def test_an_answer_that_should_have_had_a_second_opinion_is_not_kept(begin: Begin, serve: Serve) -> None:
    class Broken(FakeRunner):
        def decode(self, shares: list[Any], threads: int) -> None:
            raise DecodeFailed("it is broken")

    first = await begin()  # makes the model files
    models = first.server.app[SERVICES].config.model_dump()["models"]
    await first.stop()
    served = await serve(
        others={"large": Broken()},
        models={name: {"path": str(model["path"])} for name, model in models.items()},
        cascade={"small": {"to": "large", "below": 0.99}},
        cache={"enabled": True},
    )
    assert [source(await ask(served, "How many?")) for _ in range(2)] == ["llm", "llm"]
    assert (await stats(served))["entries"] == 0


@pytest.mark.parametrize(
    ("name", "content"), [("pump", f"{PUMP} Or 31."), ("addendum", "The warranty of the XK-204 pump is longer now.")]
)
async def test_an_answer_made_while_a_document_changed_is_not_kept(begin: Begin, name: str, content: str) -> None:
    served = await begin()
    await put(served, pump=PUMP)
    served.runner.hold()
    async with session(served) as (client, topic):
        await client.push(topic, "stream_query", {"query": QUESTION})
        await client.until("sources")
        await put(served, **{name: content})
        served.runner.release()
        await client.until("stream_complete")
    assert ((await stats(served))["entries"], source(await ask(served))) == (0, "llm")


async def test_that_documents_do_not_answer_is_not_kept(begin: Begin) -> None:
    served = await begin()
    await put(served, boat=BOAT)
    told = [await ask(served, "Who painted the Mona Lisa?", retrieval="strict") for _ in range(2)]
    assert [source(response) for response in told] == ["rag", "rag"]
    assert (await stats(served))["entries"] == 0


# Bounds, restarts, and what is told of it


async def test_no_more_answers_are_kept_than_the_configuration_says(begin: Begin) -> None:
    served = await begin(cache={"entries": 2})
    for query in ("one", "two", "three"):
        await ask(served, query)
    told = await stats(served)
    assert (told["entries"], told["max_entries"]) == (2, 2)
    assert [source(await ask(served, query, cache=None)) for query in ("three", "two")] == ["cache", "cache"]
    assert source(await ask(served, "one")) == "llm"


async def test_an_answer_that_has_had_its_time_is_not_given_again(begin: Begin) -> None:
    served = await begin(cache={"hours": 1e-9})
    assert [source(await ask(served)) for _ in range(2)] == ["llm", "llm"]


async def test_answers_survive_a_restart(begin: Begin) -> None:
    served = await begin()
    await put(served, pump=PUMP)
    first = await ask(served)
    await served.stop()
    again = await ask(await begin())
    assert (source(again), again["response"]) == ("cache", first["response"])
    assert again["metadata"]["sources"] == first["metadata"]["sources"]


async def test_a_change_before_a_restart_still_counts_after_it(begin: Begin) -> None:
    served = await begin()
    await asked_all(served)
    await put(served, pump=f"{PUMP} Or so.", addendum="The boat Esperança leaves the harbour on Fridays too.")
    await served.stop()
    assert await repeated(await begin(), *QUESTIONS) == ["bread", "none"]


async def test_another_file_in_the_models_place_is_another_model(begin: Begin, tmp_path: Path) -> None:
    served = await begin()
    await ask(served)
    await served.stop()
    (tmp_path / "small.gguf").write_text("another model")
    assert source(await ask(await begin())) == "llm"


async def test_a_model_whose_file_cannot_be_read_answers_and_nothing_is_kept(serve: Serve, tmp_path: Path) -> None:
    served = await serve(models={"small": {"path": str(tmp_path / "gone.gguf")}}, cache={"enabled": True})
    assert [source(await ask(served)) for _ in range(2)] == ["llm", "llm"]


async def test_the_stats_count_entries_characters_and_hits(begin: Begin) -> None:
    served = await begin(cache={"entries": 7, "hours": 12.0, "rephrased": True})
    empty = await stats(served)
    assert empty == {
        "enabled": True,
        "entries": 0,
        "max_entries": 7,
        "hours": 12.0,
        "rephrased": True,
        "characters": 0,
        "hits": 0,
        "oldest": None,
        "newest": None,
    }
    for query in ("one", "two", "one", "one"):
        await ask(served, query)
    told = await stats(served)
    assert (told["entries"], told["hits"], told["characters"]) == (2, 2, 2 * len(ANSWER))
    assert told["oldest"] <= told["newest"]


async def test_the_cache_is_emptied_and_fills_again(begin: Begin) -> None:
    served = await begin()
    for query in ("one", "two"):
        await ask(served, query)
    async with http_of(served) as http:
        deleted = []
        for _ in range(2):
            async with http.delete("/api/cache") as response:
                assert response.status == 200
                deleted.append(await response.json())
    assert deleted == [{"deleted": 2}, {"deleted": 0}]
    assert [source(await ask(served, "one")) for _ in range(2)] == ["llm", "cache"]


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
async def test_pages_of_other_origins_may_not_empty_it(begin: Begin, headers: dict[str, str]) -> None:
    served = await begin()
    await ask(served)
    async with http_of(served) as http, http.delete("/api/cache", headers=headers) as response:
        assert (response.status, (await response.json())["error"]) == (403, "forbidden")
    assert (await stats(served))["entries"] == 1


@pytest.mark.parametrize(
    ("method", "path"), [("post", "/api/cache"), ("get", "/api/cache"), ("delete", "/api/cache/stats")]
)
async def test_other_methods_are_refused(begin: Begin, method: str, path: str) -> None:
    served = await begin()
    async with http_of(served) as http, http.request(method, path) as response:
        assert response.status == 405


# Questions that mean the same. To the fake embedder texts of the same words are the same.


@pytest.mark.parametrize(
    ("query", "wanted", "found"),
    [
        ("The warranty of the XK-204 pump: how long is it?", True, True),
        ("The warranty of the XK-204 pump: how long is it?", False, False),
        ("The warranty of the XK-205 pump: how long is it?", True, False),
        ("The warranty of the pump: how long is it?", True, False),
        ("How long is it not, the warranty of the XK-204 pump?", True, False),
        ("When does the boat Esperança leave the harbour?", True, False),
    ],
)
async def test_a_rephrased_question_is_answered_where_that_is_wanted_and_its_facts_are_the_same(
    begin: Begin, query: str, wanted: bool, found: bool
) -> None:
    served = await begin(cache={"rephrased": wanted})
    await put(served, pump=PUMP, boat=BOAT)
    first, told = await ask(served), await ask(served, query)
    assert source(told) == ("cache" if found else "llm")
    assert (told["metadata"]["cache"] is not None) is found
    assert (await stats(served))["entries"] == (1 if found else 2)
    assert not found or told["response"] == first["response"]


async def test_a_rephrased_question_is_not_answered_from_a_document_that_changed(begin: Begin) -> None:
    served = await begin(cache={"rephrased": True})
    await put(served, pump=PUMP)
    await ask(served)
    await put(served, pump=f"{PUMP} Or so.")
    assert source(await ask(served, "The warranty of the XK-204 pump: how long is it?")) == "llm"


async def test_what_does_not_hold_for_a_rephrased_question_may_hold_for_the_one_that_was_asked(begin: Begin) -> None:
    served = await begin(cache={"rephrased": True})
    common = "warranty months delivery invoice customer repair valve piston gasket spring motor cable filter nozzle"
    await put(served, hose=f"{common} hose", tank=f"{common} tank")
    await ask(served, f"{common} hose")
    await put(served, boat=BOAT)  # from now on, kept answers are looked at again
    assert source(await ask(served, f"{common} tank")) == "llm"
    assert source(await ask(served, f"{common} hose")) == "cache"


def alike(word: str) -> str:
    """Another word of the same place in the fake embedder: its vector finds it, full text does not."""
    others = map("".join, product("zxqjk", repeat=5))
    return next(other for other in others if place_of(other) == place_of(word))


async def test_what_was_asked_while_a_document_was_on_its_way_into_the_index_is_looked_at_again(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    served, query = await begin(), "hydraulic guarantee nozzle gasket"
    await put(served, boat=BOAT)
    add, asked = Vectors.add, []

    async def ask_first(vectors: Vectors, ids: Ids, rows: Matrix) -> None:
        asked.append(await ask(served, query))
        await add(vectors, ids, rows)

    monkeypatch.setattr(Vectors, "add", ask_first)
    await put(served, pump=" ".join(map(alike, query.split())))
    told = await ask(served, query)
    found = [[each["source_document"] for each in answer["metadata"]["sources"]] for answer in (asked[0], told)]
    assert found == [[], ["pump.md"]]
