"""What the clients meet: programs under Node, servers that can go and come back, and one with the real models."""

import asyncio
import json
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp.test_utils import TestServer, unused_port

from neuralbridge.app import build_app
from neuralbridge.config import Config
from neuralbridge.protocol.handshake import Doors
from neuralbridge.web.keys import SERVICES
from tests.conftest import SETTINGS, Serve, Served
from tests.fakes import TOOLS_TEMPLATE, FakeRunner

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
WAIT_SECONDS = 30.0


class Program:
    """A Node program. It says what it sees, a line of JSON each, and obeys words on its standard input."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def hear(self, *said: str) -> dict[str, Any]:
        """The next line with this word, or one of these; those before it are skipped."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        async with asyncio.timeout(WAIT_SECONDS):
            while line := await self._process.stdout.readline():
                heard: dict[str, Any] = json.loads(line)
                if heard["said"] in said:
                    return heard
            pytest.fail(f"ended before it said {' or '.join(said)}: {(await self._process.stderr.read()).decode()}")

    async def hear_all(self, *said: str) -> None:
        """Lines with all of these words, in whatever order."""
        missing = {*said}
        while missing:
            missing.remove((await self.hear(*missing))["said"])

    async def tell(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n".encode())
        await self._process.stdin.drain()

    async def end(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.communicate()


Start = Callable[..., Awaitable[Program]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start programs: `await start("visit", version, url, ...)` runs visit.mjs; all are ended afterwards."""
    node = shutil.which("node")
    if node is None or not (ROOT / "node_modules" / "phoenix-1.7.0").is_dir():
        pytest.fail(f"the official clients are missing; type: cd {ROOT} && npm ci --ignore-scripts")
    programs: list[Program] = []

    async def run(script: str, *arguments: str) -> Program:
        process = await asyncio.create_subprocess_exec(
            node,
            str(HERE / f"{script}.mjs"),
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=2**22,
        )
        programs.append(Program(process))
        return programs[-1]

    yield run
    for program in programs:
        await program.end()


class Place:
    """A port and a data folder, and the server that is there or not."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self.port = unused_port()
        self.url = f"ws://127.0.0.1:{self.port}/socket"
        self.runner = FakeRunner()
        self._server: TestServer | None = None

    async def open(self, runner: FakeRunner | None = None, **sections: Any) -> None:
        self.runner = runner or FakeRunner()
        config = Config.model_validate({**SETTINGS, **sections})
        app = build_app(config, self._data, lambda _: self.runner)
        app[SERVICES].doors = Doors(self.port)
        self._server = TestServer(app, port=self.port)
        await self._server.start_server()

    async def close(self) -> None:
        if self._server is not None:
            self.runner.release()
            await self._server.close()
            self._server = None


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    place = Place(tmp_path / "data")
    yield place
    await place.close()


@pytest.fixture
async def with_tools(serve: Serve) -> Served:
    """A server whose model knows tools."""
    runner = FakeRunner()
    runner.chat_template = TOOLS_TEMPLATE
    return await serve(runner=runner)


@pytest.fixture(scope="session")
def real_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The url of a server of its own with the real default model and the real embedder: one for all tests."""
    folder = tmp_path_factory.mktemp("real")
    settings = {
        "version": 1,
        "data_dir": str(folder / "data"),
        "models": {"smollm2-135m": {"path": str(ROOT / "models" / "smollm2-135m-instruct-q4_1.gguf")}},
        "model_list": [
            {"model_name": "gpt-4*", "use": "smollm2-135m"},
            {"model_name": "text-embedding-*", "use": "embedder"},
        ],
        "routing": {"default": "smollm2-135m"},
        "documents": {"embedder": str(ROOT / "models" / "all-minilm-l6-v2")},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    command = [sys.executable, "-m", "neuralbridge", "serve", "--port", "0", "--config", str(folder / "config.yaml")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.fullmatch(r"listening on (http://\S+)\n", process.stdout.readline())
        assert found, "the server with the real models did not start"
        yield found[1]
        process.terminate()
