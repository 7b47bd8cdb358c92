"""Takes documents in: read, cut, embed, commit. A bounded queue in which owners take turns; several at a time, so that
reading never waits.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import file_digest
from pathlib import Path
from typing import Protocol, TypeVar
from weakref import WeakValueDictionary

import numpy as np

from neuralbridge.errors import BridgeError, DocumentRefused, DuplicateDocument, Overloaded, StorageFailed
from neuralbridge.retrieval.arrays import Matrix
from neuralbridge.retrieval.documents import Documents, NewDocument, NewPassage, Source, refuse_beyond
from neuralbridge.retrieval.embeddings import WRITERS, Embeddings, Serving
from neuralbridge.retrieval.jobs import UNDER_WAY, Job, Jobs, new_job
from neuralbridge.retrieval.reading import Reading
from neuralbridge.retrieval.stored_vectors import embedded_text
from neuralbridge.retrieval.turns import Turns
from neuralbridge.types import LOCAL_OWNER

logger = logging.getLogger(__name__)
T = TypeVar("T")

EMBEDDED_AT_ONCE = 128  # passages between two reports of progress
BUSY_RETRY_MS = 5_000
RETRY_SECONDS = 5.0  # after which a disk that took nothing is asked again


class Reads(Protocol):
    """Reads documents in a process of its own; blocking. Both raise DocumentRefused."""

    def read(self, path: Path, name: str) -> Reading: ...

    def read_text(self, content: str, name: str) -> Reading: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class File:
    """A document in a file. `ours`: it was uploaded, is named in the folder of uploads, and goes when it is read."""

    path: Path
    ours: bool = False

    def measure(self) -> int:
        """Its bytes."""
        return self.path.stat().st_size


@dataclass(frozen=True, slots=True)
class Content:
    """A document that came as text."""

    text: str

    def measure(self) -> int:
        """Its bytes."""
        return len(self.text.encode("utf-8", "replace"))


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a document. `unchanged`: it was here already, the same."""

    document: str
    passages: int
    unchanged: bool = False


