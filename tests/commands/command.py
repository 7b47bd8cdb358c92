"""The command line as processes of its own: in pipes, and at a terminal that a test holds the other end of."""

import asyncio
import os
import pty
import re
import signal
import subprocess
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from tests.conftest import Served

ROOT = Path(__file__).parents[2]
NEURALBRIDGE = (sys.executable, "-m", "neuralbridge")
WAIT_SECONDS = 30.0


async def started(*arguments: object, stdin: int = DEVNULL, program: tuple[str, ...] = NEURALBRIDGE) -> Process:
    command = (*program, *map(str, arguments))
    return await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=stdin, stdout=PIPE, stderr=PIPE)


async def run(
    *arguments: object, piped: bytes | None = None, program: tuple[str, ...] = NEURALBRIDGE
) -> tuple[int, str, str]:
    """Exit status, standard output and standard error."""
    process = await started(*arguments, stdin=DEVNULL if piped is None else PIPE, program=program)
    async with asyncio.timeout(WAIT_SECONDS):
        out, err = await process.communicate(piped)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def until_answers(served: Served, under_way: int) -> None:
    """Until so many answers are under way; over HTTP there is no event to wait for."""
    async with asyncio.timeout(WAIT_SECONDS), aiohttp.ClientSession(served.url) as http:
        while True:
            async with http.get("/api/proxy/health") as response:
                if (await response.json())["answers_under_way"] == under_way:
                    return
            await asyncio.sleep(0.02)


class Terminal:
    """What a person sees and types."""

    def __init__(self, master: int, process: "subprocess.Popen[bytes]") -> None:
        self._master = master
        self._process = process
        self.seen = ""

    async def until(self, pattern: str) -> str:
        """Everything seen since the last time, up to what fits the pattern."""
        async with asyncio.timeout(WAIT_SECONDS):
            while (found := re.search(pattern, self.seen)) is None:
                self.seen += await asyncio.to_thread(self._read)
        before, self.seen = self.seen[: found.end()], self.seen[found.end() :]
        return before

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    async def interrupt(self) -> None:
        """Ctrl-C while it waits: of one that comes while a key is worked on, Python hears with the next key only."""
        async with asyncio.timeout(WAIT_SECONDS):
            while not self._waits():  # noqa: ASYNC110  # there is no event for that
                await asyncio.sleep(0.01)
        self._process.send_signal(signal.SIGINT)

    async def status(self) -> int:
        """How it ends; what is still said is seen."""
        async with asyncio.timeout(WAIT_SECONDS):
            while piece := await asyncio.to_thread(self._read):
                self.seen += piece
        return await asyncio.to_thread(self._process.wait, WAIT_SECONDS)

    def _waits(self) -> bool:
        status = Path(f"/proc/{self._process.pid}/stat")
        return not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "S"

    def _read(self) -> str:
        try:
            return os.read(self._master, 65_536).decode().replace("\r\n", "\n")
        except OSError:  # the other end is closed
            return ""


@asynccontextmanager
async def terminal(*arguments: object, **environment: str) -> AsyncIterator[Terminal]:
    master, slave = pty.openpty()
    process = subprocess.Popen(  # noqa: ASYNC220  # asyncio has no other way to give it a terminal, and it starts at once
        [*NEURALBRIDGE, *map(str, arguments)],
        cwd=ROOT,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        env={**os.environ, "TERM": "xterm", **environment},
    )
    os.close(slave)
    try:
        yield Terminal(master, process)
    finally:
        process.kill()
        process.wait()
        os.close(master)
