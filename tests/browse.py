"""Starts a server on a LAN of one machine, looks for it by mDNS, stops it; prints what it saw as JSON.

CONFIG is its one argument. For test_announce, to run in a network namespace of its own.
"""

import asyncio
import json
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import aiohttp
from zeroconf import IPVersion, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

ROOT = Path(__file__).parents[1]
LAN = "10.77.0.1"
KINDS = ["_http._tcp.local.", "_https._tcp.local."]
SECONDS = 20.0
ETH_P_ALL = 3
GROUP = socket.inet_aton("224.0.0.251")


def make_lan() -> None:
    """A network with nobody else on it, beside one that the server is not to speak on."""
    for command in (
        "link set lo up",
        "link add lan type veth peer name lan-end",
        "link set lan-end up",
        f"address add {LAN}/24 dev lan",
        "link set lan up",
        "link add other type veth peer name other-end",
        "link set other-end up",
        "address add 10.88.0.1/24 dev other",
        "link set other up",
    ):
        subprocess.run(["ip", *command.split()], check=True)


class Seen:
    """What the browser on one network is told."""

    def __init__(self) -> None:
        self.changes: asyncio.Queue[tuple[str, str, str]] = asyncio.Queue()

    def note(self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        self.changes.put_nowait((state_change.name, service_type, name))

    async def next(self) -> tuple[str, str, str]:
        async with asyncio.timeout(SECONDS):
            return await self.changes.get()


def listening_to(interface: str) -> socket.socket:
    """All that comes out of a network's other end."""
    cable = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    cable.bind((interface, 0))
    cable.setblocking(False)
    return cable


def mdns_heard(cable: socket.socket) -> int:
    """How many packets of mDNS over IPv4 came."""
    heard = 0
    with cable, suppress(BlockingIOError):
        while packet := cable.recv(65536):
            heard += packet[30:34] == GROUP  # behind Ethernet's 14 bytes, where IPv4 has the destination
    return heard


async def browse(server: "asyncio.subprocess.Process") -> dict[str, object]:
    assert server.stdout is not None
    lan, other = listening_to("lan-end"), listening_to("other-end")
    seen, responder = Seen(), AsyncZeroconf(interfaces=[LAN])
    browser = AsyncServiceBrowser(responder.zeroconf, KINDS, handlers=[seen.note])
    line = (await server.stdout.readline()).decode()
    found = await seen.next()
    info = AsyncServiceInfo(found[1], found[2])
    assert await info.async_request(responder.zeroconf, SECONDS * 1000)
    address = info.parsed_addresses(IPVersion.V4Only)[0]
    async with aiohttp.ClientSession() as http, http.get(f"http://{address}:{info.port}/") as page:
        reached = "Content-Security-Policy" in page.headers
    server.terminate()
    gone = await seen.next()
    await server.wait()
    await browser.async_cancel()
    await responder.async_close()
    return {
        "line": line.strip(),
        "found": found,
        "host": info.server,
        "port": info.port,
        "addresses": info.parsed_addresses(),
        "reached": reached,
        "gone": gone,
        "status": server.returncode,
        "heard": {"lan": mdns_heard(lan), "other": mdns_heard(other)},
    }


async def main(config: str) -> None:
    make_lan()
    command = [sys.executable, "-m", "neuralbridge", "serve", "--port", "0", "--config", config]
    server = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    try:
        print(json.dumps(await browse(server)))
    finally:
        if server.returncode is None:
            server.kill()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
