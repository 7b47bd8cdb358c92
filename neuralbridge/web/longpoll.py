"""The LongPoll transport at /socket/longpoll (phoenix-protocol.md section 5), for clients that WebSockets fail.

Answers are HTTP 200 with the status in the body, which is where phoenix.js looks for it.
"""

import asyncio
import base64
import secrets
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from aiohttp import web

from neuralbridge.protocol.frames import Malformed
from neuralbridge.protocol.handshake import Refused
from neuralbridge.web.connection import Connection
from neuralbridge.web.keys import SERVICES
from neuralbridge.web.visitor import Visitor, credential_of
from neuralbridge.web.websocket import OUTBOX_BYTES, greet_request

POLL_SECONDS = 10.0  # an empty poll is answered after this time
POST_SECONDS = 10.0
UNPOLLED_SECONDS = 15.0  # a session nobody polls for so long is over
MAX_SESSIONS = 1_000
MAX_BATCH = 100  # frames of one POST; Phoenix reads no more either
LARGE_FRAME = 1024  # a hundred smaller ones are parsed in a few milliseconds
TRY_AGAIN = 500  # every phoenix.js connects anew after it and joins again; after a 410 the old ones only connect


Connect = Callable[[Callable[[list[str]], None], Callable[[], None]], Connection]


class PollSession:
    """A client between its polls: its connection, and the frames it has not fetched."""

    def __init__(self, poll_seconds: float, unpolled_seconds: float, on_expiry: Callable[[], None]) -> None:
        self.connection: Connection | None = None
        self._poll_seconds = poll_seconds
        self._unpolled_seconds = unpolled_seconds
        self._on_expiry = on_expiry
        self._frames: list[str] = []
        self._bytes = 0
        self._filled = asyncio.Event()
        self._polls = 0
        self._ended = False
        self._await_poll()

    def put(self, frames: list[str]) -> None:
        if self._bytes > OUTBOX_BYTES:
            asyncio.get_running_loop().call_soon(self._on_expiry)  # what it missed it can resume in another session
            return
        self._frames += frames
        self._bytes += sum(map(len, frames))
        self._filled.set()

    async def poll(self) -> list[str] | None:
        """The frames since the last poll; waits for some. None once the session has ended."""
        self._polls += 1
        self._expiry.cancel()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_seconds):
                    await self._filled.wait()
        finally:
            self._polls -= 1
            if self._polls == 0 and not self._ended:
                self._await_poll()
        if self._ended:
            return None
        frames, self._frames, self._bytes = self._frames, [], 0
        self._filled.clear()
        return frames

    def end(self) -> None:
        """Close the connection and answer the poll that waits."""
        self._ended = True
        self._expiry.cancel()
        self._filled.set()
        if self.connection is not None:
            self.connection.close()

    def _await_poll(self) -> None:
        self._expiry = asyncio.get_running_loop().call_later(self._unpolled_seconds, self._on_expiry)


class PollSessions:
    """The sessions by their tokens, which nobody can guess."""

    def __init__(self, poll_seconds: float = POLL_SECONDS, unpolled_seconds: float = UNPOLLED_SECONDS) -> None:
        self.poll_seconds = poll_seconds
        self.unpolled_seconds = unpolled_seconds
        self._sessions: dict[str, PollSession] = {}

    def find(self, token: str) -> PollSession | None:
        return self._sessions.get(token)

    def open(self, connect: Connect) -> str | None:
        """Begin a session; `connect` is told where its frames go, and how it ends. None when there are too many."""
        if len(self._sessions) >= MAX_SESSIONS:
            return None
        token = secrets.token_urlsafe(32)
        session = PollSession(self.poll_seconds, self.unpolled_seconds, on_expiry=partial(self.close, token))
        session.connection = connect(session.put, partial(self.close, token))
        self._sessions[token] = session
        return token

    def close(self, token: str) -> None:
        session = self._sessions.pop(token, None)
        if session is not None:
            session.end()

    async def close_all(self, _: web.Application) -> None:
        for token in [*self._sessions]:
            self.close(token)


