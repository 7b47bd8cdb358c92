"""The server that a command talks to: the one that runs, else the application in this very process."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
from aiohttp import web

from neuralbridge.config import Config, Server
from neuralbridge.errors import DataInUse, DocumentsUnavailable, ServerUnusable

ASK_SECONDS = 2.0  # whether a server is there
NOBODY = "no NeuralBridge server answers there."


def address_of(server: Server) -> str:
    """Where the configuration says that the server listens."""
    host = f"[{server.host}]" if ":" in server.host else server.host
    return f"http://{host}:{server.port}"


async def answers(session: aiohttp.ClientSession) -> bool:
    """Whether a server is where this session asks."""
    try:
        async with session.get("/api/proxy/health", timeout=aiohttp.ClientTimeout(ASK_SECONDS)) as response:
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


@asynccontextmanager
async def server_that_runs(config: Config, url: str | None) -> AsyncIterator[aiohttp.ClientSession | None]:
    """A session with the server at `url`, or at the configuration's address; None where none runs.

    Raises ServerUnusable where `url` names one that does not answer.
    """
    try:
        session = aiohttp.ClientSession(base_url=url or address_of(config.server))
    except ValueError:
        raise ServerUnusable(f"{url}: not the address of a server, such as {address_of(config.server)}.") from None
    async with session:
        there = await answers(session)
        if url is not None and not there:
            raise ServerUnusable(f"{url}: {NOBODY}")
        yield session if there else None


@asynccontextmanager
async def some_server(
    config: Config, home: Path, data: Path, url: str | None, waiting: Callable[[str], None]
) -> AsyncIterator[aiohttp.ClientSession]:
    """A session with the server that runs, else with one of our own; `waiting` is told what takes a while.

    Raises ServerUnusable and StartRefused.
    """
    async with server_that_runs(config, url) as session:
        if session is not None:
            yield session
            return
    waiting(f"No server runs, so {config.default_model} is loaded for this alone.")
    async with server_here(config, home, data) as session:
        yield session


@asynccontextmanager
async def server_here(config: Config, home: Path, data: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """The application in this process, behind a socket in a folder that only this user may enter. No port is opened.

    Folders are not followed meanwhile: whoever asks one question does not want them read. Raises StartRefused.
    """
    # Slow to import, and of no use where a server runs
    from neuralbridge.app import MODELS, build_app, llama_runners
    from neuralbridge.engine.probe import probe
    from neuralbridge.protocol.handshake import DEFAULT_PORTS, Doors
    from neuralbridge.web.keys import SERVICES

    await asyncio.to_thread(probe, home / config.models[config.default_model].path, "scripts/setup")
    alone = config.model_copy(update={"documents": config.documents.model_copy(update={"watch": ()})})
    app = build_app(alone, data, llama_runners(alone, home), home)
    app[SERVICES].doors = Doors(DEFAULT_PORTS["http"])
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None)
    with TemporaryDirectory(prefix="neuralbridge-") as folder, asking_where_it_listens():
        path = str(Path(folder) / "socket")
        try:
            await to_its_end(runner.setup())
            await web.UnixSite(runner, path).start()
            await app[MODELS].default.ready()
            with suppress(DocumentsUnavailable):  # then it answers without them, as any server does
                serving = await app[SERVICES].library.embeddings.serving()
                if len(serving.vectors):  # a server asks by words alone until it is there; this one has one question
                    await serving.embedder.load()
            async with aiohttp.ClientSession("http://localhost", connector=aiohttp.UnixConnector(path)) as session:
                yield session
        finally:
            await runner.cleanup()


async def to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Wait for it also when cancelled meanwhile: what is started by half can be stopped by nobody."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


@contextmanager
def asking_where_it_listens() -> Iterator[None]:
    """A data folder that is in use has a server, only not where we looked. Raises ServerUnusable."""
    try:
        yield
    except DataInUse as error:
        raise ServerUnusable(f"{error} Say where it listens: --url http://127.0.0.1:PORT") from error
