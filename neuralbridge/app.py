"""Wires everything, once: services get their collaborators by constructor and start and stop in order."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from aiohttp import web

from neuralbridge.assistant.answers import Answers
from neuralbridge.assistant.assistant import Assistant
from neuralbridge.assistant.prompt import Prompts
from neuralbridge.assistant.template import ChatTemplate
from neuralbridge.catalog.names import Names
from neuralbridge.config import Config, Model
from neuralbridge.data_folder import claim
from neuralbridge.database import Database
from neuralbridge.engine.engine import Engine
from neuralbridge.engine.runner import Runner
from neuralbridge.protocol.handshake import Doors
from neuralbridge.store.conversations import Conversations
from neuralbridge.web.keys import SERVICES, Services
from neuralbridge.web.routes import add_routes

ROOT = Path(__file__).parent.parent
ENGINE = web.AppKey("engine", Engine)


def build_app(config: Config, data: Path, open_runner: Callable[[], Runner]) -> web.Application:
    """The application on the data folder `data`. `open_runner` loads the model, later, on the engine's thread."""
    database = Database(data / "neuralbridge.db")
    conversations = Conversations(database)
    engine = Engine(open_runner, config.limits.waiting_questions)
    template = ChatTemplate(engine)
    prompts = Prompts(engine, template, conversations)
    assistant = Assistant(Names(config), prompts, engine, conversations)
    answers = Answers(assistant, config.limits)

    async def storage(_: web.Application) -> AsyncIterator[None]:
        with claim(data):
            await database.start()
            await conversations.mark_interrupted()
            yield
            await database.stop()

    async def model(_: web.Application) -> AsyncIterator[None]:
        engine.start()
        warming = asyncio.create_task(prompts.warm_up())
        yield
        warming.cancel()
        await asyncio.gather(warming, return_exceptions=True)
        await template.stop()
        await engine.stop()

    async def answering(_: web.Application) -> AsyncIterator[None]:
        yield
        await answers.close()

    app = web.Application(client_max_size=config.server.max_frame_bytes)
    app[SERVICES] = Services(config, assistant, answers, conversations, Doors(config.server.port))
    app[ENGINE] = engine
    app.cleanup_ctx.extend([storage, model, answering])
    add_routes(app, ROOT / "static")
    return app


def llama_runner(path: Path, model: Model) -> Callable[[], Runner]:
    """What loads the model at `path`. It imports llama.cpp too, which takes a while: call it on the engine's thread."""

    def load() -> Runner:
        from neuralbridge.engine.llama import LlamaRunner

        return LlamaRunner(path, slots=model.parallel, cells=model.n_ctx)

    return load
