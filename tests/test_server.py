"""The server as a process: it drains when told to go, survives what others do to it, and leaves private files."""

import asyncio
import os
import resource
import signal
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing
from pathlib import Path

import aiohttp
import pytest

from neuralbridge.process import FILES, allow_files
from neuralbridge.server import SHUTDOWN_SECONDS
from tests.attacks.probe import serves
from tests.phoenix_client import PhoenixClient
from tests.serve_with_fakes import ASK_FOR_STORY, STORY
from tests.served_process import ROOT, command, served_process

DRAIN_SECONDS = 30.0
STREAMS, IDLE = 5, 20
STREAM = {"model": "small", "messages": [{"role": "user", "content": ASK_FOR_STORY}], "stream": True}


async def frames_to_the_end(client: PhoenixClient) -> tuple[list[str], int | None]:
    """The events that still came, and the code of the close."""
    events = []
    while (message := await client.socket.receive()).type is aiohttp.WSMsgType.TEXT:
        events.append(message.json()[3])
    return events, client.socket.close_code


async def test_f19_sigterm_drains_sockets_polls_and_streams_and_stores_what_there_is(tmp_path: Path) -> None:
    """F19"""
    async with served_process(tmp_path / "data") as served, AsyncExitStack() as clients:
        asking = [await clients.enter_async_context(PhoenixClient(served.url)) for _ in range(STREAMS)]
        idle = [await clients.enter_async_context(PhoenixClient(served.url)) for _ in range(IDLE)]
        for number, client in enumerate(asking):
            await client.join(topic := f"proxy:story{number}")
            await client.push(topic, "stream_query", {"query": ASK_FOR_STORY})
            await client.until("stream_token")
        http = await clients.enter_async_context(aiohttp.ClientSession(served.url))
        sse = await clients.enter_async_context(http.post("/v1/chat/completions", json=STREAM))
        await sse.content.readline()
        opened = await (await http.get("/socket/longpoll?vsn=2.0.0")).json()
        poll = asyncio.create_task(http.get(f"/socket/longpoll?vsn=2.0.0&token={opened['token']}"))
        await http.get("/api/proxy/health")
        served.process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        heard = await asyncio.gather(*map(frames_to_the_end, [*asking, *idle]))
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", served.port)
        assert await served.process.wait() == 0
        assert time.monotonic() - begun < DRAIN_SECONDS
        poll.cancel()
        assert "The server is going" in (await sse.text())
        assert "Traceback" not in served.log
    assert {code for _, code in heard} == {1012}
    assert {event for events, _ in heard for event in events} <= {"stream_token"}
    database = tmp_path / "data" / "neuralbridge.db"
    assert not database.with_name("neuralbridge.db-wal").exists()
    with closing(sqlite3.connect(database)) as connection:
        stored = connection.execute("SELECT status, content FROM messages WHERE role = 'assistant'").fetchall()
    assert [status for status, _ in stored] == ["interrupted"] * STREAMS
    assert all(text and STORY.startswith(text) for _, text in stored)


