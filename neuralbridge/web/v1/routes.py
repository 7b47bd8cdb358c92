"""The routes of OpenAI's API."""

from aiohttp import hdrs, web

from neuralbridge.web.v1.completions import chat, text
from neuralbridge.web.v1.doors import Handler, allow_origin, nothing_here, openai, preflight
from neuralbridge.web.v1.embeddings import embeddings
from neuralbridge.web.v1.names import model, models, resolve
from neuralbridge.web.v1.streaming import STREAMS, end_streams

V1: tuple[tuple[str, str, Handler], ...] = (
    (hdrs.METH_GET, "models", models),
    (hdrs.METH_GET, "models/resolve", resolve),
    (hdrs.METH_GET, "models/{name:(?s:.+)}", model),
    (hdrs.METH_POST, "chat/completions", chat),
    (hdrs.METH_POST, "completions", text),
    (hdrs.METH_POST, "embeddings", embeddings),
)


def add_openai_routes(app: web.Application) -> None:
    for method, path, handler in V1:
        app.router.add_route(method, f"/v1/{path}", openai(handler))
    app.router.add_route(hdrs.METH_OPTIONS, "/v1/{path:(?s:.*)}", preflight)
    app.router.add_route(hdrs.METH_ANY, "/v1/{path:(?s:.*)}", openai(nothing_here))
    app.on_response_prepare.append(allow_origin)
    app[STREAMS] = set()
    app.on_shutdown.append(end_streams)
