"""HTTP and WebSocket by hand, for what no library would send."""

import asyncio
import json
import socket
import struct
from typing import Any, Self
from urllib.parse import urlsplit

TARGET = "/socket/websocket?vsn=2.0.0&user_id=u"
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
WAIT_SECONDS = 60.0
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class RawSocket:
    """One connection: the request goes out on entering, `status`, `headers` and `body` are its answer.

    After a 101 frames can be sent in any shape. `headers` replace those of the upgrade where they have a value and
    remove them where they are None. A small `window` makes the server's buffers fill as soon as nothing is read.
    """

    def __init__(
        self,
        url: str,
        target: str = TARGET,
        method: str = "GET",
        headers: dict[str, str | None] | None = None,
        window: int | None = None,
    ) -> None:
        self._place = urlsplit(url)
        wanted = {"Host": self._place.netloc, **UPGRADE, **(headers or {})}
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in wanted.items() if value)]
        self._request = "\r\n".join([*lines, "", ""]).encode()
        self._window = window

    async def __aenter__(self) -> Self:
        await self.request()
        await self.answer()
        return self

    async def request(self) -> None:
        end = socket.socket()
        end.setblocking(False)
        if self._window is not None:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._window)
        await asyncio.get_running_loop().sock_connect(end, ("127.0.0.1", self._place.port))
        self._reader, self.writer = await asyncio.open_connection(sock=end, limit=self._window or 2**16)
        self.writer.write(self._request)
        await self.writer.drain()

    async def answer(self) -> None:
        async with asyncio.timeout(WAIT_SECONDS):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            self.status = int(first.split()[1])
            self.headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            length = 0 if self._request.startswith(b"HEAD") else int(self.headers.get("content-length", 0))
            self.body = await self._reader.readexactly(length)

    async def __aexit__(self, *_: object) -> None:
        self.abort()

    def abort(self) -> None:
        """Vanish without a word."""
        self.writer.transport.abort()

    def send(self, opcode: int, payload: bytes = b"", **shape: Any) -> None:
        self.writer.write(encode(opcode, payload, **shape))

    async def receive(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame."""
        async with asyncio.timeout(WAIT_SECONDS):
            first, second = await self._reader.readexactly(2)
            size = second
            if second == 126:
                (size,) = struct.unpack("!H", await self._reader.readexactly(2))
            elif second == 127:
                (size,) = struct.unpack("!Q", await self._reader.readexactly(8))
            return first & 0x0F, await self._reader.readexactly(size)

    async def receive_json(self) -> Any:
        """The next frame, which must be text."""
        opcode, payload = await self.receive()
        assert opcode == TEXT, (opcode, payload)
        return json.loads(payload)

    async def close_code(self) -> int:
        """The code of the next frame, which must be a close."""
        opcode, payload = await self.receive()
        assert opcode == CLOSE, (opcode, payload)
        return int.from_bytes(payload[:2], "big")

    async def ended(self) -> bytes:
        """Everything that comes until the server ends the TCP connection."""
        async with asyncio.timeout(WAIT_SECONDS):
            return await self._reader.read()


def encode(opcode: int, payload: bytes, *, final: bool = True, reserved: int = 0, mask: bool = True) -> bytes:
    """A WebSocket frame in any shape; lengths are written in their shortest form."""
    size, masked = len(payload), 0x80 if mask else 0
    head = bytes([(0x80 if final else 0) | reserved << 4 | opcode])
    if size < 126:
        head += bytes([masked | size])
    elif size < 65536:
        head += struct.pack("!BH", masked | 126, size)
    else:
        head += struct.pack("!BQ", masked | 127, size)
    # a mask of zeros leaves the payload as it is
    return head + (b"\0\0\0\0" if mask else b"") + payload


def text(*parts: Any) -> bytes:
    """A V2 frame of Phoenix as the payload of a text message."""
    return json.dumps(list(parts)).encode()
