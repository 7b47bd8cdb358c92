"""A question over the channel: `docs/wire.md` as a client sees it. One socket for each question."""

import asyncio
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from pydantic import ValidationError

from neuralbridge.errors import AnswerFailed, InvalidQuery, ServerUnusable
from neuralbridge.protocol.frames import SERIALIZERS, Frame, Json, Malformed, has_lone_surrogate
from neuralbridge.protocol.pushes import Metadata

PATH = "/socket/websocket?vsn=2.0.0"
HEARTBEAT_SECONDS = 20.0  # a server closes a socket that it does not hear of for `server.idle_seconds`, 60
MESSAGE_BYTES = 32 * 1024 * 1024  # far more than an answer and its sources have
JOIN: Final = "join"
WIRE = SERIALIZERS[2]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of a conversation. What is None is left to the server."""

    conversation: str
    query: str
    model: str | None = None
    retrieval: str | None = None


@dataclass(frozen=True, slots=True)
class Queued:
    """Other questions of the conversation come first; with `place` 1, one."""

    place: int


@dataclass(frozen=True, slots=True)
class Started:
    """An answer begins: the first, or one that takes the place of what was said."""


@dataclass(frozen=True, slots=True)
class Said:
    """The answer goes on with this."""

    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The answer, whole. `told` is its metadata as it came; where `superseded`, another answer takes its place."""

    text: str
    metadata: Metadata
    told: dict[str, Any]
    timestamp: str

    @property
    def superseded(self) -> bool:
        return self.metadata.superseded_by is not None


def new_conversation() -> str:
    return uuid.uuid4().hex


Heard = Queued | Started | Said | Ended


async def ask(session: aiohttp.ClientSession, asked: Asked) -> AsyncGenerator[Heard]:
    """Ask, and yield what is heard up to the last answer's end. Closed before that, it stops the answer.

    Raises InvalidQuery for what is no text, AnswerFailed in the server's words, and ServerUnusable when the connection
    is lost.
    """
    if has_lone_surrogate([asked.conversation, asked.query, asked.model]):
        raise InvalidQuery("The question, or a name that goes with it, is not UTF-8 text.")
    topic = f"proxy:{asked.conversation}"
    ref = uuid.uuid4().hex  # no other device's: who joins during its answer is told how that ends
    given = {"query": asked.query, "model": asked.model, "retrieval": asked.retrieval}
    stream: str | None = None
    ended = False
    try:
        async with connected(session) as socket:
            try:
                await send(socket, Frame(JOIN, JOIN, topic, "phx_join", {}))
                await send(socket, Frame(JOIN, ref, topic, "stream_query", given))
                while not ended:
                    frame = await receive(socket)
                    if frame.topic == topic and is_ours(frame, ref):
                        stream = frame.payload.get("stream_id", stream)
                        heard = heard_in(frame.event, frame.payload)
                        ended = isinstance(heard, Ended) and not heard.superseded
                        if heard is not None:
                            yield heard
            finally:
                if not ended and not socket.closed:
                    # Without a name for it, leaving ends what we asked
                    stop = ("stop", {"stream_id": stream}) if stream else ("phx_leave", {})
                    await send(socket, Frame(JOIN, uuid.uuid4().hex, topic, *stop))
    except aiohttp.ClientError as error:
        raise ServerUnusable(f"The connection to the server is lost ({error}).") from error


@asynccontextmanager
async def connected(session: aiohttp.ClientSession) -> "AsyncGenerator[aiohttp.ClientWebSocketResponse]":
    """A socket that gives signs of life."""
    async with session.ws_connect(PATH, max_msg_size=MESSAGE_BYTES) as socket:

        async def beat() -> None:
            while True:
                await asyncio.sleep(HEARTBEAT_SECONDS)
                await send(socket, Frame(None, uuid.uuid4().hex, "phoenix", "heartbeat", {}))

        beating = asyncio.create_task(beat())
        try:
            yield socket
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)  # a lost connection is the reader's to tell


async def send(socket: aiohttp.ClientWebSocketResponse, frame: Frame) -> None:
    await socket.send_str(WIRE.encode(frame))


async def receive(socket: aiohttp.ClientWebSocketResponse) -> Frame:
    message = await socket.receive()
    if message.type is not aiohttp.WSMsgType.TEXT:
        why = f"close code {socket.close_code}"
        raise ServerUnusable(f"The connection to the server is lost ({why}); the conversation keeps what was said.")
    try:
        return WIRE.decode(message.data)
    except Malformed as error:
        raise ServerUnusable(f"The server does not speak as documented ({error}).") from error


def is_ours(frame: Frame, ref: str) -> bool:
    """Whether a frame is about our question, or about the channel that it was asked on."""
    if not isinstance(frame.payload, dict):
        return False
    return frame.payload.get("ref") == ref or frame.event in ("phx_reply", "phx_error", "phx_close")


def heard_in(event: Json, payload: dict[str, Any]) -> Heard | None:
    """What an event says; None where it is of no concern here. Raises AnswerFailed and ServerUnusable."""
    match event, payload:
        case "stream_token", {"token": str(text)}:
            return Said(text)
        case "queued", {"place": int(place)}:
            return Queued(place)
        case "stream_start", _:
            return Started()
        case "stream_complete", {"response": str(text), "metadata": dict(told), "timestamp": str(timestamp)}:
            try:
                return Ended(text, Metadata.model_validate(told), told, timestamp)
            except ValidationError as error:
                wrong = ".".join(map(str, error.errors()[0]["loc"]))
                raise ServerUnusable(f"The server is of another version: its metadata.{wrong} is not ours.") from error
        case (("stream_error" | "error"), {"message": str(message)}):
            raise AnswerFailed(message)
        case "phx_reply", {"status": "error", "response": {"reason": "unauthorized"}}:
            raise AnswerFailed(
                "Sign in first: this server asks for a token. Say it in NEURALBRIDGE_TOKEN or, on the server's own "
                "machine, say with --data-dir which data folder is its."
            )
        case "phx_reply", {"status": "error", "response": dict(response)}:
            raise AnswerFailed(f"The server refuses the conversation: {response.get('reason')}.")
        case (("phx_error" | "phx_close"), _):
            raise AnswerFailed("The server ended the conversation; its log may say why.")
        case _:
            return None
