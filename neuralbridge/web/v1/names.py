"""The names of models: listed, told one by one, and explained."""

from dataclasses import asdict

from aiohttp import hdrs, web

from neuralbridge.protocol.openai import ResolveRequest, read
from neuralbridge.protocol.openai_replies import ModelCard, ModelList, Resolved
from neuralbridge.web.keys import SERVICES, Services
from neuralbridge.web.v1.doors import told


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
    services = request.app[SERVICES]
    found = services.names.explain(wanted.model, wanted.kind)
    loaded = services.models[found.served].loaded if found.kind == "chat" else None
    resolved = Resolved(**asdict(found), loaded=loaded)
    return web.json_response(text=resolved.model_dump_json(), headers={hdrs.CACHE_CONTROL: "no-store"})


def card(services: Services, name: str, served: str) -> ModelCard:
    return ModelCard(id=name, created=services.started_at, served=served, context=services.models.context(served))
