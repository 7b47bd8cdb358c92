"""H1, H2, L4: those who send slowly, or do not read. Each costs what its connection costs, and for a bounded time."""

import asyncio
import contextlib
import json
import time

import pytest
from aiohttp import web

from neuralbridge import listener
from neuralbridge.web import longpoll, websocket
from neuralbridge.web.v1 import doors, streaming
from tests.attacks.exchange import connect, ended, request
from tests.attacks.probe import serves
from tests.conftest import Serve, Served
from tests.fakes import FakeRunner, echo
from tests.web.raw import PONG, TEXT, UPGRADE, RawSocket, encode, text
from tests.web.test_longpoll import polling
from tests.web.wire import connected

PONG_FRAME = encode(PONG, b"")
QUICK = {"body_idle_seconds": 0.5}
JSON = "Content-Type: application/json"
FORM = "Content-Type: multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nhello'
BODIES = {
    "/v1/chat/completions": (JSON, b"{"),
    "/v1/completions": (JSON, b""),
    "/v1/embeddings": (JSON, b"{"),
    "/api/proxy/query": (JSON, b"{"),
    "/api/knowledge/ingest": (JSON, b"{"),
    "/api/knowledge/ingest?form": (FORM, PART),
    "/api/knowledge/explain": (JSON, b"{"),
    "/api/conversations/import": ("Content-Type: application/octet-stream", b"["),
}


