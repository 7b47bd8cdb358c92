"""The models of this machine over HTTP: which there are, how they are, and what leads to them."""

import asyncio
from pathlib import Path

from aiohttp import hdrs, web

from neuralbridge.assistant.models import LocalModel
from neuralbridge.memory import memory
from neuralbridge.protocol import models as told
from neuralbridge.web.json_api import Handler, answered, rendered
from neuralbridge.web.keys import SERVICES, Services


def add_model_routes(app: web.Application) -> None:
    for method, path, handler in LOCAL_MODELS:
        app.router.add_route(method, f"/api/{path}", answered(handler))


async def listing(request: web.Request) -> web.Response:
    services = request.app[SERVICES]
    names, default = services.names, services.names.resolve(None)
    askable = [
        told.AskableName(name=entry.name, model=entry.model, default=entry.name == default.requested)
        for entry in names.entries
        if entry.kind == "chat"
    ]
    sizes, has = await asyncio.to_thread(lambda: ({each.name: size(each.path) for each in services.models}, memory()))
    states = [state(services, model, default.model, sizes[model.name], askable) for model in services.models]
    shown = told.MemoryState(process_bytes=has.process, available_bytes=has.available, total_bytes=has.total)
    return rendered(told.LocalModels(models=states, names=askable, memory=shown))


def state(
    services: Services, model: LocalModel, default: str, file_bytes: int | None, names: list[told.AskableName]
) -> told.LocalModelState:
    return told.LocalModelState(
        name=model.name,
        default=model.name == default,
        file_bytes=file_bytes,
        context=services.models.context(model.name),
        parallel=services.config.models[model.name].parallel,
        loaded=model.loaded,
        loading=model.loading,
        failure=model.failure,
        answers=model.busy,
        names=[each.name for each in names if each.model == model.name],
    )


def size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


LOCAL_MODELS: tuple[tuple[str, str, Handler], ...] = ((hdrs.METH_GET, "models", listing),)
