"""Attacks by number: sockets, files, clients that vanish or never read; section 2.7 of the catalogue."""

import asyncio
import json
import math
import resource
import signal
import socket
import struct
import sys
import time
from random import Random
from subprocess import PIPE

from chaos_attack import attack
from chaos_server import ROOT, Server, bearer, require, soon
from chaos_websocket import HEARTBEAT, STORY, gone, opened, streaming, vanish

from tests.attacks.exchange import connect, request
from tests.web.raw import TEXT, text

SOCKETS, TALKING = 200, 10
CHURN = 500  # connections of one try
FEW_FILES = 256
TOO_MANY = 400


@attack("L1", f"{SOCKETS} sockets joined, {TALKING} of them talking, then all dropped", 2, 0)
async def many_sockets(server: Server, random: Random, _: int) -> str:
    before = server.look()
    sockets = []
    for number in range(SOCKETS):
        each = opened(server)
        await each.request()
        await each.answer()
        each.send(TEXT, text("1", "1", f"proxy:many{number}x{random.getrandbits(30)}", "phx_join", {}))
        require((await each.receive_json())[4]["status"] == "ok", "a join was refused")
        sockets.append(each)

    async def talk(number: int) -> None:
        async with server.client() as client:
            await streaming(client, f"proxy:talk{number}x{random.getrandbits(30)}", 20)

    async def beat() -> float:
        slowest = 0.0
        for each in sockets:
            began = time.perf_counter()
            each.send(TEXT, HEARTBEAT)
            await each.receive_json()
            slowest = max(slowest, time.perf_counter() - began)
        return slowest

    *_rest, slowest = await asyncio.gather(*(talk(number) for number in range(TALKING)), beat())
    for each in sockets:
        each.abort()
    await gone(server)

    async def as_before() -> bool:
        return server.look().files <= before.files + 5

    await soon("files stay open", as_before)
    return f"all answered, heartbeats within {slowest * 1000:.0f} ms"


@attack("L2", f"{TOO_MANY} connections to a process that may open {FEW_FILES} files", 3, 0)
async def out_of_files(server: Server, _: Random, __: int) -> str:
    """The limit is set on the running process, so nothing of its start-up could have raised it."""
    assert server.process is not None
    whole = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (FEW_FILES, whole[1]))
    ends = []
    try:
        for _number in range(TOO_MANY):
            try:
                ends.append(await connect(server))
            except OSError:
                break
        await asyncio.sleep(1.0)  # for the server to run into it
    finally:
        for _, writer in ends:
            writer.close()
    taken = await server.probe()
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, whole)
    require(taken < 10_000, f"a good client waited {taken:.0f} ms")
    return "served once they were gone"


@attack("L4", "clients that ask and never read", 2, 0)
async def never_reads(server: Server, random: Random, _: int) -> str:
    """It asks for 2,000 histories of 7,500 characters as well, so that more is waiting for it than any buffer holds."""
    before = server.look().memory_mb
    topic = f"proxy:deaf{random.getrandbits(30)}"
    async with server.client() as client:
        await client.join(topic)
        await client.push(topic, "query", {"query": "word " * 1_500, "max_tokens": 1, "retrieval": "off"})
        await client.expect("response")
    deaf = opened(server, window=4096)
    await deaf.request()
    await deaf.answer()
    deaf.send(TEXT, text("1", "1", topic, "phx_join", {}))
    deaf.send(TEXT, text("1", "2", topic, "stream_query", STORY))
    for number in range(2_000):
        deaf.send(TEXT, text("1", f"h{number}", topic, "get_history", {}))
    began = time.monotonic()
    async with server.client() as client:
        await streaming(client, f"proxy:beside{random.getrandbits(30)}", 20)
        await client.push(next(iter(client.joined)), "stop")
        await gone_but(server, 1)
    deaf.abort()
    await gone(server)
    require(server.look().memory_mb < before + 100, "what it does not read is kept")
    return f"cut off within {math.ceil(time.monotonic() - began)} s, others streamed"


async def gone_but(server: Server, left: int) -> None:
    """Wait until no more sockets than these are counted. Raises Broken."""

    async def few() -> bool:
        return (await server.health())["sockets"] <= left

    await soon("a client that never reads is kept", few, 45)


