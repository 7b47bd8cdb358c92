"""A native abort takes the process down; supervised, it is back within seconds, and phoenix.js with it."""

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.test_utils import unused_port

from neuralbridge.assistant.draft import SAVE_TOKENS
from tests.clients.conftest import ROOT, Start
from tests.phoenix_client import PhoenixClient

pytestmark = pytest.mark.model
AGAIN_SECONDS = 5.0


class Supervised:
    """A supervisor with the real server, and the id of the server's process."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self.socket = f"ws://127.0.0.1:{port}/socket"

    async def started(self) -> int:
        """Wait for the next start; the process id."""
        assert self.process.stderr is not None
        while not (found := re.search(rb"started the server \(process (\d+)\)", await self.process.stderr.readline())):
            assert self.process.returncode is None
        return int(found[1])

    async def listening(self) -> None:
        assert self.process.stdout is not None
        assert (await self.process.stdout.readline()).startswith(b"listening on ")


@pytest.fixture
async def supervised(tmp_path: Path) -> AsyncIterator[Supervised]:
    port = unused_port()
    command = [sys.executable, "-m", "neuralbridge.supervisor", "--port", str(port), "--data-dir", str(tmp_path)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=pipe, stderr=pipe)
    yield Supervised(process, port)
    if process.returncode is None:
        process.terminate()
    await process.communicate()


async def test_an_aborted_server_is_back_and_so_is_its_client(supervised: Supervised, start: Start) -> None:
    server = await supervised.started()
    await supervised.listening()
    program = await start("resume", "1.8.16", supervised.socket)
    await program.hear("joined")
    await program.tell("ask")
    while (await program.hear("event"))["seq"] < 4 * SAVE_TOKENS:  # so that some of it is saved
        pass
    os.kill(server, signal.SIGABRT)
    began = time.monotonic()
    assert await supervised.started() != server
    assert time.monotonic() - began < AGAIN_SECONDS  # the rest is a start as any other, as long as this machine takes
    await supervised.listening()
    assert (await program.hear("joined"))["resume"] == "gone"
    async with PhoenixClient(supervised.url) as client:
        await client.join("proxy:s")
        await client.push("proxy:s", "get_history")
        asked, answer = (await client.expect("history"))["messages"]
        await client.push("proxy:s", "continue", {"message_id": answer["id"]})
        first = (await client.until("stream_token", "stream_error"))[-1][4]
        assert first.get("token") == answer["content"], first
    assert (asked["content"], answer["status"]) == ("a story", "interrupted")
    supervised.process.terminate()
    assert await supervised.process.wait() == 0


async def test_a_refused_start_is_left_to_a_person(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "neuralbridge.supervisor", "--port", "65536", "--data-dir", str(tmp_path)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=pipe, stderr=pipe)
    _, said = await process.communicate()
    assert process.returncode == 1
    assert said.count(b"started the server") == 1
