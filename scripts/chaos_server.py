"""The server that chaos is made for: `neuralbridge serve` in a process of its own, looked at from outside.

What was acknowledged to a client is written down here, and has to be there whatever happens.
"""

import asyncio
import json
import signal
import sqlite3
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import jwt

from tests import phoenix_client
from tests.phoenix_client import PhoenixClient
from tests.web import raw

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "models" / "smollm2-135m-instruct-q4_1.gguf"
EMBEDDER = ROOT / "models" / "all-minilm-l6-v2"
TOKEN = "chaos-admin-" + "0123456789abcdef" * 2
SECRET = "chaos-secret-" + "0123456789abcdef" * 4
START_SECONDS = 180.0  # on a machine that is busy with other things
PROBE_SECONDS = 30.0  # a good client is served within, also beside other tests on two cores; the table has how soon
SETTLE_SECONDS = 10.0  # after an attack files are closed and answers ended within
LOG_LINES = 200  # of one row
FILES_OFF = 5
MEGABYTE = 1_000_000

phoenix_client.WAIT_SECONDS = raw.WAIT_SECONDS = PROBE_SECONDS  # for a frame

OFTEN = "1000000/minute"  # rates are tested elsewhere; here they would hide everything else
SETTINGS: dict[str, Any] = {
    "version": 1,
    "models": {"small": {"path": str(MODEL), "n_ctx": 4096, "parallel": 8}},
    "model_list": [{"model_name": "gpt-4", "use": "small"}],
    "routing": {"default": "gpt-4"},
    "auth": {"required": True, "token": TOKEN, "jwt_secret": SECRET},
    "limits": dict.fromkeys(("failed_sign_ins", "requests", "messages", "uploads"), OFTEN),
    "documents": {"embedder": str(EMBEDDER)},
    "cache": {"enabled": False},
    "answers": {"extract_below": 0},
}


class Broken(Exception):
    """Something that must hold does not."""


def require(holds: object, told: str) -> None:
    """Raises Broken."""
    if not holds:
        raise Broken(told)


def signed(name: str, role: str = "user", **claims: Any) -> str:
    """A token of a user, good for an hour."""
    now = int(time.time())
    return jwt.encode({"sub": name, "role": role, "iat": now, "exp": now + 3600, **claims}, SECRET, "HS256")


def bearer(token: str = TOKEN) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@dataclass(frozen=True)
class Look:
    """The process from outside, at one moment."""

    files: int
    threads: int
    memory_mb: float
    log_bytes: int


