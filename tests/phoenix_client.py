"""A Phoenix client for tests, close to the wire. join_ref starts at 11 and ref at 1, so that a server that mixes them
up is found out."""

import asyncio
from itertools import count
from typing import Any, Self

import aiohttp

WAIT_SECONDS = 60.0
Frame = list[Any]


class PhoenixClient:
    """Frames of serializer 2.0.0: [join_ref, ref, topic, event, payload]."""

    def __init__(self, url: str, params: str = "vsn=2.0.0", headers: dict[str, str] | None = None) -> None:
        self._url = f"{url}/socket/websocket?{params}"
        self._headers = headers or {}
        self._join_refs, self._refs = count(11), count(1)
        self._http = aiohttp.ClientSession()
        self.joined: dict[str, str] = {}  # topic -> join_ref

    async def __aenter__(self) -> Self:
        try:
            self.socket = await self._http.ws_connect(self._url, headers=self._headers, max_msg_size=0)
        except BaseException:
            await self._http.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.socket.close()
        await self._http.close()

    async def send(self, *frame: Any) -> None:
        await self.socket.send_json(list(frame))

    async def receive(self) -> Frame:
        async with asyncio.timeout(WAIT_SECONDS):
            frame: Frame = await self.socket.receive_json()
        return frame

    async def join(self, topic: str, payload: Any = None) -> Frame:
        """Join and return the reply."""
        join_ref = self.joined[topic] = str(next(self._join_refs))
        await self.send(join_ref, ref := str(next(self._refs)), topic, "phx_join", payload or {})
        reply = await self.receive()
        assert reply[:4] == [join_ref, ref, topic, "phx_reply"], reply
        return reply

    async def push(self, topic: str, event: str, payload: Any = None) -> str:
        """Push on a joined topic; the ref it went with."""
        ref = str(next(self._refs))
        await self.send(self.joined[topic], ref, topic, event, {} if payload is None else payload)
        return ref

    async def expect(self, event: str) -> dict[str, Any]:
        """The payload of the next frame, which must be this event."""
        frame = await self.receive()
        assert frame[3] == event, frame
        payload: dict[str, Any] = frame[4]
        return payload

    async def until(self, *events: str) -> list[Frame]:
        """Frames up to and including the first of these events."""
        frames = [await self.receive()]
        while frames[-1][3] not in events:
            frames.append(await self.receive())
        return frames

    async def close_code(self) -> int | None:
        """Read on until the server closes; its code."""
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                message = await self.socket.receive()
                if message.type is aiohttp.WSMsgType.CLOSE:  # aiohttp forgets it where its own close comes too late
                    return int(message.data)
                if message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING):
                    return self.socket.close_code
