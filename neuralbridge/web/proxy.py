"""The HTTP API of the original: ask and wait for the whole answer, and figures since the start."""

import secrets
import time
from typing import Literal

from aiohttp import hdrs, web

from neuralbridge.assistant.events import Question
from neuralbridge.assistant.tally import Tally
from neuralbridge.errors import BridgeError
from neuralbridge.protocol import proxy
from neuralbridge.protocol.failure import Failure, describe_named
from neuralbridge.store.branches import Errand
from neuralbridge.store.conversations import Conversation, timestamp
from neuralbridge.web.answers import cache_figures
from neuralbridge.web.channel import metadata
from neuralbridge.web.identity import user_of
from neuralbridge.web.json_api import Handler, answered, read_json, rendered
from neuralbridge.web.keys import SERVICES, Services

STARTED = web.AppKey("started", float)


def add_proxy_routes(app: web.Application) -> None:
    app[STARTED] = time.monotonic()

    async def interrupt(_: web.Application) -> None:
        app[SERVICES].answers.interrupt_waited()

    app.on_shutdown.append(interrupt)
    for method, path, handler in PROXY:
        app.router.add_route(method, f"/api/proxy/{path}", answered(handler, refused))


def refused(failure: Failure, error: BridgeError | None) -> proxy.Refused:
    details = proxy.details_of(error) if error is not None else {}
    return proxy.Refused(error=failure.code, message=failure.message, details=details)


async def query(request: web.Request) -> web.Response:
    """Answer a question in its conversation. A client that hangs up stops the answer."""
    services = request.app[SERVICES]
    wanted = proxy.parse_proxy_query(await read_json(request, services.config.server.max_frame_bytes))
    session_id = wanted.session_id or secrets.token_hex(16)
    question = Question(
        Conversation(user_of(request).name, session_id),
        wanted.query,
        wanted.model,
        wanted.params,
        wanted.labelled,
        retrieval=wanted.retrieval,
        cache=wanted.cache is not False,
        errand=Errand("edits", wanted.edits) if wanted.edits is not None else None,
    )
    answer = await services.answers.whole(question)
    told = metadata(answer.receipt)
    return rendered(
        proxy.QueryAnswered(session_id=session_id, response=answer.text, metadata=told, timestamp=timestamp())
    )


async def stats(request: web.Request) -> web.Response:
    services, user = request.app[SERVICES], user_of(request)
    tally, counts = services.metrics.tally, await services.history.counts(user.name)
    everybody = user.role == "admin"
    return rendered(
        proxy.Stats(
            uptime_seconds=round(time.monotonic() - request.app[STARTED], 1),
            questions=questions(tally) if everybody else None,
            mean=mean_times(tally) if everybody else None,
            tokens=token_sums(tally) if everybody else None,
            conversations=counts.conversations,
            messages=counts.messages,
            documents=await services.library.documents.count(user.name),
            cache=await cache_figures(services, user.name),
        )
    )


def token_sums(tally: Tally) -> proxy.TokenSums:
    return proxy.TokenSums(prompt=tally.prompt_tokens, cached=tally.cached_tokens, completion=tally.completion_tokens)


def questions(tally: Tally) -> proxy.QuestionCounts:
    statuses = dict(tally.reasons)
    for kind, count in tally.failures.items():
        code = describe_named(kind, "").code
        statuses[code] = statuses.get(code, 0) + count
    return proxy.QuestionCounts(total=sum(statuses.values()), by_source=dict(tally.sources), by_status=statuses)


def mean_times(tally: Tally) -> proxy.MeanTimes:
    by_source = {source: tally.milliseconds[source] / count for source, count in tally.sources.items()}
    answers = tally.sources.total()
    return proxy.MeanTimes(answer_ms=tally.milliseconds.total() / answers if answers else None, by_source=by_source)


async def components(services: Services) -> proxy.Components:
    """How each part of the server is."""
    embeddings, documents = services.library.embeddings, services.config.documents
    if not documents.enabled:
        state = proxy.Component(status="off")
    elif embeddings.opening:
        state = proxy.Component(status="loading")
    elif embeddings.failure is not None:
        state = proxy.Component(status="unavailable", reason=embeddings.failure)
    else:
        state = proxy.Component(status="ok", waiting=services.library.ingestion.under_way)
    return proxy.Components(
        models=proxy.Component(status=state_of_models(services), waiting=services.answers.under_way),
        documents=state,
        database=proxy.Component(status="ok" if await services.history.readable() else "failed"),
        cache=proxy.Component(status="ok" if services.config.cache.enabled else "off"),
    )


def state_of_models(services: Services) -> Literal["ok", "loading", "stalled"]:
    if services.models.stalled:
        return "stalled"
    return "ok" if services.assistant.ready else "loading"


PROXY: tuple[tuple[str, str, Handler], ...] = (
    (hdrs.METH_POST, "query", query),
    (hdrs.METH_GET, "stats", stats),
)