@dataclass
class Server:
    """`settings` are config.yaml; the folder has that, the data and the log. `wrap` stands before the command, whose
    `module` is run."""

    folder: Path
    settings: dict[str, Any]
    wrap: tuple[str, ...] = ()
    module: tuple[str, ...] = ("neuralbridge", "serve")
    url: str = ""
    process: Process | None = None
    turns: dict[str, str] = field(default_factory=dict)  # message id -> text, of answers that were acknowledged
    documents: dict[str, str] = field(default_factory=dict)  # document id -> name
    _beat: int = 0

    # The process

    def write_config(self, **sections: Any) -> None:
        """In one step, as editors do."""
        self.settings = {**self.settings, **sections}
        new = self.folder / "config.new"
        new.write_text(json.dumps(self.settings, indent=2), "utf-8")
        new.replace(self.config)

    async def start(self) -> float:
        """Seconds until it listened and had its model. Raises Broken when it does not."""
        if not self.config.exists():
            self.write_config()
        began = time.perf_counter()
        serve = [sys.executable, "-m", *self.module, "--port", "0", "--config", str(self.config)]
        with self.log.open("a") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.wrap, *serve, "--data-dir", str(self.data), cwd=ROOT, stdin=DEVNULL, stdout=PIPE, stderr=log
            )
        await self.listening()
        return time.perf_counter() - began

    async def listening(self) -> None:
        """Wait for the line that says where, and for the model. Raises Broken."""
        assert self.process is not None
        assert self.process.stdout is not None
        async with asyncio.timeout(START_SECONDS):
            line = (await self.process.stdout.readline()).decode()
        if not line.startswith("listening on "):
            await self.process.wait()
            raise Broken(f"it does not start: {self.said()[-400:]}")
        self.url = line.split()[-1]
        await soon("the model is not loaded", self._is_ready, START_SECONDS)

    async def _is_ready(self) -> bool:
        return not self.runs or (await self.health())["status"] == "ok"

    async def refuses(self) -> str:
        """Why it does not start; the last line it said. Raises Broken where it does start."""
        mark = len(self.said())
        try:
            await self.start()
        except Broken:
            assert self.process is not None
            require(self.process.returncode not in (0, None, -6, -11), f"exit {self.process.returncode}")
            told = self.said()[mark:]
            require("Traceback" not in told, "a traceback instead of a reason")
            return told.strip().splitlines()[-1]
        await self.end()
        raise Broken("it starts all the same")

    async def kill(self) -> None:
        assert self.process is not None
        with suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()

    async def end(self) -> int:
        """SIGTERM; its exit status."""
        assert self.process is not None
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(START_SECONDS):
                return await self.process.wait()
        except TimeoutError:
            await self.kill()
            raise Broken(f"SIGTERM did not end it within {START_SECONDS:.0f} s") from None

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.returncode is None

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def database(self) -> Path:
        return self.data / "neuralbridge.db"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def said(self) -> str:
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    # Clients

    def client(self, token: str | None = TOKEN) -> PhoenixClient:
        return PhoenixClient(self.url, headers=bearer(token) if token else None)

    @asynccontextmanager
    async def http(self, token: str | None = TOKEN, **headers: str) -> AsyncIterator[aiohttp.ClientSession]:
        known = {**(bearer(token) if token else {}), **headers}
        async with aiohttp.ClientSession(base_url=self.url, headers=known) as session:
            yield session

    async def probe(self) -> float:
        """The probe G: health, a join with a heartbeat, an answer, to a clean client. ms; raises Broken."""
        began = time.perf_counter()
        self._beat += 1
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await self._visit(f"proxy:probe{self._beat % 50}")
        except TimeoutError:
            raise Broken(f"a good client was not served within {PROBE_SECONDS:.0f} s") from None
        except (OSError, AssertionError, aiohttp.ClientError, TypeError, KeyError) as error:
            raise Broken(f"a good client was not served: {error!r}"[:300]) from error
        return (time.perf_counter() - began) * 1000

    async def _visit(self, topic: str) -> None:
        async with self.http(None) as http, http.get("/api/proxy/health") as health:
            assert health.status == 200, health.status
        async with self.client() as client:
            joined = await client.join(topic)
            assert joined[4]["status"] == "ok", joined
            await client.send(None, "beat", "phoenix", "heartbeat", {})
            beat = await client.receive()
            assert (beat[1], beat[4]["status"]) == ("beat", "ok"), beat
            await client.push(topic, "query", {"query": "Are you there?", "max_tokens": 1, "retrieval": "off"})
            *_, answered = await client.until("response", "error")
            assert answered[3] == "response", answered
            self.acknowledge(answered[4])

    def acknowledge(self, response: Mapping[str, Any]) -> None:
        """Write down an answer that a client was told to have."""
        self.turns[response["metadata"]["message_id"]] = response["response"]

    # From outside

    def look(self) -> Look:
        assert self.process is not None
        place = Path(f"/proc/{self.process.pid}")
        status = dict(line.split(":", 1) for line in (place / "status").read_text().splitlines())
        memory = int(status["VmRSS"].split()[0]) * 1024 / MEGABYTE
        size = self.log.stat().st_size if self.log.exists() else 0
        return Look(len([*(place / "fd").iterdir()]), int(status["Threads"]), memory, size)

    async def health(self) -> dict[str, Any]:
        async with self.http() as http, http.get("/api/proxy/health") as response:
            known: dict[str, Any] = await response.json()
            return known

    async def idle(self) -> None:
        """S0: no answer is under way soon. Raises Broken."""
        await soon("answers go on that nobody waits for", self._is_idle)

    async def _is_idle(self) -> bool:
        return (await self.health())["answers_under_way"] == 0

    async def troubles(self, before: Look) -> list[str]:
        """What an attack has left behind, `before` which it looked so: nothing, it is hoped."""
        if not self.runs:
            assert self.process is not None
            return [f"the process ended with {self.process.returncode}"]
        found = []

        async def closed() -> bool:
            return self.look().files <= before.files + FILES_OFF

        try:
            await soon("", closed)
        except Broken:
            found.append(f"{self.look().files} files are open, {before.files} before")
        with self.log.open("rb") as log:
            log.seek(before.log_bytes)
            told = log.read().decode("utf-8", "replace")
        if (lines := told.count("\n")) > LOG_LINES:
            found.append(f"{lines} lines of log")
        if "Traceback" in told:
            found.append(f"a traceback: {told[told.index('Traceback') :].strip().splitlines()[-1][:200]}")
        return found + await asyncio.to_thread(unsound, self.database)

    async def lost(self) -> int:
        """Rows that were acknowledged and are not there exactly once, with their text."""
        return await asyncio.to_thread(self._lost)

    def _lost(self) -> int:
        with closing(to_read(self.database)) as connection:
            kept = dict(connection.execute("SELECT uid, content FROM messages WHERE role = 'assistant'"))
            there = {uid for (uid,) in connection.execute("SELECT uid FROM documents")}
        turns = sum(1 for uid, text in self.turns.items() if kept.get(uid) != text)
        return turns + sum(1 for uid in self.documents if uid not in there)


async def soon(told: str, holds: Callable[[], Any], seconds: float = SETTLE_SECONDS) -> None:
    """Wait until `holds`. Raises Broken with `told`."""
    until = time.monotonic() + seconds
    while not await holds():
        if time.monotonic() > until:
            raise Broken(f"{told}, {seconds:.0f} s later")
        await asyncio.sleep(0.05)  # what is seen from outside has no event


def to_read(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)


def unsound(database: Path) -> list[str]:
    """Q of the catalogue, as far as SQLite can tell it."""
    with closing(to_read(database)) as connection:
        found = [] if connection.execute("PRAGMA quick_check").fetchone() == ("ok",) else ["quick_check"]
        if connection.execute("PRAGMA foreign_key_check").fetchall():
            found.append("foreign_key_check")
        torn = """
            SELECT count(*) FROM passages p LEFT JOIN vectors v ON v.passage = p.id WHERE v.id IS NULL
            UNION ALL
            SELECT count(*) FROM (SELECT d.id FROM documents d LEFT JOIN passages p ON p.document = d.id
                                  GROUP BY d.id HAVING count(p.id) != d.passages)
        """
        if any(count for (count,) in connection.execute(torn)):
            found.append("torn documents")
    return found


@asynccontextmanager
async def served(folder: Path, settings: dict[str, Any] | None = None, **more: Any) -> AsyncIterator[Server]:
    """A running server with its folder; it is killed in the end if it still runs."""
    folder.mkdir(parents=True, exist_ok=True)
    server = Server(folder, {**SETTINGS, **(settings or {})}, **more)
    try:
        await server.start()
        yield server
    finally:
        if server.runs:
            await server.kill()
