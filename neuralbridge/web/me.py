"""Everything of a user's, over HTTP: that it goes."""

from aiohttp import hdrs, web

from neuralbridge.access.users import check_name
from neuralbridge.assistant.forgetting import Forgotten
from neuralbridge.protocol import me as told
from neuralbridge.web.identity import user_of
from neuralbridge.web.json_api import Handler, answered, rendered
from neuralbridge.web.keys import SERVICES


def add_me_routes(app: web.Application) -> None:
    for method, path, handler in ME:
        app.router.add_route(method, f"/api/{path}", answered(handler))


async def forget_me(request: web.Request) -> web.Response:
    """Everybody may go, guests too."""
    return await forget(request, user_of(request).name)


async def forget_user(request: web.Request) -> web.Response:
    return await forget(request, check_name(request.match_info["user"]))


async def forget(request: web.Request, user: str) -> web.Response:
    return rendered(report(user, await request.app[SERVICES].forgetter.forget(user)))


def report(user: str, gone: Forgotten) -> told.Forgotten:
    said, documents = gone.said, gone.documents
    return told.Forgotten(
        user=user,
        conversations=said.conversations,
        messages=said.messages,
        feedback=said.feedback,
        cached_answers=said.cached_answers,
        documents=documents.documents,
        passages=documents.passages,
        jobs=documents.jobs,
        uploads=documents.uploads,
        scrubbed=gone.scrubbed,
        backups=[*gone.backups],
    )


ME: tuple[tuple[str, str, Handler], ...] = (
    (hdrs.METH_DELETE, "me", forget_me),
    (hdrs.METH_DELETE, "users/{user}", forget_user),
)
