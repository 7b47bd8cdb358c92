"""What the page lists of documents: those of a name, a part of a text, jobs, and folders that are followed."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from neuralbridge.protocol.knowledge import DocumentList, DocumentText, FolderList, JobList, JobState
from neuralbridge.retrieval.documents import NewDocument, NewPassage, Source
from neuralbridge.retrieval.ingestion import Content, Ingestion
from neuralbridge.retrieval.jobs import new_job
from neuralbridge.retrieval.watcher import Folder
from neuralbridge.web.keys import SERVICES
from tests.conftest import Serve, Served
from tests.fakes import FakeEmbedder

API = "/api/knowledge"
AT = "2024-05-31T12:00:00.000Z"
TEXT = "one é two 💥 three\n" * 3
LARGE = "a sea of wörds 💥 " * 700_000  # more than 10 MB in UTF-8
LAG_MS = 50.0  # making and quoting the text at once takes twice as long, piece by piece a fifth
TIMES = 6


@pytest.fixture
async def http(served: Served) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(base_url=served.url) as session:
        yield session


async def get(http: aiohttp.ClientSession, path: str, **params: str | int) -> dict[str, Any]:
    async with http.get(f"{API}/{path}", params=params) as reply:
        assert (reply.status, reply.headers["Cache-Control"]) == (200, "no-store"), await reply.text()
        assert reply.headers["Content-Type"] == "application/json; charset=utf-8"
        told: dict[str, Any] = await reply.json()
        return told


async def keep(served: Served, name: str, title: str | None = None, text: str = TEXT, owner: str = "local") -> str:
    """Store a document as ingestion would; its id."""
    source = Source(owner, name, name, AT)
    passage = NewPassage(0, 3, None, "", text[:3], text[:3])
    document = NewDocument(source, "text", title, source.uid, len(text), text, (passage,))
    vectors = np.ones((1, FakeEmbedder.dimensions), np.float32)
    await served.server.app[SERVICES].library.documents.put(document, vectors, "fake")
    return source.uid


# Documents of a name

NAMES = [
    ("Relatório Anual 2024.pdf", "Vendas por região"),
    ("notes/pump_XK-204.md", None),
    ("notes/Sea.md", "The PUMP at sea"),
    ("100%_done.txt", "STRASSE"),
]


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("pump", ["notes/Sea.md", "notes/pump_XK-204.md"]),
        ("PUMP xk-204", ["notes/pump_XK-204.md"]),
        ("sea pump", ["notes/Sea.md"]),
        ("  204 notes ", ["notes/pump_XK-204.md"]),
        ("relatorio ANUAL", ["Relatório Anual 2024.pdf"]),
        ("RELATÓRIO", ["Relatório Anual 2024.pdf"]),
        ("região", ["Relatório Anual 2024.pdf"]),
        ("straße", ["100%_done.txt"]),
        ("%", ["100%_done.txt"]),
        ("_done", ["100%_done.txt"]),
        ("pump giraffe", []),
        ("'; DROP TABLE documents; --", []),
        ("\0", []),
        ("", ["100%_done.txt", "notes/Sea.md", "notes/pump_XK-204.md", "Relatório Anual 2024.pdf"]),
        (" ", ["100%_done.txt", "notes/Sea.md", "notes/pump_XK-204.md", "Relatório Anual 2024.pdf"]),
    ],
)
async def test_documents_are_found_by_all_words_in_name_or_title(
    served: Served, http: aiohttp.ClientSession, q: str, found: list[str]
) -> None:
    for name, title in NAMES:
        await keep(served, name, title)
    told = await get(http, "documents", q=q)
    assert DocumentList.model_validate(told).model_dump() == told
    assert ([each["source_document"] for each in told["documents"]], told["total"]) == (found, len(found))


async def test_a_part_of_what_is_found_tells_how_many_there_are(served: Served, http: aiohttp.ClientSession) -> None:
    for number in range(5):
        await keep(served, f"pump {number}.md")
    await keep(served, "other.md")
    await keep(served, "pump of somebody else.md", owner="somebody")
    uid = Source("local", "pump 0.md", "", AT).uid
    async with http.patch(f"{API}/documents/{uid}", json={"pinned": True}) as reply:
        assert reply.status == 200
    pages = [await get(http, "documents", q="pump", limit=2, offset=offset) for offset in (0, 2, 4, 6)]
    assert [[each["source_document"][5] for each in page["documents"]] for page in pages] == [
        *(["0", "4"], ["3", "2"], ["1"], []),
    ]
    assert {page["total"] for page in pages} == {5}


# A part of a text


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ({"start": 0, "end": 5}, 0, 5),
        ({"start": 4, "end": 11}, 4, 11),
        ({"start": 10}, 10, len(TEXT)),
        ({"end": 7}, 0, 7),
        ({"start": 40, "end": 10**9}, 40, len(TEXT)),
        ({"start": 10**9}, len(TEXT), len(TEXT)),
        ({"start": 10**9, "end": 10**9}, len(TEXT), len(TEXT)),
        ({"start": 9, "end": 4}, 9, 9),
        ({"start": 0, "end": 0}, 0, 0),
    ],
)
async def test_a_part_of_a_text_is_told_in_code_points_and_clipped(
    served: Served, http: aiohttp.ClientSession, asked: dict[str, int], start: int, end: int
) -> None:
    told = await get(http, f"documents/{await keep(served, 'a.md')}", **asked)
    assert DocumentText.model_validate(told).model_dump() == told
    assert (told["text"], told["start"], told["end"]) == (TEXT[start:end], start, end)
    assert told["characters"] == len(TEXT)


async def test_a_whole_document_has_its_text_and_no_places(served: Served, http: aiohttp.ClientSession) -> None:
    told = await get(http, f"documents/{await keep(served, 'a.md')}")
    assert (told["text"], "start" in told, "end" in told) == (TEXT, False, False)


@pytest.mark.parametrize(
    "wrong", [{"start": "-1"}, {"end": "x"}, {"start": "1.5"}, {"end": str(10**10)}, {"start": ""}]
)
async def test_a_wrong_place_is_named(served: Served, http: aiohttp.ClientSession, wrong: dict[str, str]) -> None:
    uid = await keep(served, "a.md")
    async with http.get(f"{API}/documents/{uid}", params=wrong) as reply:
        told = await reply.json()
        assert (reply.status, told["error"], next(iter(wrong)) in told["message"]) == (400, "invalid_params", True)


async def test_a_part_of_no_document_is_not_found(http: aiohttp.ClientSession) -> None:
    async with http.get(f"{API}/documents/none", params={"start": 1}) as reply:
        assert (reply.status, (await reply.json())["error"]) == (404, "not_found")


@asynccontextmanager
async def watched(lags: list[float]) -> AsyncIterator[None]:
    """Note how much this process computed between two turns of the loop, at most, in milliseconds.

    Computed, not waited: a neighbour that takes the core is not our doing.
    """
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            begun = time.process_time()
            await asyncio.sleep(0.002)
            longest = max(longest, (time.process_time() - begun) * 1000)

    watching = asyncio.create_task(watch())
    yield
    watching.cancel()
    lags.append(longest)


@pytest.mark.parametrize(("asked", "text"), [({}, LARGE), ({"start": str(len(LARGE) - 20)}, LARGE[-20:])])
async def test_a_large_document_does_not_hold_others_up(
    served: Served, http: aiohttp.ClientSession, asked: dict[str, str], text: str
) -> None:
    uid = await keep(served, "large.md", text=LARGE)
    lags: list[float] = []
    for _ in range(TIMES):
        async with watched(lags), http.get(f"{API}/documents/{uid}", params=asked) as reply:
            body = [chunk async for chunk in reply.content.iter_chunked(64 * 1024)]
        assert json.loads(b"".join(body))["text"] == text
    assert min(lags) < LAG_MS, lags


# Jobs


def ingestion(served: Served) -> Ingestion:
    return served.server.app[SERVICES].library.ingestion


async def test_jobs_are_told_the_newest_first_whatever_became_of_them(
    served: Served, http: aiohttp.ClientSession
) -> None:
    assert await get(http, "jobs") == {"jobs": []}
    made = []
    for name, content in (("a.md", "Good words."), ("b.md", " "), ("c.md", "Other words.")):
        job = await ingestion(served).submit(Source("local", name, name, AT), Content(content))
        made.append((await ingestion(served).finished(job)).uid)
        await asyncio.sleep(0.002)  # they are told by the millisecond
    told = await get(http, "jobs")
    assert JobList.model_validate(told).model_dump() == told
    assert [(each["source_document"], each["state"]) for each in told["jobs"]] == [
        *(("c.md", "done"), ("b.md", "failed"), ("a.md", "done"))
    ]
    assert [await get(http, f"jobs/{uid}") for uid in reversed(made)] == told["jobs"]


async def test_a_job_under_way_is_told_with_how_far_it_is(served: Served, http: aiohttp.ClientSession) -> None:
    live = replace(new_job(Source("local", "a", "a.md", AT)), state="embedding", passages=8, embedded=2)
    ingestion(served)._live[live.uid] = live
    (told,) = (await get(http, "jobs"))["jobs"]
    assert (told["state"], told["progress"], told["processing_job_id"]) == ("embedding", 0.25, live.uid)
    del ingestion(served)._live[live.uid]


async def test_a_job_that_ended_over_an_hour_ago_is_not_told(served: Served, http: aiohttp.ClientSession) -> None:
    jobs = ingestion(served)._jobs
    for name in ("old.md", "new.md"):
        await jobs.save(replace(new_job(Source("local", name, name, AT)), state="done"))
    await jobs._database.write(
        lambda connection: connection.execute("UPDATE jobs SET updated_at = ? WHERE key = 'old.md'", (AT,))
    )
    assert [each["source_document"] for each in (await get(http, "jobs"))["jobs"]] == ["new.md"]


async def test_of_very_many_jobs_the_newest_are_told_and_those_under_way(
    served: Served, http: aiohttp.ClientSession
) -> None:
    live = ingestion(served)._live
    for number in range(300):
        at = f"2024-05-31T12:00:00.{number:03}Z"
        state = "reading" if number < 3 else "queued"
        job = replace(new_job(Source("local", str(number), str(number), AT)), state=state, created_at=at)
        live[job.uid] = job
    told = [JobState.model_validate(each) for each in (await get(http, "jobs"))["jobs"]]
    live.clear()
    assert [each.source_document for each in told] == [*(str(number) for number in range(299, 102, -1)), "2", "1", "0"]


async def test_jobs_of_others_are_not_told(served: Served, http: aiohttp.ClientSession) -> None:
    job = await ingestion(served).submit(Source("somebody", "a", "a.md", AT), Content("Good words."))
    before = await get(http, "jobs")
    await ingestion(served).finished(job)
    assert before == await get(http, "jobs") == {"jobs": []}


# Folders


async def followed(http: aiohttp.ClientSession) -> list[dict[str, Any]]:
    told = await get(http, "folders")
    assert FolderList.model_validate(told).model_dump() == told
    folders: list[dict[str, Any]] = told["folders"]
    return folders


async def settled(http: aiohttp.ClientSession, *codes: str) -> list[dict[str, Any]]:
    folders = await followed(http)
    async with asyncio.timeout(30):
        while [each["code"] for each in folders] != [*codes]:
            await asyncio.sleep(0.02)
            folders = await followed(http)
    return folders


async def test_without_folders_none_is_told(http: aiohttp.ClientSession) -> None:
    assert await followed(http) == []


async def test_folders_are_told_with_the_files_that_could_not_be_read(serve: Serve, tmp_path: Path) -> None:
    folder, none = tmp_path / "papers", tmp_path / "none"
    (folder / "sub").mkdir(parents=True)
    (folder / "good.md").write_text("Good words.")
    (folder / "sub" / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing")
    served = await serve(documents={"watch": [str(folder), str(none)]})
    async with aiohttp.ClientSession(served.url) as http:
        good, failed = await settled(http, "up_to_date", "failed")
    (problem,) = good.pop("problems")
    assert good == {"folder": str(folder), "state": "up to date", "code": "up_to_date", "count": None}
    assert problem["file"] == "papers/sub/broken.pdf"
    assert "broken.pdf" in problem["reason"]
    assert (failed["folder"], failed["count"], failed["problems"]) == (str(none), None, [])
    assert failed["state"].startswith("cannot be followed: ")


async def test_a_folder_that_is_being_read_says_how_many_files(served: Served, tmp_path: Path) -> None:
    services = served.server.app[SERVICES]
    papers = tmp_path / "papers"
    papers.mkdir()
    folder = Folder(services.library, papers)
    assert folder.followed.code == "looking"
    for number in range(3):
        (papers / f"{number}.md").write_text(f"Words of {number}.")
    await folder.compare()
    services.watcher._folders.append(folder)
    async with aiohttp.ClientSession(served.url) as http:
        (during,) = await followed(http)
        await folder.settled()
        (after,) = await followed(http)
    services.watcher._folders.clear()
    assert 0 < during["count"] <= 3
    assert (during["code"], during["state"]) == ("reading", f"reading {during['count']} files")
    assert (after["code"], after["count"]) == ("up_to_date", None)
