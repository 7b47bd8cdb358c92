"""What all JSON over HTTP has in common: who may ask, how bodies are read, and how errors are told."""

import asyncio
import functools
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError

from neuralbridge.errors import (
    BridgeError,
    DocumentRefused,
    DocumentTooLarge,
    InvalidParams,
    NotAdmitted,
    Overloaded,
    Reason,
)
from neuralbridge.protocol.failure import Failure, describe
from neuralbridge.protocol.knowledge import Refusal
from neuralbridge.protocol.values import values_exceed
from neuralbridge.web.keys import SERVICES

JSON_BYTES = 64 * 1024  # of a request that is no document
LARGE_BYTES = 64 * 1024  # of a body that is read in a thread: a second of work, if somebody is out for it
MOST_VALUES = 100_000  # of a request; while json reads them, no other thread comes to its turn
CHUNK_BYTES = 256 * 1024

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Refuse = Callable[[Failure, BridgeError | None], BaseModel]


def refusal(failure: Failure, error: BridgeError | None) -> BaseModel:
    return Refusal(error=failure.code, message=failure.message, reason=reason_of(error))


def reason_of(error: BridgeError | None) -> Reason | None:
    """Why a document is refused."""
    return error.reason if isinstance(error, DocumentRefused) else None


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
            return told(error, refuse)

    return answer


def told(error: BridgeError, refuse: Refuse = refusal) -> web.Response:
    """What went wrong, as an answer."""
    failure, headers = describe(error), {}
    if isinstance(error, Overloaded):
        headers["Retry-After"] = str(-(-error.retry_after_ms // 1000))
    if isinstance(error, NotAdmitted):
        headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
    return rendered(refuse(failure, error), failure.status, headers)


def rendered(told: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    more = {"Cache-Control": "no-store", **(headers or {})}
    return web.json_response(text=as_json(told), status=status, headers=more)


def as_json(told: BaseModel) -> str:
    """As text that UTF-8 can hold: metadata that clients sent may have half a character in it."""
    try:
        return told.model_dump_json()
    except PydanticSerializationError:
        return json.dumps(told.model_dump())


async def read_json(request: web.Request, limit: int) -> object:
    """The body, read as it comes. Raises InvalidParams and DocumentTooLarge."""
    refuse_other_than_json(request)
    body = await read_body(request, limit)
    return await asyncio.to_thread(from_json, body) if len(body) > LARGE_BYTES else from_json(body)


def refuse_other_than_json(request: web.Request) -> None:
    """Raises InvalidParams."""
    if request.content_type != "application/json":
        # also what keeps a page of another origin from sending this without being asked about it first
        raise InvalidParams("The body must be application/json, or multipart/form-data with files.")


def from_json(body: bytearray, most: int = MOST_VALUES) -> object:
    """Raises InvalidParams, also for more values than `most`."""
    try:
        text = body.decode("utf-8")
        if values_exceed(text, most):
            raise InvalidParams(f"The body has more than {most:,} commas and brackets outside its strings.")
        return json.loads(text, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidParams(f"The body is not JSON: {str(error)[:100] or 'nested too deeply'}.") from error


async def read_body(request: web.Request, limit: int) -> bytearray:
    """The body, read as it comes. Raises DocumentTooLarge."""
    if (request.content_length or 0) > limit:
        raise DocumentTooLarge(f"The body has more than {limit:,} bytes.")
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
