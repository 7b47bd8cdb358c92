"""Documents over HTTP: read the request, parse it, ask the library, render what it says."""

import asyncio
import functools
import json
import os
import uuid
from codecs import getincrementaldecoder
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from aiohttp import BodyPartReader, hdrs, web

from neuralbridge.access.users import check_name
from neuralbridge.data_folder import keeping
from neuralbridge.errors import BridgeError, DocumentRefused, DocumentTooLarge, InvalidParams, Overloaded, QuotaExceeded
from neuralbridge.protocol import knowledge
from neuralbridge.protocol.failure import describe, describe_named
from neuralbridge.retrieval.documents import Document, Source
from neuralbridge.retrieval.explanation import explain
from neuralbridge.retrieval.ingestion import Content, File
from neuralbridge.retrieval.jobs import Job
from neuralbridge.retrieval.search import Found
from neuralbridge.retrieval.sharing import EVERYBODY
from neuralbridge.retrieval.watcher import Followed, name_in
from neuralbridge.web.identity import user_of
from neuralbridge.web.json_api import (
    CHUNK_BYTES,
    JSON_BYTES,
    Handler,
    answered,
    as_json,
    multipart,
    read_json,
    reason_of,
    rendered,
)
from neuralbridge.web.keys import SERVICES

FIELD_BYTES = 16 * 1024
MAX_FILES = 1_000  # of one request
RECENT = timedelta(hours=1)
MOST_JOBS = 200
NO_STORE = {hdrs.CACHE_CONTROL: "no-store"}
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
    source = Source(user_of(request).name, wanted.source_document, name, today(), metadata=wanted.metadata)
    ingestion = request.app[SERVICES].library.ingestion
    ended = await ingestion.finished(await ingestion.submit(source, Content(wanted.content)))
    if ended.document is None:
        failure = describe_named(ended.code or "", ended.error or "")
        told = knowledge.Refusal(error=failure.code, message=failure.message, reason=ended.reason)
        return rendered(told, failure.status)
    told_of = knowledge.Ingested(chunks_created=ended.passages, document_id=ended.document, processing_job_id=ended.uid)
    return rendered(told_of, 201)


async def upload(request: web.Request) -> web.Response:
    """Files, each with the fields `key` and `modified` before it where they are given."""
    jobs: list[knowledge.AcceptedJob] = []
    refused: list[knowledge.RefusedFile] = []
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
                refused.append(refused_file(name, error))
                if isinstance(error, Overloaded | DocumentTooLarge | QuotaExceeded):
                    break  # what else it brings is not read
            fields = {}
    if not jobs:
        raise failure or InvalidParams("The request has no file in it.")
    sentences = [each.message for each in refused]
    return rendered(knowledge.Accepted(success=not refused, jobs=jobs, refused=sentences, refusals=refused), 202)


def refused_file(name: str, error: BridgeError) -> knowledge.RefusedFile:
    failure = describe(error)
    return knowledge.RefusedFile(
        source_document=name, error=failure.code, message=failure.message, reason=reason_of(error)
    )


async def take_file(request: web.Request, part: BodyPartReader, name: str, fields: dict[str, str]) -> Job:
    """Store a file and put it in line. Whatever goes wrong, no file is left behind."""
    services = request.app[SERVICES]
    ingestion = services.library.ingestion
    source = Source(user_of(request).name, fields.get("key") or name, name, modified(fields.get("modified")))
    ingestion.check_room(source.owner)
    await ingestion.check_quota(source)
    path = ingestion.uploads / uuid.uuid4().hex
    try:
        await store(request, part, path, services.config.documents.max_file_bytes, name)
        return await ingestion.submit(source, File(path, ours=True))
    except BaseException:
        await on_thread(request, lambda: path.unlink(missing_ok=True))
        raise


async def store(request: web.Request, part: BodyPartReader, path: Path, limit: int, name: str) -> None:
    """Write a part to a file, and to the disk. Raises DocumentTooLarge as soon as it is, and StorageFailed."""
    size = 0
    file: BinaryIO = await kept(request, lambda: path.open("wb"))
    try:
        while chunk := await part.read_chunk(CHUNK_BYTES):
            size += len(chunk)
            if size > limit:
                raise DocumentTooLarge(f"{name} has more than {limit:,} bytes, the most a document may have.")
            await kept(request, functools.partial(file.write, chunk))

        def finish() -> None:
            file.flush()
            os.fsync(file.fileno())

        await kept(request, finish)
    finally:
        await kept(request, file.close)  # which writes what it still holds


async def job(request: web.Request) -> web.Response:
    ingestion = request.app[SERVICES].library.ingestion
    return rendered(job_state(await ingestion.job(user_of(request).name, request.match_info["id"])))


async def jobs(request: web.Request) -> web.Response:
    """Those queued or under way, and those that ended a short while ago."""
    since = iso(datetime.now(UTC) - RECENT)
    found = await request.app[SERVICES].library.ingestion.jobs(user_of(request).name, since, MOST_JOBS)
    return rendered(knowledge.JobList(jobs=[job_state(each) for each in found]))


async def folders(request: web.Request) -> web.Response:
    return rendered(
        knowledge.FolderList(folders=[folder_state(each) for each in request.app[SERVICES].watcher.followed])
    )


def folder_state(followed: Followed) -> knowledge.FolderState:
    return knowledge.FolderState(
        folder=followed.folder,
        state=followed.state,
        code=followed.code,
        count=followed.count or None,
        problems=[
            knowledge.UnreadFile(file=name_in(Path(followed.folder), Path(key)), reason=why)
            for key, why in followed.problems.items()
        ],
    )


