"""The local models: the default's is loaded at the start, the other when it is first needed."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from hashlib import file_digest
from pathlib import Path

from neuralbridge.assistant.prompt import Prompts
from neuralbridge.assistant.template import ChatTemplate
from neuralbridge.engine.engine import Engine
from neuralbridge.store.conversations import Conversations

DIGEST_SECONDS = 1.0  # a question waits so long for it; of a large file it is known some seconds after the start


class LocalModel:
    """A model of the configuration and everything that is its own."""

    def __init__(self, name: str, path: Path, engine: Engine, conversations: Conversations) -> None:
        self.name = name
        self.engine = engine
        self.path = path
        self._template = ChatTemplate(engine)
        self.prompts = Prompts(engine, self._template, conversations)
        self._digesting: asyncio.Task[str | None] | None = None

    @property
    def loaded(self) -> bool:
        return self.engine.started and self.engine.loaded

    @property
    def busy(self) -> int:
        """Answers that are being made, or wait to be."""
        return self.engine.busy

    async def digest(self) -> str | None:
        """The sha256 of the model's file; None where it cannot be read, or takes too long to wait for now."""
        if self._digesting is None:
            self._digesting = asyncio.create_task(self._digest())
        await asyncio.wait([self._digesting], timeout=DIGEST_SECONDS)
        return self._digesting.result() if self._digesting.done() else None

    def start(self) -> None:
        """Begin to load it, if that has not begun."""
        if not self.engine.started:
            self.engine.start()
            self._digesting = asyncio.create_task(self._digest())

    async def ready(self) -> None:
        """Wait until it is loaded. Raises ModelUnusable."""
        self.start()
        await self.engine.ready()

    async def stop(self) -> None:
        if self._digesting is not None:
            self._digesting.cancel()
            await asyncio.gather(self._digesting, return_exceptions=True)
        await self._template.stop()
        await self.engine.stop()

    async def _digest(self) -> str | None:
        def read() -> str | None:
            try:
                with self.path.open("rb") as file:
                    return file_digest(file, "sha256").hexdigest()
            except OSError:
                return None

        with ThreadPoolExecutor(1, "digest") as reader:
            return await asyncio.get_running_loop().run_in_executor(reader, read)


class Models:
    """The models by their names in the configuration."""

    def __init__(self, models: dict[str, LocalModel], default: str) -> None:
        self._models = models
        self.default = models[default]

    def __getitem__(self, name: str) -> LocalModel:
        return self._models[name]

    @property
    def busy(self) -> int:
        return sum(model.busy for model in self._models.values())

    async def stop(self) -> None:
        for model in self._models.values():
            await model.stop()
