"""Killed at any moment of an ingestion, the library has whole documents only, and nothing acknowledged is forgotten."""

import asyncio
import random
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from tests.retrieval.rooms import troubles
from tests.served_process import served_process

KILLS = 8  # scripts/chaos does 50
FILES = 12


@asynccontextmanager
async def running(data: Path) -> AsyncIterator[tuple[Process, aiohttp.ClientSession]]:
    async with served_process(data) as served, aiohttp.ClientSession(base_url=served.url) as http:
        yield served.process, http


def text(number: int, kill: int) -> str:
    return "\n\n".join(f"# Part {part}\n\n" + f"document{number} kill{kill} part{part} " * 60 for part in range(4))


async def send(http: aiohttp.ClientSession, kill: int, acknowledged: list[str]) -> None:
    """Send files until somebody pulls the plug."""
    for number in range(FILES):
        form = aiohttp.FormData(quote_fields=False)
        form.add_field("file", text(number, kill).encode(), filename=f"document{number}.md")
        async with http.post("/api/knowledge/ingest", data=form) as response:
            assert response.status == 202
            acknowledged += [job["processing_job_id"] for job in (await response.json())["jobs"]]


async def ended(http: aiohttp.ClientSession, job: str) -> str:
    while True:
        async with http.get(f"/api/knowledge/jobs/{job}") as response:
            assert response.status == 200, f"the acknowledged job {job} is forgotten"
            state: str = (await response.json())["state"]
        if state in ("done", "failed"):
            return state
        await asyncio.sleep(0.02)  # over HTTP there is no event to wait for


async def test_kills_leave_whole_documents_and_no_job_without_an_end(tmp_path: Path) -> None:
    data, moments = tmp_path / "data", random.Random(7)
    acknowledged: list[str] = []
    for kill in range(KILLS):
        async with running(data) as (process, http):
            for job in acknowledged:
                assert await ended(http, job) == "done"
            acknowledged.clear()
            sending = asyncio.create_task(send(http, kill, acknowledged))
            await asyncio.sleep(moments.uniform(0.05, 1.2))  # the random moment
            process.kill()
            await process.wait()
            await asyncio.gather(sending, return_exceptions=True)
        assert troubles(data) == []
    async with running(data) as (_, http):
        for job in acknowledged:
            assert await ended(http, job) == "done"
        async with http.get("/api/knowledge/search", params={"q": "document3 part2", "limit": "50"}) as response:
            results = (await response.json())["results"]
        for result in results:
            async with http.get(f"/api/knowledge/documents/{result['document_id']}") as response:
                whole = (await response.json())["text"]
            assert whole[result["start"] : result["end"]] == result["text"]
    assert results
    assert troubles(data) == []
    assert [*(data / "uploads").iterdir()] == []
