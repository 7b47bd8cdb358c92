"""What is deleted by itself once it is old: once at the start, then once a day."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from neuralbridge.assistant.forgetting import Forgetter
from neuralbridge.retrieval.jobs import Jobs
from neuralbridge.sections import Retention as Settings
from neuralbridge.store.forgetting import Forgetting

logger = logging.getLogger(__name__)

EVERY_SECONDS = 24 * 3600.0


def today() -> datetime:
    return datetime.now(UTC)


class Retention:
    """Deletes conversations and jobs as the settings say; and ends what was begun to be forgotten.

    `now` says what is old; the time between two looks is the loop's own, which no change of the clock touches.
    """

    def __init__(
        self,
        settings: Settings,
        forgetting: Forgetting,
        jobs: Jobs,
        forgetter: Forgetter,
        now: Callable[[], datetime] = today,
        every: float = EVERY_SECONDS,
    ) -> None:
        self._settings = settings
        self._forgetting = forgetting
        self._jobs = jobs
        self._forgetter = forgetter
        self._now = now
        self._every = every
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def tidy(self) -> None:
        """Delete what is old as of now."""
        conversations, jobs = self._before(self._settings.conversations_days), self._before(self._settings.jobs_days)
        said = await self._forgetting.unused(conversations) if conversations else None
        ended = await self._jobs.forget_before(jobs) if jobs else 0
        if (said is not None and said.conversations) or ended:
            counts = {"conversations": said.conversations if said else 0, "messages": said.messages if said else 0}
            logger.info("what was old was deleted", extra={**counts, "jobs": ended})

    async def _run(self) -> None:
        while True:
            try:
                await self._forgetter.resume()
                await self.tidy()
            except Exception:
                logger.exception("what is old could not be deleted")
            await asyncio.sleep(self._every)

    def _before(self, days: float | None) -> str | None:
        """The moment that lies so long ago, as it is stored."""
        if days is None:
            return None
        try:
            moment = self._now() - timedelta(days=days)
        except OverflowError:  # before all times
            return None
        return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
