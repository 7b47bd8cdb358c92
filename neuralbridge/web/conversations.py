"""Conversations over HTTP: listed, searched, renamed, deleted, written out and taken in."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO

from aiohttp import BodyPartReader, hdrs, web

from neuralbridge.errors import DocumentTooLarge, InvalidParams, Overloaded
from neuralbridge.exchange.transfer import Format
from neuralbridge.protocol import conversations as told
from neuralbridge.protocol.knowledge import parse
from neuralbridge.store.conversations import Conversation
from neuralbridge.store.history import Listed
from neuralbridge.web.channel import history_of
from neuralbridge.web.identity import user_of
from neuralbridge.web.json_api import (
    CHUNK_BYTES,
    JSON_BYTES,
    Handler,
    answered,
    multipart,
    read_json,
    rendered,
)
from neuralbridge.web.keys import SERVICES
from neuralbridge.web.knowledge import kept
from neuralbridge.web.proxy import refused

IMPORT_BYTES = 128 * 1024 * 1024  # it is in memory while it is taken in
IMPORT_MEMORY_BYTES = 1024 * 1024  # of it, while it comes
IMPORT_RETRY_MS = 5_000
EXPORT_RETRY_MS = 5_000
EXPORT_SECONDS = 30.0  # for a client to take a piece; then it is cut off, so that others may export
IMPORTING = web.AppKey("importing", asyncio.Lock)
COMING = web.AppKey("coming", set[str])  # users with an import that comes or waits
EXPORTING = web.AppKey("exporting", set[str])  # users
KINDS: dict[Format, tuple[str, str]] = {
    "markdown": ("text/markdown; charset=utf-8", "md"),
    "jsonl": ("application/x-ndjson; charset=utf-8", "jsonl"),
}


def add_conversation_routes(app: web.Application) -> None:
    app[IMPORTING], app[COMING], app[EXPORTING] = asyncio.Lock(), set(), set()
    for method, path, handler in CONVERSATIONS:
        pattern = path.replace("{session_id}", "{session_id:[^/]+}")  # aiohttp's own leaves out those with braces
        app.router.add_route(method, f"/api/conversations{pattern}", answered(handler, refused))


async def listing(request: web.Request) -> web.Response:
    wanted = parse(told.ListRequest, dict(request.query))
    history = request.app[SERVICES].history
    if wanted.q.strip():
        page = await history.found(user_of(request).name, wanted.q, wanted.limit, wanted.offset)
    else:
        page = await history.listed(user_of(request).name, wanted.limit, wanted.offset)
    entries = [entry(each) for each in page.conversations]
    return rendered(told.ConversationList(conversations=entries, total=page.total))


async def one(request: web.Request) -> web.Response:
    return rendered(entry(await request.app[SERVICES].history.get(named(request))))


async def edit(request: web.Request) -> web.Response:
    wanted = parse(told.ConversationEdit, await read_json(request, JSON_BYTES))
    history, conversation = request.app[SERVICES].history, named(request)
    if "title" in wanted.model_fields_set:
        await history.rename(conversation, wanted.title and " ".join(wanted.title.split()))
    if wanted.pinned is not None:
        await history.pin(conversation, wanted.pinned)
    return rendered(entry(await history.get(conversation)))


async def delete(request: web.Request) -> web.Response:
    services, conversation = request.app[SERVICES], named(request)
    await services.answers.end_all(conversation)
    await services.history.remove(conversation)
    return web.Response(status=204, headers={hdrs.CACHE_CONTROL: "no-store"})


async def history(request: web.Request) -> web.Response:
    wanted = parse(told.HistoryPage, dict(request.query))
    services, conversation = request.app[SERVICES], named(request)
    await services.history.get(conversation)
    page = await history_of(services.conversations, conversation, wanted.limit, wanted.before)
    return await asyncio.to_thread(rendered, page)


async def export(request: web.Request) -> web.StreamResponse:
    form, conversation = parse(told.ExportRequest, dict(request.query)).format, named(request)
    with exporting(request):
        text = await request.app[SERVICES].transfer.exported(conversation, form)
        return await written(request, "conversation", form, once(text))


async def export_all(request: web.Request) -> web.StreamResponse:
    form = parse(told.ExportRequest, dict(request.query)).format
    with exporting(request):
        parts = request.app[SERVICES].transfer.all_exported(user_of(request).name, form)
        return await written(request, "conversations", form, parts)


@contextmanager
def exporting(request: web.Request) -> Iterator[None]:
    """One export of a user at a time: a conversation is in memory while it is written. Raises Overloaded."""
    user, busy = user_of(request).name, request.app[EXPORTING]
    if user in busy:
        raise Overloaded("Conversations of yours are being exported already; one export at a time.", EXPORT_RETRY_MS)
    busy.add(user)
    try:
        yield
    finally:
        busy.remove(user)


async def once(text: str) -> AsyncIterator[str]:
    yield text


async def written(request: web.Request, name: str, form: Format, texts: AsyncIterator[str]) -> web.StreamResponse:
    """A file, piece by piece, as fast as it is read. Raises ConnectionAbortedError where nobody reads it."""
    response = web.StreamResponse(headers=file_headers(name, form))
    await response.prepare(request)
    try:
        async for text in texts:
            for start in range(0, len(text), CHUNK_BYTES):
                async with asyncio.timeout(EXPORT_SECONDS):
                    await response.write(text[start : start + CHUNK_BYTES].encode("utf-8", "replace"))
        async with asyncio.timeout(EXPORT_SECONDS):
            await response.write_eof()
    except TimeoutError as error:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionAbortedError(f"nothing of an export was read for {EXPORT_SECONDS:.0f} s") from error
    return response


async def take_in(request: web.Request) -> web.Response:
    """Files come side by side, one of each user; once whole, they are taken in one after the other: each is in memory
    meanwhile.
    """
    user, services, coming = user_of(request).name, request.app[SERVICES], request.app[COMING]
    if user in coming:
        raise Overloaded("You are importing conversations already; one file at a time.", IMPORT_RETRY_MS)
    coming.add(user)
    try:
        with spool(services.library.ingestion.uploads) as file:
            await fill(request, file)
            if not file.tell():
                raise InvalidParams("The file is empty.")
            async with request.app[IMPORTING]:
                content = await kept(request, partial(whole, file))  # the end of it is written only now
                return rendered(await services.transfer.take_in(user, content))
    finally:
        coming.remove(user)


@contextmanager
def spool(folder: Path) -> Iterator[IO[bytes]]:
    """A file without a name, in memory while it is short; nothing of it stays."""
    file = SpooledTemporaryFile(IMPORT_MEMORY_BYTES, dir=str(folder))  # noqa: SIM115  # closed below
    try:
        yield file
    finally:
        with suppress(OSError):  # of a disk that is full, as whoever wrote was told
            file.close()


async def fill(request: web.Request, file: IO[bytes]) -> None:
    """Write what comes. Raises InvalidParams, DocumentTooLarge and StorageFailed."""
    form = request.content_type == "multipart/form-data"
    if not form and (request.content_length or 0) > IMPORT_BYTES:
        raise DocumentTooLarge(f"The body has more than {IMPORT_BYTES:,} bytes.")
    size = 0
    async for chunk in chunks_of_form(request) if form else request.content.iter_chunked(CHUNK_BYTES):
        size += len(chunk)
        if size > IMPORT_BYTES:
            raise DocumentTooLarge(f"The file has more than {IMPORT_BYTES:,} bytes.")
        await kept(request, partial(file.write, chunk))


async def chunks_of_form(request: web.Request) -> AsyncIterator[bytes]:
    """The first file of a form. Raises InvalidParams."""
    with multipart():
        async for part in await request.multipart():
            if isinstance(part, BodyPartReader) and part.filename is not None:
                while chunk := await part.read_chunk(CHUNK_BYTES):
                    yield chunk
                return
    raise InvalidParams("The request has no file in it.")


def whole(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def named(request: web.Request) -> Conversation:
    return Conversation(user_of(request).name, request.match_info["session_id"])


def entry(found: Listed) -> told.ConversationEntry:
    return told.ConversationEntry(
        session_id=found.session_id,
        title=found.title,
        pinned=found.pinned,
        messages=found.messages,
        created_at=found.created_at,
        updated_at=found.updated_at,
        matches=[
            told.MatchedMessage(
                message_id=match.message,
                role=match.role,
                snippet=match.snippet,
                marks=[[start, end] for start, end in match.marks],
                timestamp=match.created_at,
            )
            for match in found.matches
        ],
    )


def file_headers(name: str, form: Format) -> dict[str, str]:
    kind, ending = KINDS[form]
    return {
        hdrs.CONTENT_TYPE: kind,
        hdrs.CONTENT_DISPOSITION: f'attachment; filename="{name}.{ending}"',
        hdrs.CACHE_CONTROL: "no-store",
    }


CONVERSATIONS: tuple[tuple[str, str, Handler], ...] = (
    (hdrs.METH_GET, "", listing),
    (hdrs.METH_GET, "/export", export_all),  # before the conversation of that name
    (hdrs.METH_POST, "/import", take_in),
    (hdrs.METH_GET, "/{session_id}", one),
    (hdrs.METH_PATCH, "/{session_id}", edit),
    (hdrs.METH_DELETE, "/{session_id}", delete),
    (hdrs.METH_GET, "/{session_id}/history", history),
    (hdrs.METH_GET, "/{session_id}/export", export),
)
