"""A server in a process of its own, for tests that end it, limit it or look at it from outside."""

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
START_SECONDS = 60.0


@dataclass
class ServedProcess:
    url: str
    process: Process
    errors: Path  # what it wrote to standard error

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def log(self) -> str:
        return self.errors.read_text()

    def open_files(self) -> int:
        return len([*Path(f"/proc/{self.process.pid}/fd").iterdir()])

    def memory_bytes(self) -> int:
        """Resident."""
        (line,) = (
            line
            for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
            if line.startswith("VmRSS")
        )
        return int(line.split()[1]) * 1024


def command(data: Path, **sections: Any) -> list[str]:
    return [sys.executable, "-m", "tests.serve_with_fakes", str(data), json.dumps(sections)]


@asynccontextmanager
async def served_process(
    data: Path, before: Callable[[], None] | None = None, **sections: Any
) -> AsyncIterator[ServedProcess]:
    """Run tests/serve_with_fakes.py; `before` runs in the new process. It is killed in the end if it still runs."""
    errors = data.with_name(f"{data.name}.stderr")
    with errors.open("w") as stderr:
        process = await asyncio.create_subprocess_exec(
            *command(data, **sections), cwd=ROOT, stdin=DEVNULL, stdout=PIPE, stderr=stderr, preexec_fn=before
        )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_SECONDS):
            said = (await process.stdout.readline()).decode()
        assert said.startswith("listening on "), errors.read_text()
        yield ServedProcess(said.removeprefix("listening on ").strip(), process, errors)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
