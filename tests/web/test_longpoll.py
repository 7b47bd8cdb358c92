"""Section 5 of phoenix-protocol.md: the transport for clients that WebSockets fail. And vector 72."""

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from neuralbridge.protocol.frames import FIRST_VALUES
from neuralbridge.web.longpoll import POLL_SESSIONS
from tests.conftest import Serve, Served
from tests.fakes import FakeRunner
from tests.phoenix_client import Frame
from tests.web.wire import TOPIC, check, connected, joined, ok, pong, reply

PAGE = "http://localhost:5173"
HEARTBEAT = [None, "7", "phoenix", "heartbeat", {}]
BEAT = reply(None, "7", ok({}), "phoenix")
JOIN = ["1", "1", TOPIC, "phx_join", {}]
WAIT_SECONDS = 60.0


class PollClient:
    """One LongPoll session, seen from the client."""

    def __init__(self, http: aiohttp.ClientSession, url: str, query: str) -> None:
        self._http = http
        self.place = f"{url}/socket/longpoll?{query}"
        self.token = ""

    async def get(self, headers: dict[str, str] | None = None) -> dict[str, Any]:
        async with (
            asyncio.timeout(WAIT_SECONDS),
            self._http.get(f"{self.place}&token={self.token}", headers=headers) as r,
        ):
            assert r.status == 200
            body: dict[str, Any] = await r.json()
            return body

    async def post(self, body: bytes, content_type: str = "application/x-ndjson") -> dict[str, Any]:
        headers = {"Content-Type": content_type}
        async with self._http.post(f"{self.place}&token={self.token}", data=body, headers=headers) as response:
            assert response.status == 200
            answer: dict[str, Any] = await response.json()
            return answer

    async def open(self) -> None:
        opened = await self.get()
        assert (opened["status"], opened["messages"]) == (410, [])
        self.token = opened["token"]

    async def send(self, *frames: Any) -> None:
        """Text frames as lists, binary ones as bytes, in one batch."""
        lines = [
            base64.b64encode(frame) if isinstance(frame, bytes) else json.dumps(frame).encode() for frame in frames
        ]
        assert await self.post(b"\n".join(lines)) == {"status": 200}

    async def poll(self) -> list[Frame]:
        polled = await self.get()
        assert (polled["status"], polled["token"]) == (200, self.token)
        frames = [json.loads(message) for message in polled["messages"]]
        for frame in frames:
            check(frame)
        return frames

    async def until(self, event: str) -> list[Frame]:
        frames = await self.poll()
        while frames[-1][3] != event:
            frames += await self.poll()
        return frames


@asynccontextmanager
async def polling(served: Served, query: str = "vsn=2.0.0&user_id=u", **times: float) -> AsyncIterator[PollClient]:
    """An open session on this server, which has other times than usual."""
    for name, seconds in times.items():
        setattr(served.server.app[POLL_SESSIONS], name, seconds)
    async with aiohttp.ClientSession() as http:
        client = PollClient(http, served.url, query)
        await client.open()
        yield client


async def test_a_frame_posted_is_answered_in_the_next_poll(served: Served) -> None:
    async with polling(served) as client:
        await client.send(HEARTBEAT)
        assert await client.poll() == [BEAT]


async def test_a_poll_that_waits_is_answered_as_soon_as_there_is_something(served: Served) -> None:
    async with polling(served) as client:
        waiting = asyncio.create_task(client.poll())
        await client.send(HEARTBEAT)
        assert await waiting == [BEAT]


async def test_a_batch_is_taken_line_by_line_and_binary_frames_in_base64(served: Served) -> None:
    async with polling(served) as client:
        await client.send(JOIN, b"\x00\x00\x01\x07\x042proxy:sping", b"\x00\x00\x01\x07\x097phoenixheartbeat")
        assert await client.until("pong") == [joined("1", "1"), BEAT, pong("1")]


