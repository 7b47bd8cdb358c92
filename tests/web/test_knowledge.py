"""Documents over HTTP: what is told, what is refused and how, and that nothing is left behind."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.conftest import Serve, Served
from tests.retrieval.readers.shelf import pdf, zipped

API = "/api/knowledge"
PUMP = "The warranty of the XK-204 pump lasts 27 months.\n\nAsk Ana Souza about spare parts."


@pytest.fixture
async def http(served: Served) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(base_url=served.url) as session:
        yield session


async def put(http: aiohttp.ClientSession, content: str = PUMP, name: str = "pump.md", **more: Any) -> dict[str, Any]:
    async with http.post(f"{API}/ingest", json={"content": content, "source_document": name, **more}) as response:
        assert response.status == 201, await response.text()
        answer: dict[str, Any] = await response.json()
        return answer


async def get(http: aiohttp.ClientSession, path: str, **params: str | int) -> dict[str, Any]:
    async with http.get(f"{API}/{path}", params=params) as response:
        assert response.status == 200, await response.text()
        answer: dict[str, Any] = await response.json()
        return answer


def form(*files: tuple[str, bytes], **fields: str) -> aiohttp.FormData:
    data = aiohttp.FormData(quote_fields=False)
    for name, value in fields.items():
        data.add_field(name, value)
    for name, content in files:
        data.add_field("file", content, filename=name)
    return data


async def ended(http: aiohttp.ClientSession, job: str) -> dict[str, Any]:
    while True:
        state = await get(http, f"jobs/{job}")
        if state["state"] in ("done", "failed"):
            return state


async def test_a_text_can_be_found_when_its_201_comes(http: aiohttp.ClientSession) -> None:
    told = await put(http, metadata={"by": "ana"})
    assert told.keys() == {"success", "chunks_created", "document_id", "processing_job_id"}
    assert (told["success"], told["chunks_created"]) == (True, 1)
    (found,) = (await get(http, "search", q="XK-204 warranty"))["results"]
    assert (found["document_id"], found["source_document"], found["text"]) == (told["document_id"], "pump.md", PUMP)
    assert found.keys() == {
        *("document_id", "source_document", "text", "start", "end", "page", "heading", "score", "ranks")
    }
    job = await get(http, f"jobs/{told['processing_job_id']}")
    assert (job["state"], job["progress"], job["document_id"]) == ("done", 1.0, told["document_id"])


async def test_the_same_name_again_replaces_the_document(http: aiohttp.ClientSession) -> None:
    first = await put(http)
    second = await put(http, "It has no warranty at all.")
    assert second["document_id"] == first["document_id"]
    assert (await get(http, "documents"))["total"] == 1
    assert (await get(http, f"documents/{first['document_id']}"))["text"] == "It has no warranty at all."


async def test_files_get_a_job_each(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    files = form(
        ("a.txt", b"Apples are red."), ("b.html", b"<title>B</title><p>Pears are green."), modified="2020-05-17"
    )
    async with http.post(f"{API}/ingest", data=files) as response:
        accepted = await response.json()
        assert response.status == 202
    states = [await ended(http, job["processing_job_id"]) for job in accepted["jobs"]]
    assert [(state["state"], state["source_document"]) for state in states] == [("done", "a.txt"), ("done", "b.html")]
    listed = (await get(http, "documents"))["documents"]
    assert {entry["source_document"]: entry["modified_at"][:10] for entry in listed}["a.txt"] == "2020-05-17"
    assert [*(tmp_path / "data" / "uploads").iterdir()] == []


@pytest.mark.parametrize("modified", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:00:00-14:00", "+275760-09-13", "x"])
async def test_a_date_outside_of_time_is_named(http: aiohttp.ClientSession, modified: str) -> None:
    async with http.post(f"{API}/ingest", data=form(("a.txt", b"Apples."), modified=modified)) as response:
        assert (response.status, modified in (await response.json())["message"]) == (400, True)


async def test_a_document_is_renamed_pinned_and_removed(http: aiohttp.ClientSession) -> None:
    id = (await put(http))["document_id"]
    async with http.patch(f"{API}/documents/{id}", json={"source_document": "engine.md", "pinned": True}) as response:
        entry = await response.json()
    assert (entry["source_document"], entry["pinned"]) == ("engine.md", True)
    assert [hit["source_document"] for hit in (await get(http, "search", q="engine"))["results"]] == ["engine.md"]
    async with http.delete(f"{API}/documents/{id}") as response:
        assert response.status == 204
    assert (await get(http, "search", q="XK-204"))["results"] == []
    async with http.get(f"{API}/documents/{id}") as response:
        assert response.status == 404


async def test_filters_may_stand_in_q_and_in_filter(http: aiohttp.ClientSession) -> None:
    await put(http)
    await put(http, "The warranty of the old pump has ended.", "old.md")
    for params in ({"q": 'warranty file:"old"'}, {"q": "warranty", "filter": "file:old"}, {"q": "warranty -XK-204"}):
        hits = (await get(http, "search", **params))["results"]
        assert [hit["source_document"] for hit in hits] == ["old.md"], params


async def test_a_search_may_be_as_long_as_it_says(http: aiohttp.ClientSession) -> None:
    async with http.get(f"{API}/search", params={"q": "ã" * 8_000, "filter": "ã" * 8_000}) as response:
        assert response.status == 200, await response.text()


async def test_explain_says_where_the_expected_passage_was_lost(http: aiohttp.ClientSession) -> None:
    await put(http)
    for query, expect, said in (
        ("XK-204 warranty", "pump.md", "found: place 1"),
        ("XK-204 warranty", "a giraffe", "not in the library"),
        ("colour of giraffes", "Ana Souza", "lost at the threshold"),
    ):
        async with http.post(f"{API}/explain", json={"query": query, "expect": expect}) as response:
            told = await response.json()
        assert told["expected"].startswith(said), told["expected"]
        assert [stage["stage"] for stage in told["stages"]] == [
            *("vector", "full_text", "fusion", "threshold", "budget")
        ]


NO_FILE = b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\nhere\r\n--b--\r\n'
TEXT = {"content": "The sea.", "source_document": "sea.txt"}
DEEP = {"x": json.loads("[" * 300 + "]" * 300)}  # deeper than what could be told again
LONG = {"a": "x" * (16_385 - len('{"a": ""}'))}
WRONG: list[tuple[str, str, dict[str, Any], int, str, str]] = [
    ("post", "ingest", {"json": {"source_document": "a"}}, 400, "invalid_params", "content"),
    ("post", "ingest", {"json": {"content": " ", "source_document": "a"}}, 400, "invalid_params", "content"),
    ("post", "ingest", {"json": {"content": "x", "source_document": ""}}, 400, "invalid_params", "source_document"),
    ("post", "ingest", {"json": {"content": 1, "source_document": "a"}}, 400, "invalid_params", "content"),
    ("post", "ingest", {"json": []}, 400, "invalid_params", "object"),
    ("post", "ingest", {"data": b"{", "headers": {"Content-Type": "application/json"}}, 400, "invalid_params", "JSON"),
    ("post", "ingest", {"data": b"x", "headers": {"Content-Type": "text/plain"}}, 400, "invalid_params", "json"),
    (
        "post",
        "ingest",
        {"data": b"--x", "headers": {"Content-Type": "multipart/form-data"}},
        400,
        "invalid_params",
        "multipart",
    ),
    (
        "post",
        "ingest",
        {"data": NO_FILE, "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
        400,
        "invalid_params",
        "no file",
    ),
    (
        "post",
        "ingest",
        {"data": NO_FILE.replace(b'"x"', b'"\x12"'), "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
        400,
        "invalid_params",
        "multipart",
    ),
    ("get", "search", {"params": {}}, 400, "invalid_params", "q"),
    ("get", "search", {"params": {"q": "x", "limit": "0"}}, 400, "invalid_params", "limit"),
    ("get", "search", {"params": {"q": "x", "limit": "many"}}, 400, "invalid_params", "limit"),
    ("get", "search", {"params": {"q": "before:yesterday"}}, 400, "invalid_params", "before"),
    ("get", "search", {"params": {"q": "x" * 8001}}, 400, "invalid_params", "q"),
    ("get", "documents", {"params": {"limit": "-1"}}, 400, "invalid_params", "limit"),
    ("get", "documents/{no}%0Athing", {}, 404, "not_found", "{no}"),
    ("get", "documents/nothing", {}, 404, "not_found", "nothing"),
    ("get", "jobs/nothing", {}, 404, "not_found", "nothing"),
    ("delete", "documents/nothing", {}, 404, "not_found", "nothing"),
    ("patch", "documents/nothing", {"json": {"pinned": True}}, 404, "not_found", "nothing"),
    ("post", "explain", {"json": {"query": "x"}}, 400, "invalid_params", "expect"),
    ("post", "ingest", {"json": {**TEXT, "metadata": DEEP}}, 400, "invalid_params", "metadata"),
    (
        "post",
        "ingest",
        {"json": {**TEXT, "metadata": LONG}},
        400,
        "invalid_params",
        "has 16,385 bytes as JSON; at most 16,384",
    ),
    ("delete", "documents/x", {"headers": {"Origin": "https://evil.example"}}, 403, "forbidden", "origin"),
    ("post", "ingest", {"json": {}, "headers": {"Sec-Fetch-Site": "cross-site"}}, 403, "forbidden", "origin"),
]


@pytest.mark.parametrize(("method", "path", "asked", "status", "code", "names"), WRONG)
async def test_what_is_wrong_is_named(
    http: aiohttp.ClientSession, method: str, path: str, asked: dict[str, Any], status: int, code: str, names: str
) -> None:
    async with http.request(method, f"{API}/{path}", **asked) as response:
        told = await response.json()
        assert (response.status, told["error"]) == (status, code), told
    assert names in told["message"]


@pytest.mark.parametrize(
    ("name", "content", "code", "reason"),
    [
        ("empty.txt", b"", "document_refused", "empty"),
        ("blank.txt", b" \n\t", "document_refused", "empty"),
        ("scanned.pdf", pdf([[], []]), "document_refused", "no_text"),
        ("locked.pdf", pdf([["x"]], encrypted=True), "document_refused", "encrypted"),
        ("program.pdf", b"\x7fELF\x02\x01" + b"\0" * 100, "unknown_format", "unknown_format"),
        ("broken.pdf", b"%PDF-1.7\nnothing", "document_refused", "broken"),
        ("archive.docx", b"PK\x05\x06" + b"\0" * 18, "unknown_format", "unknown_format"),
        ("bomb.docx", zipped({"a": "0" * 2_000_000}), "document_too_large", "too_large"),
        (
            "entities.xml",
            b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
            "document_refused",
            "unreadable",
        ),
    ],
)
async def test_a_file_that_cannot_be_read_fails_its_job_alone(
    http: aiohttp.ClientSession, tmp_path: Path, name: str, content: bytes, code: str, reason: str
) -> None:
    async with http.post(f"{API}/ingest", data=form((name, content), ("good.txt", b"Good words."))) as response:
        bad, good = (job["processing_job_id"] for job in (await response.json())["jobs"])
    state = await ended(http, bad)
    assert (state["state"], state["code"], state["reason"]) == ("failed", code, reason), state
    assert name in state["error"]
    whole = await ended(http, good)
    assert (whole["state"], whole["reason"]) == ("done", None)
    assert [*(tmp_path / "data" / "uploads").iterdir()] == []


async def test_the_same_content_under_another_name_is_refused(http: aiohttp.ClientSession) -> None:
    await put(http)
    async with http.post(f"{API}/ingest", json={"content": PUMP, "source_document": "copy.md"}) as response:
        told = await response.json()
        assert (response.status, told["error"], told["reason"]) == (409, "duplicate_document", "duplicate")
        assert "pump.md" in told["message"]


async def test_a_document_of_too_many_passages_says_so(serve: Serve) -> None:
    served = await serve(documents={"max_passages": 2})
    async with aiohttp.ClientSession(base_url=served.url) as http:
        text = {"content": "Some more words. " * 2_000, "source_document": "long.txt"}
        async with http.post(f"{API}/ingest", json=text) as response:
            told = await response.json()
    assert (response.status, told["error"], told["reason"]) == (413, "document_too_large", "too_many_passages")


async def test_the_reason_of_a_refusal_is_there_after_a_restart(serve: Serve) -> None:
    served = await serve()
    async with aiohttp.ClientSession(base_url=served.url) as http:
        async with http.post(f"{API}/ingest", data=form(("empty.txt", b""))) as response:
            (job,) = (await response.json())["jobs"]
        before = await ended(http, job["processing_job_id"])
    await served.stop()
    again = await serve()
    async with aiohttp.ClientSession(base_url=again.url) as http:
        assert await ended(http, job["processing_job_id"]) == before
    assert before["reason"] == "empty"


async def test_a_file_that_is_refused_beside_others_says_why(serve: Serve) -> None:
    served = await serve(documents={"max_file_bytes": 1024})
    files = form(("good.txt", b"Good words."), ("large.txt", b"x" * 2_000))
    async with (
        aiohttp.ClientSession(base_url=served.url) as http,
        http.post(f"{API}/ingest", data=files) as response,
    ):
        told = await response.json()
    (refused,) = told["refusals"]
    assert told["refused"] == [refused["message"]]
    assert (refused["source_document"], refused["error"], refused["reason"]) == (
        *("large.txt", "document_too_large", "too_large"),
    )


async def test_a_file_that_is_too_large_is_refused_as_soon_as_it_is(serve: Serve, tmp_path: Path) -> None:
    served = await serve(documents={"max_file_bytes": 1024})
    async with aiohttp.ClientSession(base_url=served.url) as http:
        async with http.post(f"{API}/ingest", data=form(("large.txt", b"x" * 200_000))) as response:
            told = await response.json()
            assert (response.status, told["reason"]) == (413, "too_large")
            assert "1,024 bytes" in told["message"]
        text = {"content": "y" * 2_000, "source_document": "large"}
        async with http.post(f"{API}/ingest", json=text) as response:
            assert response.status == 413
    assert [*(tmp_path / "data" / "uploads").iterdir()] == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "etc/passwd"),
        ("..\\x.txt", "x.txt"),
        ("/a/b.txt", "a/b.txt"),
        ("a\u202etxt.exe", "atxt.exe"),
        ("a\tb.txt", "ab.txt"),
        ("x" * 300 + ".txt", ("x" * 300 + ".txt")[-255:]),
        ("..", "unnamed"),
    ],
)
async def test_a_hostile_name_is_only_ever_shown(http: aiohttp.ClientSession, name: str, shown: str) -> None:
    told = await put(http, name=name)
    assert (await get(http, f"documents/{told['document_id']}"))["source_document"] == shown


async def test_a_json_body_is_read_whatever_is_in_it(http: aiohttp.ClientSession) -> None:
    body = json.dumps({"content": "half \ud800 a pair, and \0 nothing", "source_document": "odd.txt"})
    headers = {"Content-Type": "application/json"}
    async with http.post(f"{API}/ingest", data=body.encode(), headers=headers) as response:
        assert response.status in (201, 400)
        assert "internal" not in await response.text()


async def test_metadata_may_be_as_long_as_that(http: aiohttp.ClientSession) -> None:
    metadata = {"a": "é" + "x" * (16_384 - len('{"a": "é"}'.encode()))}
    await put(http, metadata=metadata)
    assert [each["metadata"] for each in (await get(http, "documents"))["documents"]] == [metadata]


async def test_half_a_character_in_metadata_is_told_as_it_came(http: aiohttp.ClientSession) -> None:
    metadata = {"author": "half \ud800 a pair"}
    async with http.post(f"{API}/ingest", json={**TEXT, "metadata": metadata}) as response:
        id = (await response.json())["document_id"]
    assert [each["metadata"] for each in (await get(http, "documents"))["documents"]] == [metadata]
    assert (await get(http, f"documents/{id}"))["metadata"] == metadata


async def test_without_its_model_the_api_says_what_is_missing(serve: Serve) -> None:
    from neuralbridge.retrieval.embedder import Embedder

    served = await serve(open_embedder=Embedder, documents={"embedder": "models/none"})
    async with aiohttp.ClientSession(base_url=served.url) as http, http.get(f"{API}/search?q=x") as response:
        assert response.status == 503
        assert "scripts/setup" in (await response.json())["message"]
