"""Faults: killed, cut off, corrupted, full, without a model or a network; section 2.8 of the catalogue.

Each is a function of a folder of its own and a source of chance, and makes an Outcome. Servers are started by it.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
from chaos_attack import FAILURES, Outcome
from chaos_server import MODEL, ROOT, SETTINGS, Broken, Server, require, served, soon, unsound
from chaos_uploads import JOB_SECONDS
from chaos_websocket import opened, streaming

from tests.web.raw import CLOSE

UNSHARE = ("unshare", "--user", "--map-root-user", "--net")
DISK_BYTES = 24 * 1024 * 1024
IDLE_SOCKETS, STREAMS = 20, 5
Run = Callable[[Path, Random, int, Outcome], Awaitable[None]]
FAULTS: list["Fault"] = []


RELOAD_SECONDS = 30.0


@dataclass(frozen=True)
class Fault:
    row: str
    what: str
    tries: int
    quick: int
    run: Run


def fault(row: str, what: str, tries: int = 1, quick: int = 0) -> Callable[[Run], Run]:
    """Enter a function in the list."""

    def enter(run: Run) -> Run:
        FAULTS.append(Fault(row, what, tries, quick, run))
        return run

    return enter


async def carry_out(each: Fault, folder: Path, tries: int, random: Random) -> Outcome:
    """Let it happen so often, in a folder of its own."""
    outcome = Outcome(each.row, each.what)
    folder.mkdir()
    try:
        await each.run(folder, random, tries, outcome)
    except FAILURES as error:
        outcome.told["not as it should be"] += 1
        outcome.troubles.append(f"{error!r}"[:400])
    return outcome


async def stands(server: Server, outcome: Outcome) -> None:
    """Whether a good client is served, and nothing that was acknowledged is lost."""
    outcome.served.append(await server.probe())
    outcome.troubles += await asyncio.to_thread(unsound, server.database)
    outcome.lost += await server.lost()


async def last_of(server: Server, topic: str) -> dict[str, Any]:
    """The last message of a conversation."""
    path = f"/api/conversations/{topic.removeprefix('proxy:')}/history"
    async with server.http() as http, http.get(path) as response:
        last: dict[str, Any] = (await response.json())["messages"][-1]
        return last


# Killed


@dataclass
class Witness:
    """A client that chats, and one that brings documents: what they were told is what has to be there."""

    server: Server
    random: Random
    jobs: list[str]
    questions: list[str]

    async def chat(self, lane: int) -> None:
        topic = f"proxy:lane{lane}"
        async with self.server.client() as client:
            await client.join(topic)
            while True:
                said = f"Say a number, {self.random.getrandbits(40):x}."
                await client.push(topic, "stream_query", {"query": said, "max_tokens": 12, "retrieval": "off"})
                while (frame := await client.receive())[3] != "stream_complete":
                    require(frame[3] not in ("error", "stream_error"), f"{frame}"[:200])
                    if frame[3] == "stream_start":
                        self.questions.append(said)  # question and empty answer are committed before this is told
                self.server.acknowledge(frame[4])

    async def bring(self) -> None:
        async with self.server.http() as http:
            for number in range(10_000):
                words = f"Paper {self.random.getrandbits(60):x}.\n\n" + "It goes on for some time. " * 40
                if number % 2:
                    document = {"content": words, "source_document": f"paper{self.random.getrandbits(40)}.md"}
                    async with http.post("/api/knowledge/ingest", json=document) as response:
                        told = await response.json()
                        require(response.status == 201, f"{response.status}: {told}")
                        self.server.documents[told["document_id"]] = document["source_document"]
                    continue
                form = aiohttp.FormData()
                form.add_field("file", words.encode(), filename=f"file{self.random.getrandbits(40)}.md")
                async with http.post("/api/knowledge/ingest", data=form) as response:
                    told = await response.json()
                    require(response.status == 202, f"{response.status}: {told}")
                    self.jobs += [job["processing_job_id"] for job in told["jobs"]]

    async def check(self, outcome: Outcome) -> None:
        """After the restart: jobs have an end, questions stand once, what was under way is marked."""
        async with self.server.http() as http:
            for job in self.jobs:

                async def over(job: str = job) -> bool:
                    async with http.get(f"/api/knowledge/jobs/{job}") as response:
                        require(response.status == 200, f"the acknowledged job {job} is forgotten")
                        told = await response.json()
                    require(told["state"] != "failed", f"a job failed: {told['error']}")
                    if told["state"] == "done":
                        self.server.documents[told["document_id"]] = told["source_document"]
                    return told["state"] == "done"

                await soon("an acknowledged job has no end", over, JOB_SECONDS)
            kept: list[dict[str, Any]] = []
            for lane in range(2):
                async with http.get(f"/api/conversations/lane{lane}/history?limit=500") as response:
                    if response.status == 200:
                        kept += (await response.json())["messages"]
        said = [each["content"] for each in kept if each["role"] == "user"]
        recent = self.questions[-100:]
        outcome.lost += sum(1 for each in recent if said.count(each) != 1)
        require(all(each["status"] != "streaming" for each in kept), "an answer is still said to be under way")
        interrupted = sum(1 for each in kept if each["status"] == "interrupted")
        outcome.told["chat goes on, answers under way kept as interrupted" if interrupted else "chat goes on"] += 1
        self.jobs.clear()


@fault("F1", "kill -9 at a random moment of chatting and taking in documents at once", 50, 1)
async def killed(folder: Path, random: Random, tries: int, outcome: Outcome) -> None:
    server = Server(folder, dict(SETTINGS))
    witness = Witness(server, random, [], [])
    try:
        await server.start()
        await server.probe()
        for _ in range(tries):
            work = [asyncio.create_task(each) for each in (witness.chat(0), witness.chat(1), witness.bring())]
            done, _pending = await asyncio.wait(work, timeout=random.uniform(0.1, 2.5))  # the random moment
            await server.kill()
            for each in work:
                each.cancel()
            ends = await asyncio.gather(*work, return_exceptions=True)
            for each, end in zip(work, ends, strict=True):
                require(each not in done or not isinstance(end, Broken), f"before the kill: {end!r}")
            await server.start()
            await witness.check(outcome)
            await stands(server, outcome)
    finally:
        await server.kill()


@fault("F1, F3", "kill -9 within milliseconds of an upload's acknowledgement: reading, embedding, writing", 12, 0)
async def killed_in_ingestion(folder: Path, random: Random, tries: int, outcome: Outcome) -> None:
    """Between the acknowledgement and the document being found there are all of the steps of ingestion."""
    server = Server(folder, dict(SETTINGS))
    try:
        await server.start()
        for number in range(tries):
            words = "\n\n".join(f"# Part {part}\n\nNumber {random.getrandbits(60):x}. " * 8 for part in range(30))
            form = aiohttp.FormData()
            form.add_field("file", words.encode(), filename=f"long{number}.md")
            async with server.http() as http, http.post("/api/knowledge/ingest", data=form) as response:
                job = (await response.json())["jobs"][0]["processing_job_id"]
            await asyncio.sleep(random.uniform(0, 1.5))  # the moment
            await server.kill()
            await server.start()
            witness = Witness(server, random, [job], [])
            await witness.check(Outcome("", ""))
            outcome.told["the document is whole and found"] += 1
            await stands(server, outcome)
        require([*(server.data / "uploads").iterdir()] == [], "uploads are kept")
    finally:
        await server.kill()


# What is kept, harmed


async def with_data(folder: Path) -> Server:
    """A folder with a conversation and a document in it, and no server."""
    async with served(folder) as server:
        await server.probe()
        document = {"content": "The warranty of the pump lasts 27 months.", "source_document": "pump.md"}
        async with server.http() as http, http.post("/api/knowledge/ingest", json=document) as response:
            server.documents[(await response.json())["document_id"]] = "pump.md"
        await server.end()
        return server


def header(path: Path, random: Random) -> None:
    content = bytearray(path.read_bytes())
    content[: random.randrange(16, 100)] = random.randbytes(16)
    path.write_bytes(content)


def page(path: Path, random: Random) -> None:
    """Of a b-tree: its header says what stands where."""
    content = bytearray(path.read_bytes())
    at = 4096 * random.randrange(1, 6)
    content[at : at + 200] = b"\xff" * 200
    path.write_bytes(content)


def half(path: Path, _: Random) -> None:
    os.truncate(path, path.stat().st_size // 2)


def nothing(path: Path, _: Random) -> None:
    path.write_bytes(b"")


def foreign(path: Path, _: Random) -> None:
    path.write_bytes((ROOT / "README.md").read_bytes())


HARMS: list[Callable[[Path, Random], None]] = [header, page, half, nothing, foreign]


@fault("F6", "the database with a broken header, page, half of it, empty, another file", 5, 0)
async def corrupt_database(folder: Path, random: Random, tries: int, outcome: Outcome) -> None:
    server = await with_data(folder)
    whole = server.database.read_bytes()
    for number in range(tries):
        HARMS[number % len(HARMS)](server.database, random)
        harmed = server.database.read_bytes()
        told = await server.refuses()
        require(str(server.database) in told, f"it does not say which file: {told}")
        require(server.database.read_bytes() == harmed, "the file was changed")
        outcome.told["refuses to start, says which file, leaves it"] += 1
        server.database.write_bytes(whole)
        for name in ("-wal", "-shm"):
            server.database.with_name(server.database.name + name).unlink(missing_ok=True)
    await server.start()
    await stands(server, outcome)
    await server.kill()


@fault("F6", "the vector index: noise, cut, empty, gone", 4, 0)
async def corrupt_index(folder: Path, random: Random, tries: int, outcome: Outcome) -> None:
    server = await with_data(folder)
    index = [
        path for path in server.data.rglob("*") if (path.is_file() and "faiss" in path.name) or path.suffix == ".index"
    ]
    require(index, f"there is no index among {[path.name for path in server.data.rglob('*')]}")
    for number in range(tries):
        for path in index:
            match number % 4:
                case 0:
                    path.write_bytes(random.randbytes(5000))
                case 1:
                    os.truncate(path, path.stat().st_size // 2 if path.exists() else 0)
                case 2:
                    path.write_bytes(b"")
                case _:
                    path.unlink(missing_ok=True)
        await server.start()
        async with server.http() as http:

            async def found() -> bool:
                async with http.get("/api/knowledge/search?q=warranty+of+the+pump") as response:
                    return response.status == 200 and "27 months" in await response.text()

            await soon("the document is not found", found, JOB_SECONDS)
        outcome.told["built anew, all is found"] += 1
        await stands(server, outcome)
        await server.end()


CONFIGS = [
    b"",
    b"{",
    b"version: 2",
    b"version: 1\nmodels: 7",
    b"\xff\xfe",
    b"a: &a [*a]",
    b"server: {port: -1}",
    b"x" * 300_000,
]


@fault("F6, F16", "config.yaml broken while it runs and at the start; 50 saves in 2 s", 8, 1)
async def corrupt_config(folder: Path, _: Random, tries: int, outcome: Outcome) -> None:
    async with served(folder) as server:
        good = server.config.read_bytes()
        for number in range(tries):
            server.config.write_bytes(CONFIGS[number % len(CONFIGS)])

            async def noticed() -> bool:
                return bool((await server.health())["config"]["error"])

            await soon("nobody is told that config.yaml is broken", noticed)
            await stands(server, outcome)
            outcome.told["while it runs: the old one goes on, health says so"] += 1
            await server.end()
            told = await server.refuses()
            require("config.yaml" in told, f"it does not say which file: {told}")
            outcome.told["at the start: refused with the line"] += 1
            server.config.write_bytes(good)
            await server.start()
        for _save in range(50):
            with server.config.open("wb") as file:
                file.write(good[: len(good) // 2])
                file.flush()
                await asyncio.sleep(0.02)  # half a file stands there for a while
                file.write(good[len(good) // 2 :])
            await asyncio.sleep(0.02)

        async def calm() -> bool:
            return not (await server.health())["config"]["error"]

        await soon("the last save is not taken", calm)
        outcome.told["50 saves in two halves: the last one holds"] += 1
        await stands(server, outcome)


@fault("F9", "two servers on one folder", 1, 1)
async def two_servers(folder: Path, _: Random, __: int, outcome: Outcome) -> None:
    async with served(folder) as server:
        second = Server(folder, server.settings)
        told = await second.refuses()
        require(str(server.data) in told, f"it does not say which folder: {told}")
        outcome.told["the second is refused, with the folder and the process"] += 1
        await stands(server, outcome)


@fault("F9", "a data folder that cannot be written, at the start", 2, 1)
async def read_only(folder: Path, _: Random, tries: int, outcome: Outcome) -> None:
    """Mounted read-only in a mount namespace: permissions mean nothing to root."""
    server = await with_data(folder)
    for _try in range(tries):
        bound = (
            f"mount --bind '{server.data}' '{server.data}' && mount -o remount,ro,bind '{server.data}' && exec \"$@\""
        )
        server.wrap = ("unshare", "-m", "sh", "-c", bound, "sh")
        told = await server.refuses()
        require(str(server.data) in told, f"it does not say which folder: {told}")
        outcome.told["refuses to start, says which folder"] += 1
    server.wrap = ()
    await server.start()
    await stands(server, outcome)
    await server.kill()


@fault("F9", "the disk full while chatting and taking in documents, then room again", 2, 0)
async def full_disk(folder: Path, random: Random, tries: int, outcome: Outcome) -> None:
    """The data on a tmpfs of 24 MB in a mount namespace; it is filled from outside through /proc."""
    for number in range(tries):
        place = folder / str(number)
        (place / "data").mkdir(parents=True)
        mount = f"mount -t tmpfs -o size={DISK_BYTES} none '{place}/data' && exec \"$@\""
        async with served(place, wrap=("unshare", "-m", "sh", "-c", mount, "sh")) as server:
            await server.probe()
            assert server.process is not None
            inside = Path(f"/proc/{server.process.pid}/root{server.data}")
            filler = inside / "filler"
            with suppress(OSError), filler.open("wb") as file:
                while True:
                    file.write(bytes(65536))
                    file.flush()
            refused = 0
            async with server.http() as http:
                for _try in range(5):
                    document = {"content": f"words {random.getrandbits(60)} " * 3000, "source_document": "x.md"}
                    async with http.post("/api/knowledge/ingest", json=document) as response:
                        refused += response.status >= 500 or response.status == 507
                    async with http.post("/api/proxy/query", json={"query": "hi", "max_tokens": 2}) as response:
                        told = await response.json()
                        if response.status == 200 and told["metadata"].get("message_id"):
                            server.acknowledge(told)
            require(refused, "nothing was refused on a full disk")
            require(server.runs, "it ended")
            filler.unlink()
            outcome.served.append(await server.probe())
            known = server.turns
            async with server.http() as http, http.get("/api/conversations/export") as response:
                text = await response.text()
            outcome.lost += sum(1 for uid in known if uid not in text)
            outcome.told["refused while full, served again with room"] += 1


# Signals


@fault("F19", f"SIGTERM with {STREAMS} answers under way and {IDLE_SOCKETS} idle sockets", 5, 1)
async def drained(folder: Path, random: Random, tries: int, outcome: Outcome) -> None:
    for number in range(tries):
        async with served(folder / str(number)) as server:
            await server.probe()
            idle = [opened(server) for _ in range(IDLE_SOCKETS)]
            async with AsyncExitStack() as stack:
                for each in idle:
                    await stack.enter_async_context(each)
                clients = [await stack.enter_async_context(server.client()) for _ in range(STREAMS)]
                topics = [f"proxy:drain{lane}" for lane in range(STREAMS)]
                await asyncio.gather(*(streaming(client, topic) for client, topic in zip(clients, topics, strict=True)))
                began = time.monotonic()
                ending = asyncio.create_task(server.end())
                codes = [*await asyncio.gather(*(client.close_code() for client in clients))]
                for each in idle:
                    opcode, payload = await each.receive()
                    codes.append(int.from_bytes(payload[:2], "big") if opcode == CLOSE else opcode)
                require(set(codes) == {1012}, f"closed with {sorted(set(map(str, codes)))}")
                status = await ending
                require(status == 0, f"exit status {status}")
                require(time.monotonic() - began < 30, f"it took {time.monotonic() - began:.0f} s")
            await server.start()
            for topic in topics:
                last = await last_of(server, topic)
                require(last["status"] in ("interrupted", "complete"), f"kept as {last['status']}")
                require(last["content"], "what there was of an answer is gone")
            outcome.told["all closed with 1012, exit 0, answers kept"] += 1
            await stands(server, outcome)


@fault("F20", "SIGHUP, and a standard output that nobody reads", 3, 1)
async def hang_up(folder: Path, _: Random, tries: int, outcome: Outcome) -> None:
    async with served(folder) as server:
        assert server.process is not None
        for _try in range(tries):
            server.process.send_signal(signal.SIGHUP)
            server.process.send_signal(signal.SIGPIPE)
            await stands(server, outcome)
            outcome.told["ignored"] += 1


@fault("F13", "SIGABRT to the server, under its supervisor, in the middle of an answer", 5, 1)
async def aborted(folder: Path, random: Random, tries: int, outcome: Outcome) -> None:
    async with served(folder, module=("neuralbridge.supervisor",)) as supervised:
        assert supervised.process is not None
        for number in range(tries):
            topic = f"proxy:abort{number}"
            async with supervised.client() as client:
                await streaming(client, topic, random.randrange(1, 10))
                children = Path(f"/proc/{supervised.process.pid}/task/{supervised.process.pid}/children")
                began = time.monotonic()
                os.kill(int(children.read_text().split()[0]), signal.SIGABRT)
                await supervised.listening()
                taken = time.monotonic() - began
            last = await last_of(supervised, topic)
            require(last["status"] == "interrupted", f"kept as {last['status']}")
            require(taken < 30, f"back after {taken:.0f} s")
            outcome.told["started again, the answer kept as interrupted"] += 1
            await stands(supervised, outcome)
        await supervised.end()


# Without a model, without a network


@fault("F11", "the file of the second model removed, replaced by noise, put back", 3, 1)
async def model_gone(folder: Path, random: Random, tries: int, outcome: Outcome) -> None:
    second = folder / "second.gguf"
    settings = {
        "models": {**SETTINGS["models"], "second": {"path": str(second), "n_ctx": 512, "parallel": 2}},
        "model_list": [*SETTINGS["model_list"], {"model_name": "other", "use": "second"}],
    }
    async with served(folder / "server", settings) as server:

        async def ask() -> tuple[int, Any]:
            body = {"model": "other", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}
            async with server.http() as http, http.post("/v1/chat/completions", json=body) as response:
                return response.status, await response.json()

        for number in range(tries):
            match number % 3:
                case 0:
                    second.unlink(missing_ok=True)
                case 1:
                    second.write_bytes(b"GGUF" + random.randbytes(5000))
                case _:
                    second.write_bytes(MODEL.read_bytes()[:100_000])
            status, told = await ask()
            require(status in (404, 500, 503), f"{status}: {told}")
            require(" " in told["error"]["message"], f"{told}")
            outcome.told[f"{status} with a reason, the other model serves"] += 1
            await stands(server, outcome)
        second.unlink(missing_ok=True)
        shutil.copy(MODEL, second)

        async def answers() -> bool:
            return (await ask())[0] == 200

        await soon("put back, but it does not answer", answers, RELOAD_SECONDS)  # a failed load is not tried at once
        outcome.told["answers once the file is there"] += 1
        await stands(server, outcome)


@fault("F22", "no network but loopback: starts, answers, takes in a document, answers from it", 1, 0)
async def offline(folder: Path, _: Random, __: int, outcome: Outcome) -> None:
    visit = await asyncio.create_subprocess_exec(
        *UNSHARE, sys.executable, str(ROOT / "tests" / "visit.py"), str(folder / "data"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    out, err = await visit.communicate()
    require(visit.returncode == 0, err.decode()[-300:])
    seen = json.loads(out)
    require(seen["interfaces"] == ["lo"] and seen["health"]["outgoing_connections"] == 0, f"{seen['health']}")
    require("27" in seen["informed"] and seen["sources"] == ["pump.md"], f"{seen['informed']}")
    outcome.told["all of it, 0 attempts to leave"] += 1
