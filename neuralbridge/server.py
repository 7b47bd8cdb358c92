"""Runs the application: listen, say so, serve until told to stop."""

import asyncio
import gc
import logging
import signal
from concurrent.futures import Future
from pathlib import Path

from aiohttp import web

from neuralbridge.app import MODELS, build_app, llama_runners
from neuralbridge.config import Config
from neuralbridge.errors import StartRefused
from neuralbridge.protocol.handshake import Doors
from neuralbridge.settings import Settings
from neuralbridge.web.keys import SERVICES

logger = logging.getLogger(__name__)

LINE_BYTES = 256 * 1024  # of a request's target: a search has up to 16,000 characters, each as 12 bytes at most
KEEPALIVE_SECONDS = 15.0  # also the time a client has to send its headers
SHUTDOWN_SECONDS = 5.0
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


async def serve(config: Config, data: Path, home: Path, probed: "Future[None]", settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Listens once the probe of the model file is good; the model loads behind that.

    Raises StartRefused.
    """
    app = build_app(config, data, llama_runners(config, home), home, settings=settings)
    # auto_decompress: what is left of a refused body is read too, and a few bytes may be a thousand times as many.
    # handler_cancellation: a client that leaves while it still waits is noticed at once, not at the next write
    runner = web.AppRunner(
        app,
        auto_decompress=False,
        handler_cancellation=True,
        keepalive_timeout=KEEPALIVE_SECONDS,
        max_line_size=LINE_BYTES,
        access_log=None,
    )
    await asyncio.wrap_future(probed)
    try:
        await runner.setup()
        port = await listen(runner, config)
        doors = Doors(port, config.server.host, config.server.allowed_hosts, config.server.allowed_origins)
        app[SERVICES].doors = doors
        host = f"[{config.server.host}]" if ":" in config.server.host else config.server.host
        stopped = on_signals()  # before anybody who reads the line can send one
        gc.freeze()  # what is loaded by now stays: the collector need not look through it between two tokens
        print(f"listening on http://{host}:{port}", flush=True)
        await stop_or_failure(app, stopped)
    finally:
        await runner.cleanup()


async def listen(runner: web.AppRunner, config: Config) -> int:
    """Open the port; the port that it is. Raises StartRefused when it is taken."""
    server = config.server
    site = web.TCPSite(runner, server.host, server.port, shutdown_timeout=SHUTDOWN_SECONDS)
    try:
        await site.start()
    except OSError as error:
        raise StartRefused(f"{server.host}:{server.port} cannot be listened on ({error.strerror}).") from error
    address: tuple[str, int] = runner.addresses[0]
    return address[1]


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
