"""A browser, pages in it, and servers to visit: one with a scripted model, and the real one as its own process."""

import asyncio
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import pytest_asyncio
import yaml
from aiohttp import WSCloseCode
from aiohttp.test_utils import TestServer, unused_port
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, async_playwright, expect

from neuralbridge.access.users import Role
from neuralbridge.app import OpenEmbedder, build_app
from neuralbridge.config import Config
from neuralbridge.protocol.handshake import Doors
from neuralbridge.retrieval.embedder import Embedder
from neuralbridge.store.conversations import Conversation
from neuralbridge.web.assets import ASSETS, Assets
from neuralbridge.web.keys import SERVICES
from neuralbridge.web.websocket import SOCKETS
from tests.conftest import SETTINGS
from tests.fakes import FakeEmbedder, FakeRunner, echo

ROOT = Path(__file__).parent.parent.parent
ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
]
CHROMIUMS = ("chromium-headless-shell", "chromium", "chromium-browser")  # the first opens a page in half the time
CELLS = 40_000  # the scripted model's tokens are bytes
START_SECONDS = 60
STOP_SECONDS = 20
LISTENING = re.compile(r"listening on (http://\S+)")
# What a browser logs by itself for a server that is away; no page can prevent it.
UNREACHABLE = re.compile(r"WebSocket connection to '[^']*' failed|Failed to load resource: net::ERR_")
REFUSED = re.compile(r"Failed to load resource: the server responded with a status of [45]\d\d")
# ... and for a page that was left while its socket was being opened
LEFT = re.compile(r"WebSocket connection to '[^']*' failed: WebSocket is closed before the connection is established")
LOCAL_TOKEN = "nb_a-token-of-the-local-user-for-tests"
NO_WORKER = "Service Worker registration blocked by Playwright"

expect.set_options(timeout=20_000)


def chromium_path() -> str:
    """Where Debian's Chromium is; without a screen, where that is there. Skips without it, but not in CI."""
    path = next(filter(None, map(shutil.which, CHROMIUMS)), None)
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
    expects_refusals: bool = False

    def watch(self) -> None:
        self.context.on("request", lambda request: self.requests.append(request.url))
        self.context.on("console", self._listen)
        self.context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        self.page.on("websocket", lambda socket: self.requests.append(socket.url))

    def _listen(self, message: ConsoleMessage) -> None:
        unreachable = self.expects_lost_connection and UNREACHABLE.match(message.text)
        refused = self.expects_refusals and REFUSED.match(message.text)
        expected = unreachable or refused or LEFT.match(message.text) or message.text == NO_WORKER
        if message.type in {"error", "warning"} and not expected:
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
        await expect(self.page.locator("#connection")).to_have_attribute("data-is", "connected")

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
    """`await visit(url, **options of the browser context)`. Of several addresses the first is the page's. Without the
    page's service worker, unless asked for: Playwright cannot answer in a server's place where there is one."""

    async def start(*origins: str, **options: Any) -> Visit:
        context = await browser.new_context(**{"locale": "en-GB", "service_workers": "block", **options})
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
    """The server with a scripted model, which the test holds, steps and lets run.

    Of its next start are `documents` and other `sections` of the configuration, `embedder`, and `reply`, what the
    model says.
    """

    reply = staticmethod(echo)

    def __init__(self, data: Path, embedder: OpenEmbedder = Embedder) -> None:
        self.documents: dict[str, Any] = {}
        self.sections: dict[str, Any] = {}
        self.embedder = embedder
        self.port = unused_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.runner = FakeRunner()
        self._data = data
        self._server: TestServer | None = None

    async def start(self, static: Path | None = None) -> None:
        """Start, with a new model on the data of before, and perhaps other files of the page."""
        runner = self.runner = FakeRunner(cells=CELLS, reply=self.reply)
        config = Config.model_validate({**SETTINGS, "documents": self.documents, **self.sections})
        self.app = build_app(config, self._data, lambda _: runner, open_embedder=self.embedder)
        self.app[SERVICES].doors = Doors(self.port, "127.0.0.1", [], [])
        if static is not None:
            self.app[ASSETS] = Assets(static)
        self._server = TestServer(self.app, port=self.port)
        await self._server.start_server()

    async def stop(self) -> None:
        if self._server is not None:
            self.runner.release()
            await self._server.close()

    async def answer_with(self, session: str, question: str, answer: str) -> None:
        """Put a question and its answer at the end of a conversation, as if they had been said."""
        store = self.app[SERVICES].conversations
        turn = await store.begin(Conversation("local", session), question, {}, {})
        await store.finish(turn, answer, "complete", {})

    @contextmanager
    def held_until_stopped(self) -> Iterator[None]:
        """The model is held until the server is asked, inside, to stop an answer: it has not ended by then."""
        answers, runner = self.app[SERVICES].answers, self.runner
        stop = answers.stop

        def stop_and_release(conversation: Conversation, id: str | None = None) -> None:
            stop(conversation, id)
            runner.release()

        runner.hold()
        with patch.object(answers, "stop", stop_and_release):
            yield

    def token(self, user: str, role: Role = "user") -> str:
        """A new token of that user."""
        return self.app[SERVICES].gate.tokens.new(user, role)

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


@pytest_asyncio.fixture(loop_scope="session")
async def guarded(tmp_path: Path, visits: list[Visit]) -> AsyncIterator[ScriptedServer]:
    """One that asks for a token; `LOCAL_TOKEN` is the one of the local user."""
    server = ScriptedServer(tmp_path / "data", FakeEmbedder)
    server.sections = {"auth": {"required": True, "token": LOCAL_TOKEN}}
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
