"""What frames look like: shorthands for tests, and a client that checks every frame it gets against the models."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import ANY

from neuralbridge.protocol.pushes import PUSHES
from tests.conftest import Served
from tests.phoenix_client import Frame, PhoenixClient

TOPIC = "proxy:s"
OF_QUESTION = {"response", "stream_start", "stream_token", "stream_complete", "queued"}


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
    """Fails on a frame that the server's own description of the wire does not allow."""

    async def receive(self) -> Frame:
        frame = await super().receive()
        check(frame)
        return frame

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
async def connected(served: Served, *topics: str, params: str = "vsn=2.0.0&user_id=u") -> AsyncIterator[CheckedClient]:
    """A checked client that has joined these topics."""
    async with CheckedClient(served.url, params) as client:
        for topic in topics:
            await client.join(topic)
        yield client


async def mid_answer(served: Served, client: PhoenixClient, topic: str = TOPIC) -> str:
    """Ask for a stream and hold the model after some of its tokens: the stream_id, once the first token has come."""
    served.runner.hold()
    await client.push(topic, "stream_query", {"query": "a story"})
    served.runner.step(20)  # enough for the prompt, and for some tokens of an answer that is much longer
    stream_id: str = (await client.until("stream_token"))[-1][4]["stream_id"]
    return stream_id
