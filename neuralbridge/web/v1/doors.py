"""What all of OpenAI's API has in common: who may ask, how bodies are read, how errors are told."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from urllib.parse import quote

from aiohttp import hdrs, web
from pydantic import BaseModel

from neuralbridge.catalog.names import Target
from neuralbridge.errors import (
    BridgeError,
    InvalidParams,
    ModelNotFound,
    NotAdmitted,
    Overloaded,
    PromptTooLong,
    RateLimited,
    SchemaRefused,
)
from neuralbridge.protocol.failure import describe
from neuralbridge.protocol.openai import Received, read, unsupported
from neuralbridge.protocol.openai_replies import (
    ErrorBody,
    ErrorReply,
)
from neuralbridge.web.json_api import LARGE_BYTES, from_json, read_body, refuse_other_than_json
from neuralbridge.web.keys import SERVICES

BODY_BYTES = 8 * 1024 * 1024
MOST_VALUES = 1_000_000  # lists of tokens have many
BUSY = 503  # what OpenAI's clients try again

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def openai(handler: Handler) -> Handler:
    """Errors are told as OpenAI tells them. Pages of other origins may not ask, unless they are allowed to."""

    @functools.wraps(handler)
    async def answer(request: web.Request) -> web.StreamResponse:
        if not welcome(request):
            return told(ErrorReply(error=error_body("forbidden", "Pages of that origin may not do this.", 403)), 403)
        try:
            return await handler(request)
        except BridgeError as error:
            return refused(error)

    return answer


def welcome(request: web.Request) -> bool:
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None:
        return request.headers.get("Sec-Fetch-Site") != "cross-site"
    return request.app[SERVICES].doors.origin_is_welcome(origin, request.headers.get(hdrs.HOST))


async def allow_origin(request: web.Request, response: web.StreamResponse) -> None:
    """Let a welcome page read the answer: browsers ask for that with every request of another origin."""
    origin = request.headers.get(hdrs.ORIGIN)
    if request.path.startswith("/v1/") and origin is not None:
        response.headers[hdrs.VARY] = hdrs.ORIGIN
        if welcome(request):
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
            response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = "*"


async def preflight(request: web.Request) -> web.Response:
    if not welcome(request):
        return web.Response(status=403)
    headers = {
        hdrs.ACCESS_CONTROL_ALLOW_HEADERS: request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS, "*"),
        hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET, POST, OPTIONS",
        hdrs.ACCESS_CONTROL_MAX_AGE: "3600",
    }
    return web.Response(status=204, headers=headers)


async def nothing_here(request: web.Request) -> web.Response:
    """404, or 405 where there is something for other methods."""
    allowed: set[str] = set()
    for resource in request.app.router.resources():
        found, methods = await resource.resolve(request)
        allowed |= methods if found is None else set()
    status = 405 if allowed else 404
    body = error_body("not_found", f"There is nothing at {request.method} {request.path[:100]}.", status)
    return told(ErrorReply(error=body), status, {"Allow": ", ".join(sorted(allowed))} if allowed else {})


def refused(error: Exception) -> web.Response:
    status = status_of(error)
    headers: dict[str, str] = {hdrs.WWW_AUTHENTICATE: "Bearer"} if isinstance(error, NotAdmitted) else {}
    if isinstance(error, Overloaded):
        headers[hdrs.RETRY_AFTER] = str(-(-error.retry_after_ms // 1000))
        headers["Retry-After-Ms"] = str(error.retry_after_ms)
    return told(as_openai(error), status, headers)


def as_openai(error: Exception) -> ErrorReply:
    failure = describe(error)
    param = "model" if isinstance(error, ModelNotFound) else None
    param = "messages" if isinstance(error, PromptTooLong) else param
    param = error.param if isinstance(error, InvalidParams) else param
    param = param or ("response_format" if isinstance(error, SchemaRefused) else None)
    return ErrorReply(error=error_body(failure.code, failure.message, status_of(error), param))


def error_body(code: str, message: str, status: int, param: str | None = None) -> ErrorBody:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return ErrorBody(message=message, type=kind, param=param, code=code)


def status_of(error: Exception) -> int:
    busy = isinstance(error, Overloaded) and not isinstance(error, RateLimited)
    return BUSY if busy else describe(error).status


def told(body: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    more = {hdrs.CACHE_CONTROL: "no-store", **(headers or {})}
    return web.json_response(text=body.model_dump_json(exclude_none=status == 200), status=status, headers=more)


async def asked(request: web.Request, model: type[Received]) -> tuple[Received, dict[str, str]]:
    """The request, and headers with a warning of what it asks for in vain. Raises InvalidParams, DocumentTooLarge."""
    refuse_other_than_json(request)
    body = await read_body(request, BODY_BYTES)
    if len(body) > LARGE_BYTES:
        wanted, vain = await asyncio.to_thread(understood, model, body)
    else:
        wanted, vain = understood(model, body)
    return wanted, {"Warning": f'299 - "not supported here: {", ".join(vain)}"'} if vain else {}


def understood(model: type[Received], body: bytearray) -> tuple[Received, list[str]]:
    """The request, and which of its fields change nothing here. Raises InvalidParams."""
    fields = from_json(body, MOST_VALUES)
    wanted = read(model, fields)
    assert isinstance(fields, dict)
    return wanted, unsupported(fields)


def model_headers(target: Target, served: str) -> dict[str, str]:
    """Which model was asked for, which one answers, and by which rule."""
    return {
        "x-neuralbridge-model-requested": quote(target.requested[:200], safe="/:@ "),
        "x-neuralbridge-model-served": quote(served, safe="/:@ "),
        "x-neuralbridge-model-rule": quote(target.rule, safe="/:@ *[]"),
    }
