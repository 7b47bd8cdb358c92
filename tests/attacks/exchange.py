"""Bytes to a server and what comes back, for what no client would send."""

import asyncio
import re
from contextlib import suppress
from urllib.parse import urlsplit

from tests.attacks.probe import Server

WAIT_SECONDS = 30.0


async def connect(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    place = urlsplit(server.url)
    return await asyncio.open_connection(place.hostname, place.port)


async def exchange(server: Server, sent: bytes) -> bytes:
    """Everything that comes until the server closes, as it has to."""
    reader, writer = await connect(server)
    try:
        writer.write(sent)
        async with asyncio.timeout(WAIT_SECONDS):
            return await reader.read()
    finally:
        writer.close()


async def ended(reader: asyncio.StreamReader) -> bytes:
    """Everything that comes until the server closes, or resets."""
    received = b""
    with suppress(ConnectionError):
        async with asyncio.timeout(WAIT_SECONDS):
            while piece := await reader.read(65536):
                received += piece
    return received


def request(server: Server, method: str, target: str, *lines: str, body: bytes = b"", host: bool = True) -> bytes:
    """A request after whose answer the connection closes."""
    named = [f"Host: {urlsplit(server.url).netloc}"] if host else []
    head = [f"{method} {target} HTTP/1.1", *named, *lines, "Connection: close", "", ""]
    return "\r\n".join(head).encode("latin-1") + body


def status_of(answer: bytes) -> int:
    """The status of the one answer."""
    assert answer.startswith(b"HTTP/"), answer[:200]
    assert len(re.findall(rb"HTTP/\d\.\d \d", answer)) == 1, answer[:2000]
    return int(answer.split(b" ", 2)[1])