async def test_of_a_batch_100_frames_are_read(served: Served) -> None:
    async with polling(served) as client:
        await client.send(*([HEARTBEAT] * 101))
        await client.send([None, "last", *HEARTBEAT[2:]])
        frames = await client.poll()
        assert [frame[1] for frame in frames] == ["7"] * 100 + ["last"]


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/octet-stream"])
async def test_another_content_type_is_one_frame(served: Served, content_type: str) -> None:
    async with polling(served) as client:
        body = json.dumps(HEARTBEAT, indent=1).encode()
        assert await client.post(body, content_type) == {"status": 200}
        assert await client.poll() == [BEAT]


async def test_v1_frames_are_objects(served: Served) -> None:
    async with polling(served, "user_id=u") as client:
        await client.send({"topic": "phoenix", "event": "heartbeat", "payload": {}, "ref": 0})
        (message,) = (await client.get())["messages"]
        assert json.loads(message) == {"topic": "phoenix", "event": "phx_reply", "payload": ok({}), "ref": 0}


async def test_a_stream_is_complete_whatever_the_polls_cut_it_into(serve: Serve) -> None:
    served = await serve(FakeRunner(reply=lambda _: "It was a dark and stormy night. " * 9))
    async with polling(served) as client:
        await client.send(JOIN, ["1", "2", TOPIC, "stream_query", {"query": "a story"}])
        frames = await client.until("stream_complete")
    payloads = [frame[4] for frame in frames[1:]]
    assert [payload["seq"] for payload in payloads] == [*range(1, len(payloads) + 1)]
    assert "".join(payload.get("token", "") for payload in payloads) == payloads[-1]["response"]


async def test_the_token_in_the_header_wins(served: Served) -> None:
    async with polling(served) as client:
        await client.send(HEARTBEAT)
        token, client.token = client.token, "another"
        polled = await client.get({"X-Phoenix-LongPoll-Token": token})
        assert (polled["status"], len(polled["messages"])) == (200, 1)


async def test_a_poll_without_news_is_answered_with_204(served: Served) -> None:
    async with polling(served, poll_seconds=0.05) as client:
        assert await client.get() == {"status": 204, "token": client.token, "messages": []}


async def test_a_session_that_is_not_polled_ends_and_its_answer_goes_on(serve: Serve) -> None:
    served = await serve(FakeRunner(reply=lambda _: "It was a dark and stormy night."))
    async with polling(served, unpolled_seconds=0.2) as client, connected(served) as other:
        served.runner.hold()
        await client.send(JOIN, ["1", "2", TOPIC, "stream_query", {"query": "a story"}])
        await client.until("stream_start")
        while (await client.post(json.dumps(HEARTBEAT).encode()))["status"] != 410:
            pass
        await other.join(TOPIC)
        served.runner.release()
        complete = await other.expect("stream_complete")
    assert complete["response"] == "It was a dark and stormy night."


async def test_polls_keep_a_session(served: Served) -> None:
    async with polling(served, poll_seconds=0.1, unpolled_seconds=0.3) as client:
        for _ in range(5):
            assert (await client.get())["status"] == 204
        await client.send(HEARTBEAT)


async def test_a_poll_that_takes_long_keeps_its_session(served: Served) -> None:
    async with polling(served, poll_seconds=0.3, unpolled_seconds=0.1) as client:
        assert (await client.get())["status"] == 204
        await client.send(HEARTBEAT)


async def test_a_poll_with_an_unknown_token_opens_a_session(served: Served) -> None:
    async with polling(served) as client:
        known, client.token = client.token, "another"
        opened = await client.get()
        assert opened["status"] == 410
        assert opened["token"] not in (known, "another")


async def test_a_post_with_an_unknown_token_is_told_that_the_session_is_gone(served: Served) -> None:
    async with polling(served) as client:
        client.token = "another"
        assert await client.post(json.dumps(HEARTBEAT).encode()) == {"status": 410}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b""),
        *[
            (content_type, body)
            for content_type in ("application/x-ndjson", "application/json")
            for body in (
                b"hello",
                b"[",
                b"[]",
                b"AAAA",
                "é".encode(),
                b"\xff",
                b"////",
                b'[null,"7","phoenix","heartbeat"]',
            )
        ],
    ],
)
async def test_what_is_no_frame_ends_the_session(served: Served, content_type: str, body: bytes) -> None:
    async with polling(served) as client:
        waiting = asyncio.create_task(client.get())
        await client.send([None, "1", "phoenix", "heartbeat", {}])
        assert (await waiting)["status"] == 200  # so from here on polls arrive before posts
        waiting = asyncio.create_task(client.get())
        await client.get({"X-Phoenix-LongPoll-Token": "another"})
        assert await client.post(body, content_type) == {"status": 410}
        assert await waiting == {"status": 500}
        assert await client.post(json.dumps(HEARTBEAT).encode()) == {"status": 410}


