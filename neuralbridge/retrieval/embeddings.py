"""Which embedding model serves. After a change of the setting the old one serves on while the new one embeds."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from neuralbridge.errors import DocumentsUnavailable
from neuralbridge.retrieval.arrays import Ids, Matrix
from neuralbridge.retrieval.documents import Documents
from neuralbridge.retrieval.embedder import Embedder
from neuralbridge.retrieval.vectors import Vectors

logger = logging.getLogger(__name__)

WRITERS = 4  # documents taken in at once
EMBEDDED_AT_ONCE = 256  # passages, while a new model catches up


class Serving:
    """A model and the index of its vectors: what finds passages by meaning."""

    def __init__(self, embedder: Embedder, vectors: Vectors) -> None:
        self.embedder = embedder
        self.vectors = vectors

    @property
    def model(self) -> str:
        return self.vectors.model

    async def embed(self, query: str) -> Matrix:
        return await self.embedder.embed_query(query)

    async def nearest(self, vector: Matrix, count: int, allowed: Ids | None) -> tuple[Ids, Matrix]:
        return await self.vectors.search(vector, count, allowed)

    async def stop(self) -> None:
        await self.vectors.stop()
        await self.embedder.stop()


class Embeddings:
    """Opens the index of the model in `folder`, and moves the library over to that model where it has another's.

    `cache` is the folder for index files; `open_embedder` makes the model's embedder.
    """

    def __init__(
        self, documents: Documents, folder: Path, cache: Path, open_embedder: Callable[[Path], Embedder]
    ) -> None:
        self._documents = documents
        self._folder = folder
        self._cache = cache
        self._open_embedder = open_embedder
        self._serving: Serving | None = None
        self._writers = asyncio.Semaphore(WRITERS)
        # A change of the database and the same of the index: a removal in between would leave vectors of nothing
        self.committing = asyncio.Lock()
        self._opened = asyncio.Event()
        self._failure: Exception | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Open in the background; `serving` waits for it."""
        self._tasks = [asyncio.create_task(self._open())]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._serving is not None:
            await self._serving.stop()
            self._serving = None

    @property
    def opening(self) -> bool:
        """Whether it is not known yet which model serves."""
        return not self._opened.is_set()

    @property
    def failure(self) -> str | None:
        """Why none serves."""
        return str(self._failure) if self._failure is not None else None

    async def serving(self) -> Serving:
        """The model that serves. Raises DocumentsUnavailable."""
        await self._opened.wait()
        if self._failure is not None:
            raise DocumentsUnavailable(str(self._failure))
        assert self._serving is not None
        return self._serving

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Serving]:
        """The model that serves, and goes on to until the document is written."""
        async with self._writers:
            yield await self.serving()

    async def write_anew(self) -> None:
        """Write the file of the index as that is now. Files of other models go: they are of no use any more."""
        await self._opened.wait()
        kept = [] if self._serving is None else [self._file(self._serving.embedder)]
        await asyncio.to_thread(remove_indexes, self._cache, kept)
        if self._serving is not None:
            await self._serving.vectors.save()

    async def caught_up(self) -> None:
        """Return when nothing is being opened, loaded or embedded anew."""
        await self._opened.wait()
        await asyncio.gather(*self._tasks)

    async def _open(self) -> None:
        try:
            target = self._open_embedder(self._folder)
            target.check()
            old = await self._old_embedder(target)
            self._serving = await self._serve(old or target)
            if len(self._serving.vectors):
                self._tasks.append(asyncio.create_task(self._load(self._serving.embedder)))
            if await self._documents.vectors.missing(target.model, 1):
                self._tasks.append(asyncio.create_task(self._move_to(target)))
        except DocumentsUnavailable as error:
            self._failure = error
        except Exception as error:
            logger.exception("the library cannot be opened")
            self._failure = error
        finally:
            self._opened.set()

    async def _load(self, embedder: Embedder) -> None:
        """So that the first question need not wait for it."""
        try:
            await embedder.load()
        except DocumentsUnavailable as error:
            logger.error("documents are searched by words alone", extra={"why": str(error)})

    async def _old_embedder(self, target: Embedder) -> Embedder | None:
        """The model most passages have vectors of, if that is another one and still there."""
        counts = await self._documents.vectors.models()
        for model in sorted(counts, key=lambda model: -counts[model]):
            if model == target.model:
                return None
            folder = self._folder.parent / model.partition(":")[0]
            if (folder / "model.safetensors").is_file() and (old := self._open_embedder(folder)).model == model:
                logger.info("another embedding model serves until this one has caught up", extra={"model": model})
                return old
        return None

    async def _serve(self, embedder: Embedder) -> Serving:
        vectors = Vectors(self._documents, embedder.model, embedder.dimensions, self._file(embedder))
        await vectors.start()
        return Serving(embedder, vectors)

    def _file(self, embedder: Embedder) -> Path:
        return self._cache / f"vectors-{embedder.model.replace(':', '-')}.index"

    async def _move_to(self, target: Embedder) -> None:
        """Embed everything with the new model, then let it serve."""
        try:
            await self._catch_up(target)
            for _ in range(WRITERS):  # nobody writes vectors of the old one from here on
                await self._writers.acquire()
            try:
                await self._catch_up(target)
                old, new = self._serving, await self._serve(target)
                self._serving = new
                await self._documents.vectors.settle_on(target.model)
            finally:
                for _ in range(WRITERS):
                    self._writers.release()
            if old is not None and old.embedder is not target:
                await old.stop()
            logger.info("the embedding model has caught up and serves", extra={"model": target.model})
        except DocumentsUnavailable as error:
            logger.error("the embedding model cannot catch up", extra={"why": str(error)})

    async def _catch_up(self, target: Embedder) -> None:
        while passages := await self._documents.vectors.missing(target.model, EMBEDDED_AT_ONCE):
            vectors = await target.embed([text for _, text in passages])
            await self._documents.vectors.add([id for id, _ in passages], vectors, target.model)


def remove_indexes(cache: Path, kept: Sequence[Path] = ()) -> None:
    """Remove the index files of a folder but those `kept`; each can be made anew."""
    for file in cache.glob("vectors-*.index"):
        if file not in kept:
            file.unlink(missing_ok=True)
