"""Tells the LAN where this server is, by multicast DNS (RFC 6762), and that it is a website (RFC 6763)."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from zeroconf import Error
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from neuralbridge import machine, offline
from neuralbridge.sections import Server

logger = logging.getLogger(__name__)

LABEL_BYTES = 63  # of a name's part in DNS


@asynccontextmanager
async def announced(server: Server, port: int) -> AsyncIterator[None]:
    """Announce the server as long as this is entered, on the networks it listens on.

    A LAN that does not take it is told in the log: the server is reached by its address all the same.
    """
    announcing = asyncio.create_task(announce(server, port))  # asking whether the name is free takes a second
    try:
        yield
    finally:
        announcing.cancel()
        await asyncio.gather(announcing, return_exceptions=True)


async def announce(server: Server, port: int) -> None:
    """Announce until cancelled, then say goodbye."""
    info = service(server, port)
    if info is None:
        logger.warning("mDNS: not announced, as this machine has no name or no network")
        return
    try:
        responder = AsyncZeroconf(interfaces=info.parsed_addresses())
    except OSError as error:
        logger.warning("mDNS: not announced", extra={"why": error.strerror})
        return
    offline.answer_mdns()
    try:
        await (await responder.async_register_service(info, allow_name_change=True))
        logger.info("mDNS: announced", extra={"service": info.name, "host": info.server})
        await asyncio.Event().wait()
    except (Error, OSError) as error:
        logger.warning("mDNS: not announced", extra={"why": f"{type(error).__name__} {error}".strip()})
    finally:
        await responder.async_unregister_all_services()
        await responder.async_close()


def service(server: Server, port: int) -> AsyncServiceInfo | None:
    """What is announced; None where there is nothing to announce."""
    names, addresses = machine.names(), machine.addresses(server.host)
    if not names or not addresses:
        return None
    kind = f"_{'https' if server.tls.on else 'http'}._tcp.local."
    label = f"NeuralBridge on {names[0].partition('.')[0]}".encode()[:LABEL_BYTES].decode("utf-8", "ignore")
    return AsyncServiceInfo(
        kind,
        f"{label}.{kind}",
        port=port,
        properties={"path": "/"},
        server=f"{names[-1]}.",
        parsed_addresses=[str(address) for address in addresses],
    )
