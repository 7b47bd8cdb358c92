"""The vector index as the event loop sees it: on a thread of its own, kept in a file that only saves time.

SQLite is the truth. The file is checked before it is read, brought up to date from SQLite, and made anew when in doubt.
"""

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from neuralbridge.retrieval.arrays import Ids, Matrix
from neuralbridge.retrieval.documents import Documents

if TYPE_CHECKING:  # FAISS takes 20 MB and a tenth of a second, which whoever has no documents is spared
    from neuralbridge.retrieval.index import VectorIndex

logger = logging.getLogger(__name__)
T = TypeVar("T")

EXACT_MS = 30.0  # exact search may take so long; beyond it the index goes over to inverted lists
TIMED_SEARCHES = 21
SAVE_AFTER_CHANGES = 5_000
FETCHED_AT_ONCE = 5_000


class Vectors:
    """The vectors of one embedding model. `file` is where the index is kept between starts."""

    def __init__(
        self, documents: Documents, model: str, dimensions: int, file: Path, exact_ms: float = EXACT_MS
    ) -> None:
        self.model = model
        self._documents = documents
        self._dimensions = dimensions
        self._file = file
        self._exact_ms = exact_ms
        self._thread = ThreadPoolExecutor(1, "vectors")
        self._builder = ThreadPoolExecutor(1, "vector-lists")
        self._index: VectorIndex | None = None  # until there is a first vector
        self._times: deque[float] = deque(maxlen=TIMED_SEARCHES)
        self._unsaved = 0
        self._inverting: asyncio.Task[float | None] | None = None
        self._useless_at = 0  # vectors there were when inverted lists turned out to be of no use

    def __len__(self) -> int:
        return 0 if self._index is None else len(self._index)

    @property
    def exact(self) -> bool:
        return self._index is None or self._index.exact

    async def start(self) -> None:
        """Load the file, or begin empty, and bring either up to what SQLite has."""
        loaded = await self._run(self._load)
        wanted = await self._documents.vectors.ids(self.model)
        present = await self._run(self._ids)
        await self.remove(np.setdiff1d(present, wanted))
        missing = np.setdiff1d(wanted, present)
        for begin in range(0, len(missing), FETCHED_AT_ONCE):
            ids, vectors = await self._documents.vectors.of(self.model, missing[begin : begin + FETCHED_AT_ONCE])
            await self.add(ids, vectors)
        if len(missing) or not loaded:
            await self.save()

    async def stop(self) -> None:
        if self._inverting is not None:
            self._inverting.cancel()
            await asyncio.gather(self._inverting, return_exceptions=True)
        if self._unsaved:
            await self.save()
        self._builder.shutdown()
        self._thread.shutdown()

    async def add(self, ids: Ids, vectors: Matrix) -> None:
        await self._run(lambda: self._add(ids, vectors))
        await self._changed(len(ids))

    async def remove(self, ids: Ids) -> None:
        await self._run(lambda: self._remove(ids))
        await self._changed(len(ids))

    async def search(self, vector: Matrix, count: int, allowed: Ids | None = None) -> tuple[Ids, Matrix]:
        """The `count` nearest passages and their cosines."""

        def timed() -> tuple[Ids, Matrix]:
            if self._index is None:
                return np.empty(0, np.int64), np.empty(0, np.float32)
            started = time.perf_counter()
            found = self._index.search(vector, count, allowed)
            if allowed is None:
                self._times.append(1e3 * (time.perf_counter() - started))
            return found

        found = await self._run(timed)
        if self._too_slow and self._inverting is None:
            self._inverting = asyncio.create_task(self.invert())
        return found

    async def invert(self) -> float | None:
        """Go over to inverted lists; exact search serves meanwhile. Their recall, None when they are of no use."""
        exact = self._index
        assert exact is not None
        try:
            made = await asyncio.get_running_loop().run_in_executor(self._builder, exact.inverted)
            self._times.clear()
            if made is None:
                self._useless_at = len(exact)
                return None
            new, recall = made
            await self._catch_up(new)
            logger.info("the vector index went over to inverted lists", extra={"recall": recall, "vectors": len(new)})
            return recall
        finally:
            self._inverting = None

    async def save(self) -> None:
        self._unsaved = 0
        await self._run(self._write)

    @property
    def _too_slow(self) -> bool:
        grown = len(self) > 1.5 * self._useless_at
        return self.exact and grown and len(self._times) == TIMED_SEARCHES and median(self._times) > self._exact_ms

    async def _changed(self, count: int) -> None:
        self._unsaved += count
        if self._unsaved >= SAVE_AFTER_CHANGES:
            await self.save()

    async def _catch_up(self, new: "VectorIndex") -> None:
        """Give the new index what changed while it was made, and put it in the old one's place."""
        wanted = await self._documents.vectors.ids(self.model)
        missing = np.setdiff1d(wanted, new.ids)
        ids, vectors = await self._documents.vectors.of(self.model, missing)

        def swap() -> None:
            new.add(ids, vectors)
            # What changed during these last reads is in the old one, which is still complete
            new.remove(np.setdiff1d(new.ids, self._ids()))
            self._index = new

        await self._run(swap)
        await self.save()

    async def _run(self, act: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, act)

    # On the thread

    def _ids(self) -> Ids:
        return np.empty(0, np.int64) if self._index is None else self._index.ids

    def _add(self, ids: Ids, vectors: Matrix) -> None:
        if self._index is None:
            self._index = index_class()(self._dimensions)
        self._index.add(ids, vectors)

    def _remove(self, ids: Ids) -> None:
        if self._index is not None:
            self._index.remove(ids)

    def _load(self) -> bool:
        if not self._file.exists():
            return False
        try:
            self._index = index_class().load(self._file.read_bytes(), self._about)
        except (ValueError, KeyError, RuntimeError, OSError) as error:
            logger.warning("the vector index is made anew", extra={"file": str(self._file), "why": str(error)})
            return False
        return True

    def _write(self) -> None:
        """Write aside, then rename: whoever is killed meanwhile leaves the old file or the new one."""
        new = self._file.with_suffix(".new")
        try:
            if self._index is None:  # what may stand there could not be read, and may tell of what was deleted
                self._file.unlink(missing_ok=True)
                return
            with new.open("wb") as file:
                file.writelines(self._index.dump(self._about))
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._file)
        except OSError as error:  # it is a cache: the next start takes a little longer
            logger.warning("the vector index cannot be saved", extra={"file": str(self._file), "why": str(error)})

    @property
    def _about(self) -> dict[str, str]:
        return {"model": self.model}


def index_class() -> "type[VectorIndex]":
    """The class of an index, whose searches on this thread use one core: the other has answers to compute."""
    import faiss

    from neuralbridge.retrieval.index import VectorIndex

    faiss.omp_set_num_threads(1)
    return VectorIndex
