"""What frames look like: shorthands for tests, and a client that checks every frame it gets against the models."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import groupby
from typing import Any
from unittest.mock import ANY

import aiohttp

from neuralbridge.protocol.pushes import PUSHES
from tests.conftest import Served
from tests.phoenix_client import Frame, PhoenixClient

V2 = "vsn=2.0.0&user_id=u"
TOPIC = "proxy:s"
OF_QUESTION = {"response", "stream_start", "stream_thought", "stream_token", "stream_complete", "queued"}


def ok(response: Any) -> dict[str, Any]:
    return {"status": "ok", "response": response}


def error(reason: str) -> dict[str, Any]:
    return {"status": "error", "response": {"reason": reason}}


def reply(join_ref: Any, ref: Any, payload: dict[str, Any], topic: Any = TOPIC) -> Frame:
    return [join_ref, ref, topic, "phx_reply", payload]


def joined(join_ref: Any, ref: Any, session_id: str = "s", topic: str = TOPIC) -> Frame:
    return reply(join_ref, ref, ok({"status": "connected", "session_id": session_id, "running": []}), topic)


def closed(join_ref: Any, topic: str = TOPIC) -> Frame:
    return [join_ref, join_ref, topic, "phx_close", {}]


def pong(join_ref: Any, topic: str = TOPIC) -> Frame:
    return [join_ref, None, topic, "pong", {"timestamp": ANY}]


class CheckedClient(PhoenixClient):
    """Fails on a frame that the server's own description of the wire does not allow. `heard` has all frames."""

    def __init__(self, url: str, params: str) -> None:
        super().__init__(url, params)
        self.heard: list[Frame] = []

    async def receive(self) -> Frame:
        frame = await super().receive()
        check(frame)
        self.heard.append(frame)
        return frame

    async def vanish(self) -> None:
        """Lose the connection: no close frame, and what was not read is lost."""
        await self._http.close()

    async def history(self, payload: Any = None, topic: str = TOPIC) -> dict[str, Any]:
        await self.push(topic, "get_history", payload)
        return await self.expect("history")

    async def ask(self, query: str, topic: str = TOPIC) -> dict[str, Any]:
        """Ask and wait for the answer; nothing else may come before it."""
        await self.push(topic, "query", {"query": query})
        return await self.expect("response")

    async def fence(self, topic: str = TOPIC) -> list[Frame]:
        """The frames that still come, up to where everything sent so far on this topic has been dealt with.

        An event without a join_ref is taken on a joined topic, after those before it, and refused on any other.
        """
        await self.send(None, "fence", topic, "get_history", {})
        frames = []
        while (frame := await self.receive())[3] != "history" and frame[1] != "fence":
            frames.append(frame)
        return frames


def check(frame: Frame) -> None:
    """What section 2.1 and the models of pushes.py say of a V2 frame."""
    join_ref, ref, _topic, event, payload = frame
    assert isinstance(payload, dict), frame
    if event == "phx_reply":
        assert payload.keys() == {"status", "response"}, frame
        assert payload["status"] in ("ok", "error"), frame
        assert isinstance(payload["response"], dict), frame
    elif event in ("phx_close", "phx_error"):
        assert join_ref == ref, frame
    else:
        assert ref is None, frame
        assert PUSHES[event].model_validate(payload).payload() == payload, frame
        if event in OF_QUESTION:
            assert payload["seq"] >= 1, frame
            assert payload["stream_id"], frame


@asynccontextmanager
async def connected(served: Served, *topics: str, params: str = V2) -> AsyncIterator[CheckedClient]:
    """A checked client that has joined these topics."""
    async with CheckedClient(served.url, params) as client:
        for topic in topics:
            await client.join(topic)
        yield client


def texts(frames: list[Frame]) -> str:
    """The tokens among these frames, put together."""
    return "".join(frame[4]["token"] for frame in frames if frame[3] == "stream_token")


def numbers(frames: list[Frame]) -> list[int]:
    return [frame[4]["seq"] for frame in frames]


def events(frames: list[Frame]) -> list[str]:
    """The events of these frames, tokens as one."""
    return [event for event, _ in groupby(frame[3] for frame in frames)]


async def mid_answer(served: Served, client: PhoenixClient, topic: str = TOPIC) -> str:
    """Ask for a stream and hold the model after some of its tokens: the stream_id, once the first token has come."""
    served.runner.hold()
    await client.push(topic, "stream_query", {"query": "a story"})
    served.runner.step(20)  # enough for the prompt, and for some tokens of an answer that is much longer
    stream_id: str = (await client.until("stream_token"))[-1][4]["stream_id"]
    return stream_id


async def until_under_way(served: Served, amount: int) -> None:
    """Let the model go on, slowly, until so few answers are under way. Whoever joined to see that would be watching."""
    async with aiohttp.ClientSession() as http:
        while (await (await http.get(f"{served.url}/api/proxy/health")).json())["answers_under_way"] > amount:
            served.runner.step()
