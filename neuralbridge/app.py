"""Wires everything, once: services get their collaborators by constructor and start and stop in order."""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

from aiohttp import web

from neuralbridge.access.gate import Gate
from neuralbridge.access.rates import Rates
from neuralbridge.access.tokens import Tokens
from neuralbridge.assistant.answers import Answers
from neuralbridge.assistant.assistant import Assistant
from neuralbridge.assistant.cache import Cache
from neuralbridge.assistant.checker import Checker
from neuralbridge.assistant.completions import Completions
from neuralbridge.assistant.evidence import Witness
from neuralbridge.assistant.forgetting import Forgetter
from neuralbridge.assistant.metrics import Metrics
from neuralbridge.assistant.models import LocalModel, Models
from neuralbridge.assistant.retention import Retention
from neuralbridge.config import Config
from neuralbridge.data_folder import backups, claim
from neuralbridge.database import Database
from neuralbridge.engine.engine import Engine
from neuralbridge.engine.probe import check_memory, probe
from neuralbridge.engine.runner import Runner
from neuralbridge.exchange.transfer import Transfer
from neuralbridge.protocol.handshake import Doors
from neuralbridge.retrieval.documents import Documents
from neuralbridge.retrieval.embedder import Embedder
from neuralbridge.retrieval.embeddings import Embeddings
from neuralbridge.retrieval.ingestion import Ingestion
from neuralbridge.retrieval.jobs import Jobs
from neuralbridge.retrieval.library import Library
from neuralbridge.retrieval.reading import Reader
from neuralbridge.retrieval.watcher import Watcher
from neuralbridge.settings import Settings
from neuralbridge.store.branches import Branches
from neuralbridge.store.cached_answers import CachedAnswers
from neuralbridge.store.conversations import Conversations
from neuralbridge.store.feedback import Feedback
from neuralbridge.store.forgetting import Forgetting
from neuralbridge.store.history import History
from neuralbridge.types import LOCAL_OWNER
from neuralbridge.web.keys import SERVICES, Services
from neuralbridge.web.routes import add_routes

OpenEmbedder = Callable[[Path, Callable[[], bool]], Embedder]
OpenRunner = Callable[[str], Runner]
ROOT = Path(__file__).parent.parent
PASSAGE_TOKENS = 200  # MiniLM reads 256; the rest is for the document's name and the headings above a passage
MODELS = web.AppKey("models", Models)


