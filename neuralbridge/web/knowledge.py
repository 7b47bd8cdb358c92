"""Documents over HTTP: read the request, parse it, ask the library, render what it says."""

import asyncio
import functools
import os
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from aiohttp import BodyPartReader, hdrs, web

from neuralbridge.errors import BridgeError, DocumentRefused, DocumentTooLarge, InvalidParams, Overloaded
from neuralbridge.protocol import knowledge
from neuralbridge.protocol.failure import describe_named
from neuralbridge.retrieval.documents import Document, Source
from neuralbridge.retrieval.explanation import explain
from neuralbridge.retrieval.ingestion import Content, File
from neuralbridge.retrieval.jobs import Job
from neuralbridge.retrieval.library import LOCAL
from neuralbridge.retrieval.search import Found
from neuralbridge.web.json_api import CHUNK_BYTES, JSON_BYTES, Handler, answered, multipart, read_json, rendered
from neuralbridge.web.keys import SERVICES

FIELD_BYTES = 16 * 1024
MAX_FILES = 1_000  # of one request
UPLOADS = web.AppKey("uploads", ThreadPoolExecutor)

T = TypeVar("T")


def add_knowledge_routes(app: web.Application) -> None:
    app[UPLOADS] = ThreadPoolExecutor(1, "uploads")

    async def end_thread(_: web.Application) -> None:
        app[UPLOADS].shutdown()

    app.on_cleanup.append(end_thread)
    for method, path, handler in KNOWLEDGE:
        pattern = path.replace("{id}", "{id:[^/]+}")  # aiohttp's own leaves out those with braces
        app.router.add_route(method, f"/api/knowledge/{pattern}", answered(handler))


async def ingest(request: web.Request) -> web.Response:
    """A text is taken in while its sender waits, files in jobs of their own."""
    if request.content_type == "multipart/form-data":
        return await upload(request)
    limit = request.app[SERVICES].config.documents.max_file_bytes
    wanted = knowledge.parse(knowledge.IngestRequest, await read_json(request, 2 * limit))
    name = knowledge.shown_name(wanted.source_document)
    source = Source(LOCAL, wanted.source_document, name, today(), metadata=wanted.metadata)
    ingestion = request.app[SERVICES].library.ingestion
    ended = await ingestion.finished(await ingestion.submit(source, Content(wanted.content)))
    if ended.document is None:
        failure = describe_named(ended.code or "", ended.error or "")
        return rendered(knowledge.Refusal(error=failure.code, message=failure.message), failure.status)
    told_of = knowledge.Ingested(chunks_created=ended.passages, document_id=ended.document, processing_job_id=ended.uid)
    return rendered(told_of, 201)


async def upload(request: web.Request) -> web.Response:
    """Files, each with the fields `key` and `modified` before it where they are given."""
    jobs: list[knowledge.AcceptedJob] = []
    refused: list[str] = []
    failure: BridgeError | None = None
    fields: dict[str, str] = {}
    with multipart():
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader):
                raise InvalidParams("A multipart body inside of another is not read.")
            if part.filename is None:
                fields[part.name or ""] = (await read_part(part, FIELD_BYTES)).decode("utf-8", "replace")
                continue
            name = knowledge.shown_name(part.filename)
            if len(jobs) + len(refused) >= MAX_FILES:
                raise InvalidParams(f"One request may bring {MAX_FILES:,} files.")
            try:
                accepted = await take_file(request, part, name, fields)
                jobs.append(knowledge.AcceptedJob(processing_job_id=accepted.uid, source_document=name))
            except (DocumentRefused, Overloaded) as error:
                failure = failure or error
                refused.append(str(error))
                if isinstance(error, Overloaded | DocumentTooLarge):
                    break  # what else it brings is not read
            fields = {}
    if not jobs:
        raise failure or InvalidParams("The request has no file in it.")
    return rendered(knowledge.Accepted(success=not refused, jobs=jobs, refused=refused), 202)


async def take_file(request: web.Request, part: BodyPartReader, name: str, fields: dict[str, str]) -> Job:
    """Store a file and put it in line. Whatever goes wrong, no file is left behind."""
    services = request.app[SERVICES]
    ingestion = services.library.ingestion
    ingestion.check_room()
    path = ingestion.uploads / uuid.uuid4().hex
    try:
        await store(request, part, path, services.config.documents.max_file_bytes, name)
        source = Source(LOCAL, fields.get("key") or name, name, modified(fields.get("modified")))
        return await ingestion.submit(source, File(path, ours=True))
    except BaseException:
        await on_thread(request, lambda: path.unlink(missing_ok=True))
        raise


async def store(request: web.Request, part: BodyPartReader, path: Path, limit: int, name: str) -> None:
    """Write a part to a file, and to the disk. Raises DocumentTooLarge as soon as it is."""
    size = 0
    file: BinaryIO = await on_thread(request, lambda: path.open("wb"))
    try:
        while chunk := await part.read_chunk(CHUNK_BYTES):
            size += len(chunk)
            if size > limit:
                raise DocumentTooLarge(f"{name} has more than {limit:,} bytes, the most a document may have.")
            await on_thread(request, functools.partial(file.write, chunk))

        def finish() -> None:
            file.flush()
            os.fsync(file.fileno())

        await on_thread(request, finish)
    finally:
        await on_thread(request, file.close)


