"""A browser, pages in it, and servers to visit: one with a scripted model, and the real one as its own process."""

import asyncio
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from aiohttp import WSCloseCode
from aiohttp.test_utils import TestServer, unused_port
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, async_playwright, expect

from neuralbridge.app import build_app
from neuralbridge.config import Config
from neuralbridge.protocol.handshake import Doors
from neuralbridge.web.keys import SERVICES
from neuralbridge.web.websocket import SOCKETS
from tests.conftest import SETTINGS
from tests.fakes import FakeRunner

ROOT = Path(__file__).parent.parent.parent
ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
]
CELLS = 40_000  # the scripted model's tokens are bytes
START_SECONDS = 60
STOP_SECONDS = 20
LISTENING = re.compile(r"listening on (http://\S+)")
# What a browser logs by itself for a socket that cannot be opened; no page can prevent it.
UNREACHABLE = re.compile(r"WebSocket connection to '[^']*' failed")

expect.set_options(timeout=20_000)


def chromium_path() -> str:
    """Where Debian's Chromium is. Skips without it, but not in CI."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        line = "Chromium is missing; on Debian: sudo apt-get install -y chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(line)
        pytest.skip(line)
    return path


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    path = chromium_path()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        await browser.close()


@dataclass
class Visit:
    """A browser with its own storage, and what it did that it should not have done."""

    context: BrowserContext
    page: Page
    origins: list[str]
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    expects_lost_connection: bool = False

    def watch(self) -> None:
        self.context.on("request", lambda request: self.requests.append(request.url))
        self.context.on("console", self._listen)
        self.context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        self.page.on("websocket", lambda socket: self.requests.append(socket.url))

    def _listen(self, message: ConsoleMessage) -> None:
        unreachable = self.expects_lost_connection and UNREACHABLE.match(message.text)
        if message.type in {"error", "warning"} and not unreachable:
            self.complaints.append(message.text)

    def strays(self) -> list[str]:
        """Requests that went anywhere but to the servers visited."""
        sockets = [origin.replace("http", "ws", 1) for origin in self.origins]
        own = tuple(f"{origin}/" for origin in [*self.origins, *sockets])
        return [url for url in self.requests if not url.startswith(own)]

    # What a visitor does

    async def open(self) -> None:
        await self.page.goto(self.origins[0])
        await self.is_connected()

    async def ask(self, question: str) -> None:
        await self.page.fill("#query", question)
        await self.page.press("#query", "Enter")

    # What a visitor sees

    async def is_connected(self) -> None:
        await expect(self.page.locator("#connection[data-is=connected]")).to_be_visible()

    def turn(self, number: int = -1) -> Locator:
        return self.page.locator(".turn").nth(number)

    async def sees(self, status: str, number: int = -1) -> None:
        await expect(self.turn(number)).to_have_attribute("data-status", status)

    async def sees_answer(self, text: str | re.Pattern[str], number: int = -1) -> None:
        await expect(self.turn(number).locator(".answer")).to_have_text(text)

    async def answer(self, number: int = -1) -> str:
        return await self.turn(number).locator(".answer").text_content() or ""


Visits = Callable[..., Awaitable[Visit]]


@pytest_asyncio.fixture(loop_scope="session")
async def visits() -> AsyncIterator[list[Visit]]:
    """All visits of a test. At its end nothing may have been complained of, and nothing asked of other servers."""
    made: list[Visit] = []
    yield made
    await leave(made)
    assert [complaint for visit in made for complaint in visit.complaints] == []
    assert [url for visit in made for url in visit.strays()] == []


@pytest.fixture
def visit(browser: Browser, visits: list[Visit]) -> Visits:
    """`await visit(url, **options of the browser context)`. Of several addresses the first is the page's."""

    async def start(*origins: str, **options: Any) -> Visit:
        context = await browser.new_context(**{"locale": "en-GB", **options})
        visit = Visit(context, await context.new_page(), [*origins])
        visit.watch()
        visits.append(visit)
        return visit

    return start


async def leave(visits: list[Visit]) -> None:
    """Before a server stops: a page still open would complain that it is gone."""
    for visit in visits:
        await visit.context.close()


class ScriptedServer:
    """The server with a scripted model, which the test holds, steps and lets run."""

    def __init__(self, data: Path) -> None:
        self.port = unused_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.runner = FakeRunner()
        self._data = data
        self._server: TestServer | None = None

    async def start(self) -> None:
        """Start, with a new model on the data of before."""
        runner = self.runner = FakeRunner(cells=CELLS)
        self.app = build_app(Config.model_validate(SETTINGS), self._data, lambda _: runner)
        self.app[SERVICES].doors = Doors(self.port, "127.0.0.1", [], [])
        self._server = TestServer(self.app, port=self.port)
        await self._server.start_server()

    async def stop(self) -> None:
        if self._server is not None:
            self.runner.release()
            await self._server.close()

    async def drop_sockets(self) -> None:
        """What a broken network does: the connections end, the answers go on."""
        for connection in [*self.app[SOCKETS]]:
            await connection.close(code=WSCloseCode.GOING_AWAY)


@pytest_asyncio.fixture(loop_scope="session")
async def scripted(tmp_path: Path, visits: list[Visit]) -> AsyncIterator[ScriptedServer]:
    server = ScriptedServer(tmp_path / "data")
    await server.start()
    yield server
    await leave(visits)
    await server.stop()


class ServerProcess:
    """`neuralbridge serve` with the real model, as a process of its own."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.url = ""
        self._port = 0
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start, on the same port as before where there was one."""
        command = [
            sys.executable,
            "-m",
            "neuralbridge",
            "serve",
            "--port",
            str(self._port),
            "--data-dir",
            str(self.data),
        ]
        command += ["--config", str(self._greedy_config())]
        log = (self.data.parent / "server.log").open("ab")
        with log:
            self._process = await asyncio.create_subprocess_exec(
                *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=log
            )
        async with asyncio.timeout(START_SECONDS):
            self.url = await self._address()
        self._port = int(self.url.rpartition(":")[2])

    def _greedy_config(self) -> Path:
        """The shipped configuration but for the temperature: the same question has the same answer, however long."""
        settings = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
        for model in settings["models"].values():
            model["path"] = str(ROOT / model["path"])
            model["params"]["temperature"] = 0
        path = self.data.parent / "greedy.yaml"
        path.write_text(yaml.safe_dump(settings), encoding="utf-8")
        return path

    async def _address(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            if found := LISTENING.search(line.decode()):
                return found[1]
        pytest.fail("the server ended before it listened:\n" + (self.data.parent / "server.log").read_text())

    async def stop(self, number: int = signal.SIGTERM) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        if process.returncode is None:
            process.send_signal(number)
        async with asyncio.timeout(STOP_SECONDS):
            await process.communicate()


@pytest_asyncio.fixture(loop_scope="session")
async def own_server(tmp_path: Path, visits: list[Visit]) -> AsyncIterator[ServerProcess]:
    """A server for tests that stop it."""
    server = ServerProcess(tmp_path / "data")
    await server.start()
    yield server
    await leave(visits)
    await server.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServerProcess]:
    """A server for all tests that leave it running; every visit has a conversation of its own."""
    server = ServerProcess(tmp_path_factory.mktemp("served") / "data")
    await server.start()
    yield server
    await server.stop()
