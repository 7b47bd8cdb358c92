"""Section 2.1 of the catalogue of attacks, what no vector of tests/web tries: frames and handshakes made to hurt."""

import asyncio
import struct
import zlib
from contextlib import AsyncExitStack, suppress

import pytest

from tests.attacks.exchange import connect, request
from tests.attacks.probe import serves
from tests.conftest import Served
from tests.web.raw import BINARY, CLOSE, CONTINUATION, TEXT, UPGRADE, RawSocket, encode, text
from tests.web.wire import connected

HANDSHAKE = [f"{name}: {value}" for name, value in UPGRADE.items()]
TARGET = "/socket/websocket?vsn=2.0.0"


@pytest.mark.parametrize(
    "changes",
    [
        {"Sec-WebSocket-Version": "8"},
        {"Sec-WebSocket-Version": "99"},
        {"Sec-WebSocket-Version": "13, 8"},
        {"Sec-WebSocket-Version": None},
        {"Sec-WebSocket-Key": None},
        {"Sec-WebSocket-Key": "dGVzdA=="},
        {"Sec-WebSocket-Key": "*" * 24},
        {"Upgrade": "h2c"},
        {"Connection": "close"},
    ],
)
async def test_w1_a_malformed_upgrade_opens_nothing(served: Served, changes: dict[str, str | None]) -> None:
    """W1"""
    async with RawSocket(served.url, TARGET, headers=changes) as raw:
        assert raw.status in (400, 426)
    await serves(served)


async def test_w2_what_follows_an_upgrade_is_no_second_request(served: Served) -> None:
    """W2: a body behind the handshake, and a request behind it, are bytes of a socket and close it."""
    hidden = f"GET /api/proxy/health HTTP/1.1\r\nHost: {served.url.removeprefix('http://')}\r\n\r\n".encode()
    lines = [line for line in HANDSHAKE if not line.startswith("Connection")]
    for more in ([f"Content-Length: {len(hidden)}"], ["Transfer-Encoding: chunked"], []):
        sent = request(served, "GET", TARGET, *lines, *more, body=hidden)
        reader, writer = await connect(served)
        writer.write(sent.replace(b"Connection: close", b"Connection: Upgrade"))
        answer = b""
        with suppress(TimeoutError):  # nothing more comes
            async with asyncio.timeout(0.5):
                while piece := await reader.read(65536):
                    answer += piece
        writer.close()
        assert answer.count(b"HTTP/1.1") <= 1, answer
        assert b"uptime_seconds" not in answer
    await serves(served)


CLOSES = {b"\x03": 1002, b"\x03\xed": 1002, b"\x00\x00": 1002, b"\x03\xe8\xff\xfe": 1007}


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        *((encode(CLOSE, payload), code) for payload, code in CLOSES.items()),
        (encode(CLOSE, b"\x03\xe8" + b"x" * 124), 1002),
        (encode(BINARY, b"", reserved=7), 1002),
        (encode(TEXT, b"\xff\xfe"), 1007),
        (encode(TEXT, b"\xe2\x82", final=False) + encode(CONTINUATION, b"\x28"), 1007),
    ],
)
async def test_w4_w5_a_broken_close_or_text_has_its_code(served: Served, sent: bytes, code: int) -> None:
    """W4, W5: close frames of wrong lengths and codes, and text that is not UTF-8; the rest: test_malformed_vectors."""
    async with RawSocket(served.url) as raw:
        raw.writer.write(sent)
        assert await raw.close_code() == code
    await serves(served)


@pytest.mark.parametrize("length", [2**40, 2**63 - 1, 2**63 + 5])
async def test_w6_a_lying_length_is_believed_by_nobody(served: Served, length: int) -> None:
    """W6"""
    async with RawSocket(served.url) as raw:
        raw.writer.write(bytes([0x81, 0xFF]) + struct.pack("!Q", length) + b"\0\0\0\0x")
        assert await raw.close_code() in (1002, 1009)
    await serves(served)


async def test_w8_compression_is_not_spoken(served: Served) -> None:
    """W8"""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = packer.compress(bytes(20_000_000)) + packer.flush(zlib.Z_SYNC_FLUSH)
    async with RawSocket(served.url, headers={"Sec-WebSocket-Extensions": "permessage-deflate"}) as raw:
        assert "sec-websocket-extensions" not in raw.headers
        raw.send(TEXT, bomb[:-4], reserved=4)
        assert await raw.close_code() == 1002
    await serves(served)


async def test_w13_w23_odd_names_and_shapes_end_one_socket_at_the_most(served: Served) -> None:
    """W13, W23: long names, and those that mean something to JavaScript or to a log."""
    names = ["__proto__", "constructor", "toString", "x" * 65_536, "\x1b[31m", "a\nb", "\u202e", ""]
    async with connected(served, "proxy:s") as other:
        for name in names:
            async with RawSocket(served.url) as raw:
                raw.send(TEXT, text("1", "1", name, "phx_join", {}))
                raw.send(TEXT, text(None, name, "phoenix", "heartbeat", {}))
                raw.send(TEXT, text("1", "2", "proxy:x", name, {name: {name: name}}))
                raw.send(TEXT, text("3", "3", "proxy:x", "phx_join", {name: name}))
                raw.send(TEXT, text("3", "4", "proxy:x", name, {name: name}))
                statuses = [(await raw.receive_json())[4]["status"] for _ in range(4)]
                assert statuses[:3] == ["error", "ok", "error"], name[:20]
        assert await other.fence() == []
    await serves(served)


async def test_w16_join_floods_leave_others_alone(served: Served) -> None:
    """W16: 101 topics on each of ten sockets; the limit itself: test_session_vectors."""
    async with AsyncExitStack() as stack:
        for _ in range(10):
            raw = await stack.enter_async_context(RawSocket(served.url))
            for number in range(101):
                raw.send(TEXT, text(f"{number}", f"{number}", f"proxy:{number}", "phx_join", {}))
            statuses = [(await raw.receive_json())[4]["status"] for _ in range(101)]
            assert statuses == ["ok"] * 100 + ["error"]
        await serves(served)
