"""The server as it is, but with a fake model and a fake embedder, as a process that can be killed.

Its arguments: the data folder, and sections of the configuration as JSON.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from neuralbridge import logs, process
from neuralbridge.app import build_app
from neuralbridge.config import Config
from neuralbridge.engine.batch import Share
from neuralbridge.server import run
from tests.conftest import SETTINGS
from tests.fakes import FakeEmbedder, FakeRunner, echo

ASK_FOR_STORY = "Tell me a story."
STORY = "Once upon a time. " * 400
STEP_SECONDS = 0.005


class SlowEmbedder(FakeEmbedder):
    """Takes as long as a real one, so that there is a middle to be killed in."""

    async def embed(self, texts: list[str]) -> object:  # type: ignore[override]
        await asyncio.sleep(0.01 * len(texts))
        return await super().embed(texts)


class SlowRunner(FakeRunner):
    """Tells stories, at the pace of a small model."""

    def __init__(self) -> None:
        super().__init__(slots=16, cells=100_000, reply=lambda asked: STORY if asked == ASK_FOR_STORY else echo(asked))

    def decode(self, shares: list[Share], threads: int) -> None:
        time.sleep(STEP_SECONDS)
        super().decode(shares, threads)


def main(data: Path, sections: dict[str, Any]) -> None:
    config = Config.model_validate({**SETTINGS, "server": {"port": 0}, **sections})
    logs.to_stderr()
    process.prepare(config.limits.connections)
    app = build_app(config, data, lambda _: SlowRunner(), open_embedder=SlowEmbedder)
    asyncio.run(run(app, config, data, data))


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
