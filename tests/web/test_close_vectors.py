"""Vectors 65 and 66 of phoenix-protocol.md: who closes with which code."""

import asyncio

import pytest

from tests.conftest import Serve, Served
from tests.web.raw import CLOSE, PING, PONG, TEXT, RawSocket, text
from tests.web.wire import TOPIC, connected

IDLE = {"idle_seconds": 0.3}
HEARTBEAT = text(None, "1", "phoenix", "heartbeat", {})


async def test_v65_silence_closes_with_1002(serve: Serve) -> None:
    served = await serve(server=IDLE)
    async with RawSocket(served.url) as raw:
        assert await raw.close_code() == 1002


@pytest.mark.parametrize(("opcode", "payload"), [(PING, b"x"), (PONG, b""), (TEXT, HEARTBEAT)])
async def test_v65_a_sign_of_life_now_and_then_keeps_the_socket(serve: Serve, opcode: int, payload: bytes) -> None:
    served = await serve(server=IDLE)
    async with RawSocket(served.url) as raw:
        for _ in range(6):
            await asyncio.sleep(0.1)  # time passing is what this is about; longer than IDLE in all
            raw.send(opcode, payload)
        raw.send(PING, b"still there")
        while (frame := await raw.receive()) != (PONG, b"still there"):
            assert frame[0] in (PONG, TEXT)


async def flood(raw: RawSocket) -> None:
    """Ask for 36 MB of answers, of which 4 MB may wait beside what the kernel's buffers take."""
    for number in range(40):
        raw.send(TEXT, text(None, f"{number}{'r' * 900_000}", "phoenix", "heartbeat", {}))
        await raw.writer.drain()


async def test_a_client_that_reads_nothing_is_cut_off_and_others_do_not_notice(served: Served) -> None:
    async with RawSocket(served.url, window=4096) as raw, connected(served, TOPIC) as other:
        with pytest.raises(ConnectionError):
            await flood(raw)
        await other.ask("hi")


@pytest.mark.parametrize(
    ("payload", "answer"),
    [
        (b"", 1000),
        (b"\x03\xe8", 1000),
        (b"\x03\xe9going away", 1000),
        (b"\x0f\xa0", 1000),  # 4000
        (b"\x03", 1002),
        (b"\x03\xe7", 1002),  # 999
        (b"\x03\xed", 1002),  # 1005 never goes over the wire
        (b"\x03\xe8\xff", 1007),
    ],
)
async def test_v66_a_close_is_answered_and_the_connection_ends(served: Served, payload: bytes, answer: int) -> None:
    async with RawSocket(served.url) as raw:
        raw.send(CLOSE, payload)
        assert await raw.close_code() == answer
        assert await raw.ended() == b""
