"""Over HTTP and the channel: what is said of an answer is stored, and a bad word ends its being given again."""

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from neuralbridge.commands.export import feedback_lines
from neuralbridge.store.conversations import Conversation
from neuralbridge.web.keys import SERVICES
from tests.conftest import Serve, Served

LONGEST = 4_000


async def answered(served: Served, session: str = "s", query: str = "why?") -> dict[str, Any]:
    """The metadata of an answer in that conversation."""
    async with served.client() as client:
        await client.join(f"proxy:{session}")
        await client.push(f"proxy:{session}", "query", {"query": query})
        metadata: dict[str, Any] = (await client.until("response"))[-1][4]["metadata"]
    return metadata


async def rate(served: Served, **said: Any) -> tuple[int, dict[str, Any]]:
    async with aiohttp.ClientSession(base_url=served.url) as http, http.post("/api/feedback", json=said) as response:
        return response.status, await response.json()


@pytest.fixture
async def keeping(serve: Serve, tmp_path: Path) -> Served:
    """A server that keeps answers."""
    (tmp_path / "small.gguf").write_text("small")
    return await serve(models={"small": {"path": str(tmp_path / "small.gguf")}}, cache={"enabled": True})


def lines(tmp_path: Path) -> int:
    return len([*feedback_lines(tmp_path / "data")])


# The cache


@pytest.mark.parametrize("way", ["http", "channel"])
@pytest.mark.parametrize(("rating", "source"), [("down", "llm"), ("up", "cache"), (None, "cache")])
async def test_a_thumb_down_takes_the_answer_out_of_the_cache_and_nothing_else_does(
    keeping: Served, way: str, rating: str | None, source: str
) -> None:
    message = (await answered(keeping))["message_id"]
    if way == "http":
        assert (await rate(keeping, message_id=message, rating=rating))[0] == 200
    else:
        async with keeping.client() as client:
            await client.join("proxy:another")
            await client.push("proxy:another", "feedback", {"message_id": message, "rating": rating})
            await client.expect("feedback")
    assert (await answered(keeping, "t"))["source"] == source


async def test_a_thumb_down_leaves_other_answers_in_the_cache(keeping: Served) -> None:
    bad, _ = await answered(keeping, "s", "why?"), await answered(keeping, "t", "how?")
    await rate(keeping, message_id=bad["message_id"], rating="down")
    assert (await answered(keeping, "u", "how?"))["source"] == "cache"


async def test_the_answer_made_after_a_thumb_down_is_kept(keeping: Served) -> None:
    await rate(keeping, message_id=(await answered(keeping))["message_id"], rating="down")
    assert [(await answered(keeping, session))["source"] for session in "tu"] == ["llm", "cache"]


# What is stored


async def test_the_last_word_counts_and_can_be_taken_back(served: Served, tmp_path: Path) -> None:
    message = (await answered(served))["message_id"]
    counted = []
    for rating in ("up", "down", None):
        assert (await rate(served, message_id=message, rating=rating))[0] == 200
        counted.append(lines(tmp_path))
    assert counted == [1, 1, 0]


@pytest.mark.parametrize("rating", ["up", "down", None])
async def test_a_rating_is_told_back_on_the_channel_and_over_http(served: Served, rating: str | None) -> None:
    said = {"message_id": (await answered(served))["message_id"], "rating": rating}
    async with served.client() as client:
        await client.join("proxy:another")
        await client.push("proxy:another", "feedback", {**said, "comment": "so so"})
        assert await client.expect("feedback") == {**said, "comment": "so so"}
    assert await rate(served, **said) == (200, {**said, "comment": ""})


async def test_an_unknown_answer_is_not_found(served: Served) -> None:
    status, told = await rate(served, message_id="f" * 32, rating="up")
    assert (status, told["error"]) == (404, "not_found")


@pytest.mark.parametrize("body", [{}, {"rating": "up"}, [], "x", 7])
async def test_a_rating_of_nothing_says_what_is_missing(served: Served, body: Any) -> None:
    async with aiohttp.ClientSession(base_url=served.url) as http, http.post("/api/feedback", json=body) as response:
        told = await response.json()
    assert (response.status, told["error"]) == (400, "invalid_params")
    assert told["message"].startswith("message_id must be the id of an answer, not missing")


async def test_the_answer_of_somebody_else_is_not_found_and_not_rated(served: Served, tmp_path: Path) -> None:
    conversations = served.server.app[SERVICES].conversations
    turn = await conversations.begin(Conversation("somebody", "s"), "why?", {}, {})
    status, told = await rate(served, message_id=turn.answer, rating="down")
    async with served.client() as client:
        await client.join("proxy:s")
        await client.push("proxy:s", "feedback", {"message_id": turn.answer, "rating": "down"})
        on_channel = await client.expect("error")
    assert (status, told["error"], on_channel["error"], lines(tmp_path)) == (404, "not_found", "not_found", 0)


async def test_a_question_cannot_be_rated(served: Served) -> None:
    await answered(served)
    (question, _) = await served.server.app[SERVICES].conversations.branch(Conversation("local", "s"), 2)
    status, told = await rate(served, message_id=question.uid, rating="up")
    assert (status, told["error"]) == (404, "not_found")


@pytest.mark.parametrize("comment", ["", "x" * LONGEST, "💥" * LONGEST, "\0\n\r\u2028", "</script>"])
async def test_a_comment_of_any_characters_comes_back(served: Served, comment: str) -> None:
    said = {"message_id": (await answered(served))["message_id"], "rating": "up", "comment": comment}
    assert await rate(served, **said) == (200, said)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"rating": rating} for rating in ("UP", "sideways", 1, "", True, -1, [], {})),
        *({"comment": comment} for comment in (None, 7, [], "x" * (LONGEST + 1), "\ud800")),
        *({"message_id": message} for message in (None, 7, "", "x" * 65, [])),
    ],
)
async def test_a_wrong_field_is_named_and_nothing_is_stored(
    served: Served, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    said = {"message_id": (await answered(served))["message_id"], "rating": "up", **wrong}
    status, told = await rate(served, **said)
    (field,) = wrong
    assert (status, told["error"], told["message"].startswith(f"{field} must be ")) == (400, "invalid_params", True)
    assert lines(tmp_path) == 0


async def test_the_channel_goes_on_after_feedback_that_is_wrong(served: Served) -> None:
    async with served.client() as client:
        await client.join("proxy:s")
        ref = await client.push("proxy:s", "feedback", {"message_id": "x", "rating": 7})
        assert (await client.expect("error"))["ref"] == ref
        await client.push("proxy:s", "ping", {})
        await client.expect("pong")


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
async def test_what_a_page_of_another_origin_says_is_not_stored(
    served: Served, tmp_path: Path, headers: dict[str, str]
) -> None:
    said = {"message_id": (await answered(served))["message_id"], "rating": "down"}
    async with (
        aiohttp.ClientSession(base_url=served.url) as http,
        http.post("/api/feedback", json=said, headers=headers) as response,
    ):
        assert (response.status, (await response.json())["error"]) == (403, "forbidden")
    assert lines(tmp_path) == 0
