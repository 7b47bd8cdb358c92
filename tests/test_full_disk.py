"""F9, and the disk that is full: writes are refused in words, reads go on, and what was acknowledged stays."""

import asyncio
import resource
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests import served_process as process
from tests.attacks.probe import serves
from tests.commands.test_ingest_kill import ended
from tests.phoenix_client import PhoenixClient
from tests.served_process import ServedProcess, served_process

UNSHARE = ["unshare", "--user", "--map-root-user", "--mount"]
ROOM = 8 * 1024 * 1024
TOPIC = "proxy:kept"


def why_not() -> str | None:
    """Why no small disk can be made here, in the kernel's words."""
    if shutil.which("unshare") is None:
        return "there is no unshare command"
    tried = subprocess.run([*UNSHARE, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, text=True)
    return None if tried.returncode == 0 else tried.stderr.strip()


@asynccontextmanager
async def on_a_small_disk(data: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[ServedProcess, Path]]:
    """A server whose data folder is a disk of its own; where that disk is for others."""
    await asyncio.to_thread(data.mkdir)
    mounted = f'mount -t tmpfs -o size={ROOM} none {data} && exec "$@"'
    plain = process.command
    monkeypatch.setattr(process, "command", lambda *a, **b: [*UNSHARE, "sh", "-c", mounted, "sh", *plain(*a, **b)])
    async with served_process(data) as served:
        yield served, Path(f"/proc/{served.process.pid}/root{data}")


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Within, there is not a byte left."""
    path = disk / "filler"
    with path.open("wb", 0) as file:
        for size in (65_536, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    try:
        yield
    finally:
        path.unlink()


@contextmanager
def unwritable(served: ServedProcess) -> Iterator[None]:
    """Within, no file of the server may grow."""
    resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


async def ask(client: PhoenixClient, query: str) -> dict[str, Any]:
    await client.push(TOPIC, "query", {"query": query})
    answer: dict[str, Any] = (await client.until("response", "error"))[-1][4]
    return answer


async def upload(http: aiohttp.ClientSession, name: str, size: int = 100_000) -> tuple[int, dict[str, Any]]:
    form = aiohttp.FormData()
    form.add_field("file", BytesIO(f"{name} ".encode() * (size // len(name))), filename=f"{name}.txt")
    async with http.post("/api/knowledge/ingest", data=form) as response:
        return response.status, await response.json()


async def goes_on_reading(http: aiohttp.ClientSession, client: PhoenixClient, questions: list[str]) -> None:
    """The page, the health and the history."""
    for path in ("/", "/api/proxy/health", "/api/knowledge/documents", "/api/conversations"):
        async with http.get(path) as response:
            assert response.status == 200, path
    await client.push(TOPIC, "get_history", {})
    messages = (await client.until("history"))[-1][4]["messages"]
    kept = [(message["content"], message["status"]) for message in messages]
    assert kept == [(said, "complete") for asked in questions for said in (asked, f"You asked: {asked}")]


@pytest.mark.parametrize("trouble", ["full", "unwritable"])
async def test_f9_a_disk_that_takes_nothing_is_named_and_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """F9, disk full"""
    if trouble == "full" and (reason := why_not()):
        pytest.skip(f"the kernel forbids it: {reason}")
    code = "storage_full" if trouble == "full" else "storage_failed"
    async with (
        on_a_small_disk(tmp_path / "data", monkeypatch) if trouble == "full" else elsewhere(tmp_path / "data") as (
            served,
            disk,
        ),
        PhoenixClient(served.url) as client,
        aiohttp.ClientSession(served.url) as http,
    ):
        await client.join(TOPIC)
        assert (await ask(client, "one"))["response"] == "You asked: one"
        with filled(disk) if trouble == "full" else unwritable(served):
            refused = await ask(client, "two")
            assert refused["error"] == code, refused
            assert "the data folder" in refused["message"].lower()
            status, told = await upload(http, "a")
            assert (status, told["error"]) == (503, code), told
            async with http.post("/api/proxy/query", json={"query": "x", "session_id": "other"}) as response:
                assert (response.status, (await response.json())["error"]) == (503, code)
            body = {"content": "text " * 50, "source_document": "b.txt"}
            async with http.post("/api/knowledge/ingest", json=body) as response:
                assert (response.status, (await response.json())["error"]) == (503, code)
            await goes_on_reading(http, client, ["one"])
        assert (await ask(client, "three"))["response"] == "You asked: three"
        await goes_on_reading(http, client, ["one", "three"])
        status, told = await upload(http, "c")
        assert status == 202, told
        await serves(served)
        assert served.log.count("\n") < 200


@asynccontextmanager
async def elsewhere(data: Path) -> AsyncIterator[tuple[ServedProcess, Path]]:
    async with served_process(data) as served:
        yield served, data


async def test_f9_an_answer_that_the_disk_stops_ends_and_is_stored_later(tmp_path: Path) -> None:
    """F9: in the middle of an answer."""
    from tests.serve_with_fakes import ASK_FOR_STORY, STORY

    async with served_process(tmp_path / "data") as served, PhoenixClient(served.url) as client:
        await client.join(TOPIC)
        await client.push(TOPIC, "stream_query", {"query": ASK_FOR_STORY})
        await client.until("stream_token")
        with unwritable(served):
            failed = (await client.until("stream_error"))[-1][4]
            assert failed["code"] == "storage_failed"
        assert (await ask(client, "two"))["response"] == "You asked: two"
        await client.push(TOPIC, "get_history", {})
        story = (await client.until("history"))[-1][4]["messages"][1]
        assert story["status"] == "error"
        assert STORY.startswith(story["content"])
        assert story["content"]


async def test_f9_a_document_that_was_acknowledged_is_read_when_there_is_room(tmp_path: Path) -> None:
    """F9: an upload that was taken, and a disk that is full before it is read."""
    async with served_process(tmp_path / "data") as served, aiohttp.ClientSession(served.url) as http:
        status, told = await upload(http, "word", 400_000)  # long enough to be still under way
        assert status == 202, told
        with unwritable(served):
            await asyncio.sleep(1.0)  # nothing is heard of it meanwhile
        async with asyncio.timeout(40):
            assert await ended(http, told["jobs"][0]["processing_job_id"]) == "done"
