"""Forgets a user: ends what is under way for them, deletes what is kept, and leaves nothing of it in the files."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass

from neuralbridge.assistant.answers import Answers
from neuralbridge.assistant.models import Models
from neuralbridge.retrieval.library import Gone, Library
from neuralbridge.store.forgetting import Forgetting, Said

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What went. `scrubbed`: no file of ours holds any of it any more but `backups`; else that is tried again."""

    said: Said
    documents: Gone
    scrubbed: bool
    backups: tuple[str, ...]


class Forgetter:
    """Forgets one user after the other: whoever writes waits while the file is written anew."""

    def __init__(
        self,
        answers: Answers,
        library: Library,
        models: Models,
        forgetting: Forgetting,
        backups: Callable[[], tuple[str, ...]],
    ) -> None:
        """`backups` names the files that hold copies of what is kept."""
        self._answers = answers
        self._library = library
        self._models = models
        self._forgetting = forgetting
        self._backups = backups
        self._one_by_one = asyncio.Lock()

    async def forget(self, owner: str) -> Forgotten:
        """Forget everything of an owner. Killed meanwhile, `resume` or another call goes on."""
        async with self._one_by_one:
            await self._forgetting.begin(owner)
            await self._answers.end_all_of(owner)
            documents = await self._library.forget(owner)
            await self._answers.end_all_of(owner)  # what was asked meanwhile
            said = await self._forgetting.conversations(owner)
            self._models.forget_owner(owner)
            await self._library.scrub()
            scrubbed = await self._forgetting.end(owner)
        logger.info("a user was forgotten", extra={**asdict(said), **asdict(documents), "scrubbed": scrubbed})
        return Forgotten(said, documents, scrubbed, await asyncio.to_thread(self._backups))

    async def resume(self) -> None:
        """Bring to its end what a crash, or another program that read the database, has held up."""
        for owner in await self._forgetting.begun():
            await self.forget(owner)