async def job(request: web.Request) -> web.Response:
    found = await request.app[SERVICES].library.ingestion.job(LOCAL, request.match_info["id"])
    progress = found.embedded / found.passages if found.passages else float(found.state == "done")
    state = knowledge.JobState(
        processing_job_id=found.uid,
        source_document=found.source.name,
        state=found.state,
        progress=min(1.0, progress),
        passages=found.passages,
        document_id=found.document,
        code=describe_named(found.code, "").code if found.code else None,
        error=found.error,
        created_at=found.created_at,
        updated_at=found.updated_at,
    )
    return rendered(state)


async def documents(request: web.Request) -> web.Response:
    wanted = knowledge.parse(knowledge.ListRequest, query_of(request))
    library = request.app[SERVICES].library
    listed = await library.documents.listed(LOCAL, wanted.limit, wanted.offset)
    entries = [knowledge.DocumentEntry(**entry(found)) for found in listed]
    return rendered(knowledge.DocumentList(documents=entries, total=await library.documents.count()))


async def document(request: web.Request) -> web.Response:
    found, text = await request.app[SERVICES].library.documents.get(LOCAL, request.match_info["id"])
    return rendered(knowledge.DocumentText(**entry(found), text=text))


async def edit(request: web.Request) -> web.Response:
    wanted = knowledge.parse(knowledge.EditRequest, await read_json(request, JSON_BYTES))
    name = knowledge.shown_name(wanted.source_document) if wanted.source_document is not None else None
    library = request.app[SERVICES].library
    found = await library.documents.edit(LOCAL, request.match_info["id"], name, wanted.pinned)
    return rendered(knowledge.DocumentEntry(**entry(found)))


async def delete(request: web.Request) -> web.Response:
    await request.app[SERVICES].library.remove(request.match_info["id"])
    return web.Response(status=204, headers={"Cache-Control": "no-store"})


async def search(request: web.Request) -> web.Response:
    wanted = knowledge.parse(knowledge.SearchRequest, query_of(request))
    found = await request.app[SERVICES].library.search(f"{wanted.q} {wanted.filter}".strip(), wanted.limit)
    return rendered(knowledge.Results(results=[result(hit) for hit in found.results]))


async def explained(request: web.Request) -> web.Response:
    wanted = knowledge.parse(knowledge.ExplainRequest, await read_json(request, JSON_BYTES))
    services = request.app[SERVICES]
    said = await explain(services.library, wanted.query, wanted.expect, services.config.documents.threshold)
    return rendered(knowledge.Explanation.model_validate(said))


def entry(found: Document) -> dict[str, Any]:
    return {
        "document_id": found.uid,
        "source_document": found.source,
        "title": found.title,
        "kind": found.kind,
        "chunks": found.passages,
        "size": found.size,
        "characters": found.characters,
        "version": found.version,
        "pinned": found.pinned,
        "folder": found.folder,
        "metadata": found.metadata,
        "modified_at": found.modified_at,
        "created_at": found.created_at,
        "updated_at": found.updated_at,
    }


def result(found: Found) -> knowledge.Result:
    passage = found.passage
    return knowledge.Result(
        document_id=passage.document,
        source_document=passage.source,
        text=passage.text,
        start=passage.start,
        end=passage.end,
        page=passage.page,
        heading=passage.heading,
        score=found.score,
        ranks=knowledge.RankPair.model_validate(found.ranks),
    )


async def read_part(part: BodyPartReader, limit: int) -> bytes:
    body = bytearray()
    while chunk := await part.read_chunk(limit):
        body += chunk
        if len(body) > limit:
            raise InvalidParams(f"The field {(part.name or '')[:40]!r} has more than {limit:,} bytes.")
    return bytes(body)


def query_of(request: web.Request) -> dict[str, str]:
    """The parameters; a number stands there as text and is read as one."""
    return dict(request.query)


def modified(given: str | None) -> str:
    """A document's date as it came, or now. Raises InvalidParams."""
    if not given:
        return today()
    with suppress(ValueError):
        return datetime.fromisoformat(given).astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    raise InvalidParams(f"modified must be a date such as 2024-05-31T12:00:00Z, not {given[:40]!r}.")


def today() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def on_thread(request: web.Request, act: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(request.app[UPLOADS], act)


KNOWLEDGE: tuple[tuple[str, str, Handler], ...] = (
    (hdrs.METH_POST, "ingest", ingest),
    (hdrs.METH_GET, "jobs/{id}", job),
    (hdrs.METH_GET, "documents", documents),
    (hdrs.METH_GET, "documents/{id}", document),
    (hdrs.METH_PATCH, "documents/{id}", edit),
    (hdrs.METH_DELETE, "documents/{id}", delete),
    (hdrs.METH_GET, "search", search),
    (hdrs.METH_POST, "explain", explained),
)
