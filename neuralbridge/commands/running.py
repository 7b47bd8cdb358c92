"""The server that a command talks to: the one that runs, else the application in this very process."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

from neuralbridge import machine
from neuralbridge.access.tokens import LOCAL_TOKEN
from neuralbridge.config import Config
from neuralbridge.errors import DataInUse, DocumentsUnavailable, ServerUnusable
from neuralbridge.protocol.handshake import host_is_loopback
from neuralbridge.sections import Auth, Server

SELF_MADE = "tls/cert.pem"  # in the data folder
ASK_SECONDS = 2.0  # whether a server is there
NOBODY = "no NeuralBridge server answers there."
UNKNOWN = (
    "its certificate is not known here. On the server's own machine say with --data-dir which data folder is its; "
    "elsewhere name a copy of its tls/cert.pem in the environment variable SSL_CERT_FILE."
)


def address_of(server: Server) -> str:
    """Where the configuration says that the server listens."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(server.host, server.host)  # noqa: S104  # the whole LAN, and us
    return machine.url_of(host, server.port, server.tls.on)


async def trouble(session: aiohttp.ClientSession) -> str | None:
    """Why there is no server of ours where this session asks; None where there is one."""
    try:
        async with session.get("/api/proxy/health", timeout=aiohttp.ClientTimeout(ASK_SECONDS)) as response:
            return None if response.status == 200 else NOBODY
    except (aiohttp.ClientConnectorCertificateError, aiohttp.ServerFingerprintMismatch):
        return UNKNOWN
    except (aiohttp.ClientError, TimeoutError):
        return NOBODY


@asynccontextmanager
async def server_that_runs(config: Config, data: Path, url: str | None) -> AsyncIterator[aiohttp.ClientSession | None]:
    """A session with the server at `url`, or at the configuration's address; None where none runs.

    Raises ServerUnusable where `url` names one that does not answer.
    """
    try:
        session = aiohttp.ClientSession(
            base_url=url or address_of(config.server),
            headers=signed_in(data, url),
            connector=connector(config, data, url),
        )
    except ValueError:
        raise ServerUnusable(f"{url}: not the address of a server, such as {address_of(config.server)}.") from None
    async with session:
        why = await trouble(session)
        if url is not None and why is not None:
            raise ServerUnusable(f"{url}: {why}")
        yield session if why is None else None


def signed_in(data: Path, url: str | None) -> dict[str, str]:
    """What a server is told of who asks: the token of NEURALBRIDGE_TOKEN, or on this machine what it left for us."""
    token = os.environ.get("NEURALBRIDGE_TOKEN") or (read_token(data) if url is None or is_here(url) else None)
    return {"Authorization": f"Bearer {token}"} if token else {}


def connector(config: Config, data: Path, url: str | None) -> aiohttp.TCPConnector | None:
    """Of an encrypted server on this machine, the very certificate that it has is expected; of others, a valid one."""
    tls = config.server.tls
    if not tls.on or not (url is None or is_here(url)):
        return None
    try:
        pem = Path(tls.cert or data / SELF_MADE).read_text("ascii")
        return aiohttp.TCPConnector(ssl=aiohttp.Fingerprint(sha256(ssl.PEM_cert_to_DER_cert(pem)).digest()))
    except (OSError, ValueError):  # then none runs there
        return None


def read_token(data: Path) -> str | None:
    try:
        return (data / LOCAL_TOKEN).read_text("ascii").strip()
    except OSError:  # it asks nobody, or is somebody else's
        return None


def is_here(url: str) -> bool:
    host = URL(url).host or ""
    return host_is_loopback(host)


@asynccontextmanager
async def some_server(
    config: Config, home: Path, data: Path, url: str | None, waiting: Callable[[str], None]
) -> AsyncIterator[aiohttp.ClientSession]:
    """A session with the server that runs, else with one of our own; `waiting` is told what takes a while.

    Raises ServerUnusable and StartRefused.
    """
    async with server_that_runs(config, data, url) as session:
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
    alone = config.model_copy(
        update={
            "documents": config.documents.model_copy(update={"watch": ()}),
            "server": Server(),  # whoever reaches the socket is this user
            "auth": Auth(),
        }
    )
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
        raise ServerUnusable(f"{error} Say where it listens, such as --url http://127.0.0.1:PORT") from error