async def test_before_a_join_a_frame_has_few_values(served: Served) -> None:
    beat = [None, "7", "phoenix", "heartbeat", [0] * FIRST_VALUES]
    async with polling(served) as client:
        assert await client.post(json.dumps(beat).encode()) == {"status": 410}
    async with polling(served) as client:
        await client.send(JOIN, beat)
        assert await client.poll() == [joined("1", "1"), BEAT]


async def test_a_body_over_the_limit_is_400(served: Served) -> None:
    async with polling(served) as client, aiohttp.ClientSession() as http:
        body = io.BytesIO(json.dumps([None, "r" * 1024 * 1024, "phoenix", "heartbeat", {}]).encode())
        async with http.post(f"{client.place}&token={client.token}", data=body) as response:
            assert response.status == 400


@pytest.mark.parametrize(
    ("query", "origin"),
    [
        ("vsn=3.0.0", None),
        ("vsn=2.0.0", "http://evil.com"),
        ("vsn=2.0.0", "null"),
        ("vsn=2.0.0&user_id[a]=1", None),  # phoenix.js throws on a status that it does not know, and is stuck
    ],
)
async def test_a_refusal_is_403_in_the_body_and_nothing_else(served: Served, query: str, origin: str | None) -> None:
    async with aiohttp.ClientSession() as http:
        client = PollClient(http, served.url, query)
        assert await client.get({"Origin": origin} if origin else None) == {"status": 403}


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize(
    ("origin", "echoed"),
    [(PAGE, PAGE), ("https://ok.com", "https://ok.com"), (None, None), ("http://evil.com", None), ("null", None)],
)
async def test_only_a_welcome_origin_is_echoed(
    serve: Serve, method: str, origin: str | None, echoed: str | None
) -> None:
    served = await serve(server={"allowed_origins": ["//ok.com"]})
    async with aiohttp.ClientSession() as http:
        place = f"{served.url}/socket/longpoll?vsn=2.0.0"
        response = await http.request(method, place, headers={"Origin": origin} if origin else None)
        assert response.headers.get("Access-Control-Allow-Origin") == echoed
        assert (response.headers["Vary"], response.headers["Cache-Control"]) == ("Origin", "no-store")
        assert response.headers["Content-Type"] == "application/json; charset=utf-8"


async def test_a_preflight_is_told_what_is_allowed(served: Served) -> None:
    async with aiohttp.ClientSession() as http:
        wanted = {"Origin": PAGE, "Access-Control-Request-Headers": "content-type, x-phoenix-authtoken"}
        response = await http.options(f"{served.url}/socket/longpoll?vsn=2.0.0", headers=wanted)
        assert (response.status, await response.read()) == (200, b"")
    told = {name[21:]: value for name, value in response.headers.items() if name.startswith("Access-Control-Allow-")}
    assert told == {
        "Origin": PAGE,
        "Headers": "content-type, x-phoenix-authtoken",
        "Methods": "get, post, options",
    }
    assert response.headers["Access-Control-Max-Age"] == "3600"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD"])
async def test_other_methods_are_400(served: Served, method: str) -> None:
    async with aiohttp.ClientSession() as http, http.request(method, f"{served.url}/socket/longpoll") as response:
        assert response.status == 400


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
async def test_v72_switched_off_it_is_404_and_not_json(serve: Serve, method: str) -> None:
    served = await serve(server={"longpoll": False})
    async with aiohttp.ClientSession() as http:
        response = await http.request(method, f"{served.url}/socket/longpoll?vsn=2.0.0")
        assert (response.status, response.content_type) == (404, "text/plain")
