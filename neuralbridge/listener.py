"""The port: who gets a connection, and what becomes of one on which no request is spoken.

A connection is counted before anything is read from it, and before TLS: one too many costs an accept and a close.
"""

import asyncio
import errno
import logging
import ssl
from collections import Counter
from ipaddress import ip_address
from typing import Any

from aiohttp import web

from neuralbridge.sections import Limits

logger = logging.getLogger(__name__)

LINE_BYTES = 256 * 1024  # of a request's target: a search has up to 16,000 characters, each as 12 bytes at most
FIELD_BYTES = 8 * 1024  # of one header
HEADERS = 64
KEEPALIVE_SECONDS = 15.0  # also the time a client has to send its headers
HANDSHAKE_SECONDS = 10.0  # of TLS
STALLED_SECONDS = 30.0  # a client that takes nothing of what it asked for is given up; sockets and streams ask for more
MALFORMED = "this is not HTTP as it should be\n"
QUIET = {"X-Content-Type-Options": "nosniff", "Server": "neuralbridge"}  # not whose server this is, in which version
OUT_OF_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Site(web.BaseSite):
    """What listens, in front of aiohttp."""

    def __init__(
        self, runner: web.AppRunner, host: str, port: int, limits: Limits, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        super().__init__(runner)
        self._host = host
        self._port = port
        self._limits = limits
        self._tls = ssl_context
        self._all = 0
        self._of: Counter[str] = Counter()
        self._handshakes: set[asyncio.Task[None]] = set()

    @property
    def name(self) -> str:
        return f"{'http' if self._tls is None else 'https'}://{self._host}:{self._port}"

    async def start(self) -> None:
        """Raises OSError."""
        await super().start()
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(note)
        self._server = await loop.create_server(lambda: Entrance(self), self._host, self._port)

    async def stop(self) -> None:
        await super().stop()
        for handshake in self._handshakes:
            handshake.cancel()

    def take(self, transport: asyncio.Transport) -> None:
        """Let a connection in, or end it."""
        address = address_of(transport)
        if not self._has_room(address):
            logger.warning("a connection too many was refused", extra={"address": address, "open": self._all})
            transport.abort()
            return
        self._all += 1
        self._of[address] += 1
        connection = Connection(self, address, self._runner.server, self._limits)
        if self._tls is None:
            connection.begin(transport)
            return
        transport.pause_reading()  # what comes is for TLS, which asks for it
        handshake = asyncio.get_running_loop().create_task(self._encrypt(transport, connection, self._tls))
        self._handshakes.add(handshake)
        handshake.add_done_callback(self._handshakes.discard)

    def leave(self, address: str) -> None:
        self._all -= 1
        self._of[address] -= 1
        if not self._of[address]:
            del self._of[address]

    def _has_room(self, address: str) -> bool:
        """Whether one more is within the limits. Of this machine only the whole is counted."""
        if self._all >= self._limits.connections:
            return False
        return is_here(address) or self._of[address] < self._limits.connections_per_address

    async def _encrypt(self, transport: asyncio.Transport, connection: "Connection", tls: ssl.SSLContext) -> None:
        loop = asyncio.get_running_loop()
        try:
            encrypted = await loop.start_tls(
                transport, connection, tls, server_side=True, ssl_handshake_timeout=HANDSHAKE_SECONDS
            )
        except BaseException as error:
            transport.abort()
            connection.leave()
            if not isinstance(error, OSError):  # as ssl's errors and timeouts are
                raise
            logger.info("no encrypted connection came about", extra={"why": str(error)})
            return
        assert encrypted is not None
        if connection.counted:  # not lost again already
            connection.connection_made(encrypted)


class Entrance(asyncio.Protocol):
    """Stands in front of a connection until it is counted."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._site.take(transport)


class Connection(web.RequestHandler):
    """aiohttp's HTTP on one connection, which says little to whom it does not understand."""

    def __init__(self, site: Site, address: str, server: web.Server | None, limits: Limits) -> None:
        assert server is not None
        unlogged: Any = None  # aiohttp's words for "no access log"
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            # What is left of a refused body is read too, and a few bytes may be a thousand times as many
            auto_decompress=False,
            lingering_time=limits.body_idle_seconds,
            keepalive_timeout=KEEPALIVE_SECONDS,
            max_line_size=LINE_BYTES,
            max_field_size=FIELD_BYTES,
            max_headers=HEADERS,
            access_log=unlogged,
        )
        self._site: Site | None = site
        self._address = address
        self._giving_up: asyncio.TimerHandle | None = None
        self._unsent = 0

    def begin(self, transport: asyncio.Transport) -> None:
        """Take the transport over from the entrance."""
        transport.set_protocol(self)
        self.connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.leave()
        self._stop_clock()
        super().connection_lost(exc)

    @property
    def counted(self) -> bool:
        return self._site is not None

    def leave(self) -> None:
        """Be counted no longer."""
        if self._site is not None:
            self._site.leave(self._address)
            self._site = None

    # A client that reads nothing

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_reading()

    def resume_writing(self) -> None:
        self._stop_clock()
        super().resume_writing()

    def _await_reading(self) -> None:
        assert self.transport is not None
        self._unsent = self.transport.get_write_buffer_size()
        self._giving_up = asyncio.get_running_loop().call_later(STALLED_SECONDS, self._give_up)

    def _give_up(self) -> None:
        if self.transport is None:
            return
        if self.transport.get_write_buffer_size() < self._unsent:
            self._await_reading()  # slow, but it reads
            return
        logger.info("a client was cut off", extra={"why": f"it has read nothing for {STALLED_SECONDS:.0f} s"})
        self.transport.abort()

    def _stop_clock(self) -> None:
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None

    # What is no request

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Not a word of what was sent, neither in the answer nor in the log: half a header may be half a secret."""
        if status != web.HTTPBadRequest.status_code:
            return super().handle_error(request, status, exc, message)
        why = (message or "").partition(":")[0]  # then it quotes
        logger.info("a client sent what is not HTTP", extra={"address": self._address, "why": why})
        answer = web.Response(status=status, text=MALFORMED, headers=QUIET)
        answer.force_close()
        return answer


def address_of(transport: asyncio.Transport) -> str:
    """Who is at the other end, without the port: an IPv4 address also where it came in through IPv6."""
    place = transport.get_extra_info("peername")
    if not place:  # gone again already
        return ""
    address = ip_address(place[0].partition("%")[0])
    return str(getattr(address, "ipv4_mapped", None) or address)


def is_here(address: str) -> bool:
    return bool(address) and ip_address(address).is_loopback


def note(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what goes wrong in the loop itself. asyncio tells a full table of files with a traceback per attempt."""
    error = context.get("exception")
    if isinstance(error, OSError) and error.errno in OUT_OF_FILES:
        logger.warning("no connection can be taken in for now", extra={"why": error.strerror})
    else:
        loop.default_exception_handler(context)