POLL_SESSIONS = web.AppKey("poll_sessions", PollSessions)


async def longpoll(request: web.Request) -> web.Response:
    if not request.app[SERVICES].config.server.longpoll:
        # not JSON: phoenix.js would look for a status in it, fail, and never try again
        return web.Response(status=404, text="LongPoll is switched off\n")
    match request.method:
        case "GET":
            return await poll_or_open(request)
        case "POST":
            return await post(request)
        case "OPTIONS":
            return preflight(request)
        case _:
            return web.Response(status=400)


async def poll_or_open(request: web.Request) -> web.Response:
    token = token_of(request)
    session = request.app[POLL_SESSIONS].find(token)
    if session is None:
        return open_session(request)
    frames = await session.poll()
    if frames is None:
        return reply(request, status=TRY_AGAIN)
    return reply(request, status=200 if frames else 204, token=token, messages=frames)


def open_session(request: web.Request) -> web.Response:
    """A new session; 410 is how the protocol says "opened"."""
    services = request.app[SERVICES]
    try:
        greeting = greet_request(request)
        credential = credential_of(request, greeting)
    except Refused:
        return reply(request, status=403)  # phoenix.js knows no other refusal

    def connect(send: Callable[[list[str]], None], leave: Callable[[], None]) -> Connection:
        return Connection(
            greeting.version,
            greeting.user_id,
            Visitor(request, credential, leave),
            services.answers,
            services.conversations,
            services.feedback,
            send,
        )

    token = request.app[POLL_SESSIONS].open(connect)
    if token is None:
        return reply(request, status=TRY_AGAIN)
    return reply(request, status=410, token=token, messages=[])


async def post(request: web.Request) -> web.Response:
    token = token_of(request)
    session = request.app[POLL_SESSIONS].find(token)
    if session is None or session.connection is None:
        return reply(request, status=410)
    try:
        body = await request.read()
    except web.HTTPRequestEntityTooLarge:
        return web.Response(status=400)
    try:
        async with asyncio.timeout(POST_SECONDS):
            for message in messages_of(request.content_type, body):
                await session.connection.receive(message)
                if len(message) > LARGE_FRAME:
                    await asyncio.sleep(0)  # others come to their turn before the next one is parsed
    except TimeoutError:
        return reply(request, status=408)
    except Malformed:
        request.app[POLL_SESSIONS].close(token)
        return reply(request, status=410)
    return reply(request, status=200)


def messages_of(content_type: str, body: bytes) -> list[str | bytes]:
    """The frames of a POST: a batch line by line, or one. Raises Malformed."""
    try:
        text = body.decode("utf-8")
        if content_type != "application/x-ndjson":
            return [text]
        lines = [line for line in text.split("\n") if line][:MAX_BATCH]
        return [line if line[0] in "[{" else base64.b64decode(line, validate=True) for line in lines]
    except ValueError as error:  # not UTF-8, or not base64
        raise Malformed(str(error)) from error


def preflight(request: web.Request) -> web.Response:
    wanted = request.headers.get("Access-Control-Request-Headers", "")
    answer = reply(request, status=200)
    answer.headers["Access-Control-Allow-Headers"] = wanted
    answer.headers["Access-Control-Allow-Methods"] = "get, post, options"
    answer.headers["Access-Control-Max-Age"] = "3600"
    answer.body = b""
    return answer


def token_of(request: web.Request) -> str:
    return request.headers.get("x-phoenix-longpoll-token") or request.query.get("token", "")


def reply(request: web.Request, **body: object) -> web.Response:
    answer = web.json_response(body, headers={"Cache-Control": "no-store", "Vary": "Origin"})
    origin = request.headers.get("Origin")
    if origin is not None and request.app[SERVICES].doors.origin_is_welcome(origin, request.host):
        answer.headers["Access-Control-Allow-Origin"] = origin
    return answer
