"""Server-sent events as OpenAI's clients read them."""

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import hdrs, web

from neuralbridge import __version__
from neuralbridge.assistant.completions import Choice
from neuralbridge.errors import BridgeError, Overloaded
from neuralbridge.protocol.openai_replies import DONE, Chunks, failure
from neuralbridge.types import Piece
from neuralbridge.web.v1.doors import as_openai

logger = logging.getLogger(__name__)

STALLED_SECONDS = 10.0  # a reader that takes nothing for so long is given up
FINGERPRINT = f"neuralbridge-{__version__}"
RETRY_MS = 5_000
INTERLEAVED = 64  # pieces of several choices on their way into one stream


STREAMS = web.AppKey("streams", set["Stream"])


@dataclass(frozen=True, slots=True)
class Heading:
    """What all parts of one answer begin with."""

    prefix: str
    kind: str
    model: str
    created: int = field(default_factory=lambda: int(time.time()))
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def fields(self) -> dict[str, Any]:
        id = f"{self.prefix}-{self.id}"
        return {"id": id, "created": self.created, "model": self.model, "system_fingerprint": FINGERPRINT}

    def chunks(self, kind: str) -> Chunks:
        return Chunks(f"{self.prefix}-{self.id}", kind, self.created, self.model, FINGERPRINT)


class Stream:
    """One client's stream."""

    def __init__(self, request: web.Request, response: web.StreamResponse) -> None:
        self.response = response
        self.ended = False  # by the server, which goes
        self._transport = request.transport
        self._task = asyncio.current_task()

    def end(self) -> None:
        self.ended = True
        if self._task is not None:
            self._task.cancel()

    def go_on(self) -> None:
        """Say what is left to be said, although the work was ended."""
        if self._task is not None:
            self._task.uncancel()

    async def send(self, data: bytes) -> None:
        """Raises TimeoutError when the client takes nothing any more, ConnectionResetError when it is gone."""
        if self._transport is not None and not self._transport.get_write_buffer_size():
            await self.response.write(data)  # there is room: no clock for clients that keep up
            return
        async with asyncio.timeout(STALLED_SECONDS):
            await self.response.write(data)


@asynccontextmanager
async def streaming(request: web.Request, headers: dict[str, str]) -> AsyncIterator[Stream]:
    """A stream that has begun; it ends with [DONE], or with the error that ends it: its status was sent long ago."""
    response = web.StreamResponse(
        headers={
            hdrs.CONTENT_TYPE: "text/event-stream; charset=utf-8",
            hdrs.CACHE_CONTROL: "no-store",
            "X-Accel-Buffering": "no",  # tells proxies to pass parts on as they come
            **headers,
        }
    )
    await response.prepare(request)
    stream = Stream(request, response)
    request.app[STREAMS].add(stream)
    try:
        yield stream
        await stream.send(DONE)
    except asyncio.CancelledError:
        if not stream.ended:
            raise
        stream.go_on()
        await stream.send(failure(as_openai(Overloaded("The server is going; ask again in a moment.", RETRY_MS))))
    except BridgeError as error:
        await stream.send(failure(as_openai(error)))
    except (ConnectionError, TimeoutError):  # gone, or reading no more: there is nobody left to tell anything
        logger.info("a stream lost its reader", extra={"path": request.path})
        if request.transport is not None:
            request.transport.abort()
        return
    except Exception as error:
        logger.exception("a stream failed", extra={"path": request.path})
        await stream.send(failure(as_openai(error)))
    finally:
        request.app[STREAMS].discard(stream)
    await response.write_eof()


async def end_streams(app: web.Application) -> None:
    """On shutdown: an answer that is heard to its end would hold everything up."""
    for stream in [*app[STREAMS]]:
        stream.end()


async def interleaved(choices: Sequence[Choice]) -> AsyncGenerator[tuple[int, Piece | None]]:
    """The pieces of several answers as they come, with their places; None where one has ended. Raises EngineFailed."""
    heard: asyncio.Queue[tuple[int, Piece | Exception | None]] = asyncio.Queue(INTERLEAVED)

    async def listen(place: int, choice: Choice) -> None:
        try:
            async for piece in choice.pieces():
                await heard.put((place, piece))
            await heard.put((place, None))
        except Exception as error:  # noqa: BLE001  # it is the reader's, who raises it
            await heard.put((place, error))

    if len(choices) == 1:  # nothing to interleave: no detour for the many streams of one answer
        async with aclosing(choices[0].pieces()) as pieces:
            async for piece in pieces:
                yield 0, piece
        yield 0, None
        return
    listeners = [asyncio.create_task(listen(place, choice)) for place, choice in enumerate(choices)]
    try:
        left = len(choices)
        while left:
            place, told = await heard.get()
            if isinstance(told, Exception):
                raise told
            left -= told is None
            yield place, told
    finally:
        for listener in listeners:
            listener.cancel()
        await asyncio.gather(*listeners, return_exceptions=True)
