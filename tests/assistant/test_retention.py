"""What is old is deleted, once at the start and then day by day, by a clock of the test's own."""

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from neuralbridge.assistant.forgetting import Forgetter
from neuralbridge.assistant.retention import Retention
from neuralbridge.database import Database
from neuralbridge.errors import NotFound
from neuralbridge.retrieval.documents import Source
from neuralbridge.retrieval.jobs import Jobs, new_job
from neuralbridge.sections import Retention as Settings
from neuralbridge.store.conversations import Conversation, Conversations
from neuralbridge.store.forgetting import Forgetting
from neuralbridge.store.history import History


class Nobody:
    """Stands for the forgetter, with nothing left to be forgotten; counts how often it was asked."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[None] = asyncio.Queue()

    async def resume(self) -> None:
        self.asked.put_nowait(None)


def retention(database: Database, days: float, settings: Settings, every: float = 3600.0) -> tuple[Retention, Nobody]:
    """As it would be in so many days."""
    nobody = Nobody()
    made = Retention(
        settings,
        Forgetting(database),
        Jobs(database),
        cast(Forgetter, nobody),
        now=lambda: datetime.now(UTC) + timedelta(days=days),
        every=every,
    )
    return made, nobody


async def talk(database: Database, name: str, pinned: bool = False) -> None:
    conversation = Conversation("ana", name)
    await Conversations(database).begin(conversation, "Why?", {}, {})
    await History(database).pin(conversation, pinned)


@pytest.mark.parametrize(("days", "left"), [(29, ["new", "kept"]), (31, ["kept"])])
async def test_conversations_go_after_their_days_but_for_pinned_ones(
    database: Database, days: int, left: list[str]
) -> None:
    await talk(database, "kept", pinned=True)
    await talk(database, "new")
    made, _ = retention(database, days, Settings(conversations_days=30.0))
    await made.tidy()
    assert {each.session_id for each in (await History(database).listed("ana", 10)).conversations} == {*left}


async def test_without_a_number_of_days_nothing_goes(database: Database) -> None:
    await talk(database, "new")
    made, _ = retention(database, 10_000, Settings(conversations_days=None, jobs_days=None))
    await made.tidy()
    assert (await History(database).counts("ana")).conversations == 1


async def test_jobs_that_ended_go_and_those_under_way_stay(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    jobs = Jobs(database)
    ended, waiting = (new_job(Source("ana", name, "secret.pdf", "")) for name in ("a", "b"))
    await jobs.save(replace(ended, state="done"))
    await jobs.save(waiting)
    made, _ = retention(database, 91, Settings(jobs_days=90.0))
    await made.tidy()
    assert (await jobs.get("ana", waiting.uid)).state == "queued"
    with pytest.raises(NotFound):
        await jobs.get("ana", ended.uid)
    (record,) = [record for record in caplog.records if record.message == "what was old was deleted"]
    assert record.__dict__["jobs"] == 1
    assert "secret" not in str(record.__dict__)


async def test_it_is_done_at_the_start_and_again_and_again(database: Database) -> None:
    await talk(database, "new")
    made, nobody = retention(database, 31, Settings(conversations_days=30.0), every=0.01)
    made.start()
    for _ in range(3):
        await asyncio.wait_for(nobody.asked.get(), 10)
    await made.stop()
    assert (await History(database).counts("ana")).conversations == 0