def build_app(
    config: Config,
    data: Path,
    open_runner: OpenRunner,
    home: Path = ROOT,
    open_embedder: OpenEmbedder = Embedder,
    settings: Settings | None = None,
) -> web.Application:
    """The application on the data folder `data`; paths of the configuration start at `home`.

    `open_runner` loads the model of that name, later, on its engine's thread; `open_embedder` makes an embedding
    model's embedder. `settings` may follow the configuration's file; without, they stay as they are.
    """
    settings = settings or Settings(config)
    database = Database(data / "neuralbridge.db")
    conversations = Conversations(database)
    models = Models(
        {
            name: LocalModel(
                name,
                home / model.path,
                Engine(
                    partial(open_runner, name),
                    config.limits.waiting_questions,
                    max_per_owner=config.limits.answers_per_user,
                    answer_seconds=config.limits.answer_seconds,
                ),
                conversations,
            )
            for name, model in config.models.items()
        },
        config.default_model,
    )
    library = build_library(config, data, home, database, lambda folder: open_embedder(folder, lambda: models.busy > 0))
    watcher = Watcher(
        library,
        tuple((home / Path(folder).expanduser()).resolve() for folder in config.documents.watch),
        config.documents.watched_for == "everybody",
    )
    cached = CachedAnswers(database, config.cache.entries, config.cache.hours)
    cache = Cache(cached, conversations, config.cache, library.compare)
    checker = Checker(library)
    metrics = Metrics()
    witness = Witness(library, config.documents, metrics)
    assistant = Assistant(
        settings,
        models,
        witness,
        checker,
        cache,
        conversations,
        Branches(database),
    )
    answers = Answers(assistant, config.limits, metrics)
    completions = Completions(settings, models, witness, checker, metrics)
    watch(metrics, models, answers)
    forgetting = Forgetting(database)
    forgetter = Forgetter(answers, library, models, forgetting, partial(backups, data))
    retention = Retention(config.retention, forgetting, Jobs(database), forgetter)
    gate = Gate(settings, Tokens(data), config.server.on_lan)

    async def storage(_: web.Application) -> AsyncIterator[None]:
        with claim(data):
            async with database:
                await conversations.mark_interrupted()
                yield

    async def model(_: web.Application) -> AsyncIterator[None]:
        models.default.start()
        warming = asyncio.create_task(models.default.prompts.warm_up())
        yield
        warming.cancel()
        await asyncio.gather(warming, return_exceptions=True)
        await models.stop()

    async def documents(_: web.Application) -> AsyncIterator[None]:
        await library.start()
        await watcher.start()
        yield
        await watcher.stop()
        await library.stop()

    async def access(_: web.Application) -> AsyncIterator[None]:
        gate.start()
        yield
        await gate.stop()

    async def following(_: web.Application) -> AsyncIterator[None]:
        settings.start()
        yield
        await settings.stop()

    async def keeping(_: web.Application) -> AsyncIterator[None]:
        retention.start()
        yield
        await retention.stop()

    async def answering(_: web.Application) -> AsyncIterator[None]:
        lag = asyncio.create_task(metrics.watch_loop())
        yield
        lag.cancel()
        await answers.close()
        checker.stop()

    app = web.Application(client_max_size=config.server.max_frame_bytes)
    feedback = Feedback(database)
    app[SERVICES] = Services(
        config=config,
        settings=settings,
        models=models,
        assistant=assistant,
        answers=answers,
        completions=completions,
        conversations=conversations,
        doors=Doors(config.server.port),
        gate=gate,
        rates=Rates(config.limits),
        library=library,
        watcher=watcher,
        cached=cached,
        feedback=feedback,
        forgetter=forgetter,
        history=History(database),
        transfer=Transfer(database),
        metrics=metrics,
    )
    app[MODELS] = models
    app.cleanup_ctx.extend([storage, access, documents, model, following, answering, keeping])
    add_routes(app, ROOT / "static")
    return app


def watch(metrics: Metrics, models: Models, answers: Answers) -> None:
    """What metrics read of the rest."""
    metrics.watch("answers_under_way", "Answers being made or waiting, of conversations.", lambda: answers.under_way)
    metrics.watch("questions_waiting", "Questions behind others of their conversations.", lambda: answers.waiting)
    metrics.watch("slots", "Sequences that the loaded models take at once.", lambda: models.slots)
    metrics.watch("sequences", "Sequences being computed or waiting for a slot.", lambda: models.busy)


def build_library(
    config: Config, data: Path, home: Path, database: Database, open_embedder: Callable[[Path], Embedder]
) -> Library:
    """The library of the documents in that database, not started yet."""

    def room(owner: str) -> int | None:
        return None if owner == LOCAL_OWNER else config.limits.documents_bytes_per_user

    settings = config.documents
    folder = home / settings.embedder
    documents = Documents(database)
    embeddings = Embeddings(documents, folder, data, open_embedder)
    reader = Reader(
        folder / "tokenizer.json",
        PASSAGE_TOKENS,
        settings.max_passages,
        settings.read_seconds,
        settings.read_memory_bytes,
        settings.max_file_bytes,
    )
    ingestion = Ingestion(documents, Jobs(database), embeddings, reader, data / "uploads", settings.waiting, room)
    return Library(database, embeddings, ingestion)


def llama_runners(config: Config, home: Path) -> OpenRunner:
    """What loads the models of the configuration. It imports llama.cpp too, which takes a while: on an engine's thread.

    It raises ModelUnusable for a file that is no model (the default's was tried by whoever started us), and when
    memory is short.
    """

    def load(name: str) -> Runner:
        model = config.models[name]
        path = home / model.path
        if name != config.default_model:
            probe(path, "scripts/setup")
        check_memory(path)
        from neuralbridge.engine.llama import LlamaRunner

        return LlamaRunner(path, slots=model.parallel, cells=model.n_ctx)

    return load
