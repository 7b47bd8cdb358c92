"""The LongPoll transport at /socket/longpoll (phoenix-protocol.md section 5), for clients that WebSockets fail.

Answers are HTTP 200 with the status in the body, which is where phoenix.js looks for it.
"""

import asyncio
import base64
import binascii
import secrets
from collections.abc import Callable

from aiohttp import web

from neuralbridge.protocol.frames import Malformed
from neuralbridge.protocol.handshake import Refused
from neuralbridge.web.connection import Connection
from neuralbridge.web.keys import SERVICES
from neuralbridge.web.websocket import greet_request

POLL_SECONDS = 10.0  # an empty poll is answered after this time
POST_SECONDS = 10.0
UNPOLLED_SECONDS = 15.0  # a session nobody polls for so long is over
MAX_SESSIONS = 1_000
MAX_BATCH = 100  # frames of one POST; Phoenix reads no more either


class PollSession:
    """A client between its polls: its connection, and the frames it has not fetched."""

    def __init__(self, on_expiry: Callable[[], None]) -> None:
        self.connection: Connection | None = None
        self._frames: list[str] = []
        self._filled = asyncio.Event()
        self._on_expiry = on_expiry
        self._polls = 0
        self._expiry: asyncio.TimerHandle | None = None
        self._await_poll()

    def put(self, frames: list[str]) -> None:
        self._frames += frames
        self._filled.set()

    async def poll(self) -> list[str]:
        """The frames since the last poll; waits for some."""
        self._polls += 1
        self.end()
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._filled.wait()
        except TimeoutError:
            return []
        finally:
            self._polls -= 1
            if self._polls == 0:
                self._await_poll()
        frames, self._frames = self._frames, []
        self._filled.clear()
        return frames

    def end(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()

    def _await_poll(self) -> None:
        self._expiry = asyncio.get_running_loop().call_later(UNPOLLED_SECONDS, self._on_expiry)


POLL_SESSIONS = web.AppKey("poll_sessions", dict[str, PollSession])


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
    session = request.app[POLL_SESSIONS].get(token)
    if session is None:
        return open_session(request)
    frames = await session.poll()
    return reply(request, status=200 if frames else 204, token=token, messages=frames)


def open_session(request: web.Request) -> web.Response:
    """A new session; 410 is how the protocol says "opened"."""
    sessions, services = request.app[POLL_SESSIONS], request.app[SERVICES]
    try:
        greeting = greet_request(request)
    except Refused as refused:
        return reply(request, status=refused.status)
    if len(sessions) >= MAX_SESSIONS:
        return reply(request, status=500)
    token = secrets.token_urlsafe(32)
    session = PollSession(on_expiry=lambda: close_session(request.app, token))
    session.connection = Connection(
        greeting.version, greeting.user_id, services.answers, services.conversations, session.put
    )
    sessions[token] = session
    return reply(request, status=410, token=token, messages=[])


async def post(request: web.Request) -> web.Response:
    token = token_of(request)
    session = request.app[POLL_SESSIONS].get(token)
    if session is None or session.connection is None:
        return reply(request, status=410)
    try:
        body = await request.read()
        async with asyncio.timeout(POST_SECONDS):
            for message in messages_of(request.content_type, body):
                await session.connection.receive(message)
    except web.HTTPRequestEntityTooLarge:
        return web.Response(status=400)
    except TimeoutError:
        return reply(request, status=408)
    except Malformed:
        close_session(request.app, token)
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
    except (UnicodeDecodeError, binascii.Error) as error:
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


def close_session(app: web.Application, token: str) -> None:
    session = app[POLL_SESSIONS].pop(token, None)
    if session is not None:
        session.end()
        if session.connection is not None:
            session.connection.close()


async def close_sessions(app: web.Application) -> None:
    for token in [*app[POLL_SESSIONS]]:
        close_session(app, token)