async def whole_answer(http: aiohttp.ClientSession) -> None:
    """Wait for a whole story, which does not come."""
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await http.post("/v1/chat/completions", json={**STREAM, "stream": False})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_f19_a_second_signal_ends_it_at_once(tmp_path: Path, number: signal.Signals) -> None:
    """F19"""
    async with (
        served_process(tmp_path / "data") as served,
        aiohttp.ClientSession(served.url) as http,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(whole_answer(http))  # which gets some seconds to come to its end
        while (await (await http.get("/metrics")).text()).find("neuralbridge_sequences 1") < 0:
            pass  # it has not begun
        served.process.send_signal(number)
        await asyncio.sleep(0.2)  # a signal that was taken leaves no trace outside
        served.process.send_signal(number)
        async with asyncio.timeout(SHUTDOWN_SECONDS - 1):  # so long the answer would have had
            await served.process.wait()


async def test_f20_hangup_pipe_and_an_output_that_nobody_reads_end_nothing(tmp_path: Path) -> None:
    """F20"""
    async with served_process(tmp_path / "data") as served:
        served.process.send_signal(signal.SIGHUP)
        served.process.send_signal(signal.SIGPIPE)
        await serves(served)
        served.process.send_signal(signal.SIGINT)
        assert await served.process.wait() == 0


async def test_f20_it_starts_and_ends_with_a_closed_output(tmp_path: Path) -> None:
    """F20: whoever started it stopped reading before it said where it listens."""
    reading, writing = os.pipe()
    os.close(reading)
    errors = tmp_path / "errors"
    with errors.open("w") as stderr:
        process = await asyncio.create_subprocess_exec(
            *command(tmp_path / "data"), cwd=ROOT, stdout=writing, stderr=stderr
        )
    os.close(writing)
    while "nobody reads the standard output" not in errors.read_text():
        assert process.returncode is None, errors.read_text()
        await asyncio.sleep(0.05)  # a file has no event
    process.terminate()
    assert await process.wait() == 0
    assert "Traceback" not in errors.read_text()


# What the operating system is asked for


async def test_files_are_for_this_user_alone_and_no_core_is_left(tmp_path: Path) -> None:
    async with served_process(tmp_path / "data") as served:
        await serves(served)
        assert resource.prlimit(served.process.pid, resource.RLIMIT_CORE) == (0, 0)
        for path in [tmp_path / "data", *(tmp_path / "data").rglob("*")]:
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


@pytest.fixture
def files() -> Iterator[tuple[int, int]]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield limits
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_the_limit_of_open_files_is_raised_as_far_as_it_may_be(files: tuple[int, int]) -> None:
    _, hard = files
    resource.setrlimit(resource.RLIMIT_NOFILE, (300, hard))
    allow_files(400)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (400, hard)
    allow_files(200)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (400, hard)


async def test_a_limit_that_is_too_low_is_told(tmp_path: Path) -> None:
    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))

    async with served_process(tmp_path / "data", before=few) as served:
        assert f"may open 256 files, and limits.connections asks for {256 + FILES}" in served.log


CANARIES = ("canary-question", "canary-token", "canary-cookie", "canary-document", "canary-frame")


async def test_a6_no_log_has_questions_documents_or_tokens(tmp_path: Path) -> None:
    """A6: what is asked, by every way in, and what is said along with it; also where it ends in an error."""
    question, token, cookie, document, frame = CANARIES
    headers = {"Authorization": f"Bearer {token}", "Cookie": f"session={cookie}", "x-api-key": token}
    async with (
        served_process(tmp_path / "data") as served,
        aiohttp.ClientSession(served.url, headers=headers) as http,
        PhoenixClient(served.url, f"vsn=2.0.0&auth_token={token}", headers) as client,
    ):
        await client.join("proxy:s")
        for payload in ({"query": question}, {"query": question, "temperature": question}, {"query": [question]}):
            await client.push("proxy:s", "query", payload)
            await client.until("response", "error")
        await client.socket.send_str(frame)
        for body in ({"messages": [{"role": "user", "content": question}]}, {"messages": question}, [question]):
            await http.post("/v1/chat/completions", json=body)
        await http.post("/v1/chat/completions", data=f"{{{question}".encode())
        await http.post("/api/knowledge/ingest", json={"content": document, "source_document": "a.txt"})
        await http.get(f"/api/knowledge/search?q={question}")
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(f"GET /?token={token} HTTP/1.1\r\nX:\0{cookie}\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        await reader.read()
        writer.close()
        written = served.log + (tmp_path / "data" / "logs" / "neuralbridge.log").read_text()
    assert "a client sent what is not HTTP" in written
    assert [canary for canary in CANARIES if canary in written] == []


async def test_a_server_loads_no_library_that_it_does_not_use(tmp_path: Path) -> None:
    """Of documents, TLS, signed tokens and mDNS: 30 MB."""
    async with served_process(tmp_path / "data") as served, PhoenixClient(served.url) as client:
        await client.join("proxy:small")
        await client.push("proxy:small", "query", {"query": "Say hi."})
        await client.until("response")
        loaded = await asyncio.to_thread(Path(f"/proc/{served.process.pid}/maps").read_text)
    assert "_sqlite3" in loaded
    assert [name for name in ("faiss", "cryptography", "zeroconf", "torch") if name in loaded] == []