async def test_h1_silent_and_dripping_heads_are_closed(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """H1: 100 that say nothing and 100 that send a byte of a header now and then."""
    assert listener.KEEPALIVE_SECONDS <= 15
    monkeypatch.setattr(listener, "KEEPALIVE_SECONDS", 1.0)
    served = await serve()
    clients = [await connect(served) for _ in range(200)]

    async def drip(writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            for byte in request(served, "GET", "/api/proxy/health", "X: " + "a" * 100):
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.1)

    dripping = [asyncio.create_task(drip(writer)) for _, writer in clients[::2]]
    await serves(served)  # meanwhile
    async with asyncio.timeout(30):
        assert {await ended(reader) for reader, _ in clients} == {b""}
    for task in dripping:
        task.cancel()
    for _, writer in clients:
        writer.close()
    await serves(served)


async def begun(served: Served, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    kind, body = BODIES[path]
    reader, writer = await connect(served)
    sent = request(served, "POST", path, kind, "Content-Length: 1000", body=body)
    writer.write(sent.replace(b"Connection: close\r\n", b""))  # it is the server that closes
    return reader, writer


async def test_h2_a_body_that_stands_still_is_408_on_every_route(serve: Serve) -> None:
    """H2"""
    served = await serve(limits=QUICK)
    clients = {path: await begun(served, path) for path in BODIES}
    for path, (reader, writer) in clients.items():
        head, _, body = (await ended(reader)).partition(b"\r\n\r\n")
        assert b" 408 " in head.split(b"\r\n")[0], (path, head, body)
        assert b"connection: close" in head.lower(), path
        told = json.loads(body)["error"]
        assert (told["code"] if path.startswith("/v1") else told) == "body_too_slow", path
        writer.close()
    await serves(served)


async def test_h2_a_longpoll_post_that_stands_still_is_408(serve: Serve) -> None:
    """H2"""
    served = await serve(limits=QUICK)
    async with polling(served) as client:
        reader, writer = await connect(served)
        writer.write(
            request(served, "POST", f"/socket/longpoll?vsn=2.0.0&token={client.token}", "Content-Length: 9", body=b"[")
        )
        assert b" 408 " in (await ended(reader)).split(b"\r\n")[0]
        writer.close()
        await serves(served)


async def test_h2_a_refused_body_is_not_waited_for(serve: Serve) -> None:
    """H2: refused at once, for its kind or its origin; what is left of it may come for a while."""
    served = await serve(limits=QUICK)
    for line in ("Content-Type: text/plain", f"{JSON}\r\nOrigin: https://evil.example"):
        reader, writer = await connect(served)
        sent = request(served, "POST", "/api/proxy/query", line, "Content-Length: 100000", body=b"{")
        writer.write(sent.replace(b"Connection: close\r\n", b""))
        async with asyncio.timeout(30):
            status = (await reader.readuntil(b"\r\n")).split(b" ")[1]
        assert status in (b"400", b"403")
        async with asyncio.timeout(30):
            await ended(reader)
        writer.close()
    await serves(served)


async def test_h2_a_body_that_drips_has_to_be_whole_in_time(serve: Serve) -> None:
    """H2: never silent for long, but far slower than anybody's network."""
    served = await serve(limits={**QUICK, "body_seconds": 1.0})
    reader, writer = await begun(served, "/v1/chat/completions")

    async def drip() -> None:
        while True:
            writer.write(b" ")
            await asyncio.sleep(0.1)

    dripping = asyncio.create_task(drip())
    async with asyncio.timeout(30):
        assert b" 408 " in await reader.readuntil(b"\r\n")
    dripping.cancel()
    writer.close()
    await serves(served)


async def test_h2_a_body_at_a_fair_pace_may_take_longer(serve: Serve) -> None:
    """H2: `body_seconds` is for small ones; more bytes have more time."""
    served = await serve(limits={**QUICK, "body_seconds": 0.5, "body_bytes_per_second": 10_000})
    reader, writer = await connect(served)
    body = json.dumps({"query": "hi", "session_id": "s", "x": "x" * 50_000}).encode()
    writer.write(request(served, "POST", "/api/proxy/query", JSON, f"Content-Length: {len(body)}"))
    begin = time.monotonic()
    for at in range(0, len(body), 5_000):
        writer.write(body[at : at + 5_000])
        await asyncio.sleep(0.2)
    assert time.monotonic() - begin > 1.5
    assert b" 200 " in (await ended(reader)).split(b"\r\n")[0]
    writer.close()


async def test_h2_our_own_slowness_is_nobody_elses(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """H2: a body that we do not take is not late."""
    served = await serve(limits=QUICK)
    messages = [{"role": "user", "content": "hi"}]
    body = json.dumps({"messages": messages, "unknown": ["x" * 4 * 1024 * 1024]}).encode()
    read_body = doors.read_body

    async def slow(request: web.Request, limit: int) -> bytearray:
        await asyncio.sleep(1.5)  # three times as long as a sender may be silent
        return await read_body(request, limit)

    monkeypatch.setattr(doors, "read_body", slow)
    reader, writer = await connect(served)
    writer.write(request(served, "POST", "/v1/chat/completions", JSON, f"Content-Length: {len(body)}", body=body))
    assert b" 200 " in (await ended(reader)).split(b"\r\n")[0]
    writer.close()


# Those who do not read


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The times of `neuralbridge serve`, a tenth of them."""
    assert max(websocket.SEND_SECONDS, streaming.STALLED_SECONDS) <= 10
    monkeypatch.setattr(websocket, "SEND_SECONDS", 1.0)
    monkeypatch.setattr(streaming, "STALLED_SECONDS", 1.0)
    monkeypatch.setattr(listener, "STALLED_SECONDS", 1.0)


def storyteller() -> FakeRunner:
    return FakeRunner(cells=200_000, reply=lambda asked: "word " * 20_000 if asked == "story" else echo(asked))


async def until_reset(raw: RawSocket, sign_of_life: bytes) -> None:
    """Say now and then that we live, and read nothing, until the server has had enough."""
    async with asyncio.timeout(60):
        while True:
            raw.writer.write(sign_of_life)
            try:
                await raw.writer.drain()
            except ConnectionError:
                return
            await asyncio.sleep(0.05)


@pytest.mark.usefixtures("impatient")
async def test_l4_a_socket_that_reads_nothing_but_lives_is_cut_off(serve: Serve) -> None:
    """L4"""
    served = await serve(storyteller())
    async with RawSocket(served.url, window=4096) as raw:
        for number in range(6):
            raw.send(TEXT, text(None, f"{number}{'r' * 900_000}", "phoenix", "heartbeat", {}))
            await raw.writer.drain()
        await until_reset(raw, PONG_FRAME)
    await serves(served)


@pytest.mark.usefixtures("impatient")
async def test_l4_an_answer_that_nobody_takes_is_cut_off(served: Served) -> None:
    """L4: over HTTP, of whatever length; here the page's largest script, many times on one connection."""
    script = "/static/vendor/temml.mjs"
    async with RawSocket(served.url, script, headers=dict.fromkeys(UPGRADE), window=4096) as raw:
        wanted = f"GET {script} HTTP/1.1\r\nHost: {served.url.removeprefix('http://')}\r\n\r\n".encode()
        raw.writer.write(wanted * 30)  # more than the kernel's buffers take
        begin = time.monotonic()
        await until_reset(raw, wanted)
        assert time.monotonic() - begin > 1.0
    await serves(served)


async def test_l4_a_longpoll_session_that_is_not_polled_hoards_nothing(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L4"""
    monkeypatch.setattr(longpoll, "OUTBOX_BYTES", 100_000)
    served = await serve()
    async with polling(served) as client:
        for number in range(3):
            await client.post(json.dumps([None, f"{number}{'r' * 90_000}", "phoenix", "heartbeat", {}]).encode())
        assert (await client.get())["status"] == 410  # another session: the one before is over
        await serves(served)


async def test_l4_others_are_as_fast_as_before(serve: Serve) -> None:
    """L4: one asks for a long story over a socket and never reads."""
    served = await serve(storyteller())
    async with RawSocket(served.url, window=4096) as raw:
        raw.send(TEXT, text("1", "1", "proxy:s", "phx_join", {}))
        raw.send(TEXT, text("1", "2", "proxy:s", "stream_query", {"query": "story", "max_tokens": 100_000}))
        async with connected(served, "proxy:other") as client:
            for number in range(5):
                answer = await client.ask(f"question {number}", "proxy:other")
                assert answer["response"] == f"You asked: question {number}"