def job_state(found: Job) -> knowledge.JobState:
    progress = found.embedded / found.passages if found.passages else float(found.state == "done")
    return knowledge.JobState(
        processing_job_id=found.uid,
        source_document=found.source.name,
        state=found.state,
        progress=min(1.0, progress),
        passages=found.passages,
        document_id=found.document,
        code=describe_named(found.code, "").code if found.code else None,
        error=found.error,
        reason=found.reason,
        created_at=found.created_at,
        updated_at=found.updated_at,
    )


async def documents(request: web.Request) -> web.Response:
    wanted = knowledge.parse(knowledge.ListRequest, query_of(request))
    library, owner = request.app[SERVICES].library, user_of(request).name
    if wanted.q.strip():
        listed, total = await library.documents.named(owner, wanted.q, wanted.limit, wanted.offset)
    else:
        listed = await library.documents.listed(owner, wanted.limit, wanted.offset)
        total = await library.documents.count(owner)
    entries = [knowledge.DocumentEntry(**entry(found, owner)) for found in listed]
    return rendered(knowledge.DocumentList(documents=entries, total=total))


async def document(request: web.Request) -> web.Response:
    wanted = knowledge.parse(knowledge.PartRequest, query_of(request))
    documents, uid = request.app[SERVICES].library.documents, request.match_info["id"]
    user = user_of(request).name
    found, part = await documents.part(user, uid, wanted.start or 0, wanted.end)
    whole = wanted.start is None and wanted.end is None
    places = {} if whole else {"start": part.start, "end": part.end}
    body = await asyncio.to_thread(with_text, knowledge.DocumentEntry(**entry(found, user)), part.text, places)
    return web.Response(body=body, content_type="application/json", charset="utf-8", headers=NO_STORE)


def with_text(told: knowledge.DocumentEntry, text: bytes, places: dict[str, int]) -> bytes:
    """A DocumentText as JSON. Piece by piece: a text of many megabytes at once would hold up every other thread."""
    decoder = getincrementaldecoder("utf-8")()
    pieces = (decoder.decode(text[at : at + CHUNK_BYTES]) for at in range(0, len(text), CHUNK_BYTES))
    quoted = b"".join(json.dumps(piece, ensure_ascii=False)[1:-1].encode() for piece in pieces)
    after = "".join(f',"{name}":{place}' for name, place in places.items())
    return b'%s,"text":"%s"%s}' % (as_json(told)[:-1].encode(), quoted, after.encode())


async def edit(request: web.Request) -> web.Response:
    wanted = knowledge.parse(knowledge.EditRequest, await read_json(request, JSON_BYTES))
    name = knowledge.shown_name(wanted.source_document) if wanted.source_document is not None else None
    documents, user, uid = request.app[SERVICES].library.documents, user_of(request).name, request.match_info["id"]
    if wanted.shared_with is not None:
        readers = [each if each == EVERYBODY else check_name(each) for each in wanted.shared_with]
        await documents.sharing.set(user, uid, readers)
    found = await documents.edit(user, uid, name, wanted.pinned)
    return rendered(knowledge.DocumentEntry(**entry(found, user)))


async def delete(request: web.Request) -> web.Response:
    await request.app[SERVICES].library.remove(request.match_info["id"], user_of(request).name)
    return web.Response(status=204, headers={"Cache-Control": "no-store"})


async def search(request: web.Request) -> web.Response:
    wanted = knowledge.parse(knowledge.SearchRequest, query_of(request))
    library, typed = request.app[SERVICES].library, f"{wanted.q} {wanted.filter}".strip()
    found = await library.search(typed, wanted.limit, user_of(request).name)
    return rendered(knowledge.Results(results=[result(hit) for hit in found.results]))


async def explained(request: web.Request) -> web.Response:
    wanted = knowledge.parse(knowledge.ExplainRequest, await read_json(request, JSON_BYTES))
    services = request.app[SERVICES]
    threshold, owner = services.config.documents.threshold, user_of(request).name
    said = await explain(services.library, wanted.query, wanted.expect, threshold, owner)
    return rendered(knowledge.Explanation.model_validate(said))


def entry(found: Document, user: str) -> dict[str, Any]:
    mine = found.owner == user
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
        "owner": found.owner,
        "mine": mine,
        "shared_with": [*found.readers] if mine else None,
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
    with suppress(ValueError, OverflowError):  # at either end of time the other zone's is none
        return datetime.fromisoformat(given).astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    raise InvalidParams(f"modified must be a date such as 2024-05-31T12:00:00Z, not {given[:40]!r}.")


def today() -> str:
    return iso(datetime.now(UTC))


def iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def kept(request: web.Request, act: Callable[[], T]) -> T:
    """Write on the thread of uploads. Raises StorageFailed."""
    with keeping():
        return await on_thread(request, act)


async def on_thread(request: web.Request, act: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(request.app[UPLOADS], act)


KNOWLEDGE: tuple[tuple[str, str, Handler], ...] = (
    (hdrs.METH_POST, "ingest", ingest),
    (hdrs.METH_GET, "folders", folders),
    (hdrs.METH_GET, "jobs", jobs),
    (hdrs.METH_GET, "jobs/{id}", job),
    (hdrs.METH_GET, "documents", documents),
    (hdrs.METH_GET, "documents/{id}", document),
    (hdrs.METH_PATCH, "documents/{id}", edit),
    (hdrs.METH_DELETE, "documents/{id}", delete),
    (hdrs.METH_GET, "search", search),
    (hdrs.METH_POST, "explain", explained),
)
