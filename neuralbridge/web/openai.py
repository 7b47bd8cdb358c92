"""OpenAI's API at /v1: who may ask, how errors are told, the names of models, and embeddings."""

import base64
import functools
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from urllib.parse import quote

from aiohttp import hdrs, web
from pydantic import BaseModel

from neuralbridge.catalog.names import Target
from neuralbridge.errors import BridgeError, InvalidParams, ModelNotFound, Overloaded, PromptTooLong, SchemaRefused
from neuralbridge.protocol.failure import describe
from neuralbridge.protocol.openai import MAX_INPUTS, EmbeddingsRequest, Received, ResolveRequest, read, unsupported
from neuralbridge.protocol.openai_replies import (
    Embedding,
    Embeddings,
    EmbeddingUsage,
    ErrorBody,
    ErrorReply,
    ModelCard,
    ModelList,
    Resolved,
)
from neuralbridge.retrieval.arrays import Matrix
from neuralbridge.web.json_api import read_json
from neuralbridge.web.keys import SERVICES, Services

BODY_BYTES = 8 * 1024 * 1024
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
    headers = {}
    if isinstance(error, Overloaded):
        headers = {hdrs.RETRY_AFTER: str(-(-error.retry_after_ms // 1000)), "Retry-After-Ms": str(error.retry_after_ms)}
    return told(as_openai(error), status, headers)


def as_openai(error: Exception) -> ErrorReply:
    failure = describe(error)
    param = "model" if isinstance(error, ModelNotFound) else None
    param = "messages" if isinstance(error, PromptTooLong) else param
    param = error.param if isinstance(error, InvalidParams) else param
    param = "response_format" if isinstance(error, SchemaRefused) else param
    return ErrorReply(error=error_body(failure.code, failure.message, status_of(error), param))


def error_body(code: str, message: str, status: int, param: str | None = None) -> ErrorBody:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return ErrorBody(message=message, type=kind, param=param, code=code)


def status_of(error: Exception) -> int:
    return BUSY if isinstance(error, Overloaded) else describe(error).status


def told(body: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    more = {hdrs.CACHE_CONTROL: "no-store", **(headers or {})}
    return web.json_response(text=body.model_dump_json(exclude_none=status == 200), status=status, headers=more)


async def asked(request: web.Request, model: type[Received]) -> tuple[Received, dict[str, str]]:
    """The request, and headers with a warning of what it asks for in vain. Raises InvalidParams, DocumentTooLarge."""
    body = await read_json(request, BODY_BYTES)
    wanted = read(model, body)
    assert isinstance(body, dict)
    vain = unsupported(body)
    return wanted, {"Warning": f'299 - "not supported here: {", ".join(vain)}"'} if vain else {}


def model_headers(target: Target, served: str) -> dict[str, str]:
    """Which model was asked for, which one answers, and by which rule."""
    return {
        "x-neuralbridge-model-requested": quote(target.requested[:200], safe="/:@ "),
        "x-neuralbridge-model-served": quote(served, safe="/:@ "),
        "x-neuralbridge-model-rule": quote(target.rule, safe="/:@ *[]"),
    }


# Names


async def models(request: web.Request) -> web.Response:
    services = request.app[SERVICES]
    cards = [card(services, entry.name, entry.model) for entry in services.names.entries]
    return told(ModelList(data=cards))


async def model(request: web.Request) -> web.Response:
    services, name = request.app[SERVICES], request.match_info["name"]
    listed = {entry.name: entry.model for entry in services.names.entries}
    return told(card(services, name, listed.get(name) or services.names.resolve(name).model))


async def resolve(request: web.Request) -> web.Response:
    """Why a name leads where it does."""
    wanted = read(ResolveRequest, dict(request.query))
    found = request.app[SERVICES].names.explain(wanted.model, wanted.kind)
    return web.json_response(text=Resolved(**asdict(found)).model_dump_json(), headers={hdrs.CACHE_CONTROL: "no-store"})


def card(services: Services, name: str, served: str) -> ModelCard:
    return ModelCard(id=name, created=services.started_at, served=served, context=services.models.context(served))


# Embeddings


async def embeddings(request: web.Request) -> web.Response:
    wanted, headers = await asked(request, EmbeddingsRequest)
    services = request.app[SERVICES]
    target = services.names.resolve(wanted.model, kind="embedding")
    texts = [wanted.input] if isinstance(wanted.input, str) else wanted.input
    if not 1 <= len(texts) <= MAX_INPUTS or not all(texts):
        raise InvalidParams(
            f"input must be a text that is not empty, or a list of 1 to {MAX_INPUTS:,} of these.", "input"
        )
    embedded = await services.library.embed(texts)
    if wanted.dimensions is not None and wanted.dimensions > embedded.dimensions:
        raise InvalidParams(f"dimensions must be a whole number from 1 to {embedded.dimensions}.", "dimensions")
    vectors = embedded.shortened(wanted.dimensions or embedded.dimensions)
    if embedded.cut:
        cut = ", ".join(map(str, embedded.cut[:20]))
        headers["Warning"] = f'299 - "only the first {embedded.limit} tokens were read of input {cut}"'
    data = [
        Embedding(index=index, embedding=as_wanted(vector, wanted.encoding_format))
        for index, vector in enumerate(vectors)
    ]
    usage = EmbeddingUsage(prompt_tokens=embedded.tokens, total_tokens=embedded.tokens)
    answer = Embeddings(data=data, model=target.echo, usage=usage)
    return told(answer, headers={**headers, **model_headers(target, embedded.model)})


def as_wanted(vector: Matrix, encoding: str) -> list[float] | str:
    if encoding == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")
    return [float(value) for value in vector]
