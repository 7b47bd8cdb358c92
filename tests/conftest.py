"""The server as tests see it: everything real but the model."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import settings as hypothesis_settings

from neuralbridge.app import OpenEmbedder, build_app
from neuralbridge.config import Config, read_config
from neuralbridge.database import Database
from neuralbridge.engine.runner import Runner
from neuralbridge.protocol.handshake import Doors
from neuralbridge.server import listen, runner_of
from neuralbridge.settings import Settings
from neuralbridge.web.keys import SERVICES
from tests.fakes import FakeEmbedder, FakeRunner
from tests.phoenix_client import PhoenixClient

hypothesis_settings.register_profile("untimed", deadline=None)  # a busy machine is no mistake of ours
hypothesis_settings.load_profile("untimed")

SETTINGS: dict[str, Any] = {
    "version": 1,
    "models": {"small": {"path": "models/small.gguf", "system_prompt": "Be brief."}},
    "model_list": [{"model_name": "gpt-4", "use": "small"}],
    "routing": {"default": "gpt-4"},
    # What takes the place of the model's answer, off where no test is about it
    "answers": {"extract_below": 0},
    "cache": {"enabled": False},
}


@dataclass
class Running:
    """An application behind the port that `neuralbridge serve` opens."""

    app: web.Application
    runner: web.AppRunner

    async def close(self) -> None:
        await self.runner.cleanup()


@dataclass
class Served:
    """A running server: where it is, the fake model in it, and how to connect."""

    url: str
    runner: FakeRunner
    server: Running

    def client(self, params: str = "vsn=2.0.0&user_id=u", headers: dict[str, str] | None = None) -> PhoenixClient:
        return PhoenixClient(self.url, params, headers)

    async def stop(self) -> None:
        self.runner.release()
        await self.server.close()


Serve = Callable[..., Awaitable[Served]]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """An empty one, with all its tables."""
    database = Database(tmp_path / "neuralbridge.db")
    await database.start()
    yield database
    await database.stop()


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Start servers: `await serve(runner=..., **sections of the configuration)`; all are stopped afterwards.

    With a `config_file`, that is the configuration, and followed.
    """
    started: list[Served] = []

    async def start(
        runner: FakeRunner | None = None,
        open_embedder: OpenEmbedder = FakeEmbedder,
        others: dict[str, Runner] | None = None,
        config_file: Path | None = None,
        **sections: Any,
    ) -> Served:
        runner = runner or FakeRunner()
        config = read_config(config_file) if config_file else Config.model_validate({**SETTINGS, **sections})
        app = build_app(
            config,
            tmp_path / "data",
            lambda name: ({} if others is None else others).get(name) or runner,
            open_embedder=open_embedder,
            settings=Settings(config, config_file),
        )
        web_runner = runner_of(app)
        await web_runner.setup()
        anywhere = config.server.model_copy(update={"port": 0})
        port = await listen(web_runner, config.model_copy(update={"server": anywhere}))
        app[SERVICES].doors = Doors(port, "127.0.0.1", config.server.allowed_hosts, config.server.allowed_origins)
        served = Served(f"http://127.0.0.1:{port}", runner, Running(app, web_runner))
        started.append(served)
        return served

    yield start
    for served in started:
        await served.stop()


@pytest.fixture
async def served(serve: Serve) -> Served:
    return await serve()
