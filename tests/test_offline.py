"""What counts as an attempt to leave this machine, and that each of Python's ways to do so is seen."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from neuralbridge.offline import is_mdns, stays_here

ROOT = Path(__file__).parents[1]

HERE = ["localhost", "LocalHost", "", "127.0.0.1", "127.8.9.10", "::1", "::1%lo", "::ffff:127.0.0.1", "0.0.0.0", "::"]
AWAY = [
    "example.com",
    "8.8.8.8",
    "192.168.1.1",
    "10.0.0.1",
    "169.254.169.254",
    "fe80::1%eth0",
    "2001:db8::1",
    "::ffff:8.8.8.8",
    "255.255.255.255",
    "localhost.example.com",
    "notlocalhost",
    "127.0.0.1.example.com",
    "127.1",
    "2130706433",
    " localhost",
    "localhost\0.example.com",
]


@pytest.mark.parametrize("host", HERE)
@pytest.mark.parametrize("kind", [str, str.encode])
def test_a_loopback_host_is_this_machine(host: str, kind: type[str]) -> None:
    assert stays_here(kind(host))


@pytest.mark.parametrize("host", AWAY)
@pytest.mark.parametrize("kind", [str, str.encode])
def test_any_other_host_is_not(host: str, kind: type[str]) -> None:
    assert not stays_here(kind(host))


def test_bytes_that_are_no_text_are_not_this_machine() -> None:
    assert not stays_here(b"\xff\xfe")


@pytest.mark.parametrize(
    ("event", "port", "target", "mdns"),
    [
        ("socket.sendto", 5353, "224.0.0.251", True),
        ("socket.sendto", 5353, "ff02::fb%lan", True),
        ("socket.sendmsg", 5353, b"192.168.1.7", True),
        ("socket.sendto", 5353, "fe80::7%lan", True),
        ("socket.sendto", 5353, "8.8.8.8", False),
        ("socket.sendto", 5353, "239.1.2.3", False),
        ("socket.sendto", 40000, "224.0.0.251", False),
        ("socket.connect", 5353, "192.168.1.7", False),
    ],
)
def test_only_what_a_responder_says_on_the_lan_is_mdns(event: str, port: int, target: str | bytes, mdns: bool) -> None:
    sender = SimpleNamespace(getsockname=lambda: ("0.0.0.0", port))
    assert is_mdns(event, sender, target) == mdns


# In a process of its own, because an audit hook cannot be removed. Nothing is sent: each call fails on this machine.
WATCHED = """
import asyncio, json, socket, urllib.request
from contextlib import suppress
from neuralbridge import offline

offline.watch()
NOWHERE, CLOSED = ("255.255.255.255", 9), ("127.0.0.1", 1)
tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
numeric = socket.AI_NUMERICHOST


async def over_asyncio():
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection("localhost", server.sockets[0].getsockname()[1])
        await reader.read()
        writer.close()


def sent_to_its_peer():
    one, other = socket.socketpair()
    with one, other:
        one.sendmsg([b"x"])


def made(family, kind):
    return socket.socket(family, kind)


WAYS = {
    "connect": lambda: made(socket.AF_INET, tcp).connect(NOWHERE),
    "connect_ex": lambda: made(socket.AF_INET, tcp).connect_ex(NOWHERE),
    "sendto": lambda: made(socket.AF_INET, udp).sendto(b"", NOWHERE),
    "sendmsg": lambda: made(socket.AF_INET, udp).sendmsg([b""], [], 0, NOWHERE),
    "getaddrinfo": lambda: socket.getaddrinfo("example.invalid", 80, flags=numeric),
    "getaddrinfo of bytes": lambda: socket.getaddrinfo(b"example.invalid", 80, flags=numeric),
    "gethostbyname": lambda: socket.gethostbyname("255.255.255.255"),
    "gethostbyname_ex": lambda: socket.gethostbyname_ex("255.255.255.255"),
    "gethostbyaddr": lambda: socket.gethostbyaddr("255.255.255.255"),
    "getnameinfo": lambda: socket.getnameinfo(NOWHERE, socket.NI_NUMERICHOST),
    "urllib": lambda: urllib.request.urlopen("http://255.255.255.255/", timeout=5),
    "connect here": lambda: made(socket.AF_INET, tcp).connect(CLOSED),
    "connect here, IPv6": lambda: made(socket.AF_INET6, tcp).connect(("::1", 1, 0, 0)),
    "sendto here": lambda: made(socket.AF_INET, udp).sendto(b"", CLOSED),
    "peer": sent_to_its_peer,
    "Unix": lambda: made(socket.AF_UNIX, tcp).connect("/nowhere"),
    "getaddrinfo here": lambda: socket.getaddrinfo("localhost", 80),
    "getaddrinfo of nobody": lambda: socket.getaddrinfo(None, 80),
    "bind": lambda: made(socket.AF_INET, tcp).bind(("127.0.0.1", 0)),
    "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).connect((0, 0)),
    "asyncio": lambda: asyncio.run(over_asyncio()),
}
counted = {}
for name, way in WAYS.items():
    before = offline.attempts()
    with suppress(OSError, AttributeError):  # only Linux has netlink
        way()
    counted[name] = offline.attempts() - before
print(json.dumps(counted))
"""


def test_every_way_out_is_counted_and_nothing_else_is() -> None:
    child = subprocess.run(
        [sys.executable, "-c", WATCHED], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    counted = json.loads(child.stdout)
    out = {name for name, times in counted.items() if times}
    assert out == {
        "connect",
        "connect_ex",
        "sendto",
        "sendmsg",
        "getaddrinfo",
        "getaddrinfo of bytes",
        "gethostbyname",
        "gethostbyname_ex",
        "gethostbyaddr",
        "getnameinfo",
        "urllib",
    }
    assert "an attempt to leave this machine" in child.stderr
