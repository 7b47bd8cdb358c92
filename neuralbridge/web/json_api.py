"""What all JSON over HTTP has in common: who may ask, how bodies are read, and how errors are told."""

import functools
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import BaseModel

from neuralbridge.errors import BridgeError, DocumentTooLarge, InvalidParams, Overloaded
from neuralbridge.protocol.failure import Failure, describe
from neuralbridge.protocol.knowledge import Refusal
from neuralbridge.web.keys import SERVICES

JSON_BYTES = 64 * 1024  # of a request that is no document
CHUNK_BYTES = 256 * 1024

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Refuse = Callable[[Failure, BridgeError | None], BaseModel]


def refusal(failure: Failure, _: BridgeError | None) -> BaseModel:
    return Refusal(error=failure.code, message=failure.message)


def answered(handler: Handler, refuse: Refuse = refusal) -> Handler:
    """What goes wrong on purpose is an answer too, in the words of `refuse`.

    Pages of other origins may change nothing here.
    """

    @functools.wraps(handler)
    async def answer(request: web.Request) -> web.StreamResponse:
        doors = request.app[SERVICES].doors
        origin = request.headers.get(hdrs.ORIGIN)
        foreign = request.headers.get("Sec-Fetch-Site") == "cross-site"
        if request.method != hdrs.METH_GET and (
            foreign or not doors.origin_is_welcome(origin, request.headers.get(hdrs.HOST))
        ):
            failure = Failure("forbidden", "Pages of that origin may not do this.", 403)
            return rendered(refuse(failure, None), failure.status)
        try:
            return await handler(request)
        except BridgeError as error:
            failure = describe(error)
            headers = {"Retry-After": str(-(-error.retry_after_ms // 1000))} if isinstance(error, Overloaded) else {}
            return rendered(refuse(failure, error), failure.status, headers)

    return answer


def rendered(told: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    more = {"Cache-Control": "no-store", **(headers or {})}
    return web.json_response(text=told.model_dump_json(), status=status, headers=more)


async def read_json(request: web.Request, limit: int) -> object:
    """The body, read as it comes. Raises InvalidParams and DocumentTooLarge."""
    refuse_other_than_json(request)
    return from_json(await read_body(request, limit))


def refuse_other_than_json(request: web.Request) -> None:
    """Raises InvalidParams."""
    if request.content_type != "application/json":
        # also what keeps a page of another origin from sending this without being asked about it first
        raise InvalidParams("The body must be application/json, or multipart/form-data with files.")


def from_json(body: bytearray) -> object:
    """Raises InvalidParams."""
    try:
        text = body.decode("utf-8")
        return json.loads(text, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidParams(f"The body is not JSON: {str(error)[:100] or 'nested too deeply'}.") from error


async def read_body(request: web.Request, limit: int) -> bytearray:
    """The body, read as it comes. Raises InvalidParams for a compressed one, and DocumentTooLarge."""
    encoding = request.headers.get(hdrs.CONTENT_ENCODING, "identity")
    if encoding.lower() != "identity":
        raise InvalidParams(f"The body must not be compressed, as Content-Encoding says: {encoding[:60]}.")
    body = bytearray()
    async for chunk in request.content.iter_chunked(CHUNK_BYTES):
        body += chunk
        if len(body) > limit:
            raise DocumentTooLarge(f"The body has more than {limit:,} bytes.")
    return body


@contextmanager
def multipart() -> Iterator[None]:
    """Within, a form is read. Raises InvalidParams for a body that is none."""
    try:
        yield
    except (ValueError, AssertionError, HttpProcessingError) as error:  # aiohttp's words for it
        said = " ".join(str(error).split())[:100]
        raise InvalidParams(f"The body is not multipart/form-data as it should be: {said}.") from error


def refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")
