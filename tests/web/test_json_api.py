"""What all JSON over HTTP has in common: bodies that cannot be read are refused by name, and nobody stores answers."""

import json
import threading
from typing import Any

import aiohttp
import pytest

from neuralbridge.web import json_api
from neuralbridge.web.json_api import JSON_BYTES, from_json
from tests.conftest import Served

JSON = "application/json"
PATH = "/api/feedback"  # the shortest of those that read a body
GOOD = json.dumps({"message_id": "x", "rating": "up"}).encode()
OURS = "http://localhost"


async def send(served: Served, body: bytes, **headers: str) -> tuple[int, str, str]:
    """Status, code and message."""
    async with (
        aiohttp.ClientSession(base_url=served.url) as http,
        http.post(PATH, data=body, headers={"Content-Type": JSON, **headers}) as response,
    ):
        assert response.headers["Cache-Control"] == "no-store"
        told = await response.json()
        return response.status, told["error"], told["message"]


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"{'message_id': 1}", GOOD + b"x", GOOD[:-1]),
        *(b"\xff\xfe{}", b'{"message_id": "\xff"}', GOOD.decode().encode("utf-16")),
        *(b'{"rating": NaN}', b"[Infinity]", b"-Infinity"),
        *(b"[" * 60_000, b'{"a":' * 10_000),
    ],
    ids=lambda body: repr(body[:24]),
)
async def test_what_is_not_json_is_refused(served: Served, body: bytes) -> None:
    status, code, message = await send(served, body)
    assert (status, code, "not JSON" in message) == (400, "invalid_params", True)


async def test_a_large_body_is_not_parsed_where_others_wait(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []

    def parsed(*given: Any) -> object:
        threads.append(threading.current_thread())
        return from_json(*given)

    monkeypatch.setattr(json_api, "from_json", parsed)
    body = {"source_document": "m", "content": "a, [b]\n" * 40_000}
    async with aiohttp.ClientSession(base_url=served.url) as http:
        async with http.post("/api/knowledge/ingest", json=body) as response:
            assert response.status in (201, 413), "a long text is one value"
        async with http.post("/api/knowledge/ingest", json={**body, "zzz": [[]] * 100_000}) as response:
            told = await response.json()
    assert (response.status, told["error"]) == (400, "invalid_params")
    assert told["message"] == "The body has more than 100,000 commas and brackets outside its strings."
    assert threading.main_thread() not in threads
    assert len(threads) == 2


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "text/json", "x"])
async def test_a_body_that_a_page_could_send_unasked_is_refused(served: Served, kind: str) -> None:
    status, code, message = await send(served, GOOD, **{"Content-Type": kind})
    assert (status, code, "application/json" in message) == (400, "invalid_params", True)


async def test_a_charset_beside_the_type_is_fine(served: Served) -> None:
    assert (await send(served, GOOD, **{"Content-Type": f"{JSON}; charset=utf-8"}))[:2] == (404, "not_found")


@pytest.mark.parametrize(("more", "status", "code"), [(0, 404, "not_found"), (1, 413, "document_too_large")])
async def test_a_body_may_be_as_long_as_the_limit(served: Served, more: int, status: int, code: str) -> None:
    assert (await send(served, GOOD.ljust(JSON_BYTES + more)))[:2] == (status, code)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 404),
        ({"Origin": OURS}, 404),
        ({"Sec-Fetch-Site": "same-origin"}, 404),
        ({"Sec-Fetch-Site": "none"}, 404),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": OURS, "Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
async def test_only_our_own_pages_may_change_something(served: Served, headers: dict[str, str], status: int) -> None:
    port = served.url.rpartition(":")[2]
    sent = {name: f"{value}:{port}" if value == OURS else value for name, value in headers.items()}
    assert (await send(served, GOOD, **sent))[0] == status


async def test_reading_is_not_held_against_a_page(served: Served) -> None:
    async with (
        aiohttp.ClientSession(base_url=served.url) as http,
        http.get("/api/cache/stats", headers={"Sec-Fetch-Site": "cross-site"}) as response,
    ):
        assert (response.status, response.headers["Cache-Control"]) == (200, "no-store")
