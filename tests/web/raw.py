"""HTTP and WebSocket by hand, for what no library would send."""

import asyncio
import json
import os
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
WAIT_SECONDS = 20.0
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class RawSocket:
    """One connection: the request goes out on entering, `status`, `headers` and `body` are its answer.

    After a 101 frames can be sent in any shape. `headers` replace those of the upgrade where they have a value and
    remove them where they are None.
    """

    def __init__(
        self, url: str, target: str = TARGET, method: str = "GET", headers: dict[str, str | None] | None = None
    ) -> None:
        self._place = urlsplit(url)
        wanted = {"Host": self._place.netloc, **UPGRADE, **(headers or {})}
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in wanted.items() if value)]
        self._request = "\r\n".join([*lines, "", ""]).encode()

    async def __aenter__(self) -> Self:
        assert self._place.port is not None
        self._reader, self.writer = await asyncio.open_connection("127.0.0.1", self._place.port)
        self.writer.write(self._request)
        async with asyncio.timeout(WAIT_SECONDS):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            self.status = int(first.split()[1])
            self.headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            length = int(self.headers.get("content-length", 0))
            self.body = b"" if b"HEAD" in self._request[:4] else await self._reader.readexactly(length)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.abort()

    def abort(self) -> None:
        """Vanish without a word."""
        self.writer.transport.abort()

    def send(
        self, opcode: int, payload: bytes = b"", *, final: bool = True, reserved: int = 0, mask: bool = True
    ) -> None:
        size = len(payload)
        masked = 0x80 if mask else 0
        header = bytes([(0x80 if final else 0) | reserved << 4 | opcode])
        if size < 126:
            header += bytes([masked | size])
        elif size < 65536:
            header += struct.pack("!BH", masked | 126, size)
        else:
            header += struct.pack("!BQ", masked | 127, size)
        if mask:
            key = os.urandom(4)
            header += key
            payload = bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))
        self.writer.write(header + payload)

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

    async def close_code(self) -> int:
        """The code of the next frame, which must be a close."""
        opcode, payload = await self.receive()
        assert opcode == CLOSE, (opcode, payload)
        return int.from_bytes(payload[:2], "big")

    async def ended(self) -> bytes:
        """Everything that comes until the server ends the TCP connection."""
        async with asyncio.timeout(WAIT_SECONDS):
            return await self._reader.read()


def frame(*parts: Any) -> bytes:
    """A V2 frame as text."""
    return json.dumps(list(parts)).encode()