class Ingestion:
    """The queue and those who work on it."""

    def __init__(
        self,
        documents: Documents,
        jobs: Jobs,
        embeddings: Embeddings,
        reader: Reads,
        uploads: Path,
        max_waiting: int,
        room: Callable[[str], int | None],
    ) -> None:
        """`room` says how many bytes an owner's documents may have together; None: as many as there is room for."""
        self._documents = documents
        self._jobs = jobs
        self._embeddings = embeddings
        self._reader = reader
        self.uploads = uploads
        self._max_waiting = max_waiting
        self._room = room
        self._reading = ThreadPoolExecutor(1, "document-reader")
        self._queue: Turns[tuple[Job, File | Content]] = Turns(lambda waiting: waiting[0].source.owner)
        self._live: dict[str, Job] = {}
        self._ended: dict[str, asyncio.Future[None]] = {}
        self._running: dict[str, asyncio.Task[Job]] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def under_way(self) -> int:
        return len(self._live)

    async def start(self) -> None:
        """Go on with what was acknowledged; what cannot go on reads as failed; files nobody waits for are removed."""
        wanted = set()
        for job in await self._jobs.unfinished():
            if job.upload and (self.uploads / job.upload).is_file():
                wanted.add(job.upload)
                file = self.uploads / job.upload
                size = await self.on_thread(lambda file=file: file.stat().st_size)  # type: ignore[misc]  # as it is now
                self._enqueue(replace(job, size=size), File(file, ours=True))
            else:
                error = "The server ended while this was read; send it again."
                await self._jobs.save(replace(job, state="failed", code="BridgeError", error=error, upload=None))
        await self.on_thread(lambda: sweep(self.uploads, wanted))
        await self._jobs.forget_old()
        self._tasks = [asyncio.create_task(self._work()) for _ in range(WRITERS)]

    async def stop(self) -> None:
        tasks = [*self._tasks, *self._running.values()]
        for task in tasks:
            task.cancel()
        self._reader.close()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._reading.shutdown()

    async def submit(self, source: Source, what: File | Content) -> Job:
        """Put a document in line; it is there to stay when this returns. Raises Overloaded and QuotaExceeded."""
        upload = what.path.name if isinstance(what, File) and what.ours else None
        size = await asyncio.to_thread(what.measure)
        await self.check_quota(source, size)
        self.check_room(source.owner)
        job = new_job(source, upload, size)
        self._live[job.uid] = job  # counts from now on
        try:
            await self._jobs.save(job)
        except BaseException:
            del self._live[job.uid]
            raise
        self._enqueue(job, what)
        return job

    def check_room(self, owner: str) -> None:
        """Whether one more of an owner's documents may wait. Raises Overloaded.

        A user may fill as much of the queue as stays free for others: one alone has half of it, and there is always
        some left for whoever comes next. Only the machine's own user may fill it.
        """
        left = self._max_waiting - len(self._live)
        if left <= 0:
            raise Overloaded(
                f"{self._max_waiting:,} documents are waiting to be read, the most there may be.", BUSY_RETRY_MS
            )
        mine = sum(job.source.owner == owner for job in self._live.values())
        if owner != LOCAL_OWNER and mine >= left:
            raise Overloaded(
                f"{mine:,} of your documents are waiting to be read; the room for {left:,} more is for other users.",
                BUSY_RETRY_MS,
            )

    async def check_quota(self, source: Source, size: int = 0) -> None:
        """Whether an owner has room for a document of that size, or for any. Raises QuotaExceeded."""
        room = self._room(source.owner)
        if room is not None:
            used = await self._documents.size(source.owner, source.key)
            refuse_beyond(room, used, max(size, 1), source.name, self._waiting(source.owner))

    async def take(self, source: Source, path: Path) -> Taken:
        """Take a file in now, without a job: for whoever can find out again what is to be done, after a crash."""
        return await self._take(source, File(path), lambda **_: None)

    async def job(self, owner: str, uid: str) -> Job:
        """How a job stands. Raises NotFound."""
        live = self._live.get(uid)
        return live if live is not None and live.source.owner == owner else await self._jobs.get(owner, uid)

    async def jobs(self, owner: str, since: str, limit: int) -> list[Job]:
        """Those queued or under way and those that ended since then, the newest first.

        Where there are more than `limit`, those under way are among them.
        """
        ended = await self._jobs.ended(owner, since, limit)
        live = {job.uid: job for job in self._live.values() if job.source.owner == owner}
        live |= {job.uid: job for job in ended}  # some may have ended meanwhile
        newest = sorted(live.values(), key=lambda job: job.created_at, reverse=True)
        chosen = sorted(newest, key=lambda job: job.state not in UNDER_WAY)[:limit]
        return sorted(chosen, key=lambda job: job.created_at, reverse=True)

    async def finished(self, job: Job) -> Job:
        """The job when it has ended. Raises StorageFailed where that could not be kept."""
        ended = self._ended.get(job.uid)
        if ended is not None:
            await asyncio.shield(ended)
        return await self._jobs.get(job.source.owner, job.uid)

    async def forget(self, owner: str) -> tuple[int, int]:
        """Forget an owner's jobs: what is on its way in ends. How many there were, and how many files of uploads went.

        Whoever waits for one of them is told that it is not there.
        """
        mine = [job.uid for job in self._live.values() if job.source.owner == owner]
        running = [self._running[uid] for uid in mine if uid in self._running]
        for uid in mine:
            del self._live[uid]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        count, uploads = await self._jobs.forget(owner)
        for uid in mine:
            self._close(uid)
        return count, await asyncio.to_thread(remove, self.uploads, uploads)

    def _close(self, uid: str) -> None:
        """A job has ended, or was forgotten while it did."""
        self._live.pop(uid, None)
        if (ended := self._ended.pop(uid, None)) is not None:
            ended.set_result(None)

    def _waiting(self, owner: str) -> int:
        """Bytes of an owner's documents that are on their way in."""
        return sum(job.size for job in self._live.values() if job.source.owner == owner)

    def _enqueue(self, job: Job, what: File | Content) -> None:
        self._live[job.uid] = job
        self._ended[job.uid] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((job, what))

    async def _work(self) -> None:
        while True:
            job, what = await self._queue.get()
            if job.uid not in self._live:  # forgotten while it waited
                continue
            running = self._running[job.uid] = asyncio.create_task(self._run(job, what))
            await asyncio.wait([running])
            del self._running[job.uid]
            if job.uid not in self._live:  # or while it was read
                continue
            try:
                await self._jobs.save(replace(running.result(), upload=None))
            except StorageFailed as error:
                self._put_off(job, what, error)
                continue
            if isinstance(what, File) and what.ours:
                with suppress(FileNotFoundError):
                    await self.on_thread(what.path.unlink)
            self._close(job.uid)

    def _put_off(self, job: Job, what: File | Content, error: StorageFailed) -> None:
        """The disk takes nothing: a file that was acknowledged is tried again, a text's sender is told."""
        if job.uid not in self._live:  # forgotten meanwhile
            return
        if isinstance(what, File) and what.ours:
            self._live[job.uid] = job
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self._queue.put_nowait, (job, what))
            return
        del self._live[job.uid]
        ended = self._ended.pop(job.uid)
        ended.set_exception(error)
        ended.exception()  # whoever waits hears it; that nobody does is no mistake

    async def _run(self, job: Job, what: File | Content) -> Job:
        """The job as it ended."""

        def progress(**changes: object) -> None:
            self._live[job.uid] = replace(self._live[job.uid], **changes)  # type: ignore[arg-type]

        try:
            taken = await self._take(job.source, what, progress, unique=True)
        except StorageFailed:
            raise
        except BridgeError as error:
            reason = error.reason if isinstance(error, DocumentRefused) else None
            ended = replace(self._live[job.uid], state="failed", reason=reason)
            return replace(ended, code=type(error).__name__, error=str(error))
        except Exception:
            logger.exception("a document could not be taken in", extra={"job": job.uid})
            error_text = "An internal error ended this; the log has the details."
            return replace(self._live[job.uid], state="failed", code="BridgeError", error=error_text)
        count = taken.passages
        return replace(self._live[job.uid], state="done", document=taken.document, passages=count, embedded=count)

    async def _take(
        self, source: Source, what: File | Content, progress: Callable[..., None], unique: bool = False
    ) -> Taken:
        lock = self._locks.setdefault(source.uid, asyncio.Lock())
        async with lock:
            here = await self._documents.find(source.owner, source.key)
            if here is not None and isinstance(what, File) and await self._unchanged(what.path, here.version):
                await self._documents.touch(source)
                return Taken(here.uid, here.passages, unchanged=True)
            progress(state="reading")
            reading = await self.on_thread(lambda: self._read(what, source.name))
            if here is not None and here.version == reading.sha256:
                return Taken(here.uid, here.passages, unchanged=True)
            if unique and (twin := await self._documents.twin(source, reading.sha256)):
                raise DuplicateDocument(f"{source.name} has the same content as {twin}, which is here already.")
            document = new_document(source, reading)
            room = self._room(source.owner)
            if room is not None:  # before the work, and once more in the transaction
                refuse_beyond(room, await self._documents.size(source.owner, source.key), document.size, source.name)
            progress(state="embedding", passages=len(document.passages))
            async with self._embeddings.writing() as serving:
                vectors = await self._embed(serving, document, progress)
                async with self._embeddings.committing:
                    change = await self._documents.put(document, vectors, serving.model, room)
                    await serving.vectors.remove(change.removed)
                    await serving.vectors.add(change.added, change.vectors)
                    await self._documents.indexed()
        return Taken(source.uid, len(document.passages))

    async def _embed(self, serving: Serving, document: NewDocument, progress: Callable[..., None]) -> Matrix:
        """The vectors of a document's passages; those of texts that are here already come from the store."""
        texts = [passage.embedded for passage in document.passages]
        known = await self._documents.vectors.embedded(document.source.owner, serving.model, texts)
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        done = len(texts) - len(missing)
        for begin in range(0, len(missing), EMBEDDED_AT_ONCE):
            progress(embedded=done + begin)
            part = missing[begin : begin + EMBEDDED_AT_ONCE]
            known.update(zip(part, await serving.embedder.embed(part), strict=True))
        return np.array([known[text] for text in texts], np.float32)

    def _read(self, what: File | Content, name: str) -> Reading:
        if isinstance(what, Content):
            return self._reader.read_text(what.text, name)
        return self._reader.read(what.path, name)

    async def _unchanged(self, path: Path, version: str) -> bool:
        def compare() -> bool:
            # Whatever cannot be opened is for the reader to refuse, in its words
            with suppress(OSError), open(path, "rb", opener=without_waiting) as file:  # needs an opener
                return path.is_file() and file_digest(file, "sha256").hexdigest() == version
            return False

        return await self.on_thread(compare)

    async def on_thread(self, act: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._reading, act)


def new_document(source: Source, reading: Reading) -> NewDocument:
    """The document as it will be stored. Raises DocumentRefused when there is nothing in it."""
    if not reading.passages:
        raise DocumentRefused(f"{source.name} has no text in it.", "no_text")
    passages = []
    for passage in reading.passages:
        heading = " > ".join(passage.heading)
        text = reading.text[passage.start : passage.end]
        embedded = embedded_text(source.key, heading, text)
        passages.append(NewPassage(passage.start, passage.end, passage.page, heading, text, embedded))
    return NewDocument(source, reading.kind, reading.title, reading.sha256, reading.size, reading.text, tuple(passages))


def without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def remove(folder: Path, names: list[str]) -> int:
    """Remove these files of a folder; how many there were."""
    there = [folder / name for name in names if (folder / name).is_file()]
    for file in there:
        file.unlink(missing_ok=True)
    return len(there)


def sweep(folder: Path, wanted: set[str]) -> None:
    """Remove the files of uploads that never were acknowledged."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for file in folder.iterdir():
        if file.name not in wanted:
            file.unlink()
