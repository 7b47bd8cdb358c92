"""Every route, and what surrounds them all: who may ask, which headers an answer carries, and what errors say."""

import logging
import time
from collections import Counter
from pathlib import Path

from aiohttp import HttpVersion10, HttpVersion11, hdrs, web
from aiohttp.typedefs import Handler

from neuralbridge import __version__
from neuralbridge.errors import BridgeError
from neuralbridge.offline import attempts
from neuralbridge.protocol.handshake import host_is_loopback, split
from neuralbridge.protocol.openapi import document
from neuralbridge.web.answers import add_answer_routes
from neuralbridge.web.assets import add_asset_routes
from neuralbridge.web.body import arriving, refuse_encoded
from neuralbridge.web.conversations import add_conversation_routes
from neuralbridge.web.identity import CREDENTIAL, identified
from neuralbridge.web.json_api import told as refused_as
from neuralbridge.web.keys import SERVICES
from neuralbridge.web.knowledge import add_knowledge_routes
from neuralbridge.web.longpoll import POLL_SESSIONS, PollSessions, longpoll
from neuralbridge.web.me import add_me_routes
from neuralbridge.web.models import add_model_routes
from neuralbridge.web.proxy import STARTED, add_proxy_routes, components, state_of_models
from neuralbridge.web.sign_in import add_sign_in_routes
from neuralbridge.web.v1.doors import refused
from neuralbridge.web.v1.routes import add_openai_routes
from neuralbridge.web.visitor import UNSIGNED
from neuralbridge.web.websocket import SOCKETS, close_sockets, websocket

logger = logging.getLogger(__name__)

HEADERS = {
    # No inline script, nothing loaded from elsewhere, no HTML from text but by the page's sanitiser: what an answer
    # says can neither run nor fetch.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        "object-src 'none'; worker-src 'self'; require-trusted-types-for 'script'; trusted-types nb dompurify"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",  # others ask by CORS, where they are welcome, or not at all
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "X-DNS-Prefetch-Control": "off",
}


def add_routes(app: web.Application, static: Path) -> None:
    app[SOCKETS] = set()
    app[UNSIGNED] = Counter()
    app[POLL_SESSIONS] = PollSessions()
    for path in ["/socket/websocket", "/socket/websocket/"]:
        app.router.add_route(hdrs.METH_ANY, path, websocket)
    for path in ["/socket/longpoll", "/socket/longpoll/"]:
        app.router.add_route(hdrs.METH_ANY, path, longpoll)
    app.router.add_get("/api/proxy/health", health)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/openapi.json", openapi)
    add_knowledge_routes(app)
    add_answer_routes(app)
    add_me_routes(app)
    add_model_routes(app)
    add_proxy_routes(app)
    add_conversation_routes(app)
    add_sign_in_routes(app)
    add_openai_routes(app)
    add_asset_routes(app, static)
    app.middlewares.append(guard)
    app.on_response_prepare.append(add_headers)
    app.on_shutdown.append(close_sockets)
    app.on_shutdown.append(app[POLL_SESSIONS].close_all)


async def health(request: web.Request) -> web.Response:
    """How the server is; to somebody unknown, only that it is."""
    services = request.app[SERVICES]
    state = state_of_models(services)
    brief = {"status": "degraded" if state == "stalled" else state, "version": __version__}
    if request.get(CREDENTIAL) is None:
        return web.json_response(brief, headers={"Cache-Control": "no-store"})
    body = {
        **brief,
        "uptime_seconds": round(time.monotonic() - request.app[STARTED], 1),
        "models": services.assistant.names,
        "answers_under_way": services.answers.under_way,
        "sockets": len(request.app[SOCKETS]),
        "outgoing_connections": attempts(),
        "config": {"error": services.settings.error, "pending": services.settings.pending},
        "components": (await components(services)).model_dump(exclude_none=True),
    }
    return web.json_response(body, headers={"Cache-Control": "no-store"})


async def openapi(_: web.Request) -> web.Response:
    return web.json_response(document(__version__), headers={hdrs.CACHE_CONTROL: "no-cache"})


async def metrics(request: web.Request) -> web.Response:
    headers = {hdrs.CONTENT_TYPE: "text/plain; version=0.0.4; charset=utf-8", hdrs.CACHE_CONTROL: "no-store"}
    return web.Response(body=request.app[SERVICES].metrics.text(), headers=headers)


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what is not for us before anything else looks at it; turn mistakes of ours into a 500."""
    services = request.app[SERVICES]
    if not HttpVersion10 <= request.version <= HttpVersion11:
        return web.Response(status=505, text="this server speaks HTTP/1.1\n")
    if not services.doors.host_is_ours(request.headers.get("Host"), local_address(request)):
        return web.Response(status=421, text="this server does not go by that name\n")
    try:
        async with identified(request):
            refuse_encoded(request)
            with arriving(request, services.config.limits):
                response = await handler(request)
        if response.status == web.HTTPRequestTimeout.status_code:
            response.force_close()
        return response
    except web.HTTPException:
        raise
    except BridgeError as error:  # of no route in particular: what handlers raise they answer themselves
        return told(request, error)
    except Exception as error:
        if request.writer.output_size > 0:
            raise  # the answer has begun: aiohttp cuts it off, and another one in the middle of it would be misread
        logger.exception("a request failed", extra={"path": request.path[:200]})
        if request.path.startswith("/v1/"):
            return refused(error)
        return web.Response(status=500, text="internal error\n")


def local_address(request: web.Request) -> str | None:
    """Our address that the client came in by."""
    name = request.get_extra_info("sockname")
    return name[0] if isinstance(name, tuple) else None


def told(request: web.Request, error: BridgeError) -> web.Response:
    """A refusal in the words of whichever API was asked. What is left of the request is not waited for."""
    response = refused(error) if request.path.startswith("/v1/") else refused_as(error)
    if request.can_read_body:
        response.force_close()
    return response


def is_trustworthy(host: str) -> bool:
    """Whether browsers take what comes from there for as good as encrypted."""
    place = split(f"//{host}")
    return place is not None and host_is_loopback(place.hostname or "")


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.secure or is_trustworthy(request.host):  # elsewhere browsers ignore it, and say so each time
        response.headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    response.headers.popall("Server", None)
    if request.path.startswith("/api/"):
        response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
