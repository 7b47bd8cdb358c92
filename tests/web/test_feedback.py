"""Thumbs and comments on answers, over the channel and over HTTP."""

from typing import Any

import aiohttp
import pytest

from tests.conftest import Served
from tests.phoenix_client import PhoenixClient
from tests.web.test_documents_in_answers import TOPIC


async def answered(client: PhoenixClient) -> str:
    """The message id of an answer."""
    await client.join(TOPIC)
    await client.push(TOPIC, "query", {"query": "why?"})
    message: str = (await client.expect("response"))["metadata"]["message_id"]
    return message


async def post(served: Served, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    async with (
        aiohttp.ClientSession(base_url=served.url) as http,
        http.post("/api/feedback", json=body, headers=headers) as response,
    ):
        return response.status, await response.json()


@pytest.mark.parametrize("rating", ["up", "down", None])
async def test_a_rating_on_the_channel_comes_back_when_it_is_stored(served: Served, rating: str | None) -> None:
    async with served.client() as client:
        said = {"message_id": await answered(client), "rating": rating, "comment": "so so"}
        await client.push(TOPIC, "feedback", said)
        assert await client.expect("feedback") == said


@pytest.mark.parametrize("rating", ["up", "down", None])
async def test_a_rating_over_http_is_told_back(served: Served, rating: str | None) -> None:
    async with served.client() as client:
        said = {"message_id": await answered(client), "rating": rating}
        assert await post(served, said) == (200, {**said, "comment": ""})


async def test_an_unknown_answer_is_not_found(served: Served) -> None:
    async with served.client() as client:
        await answered(client)
        await client.push(TOPIC, "feedback", {"message_id": "f" * 32, "rating": "up"})
        assert (await client.expect("error"))["error"] == "not_found"
    status, told = await post(served, {"message_id": "f" * 32, "rating": "up"})
    assert (status, told["error"]) == (404, "not_found")


@pytest.mark.parametrize(
    "wrong",
    [
        {"rating": "sideways"},
        {"rating": 1},
        {"message_id": 7, "rating": "up"},
        {"message_id": "", "rating": "up"},
        {"rating": "up", "comment": "x" * 4_001},
        {"rating": "up", "comment": 7},
    ],
)
async def test_what_is_wrong_with_a_rating_is_said_and_nothing_is_stored(served: Served, wrong: dict[str, Any]) -> None:
    async with served.client() as client:
        message = await answered(client)
        body = {"message_id": message, **wrong}
        await client.push(TOPIC, "feedback", body)
        assert (await client.expect("error"))["error"] == "invalid_params"
    status, told = await post(served, body)
    assert (status, told["error"]) == (400, "invalid_params")


@pytest.mark.parametrize("body", [{}, {"rating": "up"}, [], "x", 7])
async def test_a_rating_of_nothing_says_what_is_missing(served: Served, body: Any) -> None:
    status, told = await post(served, body)
    assert (status, told["error"]) == (400, "invalid_params")
    assert told["message"].startswith("message_id must be the id of an answer, not missing")


async def test_pages_of_other_origins_may_not_rate(served: Served) -> None:
    async with served.client() as client:
        said = {"message_id": await answered(client), "rating": "up"}
    status, told = await post(served, said, Origin="https://evil.example")
    assert (status, told["error"]) == (403, "forbidden")
