"""Takes documents in: read, cut, embed, commit. A bounded queue; several at a time, so that reading never waits."""

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

from neuralbridge.errors import BridgeError, DocumentRefused, DuplicateDocument, Overloaded
from neuralbridge.retrieval.arrays import Matrix
from neuralbridge.retrieval.documents import Documents, NewDocument, NewPassage, Source
from neuralbridge.retrieval.embeddings import WRITERS, Embeddings, Serving
from neuralbridge.retrieval.jobs import Job, Jobs, new_job
from neuralbridge.retrieval.reading import Reading
from neuralbridge.retrieval.stored_vectors import embedded_text

logger = logging.getLogger(__name__)
T = TypeVar("T")

EMBEDDED_AT_ONCE = 128  # passages between two reports of progress
BUSY_RETRY_MS = 5_000


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


@dataclass(frozen=True, slots=True)
class Content:
    """A document that came as text."""

    text: str


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a document. `unchanged`: it was here already, the same."""

    document: str
    passages: int
    unchanged: bool = False


class Ingestion:
    """The queue and those who work on it."""

    def __init__(
        self, documents: Documents, jobs: Jobs, embeddings: Embeddings, reader: Reads, uploads: Path, max_waiting: int
    ) -> None:
        self._documents = documents
        self._jobs = jobs
        self._embeddings = embeddings
        self._reader = reader
        self.uploads = uploads
        self._max_waiting = max_waiting
        self._reading = ThreadPoolExecutor(1, "document-reader")
        self._queue: asyncio.Queue[tuple[Job, File | Content]] = asyncio.Queue()
        self._live: dict[str, Job] = {}
        self._ended: dict[str, asyncio.Event] = {}
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
                self._enqueue(job, File(self.uploads / job.upload, ours=True))
            else:
                error = "The server ended while this was read; send it again."
                await self._jobs.save(replace(job, state="failed", code="BridgeError", error=error, upload=None))
        await self.on_thread(lambda: sweep(self.uploads, wanted))
        await self._jobs.forget_old()
        self._tasks = [asyncio.create_task(self._work()) for _ in range(WRITERS)]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._reader.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._reading.shutdown()

    async def submit(self, source: Source, what: File | Content) -> Job:
        """Put a document in line; it is there to stay when this returns. Raises Overloaded."""
        self.check_room()
        upload = what.path.name if isinstance(what, File) and what.ours else None
        job = new_job(source, upload)
        self._live[job.uid] = job  # counts from now on
        try:
            await self._jobs.save(job)
        except BaseException:
            del self._live[job.uid]
            raise
        self._enqueue(job, what)
        return job

    def check_room(self) -> None:
        """Raises Overloaded."""
        if len(self._live) >= self._max_waiting:
            raise Overloaded(
                f"{self._max_waiting:,} documents are waiting to be read, the most there may be.", BUSY_RETRY_MS
            )

    async def take(self, source: Source, path: Path) -> Taken:
        """Take a file in now, without a job: for whoever can find out again what is to be done, after a crash."""
        return await self._take(source, File(path), lambda **_: None)

    async def job(self, owner: str, uid: str) -> Job:
        """How a job stands. Raises NotFound."""
        live = self._live.get(uid)
        return live if live is not None and live.source.owner == owner else await self._jobs.get(owner, uid)

    async def finished(self, job: Job) -> Job:
        """The job when it has ended."""
        ended = self._ended.get(job.uid)
        if ended is not None:
            await ended.wait()
        return await self._jobs.get(job.source.owner, job.uid)

    def _enqueue(self, job: Job, what: File | Content) -> None:
        self._live[job.uid] = job
        self._ended[job.uid] = asyncio.Event()
        self._queue.put_nowait((job, what))

    async def _work(self) -> None:
        while True:
            job, what = await self._queue.get()
            ended = await self._run(job, what)
            await self._jobs.save(replace(ended, upload=None))
            if isinstance(what, File) and what.ours:
                with suppress(FileNotFoundError):
                    await self.on_thread(what.path.unlink)
            del self._live[job.uid]
            self._ended.pop(job.uid).set()

    async def _run(self, job: Job, what: File | Content) -> Job:
        """The job as it ended."""

        def progress(**changes: object) -> None:
            self._live[job.uid] = replace(self._live[job.uid], **changes)  # type: ignore[arg-type]

        try:
            taken = await self._take(job.source, what, progress, unique=True)
        except BridgeError as error:
            return replace(self._live[job.uid], state="failed", code=type(error).__name__, error=str(error))
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
            progress(state="embedding", passages=len(document.passages))
            async with self._embeddings.writing() as serving:
                vectors = await self._embed(serving, document, progress)
                async with self._embeddings.committing:
                    change = await self._documents.put(document, vectors, serving.model)
                    await serving.vectors.remove(change.removed)
                    await serving.vectors.add(change.added, change.vectors)
                    await self._documents.indexed()
        return Taken(source.uid, len(document.passages))

    async def _embed(self, serving: Serving, document: NewDocument, progress: Callable[..., None]) -> Matrix:
        """The vectors of a document's passages; those of texts that are here already come from the store."""
        texts = [passage.embedded for passage in document.passages]
        known = await self._documents.vectors.embedded(serving.model, texts)
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
        raise DocumentRefused(f"{source.name} has no text in it.")
    passages = []
    for passage in reading.passages:
        heading = " > ".join(passage.heading)
        text = reading.text[passage.start : passage.end]
        embedded = embedded_text(source.key, heading, text)
        passages.append(NewPassage(passage.start, passage.end, passage.page, heading, text, embedded))
    return NewDocument(source, reading.kind, reading.title, reading.sha256, reading.size, reading.text, tuple(passages))


def without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def sweep(folder: Path, wanted: set[str]) -> None:
    """Remove the files of uploads that never were acknowledged."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for file in folder.iterdir():
        if file.name not in wanted:
            file.unlink()
