"""Answers over HTTP: what is said of them, and those that are kept to be given again."""

from aiohttp import hdrs, web

from neuralbridge.protocol.answers import CacheStats, Cleared, FeedbackTaken
from neuralbridge.protocol.requests import FeedbackRequest, parse
from neuralbridge.web.identity import user_of
from neuralbridge.web.json_api import JSON_BYTES, Handler, answered, read_json, rendered
from neuralbridge.web.keys import SERVICES, Services


def add_answer_routes(app: web.Application) -> None:
    for method, path, handler in ANSWERS:
        app.router.add_route(method, f"/api/{path}", answered(handler))


async def rate(request: web.Request) -> web.Response:
    said = parse(FeedbackRequest, await read_json(request, JSON_BYTES))
    await request.app[SERVICES].feedback.put(user_of(request).name, said.message_id, said.value, said.comment)
    return rendered(FeedbackTaken(message_id=said.message_id, rating=said.rating, comment=said.comment))


async def cache_stats(request: web.Request) -> web.Response:
    return rendered(await cache_figures(request.app[SERVICES], user_of(request).name))


async def cache_figures(services: Services, owner: str) -> CacheStats:
    settings = services.config.cache
    held = await services.cached.held(owner)
    return CacheStats(
        enabled=settings.enabled,
        entries=held.entries,
        max_entries=settings.entries,
        hours=settings.hours,
        rephrased=settings.rephrased,
        characters=held.characters,
        hits=held.hits,
        oldest=held.oldest,
        newest=held.newest,
    )


async def clear_cache(request: web.Request) -> web.Response:
    return rendered(Cleared(deleted=await request.app[SERVICES].cached.clear(user_of(request).name)))


ANSWERS: tuple[tuple[str, str, Handler], ...] = (
    (hdrs.METH_POST, "feedback", rate),
    (hdrs.METH_GET, "cache/stats", cache_stats),
    (hdrs.METH_DELETE, "cache", clear_cache),
)
