"""Conversations over HTTP: listed, searched, renamed, deleted, written out and taken in."""

import asyncio

from aiohttp import BodyPartReader, hdrs, web

from neuralbridge.errors import DocumentTooLarge, InvalidParams, Overloaded
from neuralbridge.exchange.transfer import Format
from neuralbridge.protocol import conversations as told
from neuralbridge.protocol.knowledge import parse
from neuralbridge.protocol.pushes import History
from neuralbridge.retrieval.library import LOCAL
from neuralbridge.store.conversations import Conversation
from neuralbridge.store.history import Listed
from neuralbridge.web.channel import history_message
from neuralbridge.web.json_api import (
    CHUNK_BYTES,
    JSON_BYTES,
    Handler,
    answered,
    multipart,
    read_body,
    read_json,
    rendered,
)
from neuralbridge.web.keys import SERVICES
from neuralbridge.web.proxy import refused

IMPORT_BYTES = 128 * 1024 * 1024  # it is in memory while it is read
UPLOAD_SECONDS = 300.0
IMPORT_RETRY_MS = 5_000
IMPORTING = web.AppKey("importing", asyncio.Lock)
KINDS: dict[Format, tuple[str, str]] = {
    "markdown": ("text/markdown; charset=utf-8", "md"),
    "jsonl": ("application/x-ndjson; charset=utf-8", "jsonl"),
}


def add_conversation_routes(app: web.Application) -> None:
    app[IMPORTING] = asyncio.Lock()
    for method, path, handler in CONVERSATIONS:
        pattern = path.replace("{session_id}", "{session_id:[^/]+}")  # aiohttp's own leaves out those with braces
        app.router.add_route(method, f"/api/conversations{pattern}", answered(handler, refused))


async def listing(request: web.Request) -> web.Response:
    wanted = parse(told.ListRequest, dict(request.query))
    history = request.app[SERVICES].history
    if wanted.q.strip():
        page = await history.found(LOCAL, wanted.q, wanted.limit, wanted.offset)
    else:
        page = await history.listed(LOCAL, wanted.limit, wanted.offset)
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
    messages = await services.conversations.branch(conversation, wanted.limit, wanted.before)
    total = await services.conversations.length(conversation)
    part = [history_message(message) for message in messages]
    return rendered(History(messages=part, total_messages=total, before=wanted.before))


async def export(request: web.Request) -> web.Response:
    form = parse(told.ExportRequest, dict(request.query)).format
    text = await request.app[SERVICES].transfer.exported(named(request), form)
    return web.Response(body=text.encode("utf-8", "replace"), headers=file_headers("conversation", form))


async def export_all(request: web.Request) -> web.StreamResponse:
    form = parse(told.ExportRequest, dict(request.query)).format
    response = web.StreamResponse(headers=file_headers("conversations", form))
    await response.prepare(request)
    async for part in request.app[SERVICES].transfer.all_exported(LOCAL, form):
        await response.write(part.encode("utf-8", "replace"))
    await response.write_eof()
    return response


async def take_in(request: web.Request) -> web.Response:
    """One file at a time: it is in memory while it is read."""
    importing = request.app[IMPORTING]
    if importing.locked():
        raise Overloaded("Conversations are being imported already; one file at a time.", IMPORT_RETRY_MS)
    async with importing:
        form = request.content_type == "multipart/form-data"
        try:
            async with asyncio.timeout(UPLOAD_SECONDS):  # others wait
                content = await (read_file(request) if form else read_body(request, IMPORT_BYTES))
        except TimeoutError:
            raise InvalidParams(f"The file was not here within {UPLOAD_SECONDS:g} seconds.") from None
        if not content:
            raise InvalidParams("The file is empty.")
        return rendered(await request.app[SERVICES].transfer.take_in(LOCAL, content))


async def read_file(request: web.Request) -> bytearray:
    """The first file of a form. Raises InvalidParams and DocumentTooLarge."""
    with multipart():
        async for part in await request.multipart():
            if isinstance(part, BodyPartReader) and part.filename is not None:
                content = bytearray()
                while chunk := await part.read_chunk(CHUNK_BYTES):
                    content += chunk
                    if len(content) > IMPORT_BYTES:
                        raise DocumentTooLarge(f"The file has more than {IMPORT_BYTES:,} bytes.")
                return content
    raise InvalidParams("The request has no file in it.")


def named(request: web.Request) -> Conversation:
    return Conversation(LOCAL, request.match_info["session_id"])


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
