"""Owners take turns at having their documents read, and nobody fills the queue for others."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from neuralbridge.errors import Overloaded
from neuralbridge.retrieval.documents import Source
from neuralbridge.retrieval.ingestion import Content, Ingestion, Reads
from neuralbridge.retrieval.jobs import Job, new_job
from neuralbridge.retrieval.library import Library
from neuralbridge.retrieval.reading import Reading
from neuralbridge.retrieval.turns import Turns
from tests.retrieval.rooms import library_in

DATE = "2024-03-01T00:00:00Z"
WAITING = 12


async def test_each_owner_has_a_turn_and_its_own_come_in_order() -> None:
    turns: Turns[str] = Turns(lambda item: item[0])
    for item in ("b1", "b2", "b3", "a1", "a2", "c1"):
        turns.put_nowait(item)
    assert turns.qsize() == 6
    assert [turns.get_nowait() for _ in range(4)] == ["b1", "a1", "c1", "b2"]
    turns.put_nowait("c2")  # has had a turn, and is behind those that wait
    assert [turns.get_nowait() for _ in range(3)] == ["a2", "b3", "c2"]
    assert turns.empty()


async def test_whoever_waits_gets_what_comes() -> None:
    turns: Turns[str] = Turns(str)
    waiting = asyncio.create_task(turns.get())
    await asyncio.sleep(0)
    turns.put_nowait("a")
    assert await waiting == "a"


class Held:
    """A reader that reads nothing until it may, and says in which order."""

    def __init__(self, reader: Reads) -> None:
        self._reader = reader
        self.may = Event()
        self.names: list[str] = []

    def read(self, path: Path, name: str) -> Reading:
        self.names.append(name)
        return self._reader.read(path, name)

    def read_text(self, content: str, name: str) -> Reading:
        self.may.wait()
        self.names.append(name)
        return self._reader.read_text(content, name)

    def close(self) -> None:
        self.may.set()
        self._reader.close()


def held(ingestion: Ingestion) -> Held:
    ingestion._reader = reader = Held(ingestion._reader)
    return reader


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[Library]:
    async with library_in(tmp_path / "data", waiting=WAITING) as library:
        yield library


async def submit(library: Library, owner: str, name: str) -> Job:
    return await library.ingestion.submit(Source(owner, name, name, DATE), Content(f"Words of {name}."))


async def fill(library: Library, owner: str) -> tuple[int, str]:
    """How many an owner could bring, and in which words the next one was refused."""
    for number in range(WAITING + 1):
        try:
            await submit(library, owner, f"{owner}{number}")
        except Overloaded as refused:
            return number, str(refused)
    raise AssertionError("there is no end to it")


async def test_one_user_leaves_room_for_others_and_only_the_machines_own_fills_the_queue(library: Library) -> None:
    held(library.ingestion)
    assert await fill(library, "ben") == (
        *(6, "6 of your documents are waiting to be read; the room for 6 more is for other users."),
    )
    assert [(await fill(library, owner))[0] for owner in ("ana", "eve")] == [3, 2]
    await submit(library, "rui", "r")
    assert await fill(library, "local") == (0, "12 documents are waiting to be read, the most there may be.")


async def test_the_machines_own_user_may_have_the_whole_queue(library: Library) -> None:
    held(library.ingestion)
    assert (await fill(library, "local"))[0] == WAITING


async def test_a_second_owners_document_is_read_before_the_rest_of_the_firsts(library: Library) -> None:
    reader = held(library.ingestion)
    await fill(library, "ben")
    theirs = await submit(library, "ana", "ana")
    reader.may.set()
    assert (await library.ingestion.finished(theirs)).state == "done"
    assert reader.names.index("ana") <= 5  # four are on their way with workers, one had its turn before


async def test_owners_take_turns_at_what_was_acknowledged_before_a_restart(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with library_in(data) as library:
        ingestion = library.ingestion
        for owner, name in [*(("ben", f"ben{number}") for number in range(20)), ("ana", "ana")]:
            job = new_job(Source(owner, name, f"{name}.txt", DATE), name)
            (ingestion.uploads / name).write_text(f"Words of {name}.")
            await ingestion._jobs.save(replace(job, state="reading"))
    async with library_in(data) as library:
        jobs = await library.ingestion.jobs("ana", "", 10)
        assert [(await library.ingestion.finished(job)).state for job in jobs] == ["done"]
        assert await library.documents.count("ben") < 10
