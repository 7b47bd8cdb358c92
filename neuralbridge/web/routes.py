"""Every route, and what surrounds them all: who may ask, which headers an answer carries, and what errors say."""

import logging
import time
from pathlib import Path

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from neuralbridge import __version__
from neuralbridge.offline import attempts
from neuralbridge.protocol.openapi import document
from neuralbridge.web.answers import add_answer_routes
from neuralbridge.web.conversations import add_conversation_routes
from neuralbridge.web.keys import SERVICES
from neuralbridge.web.knowledge import add_knowledge_routes
from neuralbridge.web.longpoll import POLL_SESSIONS, PollSessions, longpoll
from neuralbridge.web.proxy import STARTED, add_proxy_routes, components
from neuralbridge.web.v1.doors import refused
from neuralbridge.web.v1.routes import add_openai_routes
from neuralbridge.web.websocket import SOCKETS, close_sockets, websocket

logger = logging.getLogger(__name__)

STATIC = web.AppKey("static", Path)
HEADERS = {
    # No inline script, nothing loaded from elsewhere: what an answer says can neither run nor fetch.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-DNS-Prefetch-Control": "off",
}


def add_routes(app: web.Application, static: Path) -> None:
    app[STATIC] = static
    app[SOCKETS] = set()
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
    add_proxy_routes(app)
    add_conversation_routes(app)
    add_openai_routes(app)
    app.router.add_get("/", page)
    app.router.add_static("/static", static)
    app.middlewares.append(guard)
    app.on_response_prepare.append(add_headers)
    app.on_shutdown.append(close_sockets)
    app.on_shutdown.append(app[POLL_SESSIONS].close_all)


async def page(request: web.Request) -> web.FileResponse:
    return web.FileResponse(request.app[STATIC] / "index.html", headers={"Cache-Control": "no-cache"})


async def health(request: web.Request) -> web.Response:
    services = request.app[SERVICES]
    body = {
        "status": "ok" if services.assistant.ready else "loading",
        "version": __version__,
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
    """Refuse a Host that is not ours before anything else looks at the request; turn mistakes of ours into a 500."""
    if not request.app[SERVICES].doors.host_is_ours(request.headers.get("Host")):
        return web.Response(status=421, text="this server does not go by that name\n")
    try:
        return await handler(request)
    except web.HTTPException:
        raise
    except Exception as error:
        if request.writer.output_size > 0:
            raise  # the answer has begun: aiohttp cuts it off, and another one in the middle of it would be misread
        logger.exception("a request failed", extra={"path": request.path[:200]})
        if request.path.startswith("/v1/"):
            return refused(error)
        return web.Response(status=500, text="internal error\n")


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.popall("Server", None)
    if request.path.startswith("/static/"):
        response.headers.setdefault("Cache-Control", "no-cache")  # revalidated: an update must not mix with old files
