"""A client of an encrypted server."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp


@asynccontextmanager
async def trusting(url: str, certificate: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """A session with the server at `url` that trusts this certificate and no other.

    aiohttp ends a WebSocket's connection with TLS's goodbye and forgets it before that is answered. A loop that ends
    meanwhile leaves it open, so here the end waits for each.
    """
    gone: list[asyncio.Future[None]] = []

    class Socket(aiohttp.ClientWebSocketResponse):
        def __init__(self, reader: Any, writer: Any, protocol: Any, response: Any, *rest: Any, **named: Any) -> None:
            super().__init__(reader, writer, protocol, response, *rest, **named)
            gone.append(response.connection.protocol.closed)

    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=str(certificate)))
    async with aiohttp.ClientSession(url, connector=connector, ws_response_class=Socket) as session:
        yield session
        if gone:
            await asyncio.wait(gone)
