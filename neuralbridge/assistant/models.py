"""The local models: the default's is loaded at the start, the other when it is first needed."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import file_digest
from pathlib import Path

from neuralbridge.assistant.prompt import Prompt, Prompts
from neuralbridge.assistant.template import ChatTemplate
from neuralbridge.catalog.names import Target
from neuralbridge.engine.engine import Engine
from neuralbridge.errors import ModelUnusable, PromptTooLong
from neuralbridge.store.conversations import Conversations

logger = logging.getLogger(__name__)

RETRY_SECONDS = 10.0  # between two attempts to load what could not be loaded: its file may be back, or memory free
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
        self._began = 0.0  # to load it, on the monotonic clock

    @property
    def loaded(self) -> bool:
        return self.engine.started and self.engine.loaded

    @property
    def loading(self) -> bool:
        return self.engine.started and not self.engine.loaded and self.engine.failure is None

    @property
    def failure(self) -> str | None:
        """Why it could not be loaded."""
        return self.engine.failure

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
        """Begin to load it, if that has not begun, or failed some time ago."""
        failed = self.engine.failure is not None and time.monotonic() - self._began >= RETRY_SECONDS
        if not self.engine.started or failed:
            self._began = time.monotonic()
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


async def fitting(model: LocalModel, build: Callable[[LocalModel], Awaitable[Prompt]]) -> Prompt:
    """Raises PromptTooLong."""
    prompt = await build(model)
    if len(prompt.tokens) >= model.engine.context:
        raise PromptTooLong(len(prompt.tokens), model.engine.context)
    return prompt


class Models:
    """The models by their names in the configuration."""

    def __init__(self, models: dict[str, LocalModel], default: str) -> None:
        self._models = models
        self.default = models[default]

    def __getitem__(self, name: str) -> LocalModel:
        return self._models[name]

    def __iter__(self) -> Iterator[LocalModel]:
        return iter(self._models.values())

    def context(self, name: str) -> int | None:
        """The tokens that a model's prompt and answer may have together; None while it is not loaded."""
        model = self._models.get(name)
        return model.engine.context if model is not None and model.loaded else None

    async def prompted(
        self, target: Target, build: Callable[[LocalModel], Awaitable[Prompt]]
    ) -> tuple[LocalModel, Prompt]:
        """The model that is to answer, loaded, with its prompt: the target's own, or one of those to fall back on.

        Raises ModelUnusable when none can be loaded, PromptTooLong when the prompt fits none.
        """
        model = await self._first(target.model, *target.fallbacks)
        try:
            return model, await fitting(model, build)
        except PromptTooLong as error:
            for name in target.overflow:
                roomier = await self._first(name)
                with suppress(PromptTooLong):
                    return roomier, await fitting(roomier, build)
            raise error

    async def _first(self, *names: str) -> LocalModel:
        """The first of these that can be loaded. Raises ModelUnusable."""
        for name in names[:-1]:
            try:
                await self[name].ready()
            except ModelUnusable as error:
                logger.warning("a model cannot be used, falling back", extra={"model": name, "why": str(error)})
                continue
            return self[name]
        await self[names[-1]].ready()
        return self[names[-1]]

    @property
    def slots(self) -> int:
        """Sequences that the loaded models take at once."""
        return sum(model.engine.slots for model in self._models.values() if model.loaded)

    @property
    def stalled(self) -> bool:
        """Whether one of them does not get on with what it computes."""
        return any(model.engine.stalled for model in self._models.values() if model.loaded)

    def forget_owner(self, owner: str) -> None:
        """Drop what engines keep computed of an owner's conversations."""
        for model in self._models.values():
            if model.loaded:
                model.engine.forget_owner(owner)

    @property
    def busy(self) -> int:
        return sum(model.busy for model in self._models.values())

    async def stop(self) -> None:
        for model in self._models.values():
            await model.stop()