@attack("L6", "clients that vanish in the middle of an answer, on the socket and on SSE", 50, 2)
async def vanishing(server: Server, random: Random, number: int) -> str:
    """On the socket the answer belongs to the conversation and goes on; on SSE it is nobody's and ends."""
    if number % 2:
        body = {
            "model": "gpt-4",
            "messages": [{"role": "user", "content": STORY["query"]}],
            "max_tokens": 300,
            "stream": True,
        }
        sent = json.dumps(body).encode()
        lines = (f"Authorization: {bearer()['Authorization']}", "Content-Type: application/json")
        reader, writer = await connect(server)
        writer.write(request(server, "POST", "/v1/chat/completions", *lines, f"Content-Length: {len(sent)}", body=sent))
        for _ in range(5):
            await reader.readuntil(b"\n\n")
        reset(writer)
        await server.idle()
        return "SSE: ended"
    topic = f"proxy:vanish{random.getrandbits(40)}"
    await vanish(server, topic)
    async with server.client() as client:
        await client.join(topic)
        await client.push(topic, "stop")
        await server.idle()
        await client.push(topic, "get_history")
        frames = await client.until("history")
    last = frames[-1][4]["messages"][-1]
    require(last["content"], "what there was is gone")
    return f"socket: kept as {last['status']}"


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection by RST."""
    end = writer.get_extra_info("socket")
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


CLIENT = """
import asyncio, sys
sys.path[:0] = [sys.argv[1]]
from tests.phoenix_client import PhoenixClient

async def main():
    async with PhoenixClient(sys.argv[2], headers={"Authorization": sys.argv[3]}) as client:
        await client.join("proxy:stopped")
        print("joined", flush=True)
        await asyncio.sleep(300)

asyncio.run(main())
"""


@attack("L8", "a client process that is stopped (SIGSTOP)", 1, 0)
async def half_open(server: Server, _: Random, __: int) -> str:
    command = [sys.executable, "-c", CLIENT, str(ROOT), server.url, bearer()["Authorization"]]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    try:
        assert process.stdout is not None
        await process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        began = time.monotonic()

        async def closed() -> bool:
            return (await server.health())["sockets"] == 0

        await soon("it is kept", closed, 90)
        return f"closed after {time.monotonic() - began:.0f} s"
    finally:
        process.kill()
        await process.wait()


@attack("L9", f"{CHURN} connects, joins and closes", 4, 1)
async def churn(server: Server, random: Random, _: int) -> str:
    await server.probe()
    before = server.look()
    gate = asyncio.Semaphore(20)

    async def one(number: int) -> None:
        async with gate, opened(server) as each:
            each.send(TEXT, text("1", "1", f"proxy:churn{number % 50}", "phx_join", {}))
            require((await each.receive_json())[4]["status"] == "ok", "a join was refused")

    await asyncio.gather(*(one(number) for number in range(CHURN)))
    await gone(server)
    after = server.look()
    require(after.threads <= before.threads + 2, f"{after.threads} threads, {before.threads} before")
    require(after.memory_mb < before.memory_mb + 30, f"{after.memory_mb - before.memory_mb:.0f} MB more")
    return "memory and threads flat"


@attack("L10", "heartbeats while 8 answers come and a document is taken in", 2, 0)
async def loop_lag(server: Server, random: Random, _: int) -> str:
    async def stream(number: int) -> None:
        async with server.client() as client:
            await streaming(client, f"proxy:lag{number}x{random.getrandbits(30)}", 60)
            await client.push(next(iter(client.joined)), "stop")
            await client.until("stream_complete")

    async def ingest() -> None:
        words = "\n\n".join(f"Paragraph {number} has {random.getrandbits(60)} in it." * 5 for number in range(200))
        document = {"content": words, "source_document": "lag.md"}
        async with server.http() as http, http.post("/api/knowledge/ingest", json=document) as response:
            require(response.status == 201, f"{response.status}")
            told = await response.json()
        server.documents[told["document_id"]] = "lag.md"

    work = asyncio.gather(ingest(), *(stream(number) for number in range(8)))
    times = []
    async with server.client() as client:
        while not work.done():
            began = time.perf_counter()
            await client.send(None, "b", "phoenix", "heartbeat", {})
            await client.receive()
            times.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(0.03)
    await work
    times.sort()
    document = next(uid for uid, name in server.documents.items() if name == "lag.md")
    del server.documents[document]
    async with server.http() as http, http.delete(f"/api/knowledge/documents/{document}"):
        pass
    return f"p99 {times[int(0.99 * len(times))]:.0f} ms"
