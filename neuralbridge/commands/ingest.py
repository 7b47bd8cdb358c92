"""`neuralbridge ingest`: files and folders into the library, of the running server or straight of the data folder."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import aiohttp
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from neuralbridge.app import build_library
from neuralbridge.commands.running import address_of, asking_where_it_listens, server_that_runs, to_its_end
from neuralbridge.config import Config
from neuralbridge.data_folder import claim
from neuralbridge.database import Database
from neuralbridge.errors import DocumentRefused, DuplicateDocument, ServerUnusable
from neuralbridge.retrieval.documents import Source
from neuralbridge.retrieval.embedder import Embedder
from neuralbridge.retrieval.ingestion import Taken
from neuralbridge.retrieval.library import Library
from neuralbridge.retrieval.watcher import described, documents_in

AT_ONCE = 4
POLL_SECONDS = 0.05
JOBS = "/api/knowledge/jobs"


class Shelf(Protocol):
    """Where documents go."""

    async def take(self, source: Source, path: Path) -> Taken: ...


@dataclass(slots=True)
class Outcome:
    """What became of all files. `refused` says why, file by file."""

    taken: int = 0
    unchanged: int = 0
    passages: int = 0
    refused: list[str] = field(default_factory=list)


async def ingest(paths: tuple[Path, ...], config: Config, home: Path, data: Path, url: str | None) -> Outcome:
    """Take in everything below these paths. Raises BridgeError when there is no library to take it."""
    files = [*files_of(paths)]
    outcome = Outcome()
    async with shelf(config, home, data, url) as (library, where):
        console = Console(stderr=True)
        console.print(f"{len(files):,} files, into {where}", markup=False, highlight=False)
        with progress(console, len(files)) as report:
            await take_all(library, files, outcome, report)
    return outcome


async def take_all(
    library: Shelf, files: list[tuple[Source, Path]], outcome: Outcome, report: Callable[[Outcome], None]
) -> None:
    left = iter(files)

    async def work() -> None:
        for source, path in left:
            try:
                taken = await library.take(source, path)
            except DuplicateDocument:  # what it says can be found
                outcome.unchanged += 1
            except DocumentRefused as error:
                outcome.refused.append(str(error))
            else:
                outcome.taken += not taken.unchanged
                outcome.unchanged += taken.unchanged
                outcome.passages += 0 if taken.unchanged else taken.passages
            report(outcome)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(work())


def files_of(paths: tuple[Path, ...]) -> Iterator[tuple[Source, Path]]:
    """Every file with where it comes from; a folder with all below it that is no secret."""
    for path in paths:
        place = path.resolve()
        folder = place if place.is_dir() else place.parent
        for file in documents_in(place) if place.is_dir() else [place]:
            source, _ = described(folder, file)
            yield replace(source, folder=None, name=source.name if place.is_dir() else file.name), file


@asynccontextmanager
async def shelf(config: Config, home: Path, data: Path, url: str | None) -> AsyncIterator[tuple[Shelf, str]]:
    """The running server's library, else that of the data folder."""
    async with server_that_runs(config, data, url) as session:
        if session is not None:
            yield Remote(session), f"the server at {url or address_of(config.server)}"
            return
    async with library_of(config, home, data) as library:
        yield library.ingestion, f"the data folder {data}"


@asynccontextmanager
async def library_of(config: Config, home: Path, data: Path) -> AsyncIterator[Library]:
    """The library of a data folder that no server uses. Raises DataUnusable, and ServerUnusable where one does."""
    with asking_where_it_listens(), claim(data):
        async with Database(data / "neuralbridge.db") as database:
            library = build_library(config, data, home, database, lambda folder: Embedder(folder, lambda: False))
            try:
                await to_its_end(library.start())
                yield library
            finally:
                await library.stop()


class Remote:
    """A running server's library, over HTTP."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def take(self, source: Source, path: Path) -> Taken:
        """Send a file and wait until it can be found. Raises DocumentRefused with the server's reason."""
        job = await self._send(source, path)
        while True:
            async with self._session.get(f"{JOBS}/{job}") as response:
                state = await self._answer(response)
            if state["state"] == "done":
                return Taken(str(state["document_id"]), int(str(state["passages"])))
            if state["state"] == "failed":
                kind = DuplicateDocument if state["code"] == "duplicate_document" else DocumentRefused
                raise kind(str(state["error"]))
            await asyncio.sleep(POLL_SECONDS)

    async def _send(self, source: Source, path: Path) -> str:
        while True:
            with path.open("rb") as file:
                form = aiohttp.FormData(quote_fields=False)
                form.add_field("key", source.key)
                form.add_field("modified", source.modified_at)
                form.add_field("file", file, filename=source.name)
                async with self._session.post("/api/knowledge/ingest", data=form) as response:
                    if response.status == 429:
                        await asyncio.sleep(float(response.headers.get("Retry-After", "1")))
                        continue
                    accepted = await self._answer(response)
            jobs = accepted["jobs"]
            assert isinstance(jobs, list)
            return str(jobs[0]["processing_job_id"])

    @staticmethod
    async def _answer(response: aiohttp.ClientResponse) -> dict[str, object]:
        answer: dict[str, object] = await response.json()
        if response.status >= 500:
            raise ServerUnusable(str(answer.get("message")))
        if response.status >= 400:
            raise DocumentRefused(str(answer.get("message")))
        return answer


@contextmanager
def progress(console: Console, files: int) -> Iterator[Callable[[Outcome], None]]:
    """A bar with rate and time left; nothing in a log, where the last line says it all."""
    columns = (
        TextColumn("reading and embedding"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[passages]:,} passages, {task.fields[rate]:.0f}/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=files, passages=0, rate=0.0)

        def report(outcome: Outcome) -> None:
            done = outcome.taken + outcome.unchanged + len(outcome.refused)
            elapsed = bar.tasks[0].elapsed or 1.0
            bar.update(task, completed=done, passages=outcome.passages, rate=outcome.passages / max(elapsed, 0.1))

        yield report
