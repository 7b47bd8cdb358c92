"""The WebSocket transport at /socket/websocket: refuse before the upgrade, then read; write on a task of its own."""

import asyncio
import logging
from collections import deque
from contextlib import suppress

from aiohttp import WSCloseCode, WSMsgType, web

from neuralbridge.protocol.frames import Malformed
from neuralbridge.protocol.handshake import Greeting, Refused, greet
from neuralbridge.web.connection import Connection
from neuralbridge.web.keys import SERVICES
from neuralbridge.web.visitor import Visitor, credential_of

logger = logging.getLogger(__name__)

OUTBOX_BYTES = 4 * 1024 * 1024  # waiting for one client; a whole 8,000-token answer to resume fits twice
SMALL_FRAME = 4096  # characters; far below what makes a transport pause
SEND_SECONDS = 10.0  # a client that does not read for so long is cut off
CLOSE_SECONDS = 2.0  # for a client to take a close, of which ANSWER_SECONDS to answer it
ANSWER_SECONDS = 1.0

SOCKETS = web.AppKey("sockets", set["Outbox"])


async def websocket(request: web.Request) -> web.StreamResponse:
    """The checks in the order of phoenix-protocol.md 1.1; the first that fails answers."""
    services = request.app[SERVICES]
    if request.method != "GET":
        return web.Response(status=400)
    try:
        greeting = greet_request(request)
        credential = credential_of(request, greeting)
    except Refused as refused:
        return web.Response(status=refused.status)
    limit = services.config.server.max_frame_bytes + 1  # aiohttp refuses what is not below it
    socket = web.WebSocketResponse(
        protocols=("phoenix",), compress=False, max_msg_size=limit, timeout=ANSWER_SECONDS, autoping=True
    )
    if request.headers.get("Sec-WebSocket-Version") != "13" or not socket.can_prepare(request):
        return web.Response(status=400, text="this is a WebSocket: upgrade, with version 13\n")
    await socket.prepare(request)
    outbox = Outbox(socket, request.transport)
    connection = Connection(
        greeting.version,
        greeting.user_id,
        Visitor(request, credential, outbox.show_out),
        services.answers,
        services.conversations,
        services.feedback,
        outbox.put,
    )
    writer = asyncio.create_task(outbox.write())
    request.app[SOCKETS].add(outbox)
    try:
        await read(socket, outbox, connection, services.config.server.idle_seconds)
    finally:
        request.app[SOCKETS].discard(outbox)
        connection.close()
        writer.cancel()
        with suppress(asyncio.CancelledError):
            await writer
    return socket


def greet_request(request: web.Request) -> Greeting:
    """Origin, then what the client says of itself. Raises Refused."""
    if not request.app[SERVICES].doors.origin_is_welcome(request.headers.get("Origin"), request.host):
        raise Refused(403, "origin")
    offered = request.headers.get("Sec-WebSocket-Protocol", "")
    protocols = [name.strip() for name in offered.split(",") if name.strip()]
    headers = {name.lower(): value for name, value in request.headers.items()}
    return greet(request.query.items(), protocols, headers)


async def read(socket: web.WebSocketResponse, outbox: "Outbox", connection: Connection, idle_seconds: float) -> None:
    """Feed the connection until either side ends it. Every end of ours has a code that lets clients come back."""
    while True:
        try:
            message = await socket.receive(timeout=idle_seconds)
        except TimeoutError:
            await outbox.close(WSCloseCode.PROTOCOL_ERROR)
            return
        if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
            return  # closed, or a protocol error that aiohttp has answered with its code
        try:
            await connection.receive(message.data)
        except Malformed as malformed:
            logger.info("a client sent what is not a frame", extra={"why": str(malformed)[:200]})
            await outbox.close(WSCloseCode.INTERNAL_ERROR)
            return


async def close_sockets(app: web.Application) -> None:
    """On shutdown: 1012 tells clients to come back."""
    await asyncio.gather(*(outbox.close(WSCloseCode.SERVICE_RESTART) for outbox in app[SOCKETS]))


class Outbox:
    """Frames on their way to one client, in order. One that does not take them is cut off; it can resume."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport | None) -> None:
        self._socket = socket
        self._transport = transport
        self._frames: deque[str] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()

    def put(self, frames: list[str]) -> None:
        if self._bytes > OUTBOX_BYTES:
            self._cut("more is waiting for it than it takes")
            return
        self._frames += frames
        self._bytes += sum(map(len, frames))
        self._filled.set()

    async def write(self) -> None:
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._frames:
                frame = self._frames.popleft()
                self._bytes -= len(frame)
                try:
                    if self._flows_at_once(frame):
                        await self._socket.send_str(frame)
                        continue
                    async with asyncio.timeout(SEND_SECONDS):
                        await self._socket.send_str(frame)
                except TimeoutError:
                    self._cut(f"it has read nothing for {SEND_SECONDS:.0f} s")
                except ConnectionError:
                    return  # the reader notices too and ends the connection

    def _flows_at_once(self, frame: str) -> bool:
        """A small frame to a client that keeps up: nothing to wait for, so no clock either."""
        return len(frame) < SMALL_FRAME and self._transport is not None and not self._transport.get_write_buffer_size()

    async def close(self, code: WSCloseCode) -> None:
        """Say goodbye, to a client that listens; frames that still wait are not sent."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._socket.close(code=code)
        except TimeoutError:
            self._cut("it did not take the close")

    def show_out(self) -> None:
        """Close, from where nobody can wait: whoever is there may not stay."""
        self._closing = asyncio.create_task(self.close(WSCloseCode.GOING_AWAY))

    def _cut(self, why: str) -> None:
        logger.info("a client was cut off", extra={"why": why})
        self._frames.clear()
        self._bytes = 0
        if self._transport is not None:
            self._transport.abort()
