"""A server with a fake model and a fake embedder, as a process that can be killed: DATA is its one argument."""

import asyncio
import sys
from pathlib import Path

from aiohttp import web

from neuralbridge.app import build_app
from neuralbridge.config import Config
from neuralbridge.protocol.handshake import Doors
from neuralbridge.web.keys import SERVICES
from tests.conftest import SETTINGS
from tests.fakes import FakeEmbedder, FakeRunner


class SlowEmbedder(FakeEmbedder):
    """Takes as long as a real one, so that there is a middle to be killed in."""

    async def embed(self, texts: list[str]) -> object:  # type: ignore[override]
        await asyncio.sleep(0.01 * len(texts))
        return await super().embed(texts)


async def main(data: Path) -> None:
    app = build_app(Config.model_validate(SETTINGS), data, lambda _: FakeRunner(), open_embedder=SlowEmbedder)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    app[SERVICES].doors = Doors(port, "127.0.0.1", (), ())
    print(port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
