"""Runs the application: listen, say so, serve until told to stop."""

import asyncio
import gc
import logging
import os
import secrets
import signal
import ssl
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext, suppress
from pathlib import Path

from aiohttp import web

from neuralbridge import logs, machine
from neuralbridge.access.gate import Gate
from neuralbridge.access.tokens import LOCAL_TOKEN, TOKEN_BYTES
from neuralbridge.access.users import LOCAL
from neuralbridge.app import MODELS, build_app, llama_runners
from neuralbridge.config import Config
from neuralbridge.data_folder import listening
from neuralbridge.errors import StartRefused
from neuralbridge.listener import Site
from neuralbridge.protocol.handshake import Doors
from neuralbridge.sections import Auth, Server
from neuralbridge.settings import Settings
from neuralbridge.web.keys import SERVICES

logger = logging.getLogger(__name__)

SHUTDOWN_SECONDS = 5.0
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


async def serve(config: Config, data: Path, home: Path, probed: "Future[None]", settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Listens once the probe of the model file is good; the model loads behind that.

    Raises StartRefused.
    """
    app = build_app(config, data, llama_runners(config, home), home, settings=settings)
    await asyncio.wrap_future(probed)
    await run(app, config, data, home)


async def run(app: web.Application, config: Config, data: Path, home: Path) -> None:
    """Serve the application until a signal to stop. Raises StartRefused."""
    runner, server = runner_of(app), config.server
    try:
        await runner.setup()
        if config.logs.file:  # not before the data folder is ours
            logs.to_file(data / "logs", config.logs.bytes, config.logs.files)
        certificate, encryption = None, None
        if server.tls.on:
            from neuralbridge.certificate import certificate_of, context  # cryptography: 8 MB, for whoever wants it

            certificate = certificate_of(server, data, home)
            encryption = context(certificate)
        port = await listen(runner, config, encryption)
        names = tuple(machine.names()) if server.on_lan else ()
        gate = app[SERVICES].gate
        app[SERVICES].doors = Doors(port, server.host, server.allowed_hosts, server.allowed_origins, names)
        stopped = on_signals()  # before anybody who reads the line can send one
        gc.freeze()  # what is loaded by now stays: the collector need not look through it between two tokens
        say(f"listening on {machine.url_of(server.host, port, server.tls.on)}")
        if certificate is not None:
            say(f"its certificate has the SHA-256 fingerprint {certificate.fingerprint}")
        elif server.on_lan:
            logger.warning("without server.tls, whoever is on this network can read what is said here, tokens too")
        with for_own_programs(gate, data), listening(data, server.host, port):
            if gate.required:
                await let_in_the_first(gate, config.auth)
            for address in machine.addresses(server.host) if server.on_lan else ():
                say(f"other devices reach it at {machine.url_of(str(address), port, server.tls.on)}")
            async with announcing(server, port):
                await stop_or_failure(app, stopped)
    finally:
        await runner.cleanup()


def announcing(server: Server, port: int) -> AbstractAsyncContextManager[None]:
    """Announce the server as long as this is entered, where it is on a LAN and the settings say so."""
    if not (server.mdns and server.on_lan):
        return nullcontext()
    from neuralbridge.announce import announced  # zeroconf: 3 MB, for whoever wants it

    return announced(server, port)


@contextmanager
def for_own_programs(gate: Gate, data: Path) -> Iterator[None]:
    """Within, commands of the user that this runs as find a token in the data folder, which nobody else can read."""
    token, file = secrets.token_urlsafe(TOKEN_BYTES), data / LOCAL_TOKEN
    try:
        file.unlink(missing_ok=True)
        file.touch(mode=0o600)
        file.write_text(token, "ascii")
        gate.trust(token)
    except OSError as error:  # a full disk keeps nobody else out
        logger.warning("commands cannot come in by themselves", extra={"file": str(file), "why": error.strerror})
    try:
        yield
    finally:
        with suppress(OSError):  # it is good for this process alone
            file.unlink(missing_ok=True)


async def let_in_the_first(gate: Gate, auth: Auth) -> None:
    """Where nobody could sign in, make a token for the owner of this machine and show it, once."""
    if gate.tokens.any_admin or auth.token is not None or auth.jwt_secret is not None:
        return
    token = await asyncio.to_thread(gate.tokens.new, LOCAL.name, LOCAL.role)
    say(f"sign in with this token, which is shown only now: {token}")


def runner_of(app: web.Application) -> web.AppRunner:
    # handler_cancellation: a client that leaves while it still waits is noticed at once, not at the next write
    return web.AppRunner(app, handler_cancellation=True, shutdown_timeout=SHUTDOWN_SECONDS)


async def listen(runner: web.AppRunner, config: Config, ssl_context: ssl.SSLContext | None = None) -> int:
    """Open the port; the port that it is. Raises StartRefused when it is taken."""
    server = config.server
    site = Site(runner, server.host, server.port, config.limits, ssl_context)
    try:
        await site.start()
    except OSError as error:
        raise StartRefused(f"{server.host}:{server.port} cannot be listened on ({error.strerror}).") from error
    address: tuple[str, int] = runner.addresses[0]
    return address[1]


def say(line: str) -> None:
    """A line for whoever started us. That nobody reads it is no reason to stop."""
    try:
        print(line, flush=True)
    except OSError as error:
        logger.info("nobody reads the standard output", extra={"why": error.strerror})
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # what print kept back is written when the process ends
        os.close(nowhere)


def on_signals() -> asyncio.Event:
    """What a signal to stop sets."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stopped.set)
    loop.add_signal_handler(signal.SIGHUP, logger.info, "SIGHUP is ignored")
    return stopped


async def stop_or_failure(app: web.Application, stopped: asyncio.Event) -> None:
    """Wait for a signal to stop; a second one ends the process at once. A model that cannot be loaded ends it too."""
    async with asyncio.TaskGroup() as tasks:
        ready = tasks.create_task(app[MODELS].default.ready())
        await stopped.wait()
        ready.cancel()
    for number in STOP_SIGNALS:
        asyncio.get_running_loop().remove_signal_handler(number)
