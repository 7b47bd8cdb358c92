"""The library: everything of the user's documents, for whoever asks questions about them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neuralbridge.database import Database
from neuralbridge.errors import DocumentsUnavailable
from neuralbridge.retrieval.arrays import Ids, Matrix
from neuralbridge.retrieval.documents import Documents
from neuralbridge.retrieval.embeddings import Embeddings
from neuralbridge.retrieval.fulltext import FullText, Matches
from neuralbridge.retrieval.ingestion import Ingestion
from neuralbridge.retrieval.query import parse_query
from neuralbridge.retrieval.search import Search, Searcher
from neuralbridge.retrieval.sight import Sights


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors of texts, shape (texts, dimensions), of length 1, and the model they are of.

    `tokens` were read in all; of the texts at the places `cut`, only the first `limit`.
    """

    vectors: Matrix
    model: str
    tokens: int
    limit: int
    cut: tuple[int, ...]

    @property
    def dimensions(self) -> int:
        return int(self.vectors.shape[1])

    def shortened(self, dimensions: int) -> Matrix:
        """The first of their dimensions, of length 1 again."""
        if dimensions == self.dimensions:
            return self.vectors
        short = self.vectors[:, :dimensions]
        return np.asarray(short / np.maximum(np.linalg.norm(short, axis=1, keepdims=True), 1e-12), np.float32)


@dataclass(frozen=True, slots=True)
class Gone:
    """What was forgotten of an owner, in numbers."""

    documents: int
    passages: int
    jobs: int
    uploads: int  # files that were waiting to be read


class Library:
    """Documents in, passages out. Services of its own start with it and stop with it."""

    def __init__(self, database: Database, embeddings: Embeddings, ingestion: Ingestion) -> None:
        self.documents = Documents(database)
        self.ingestion = ingestion
        self.embeddings = embeddings
        self._searcher = Searcher(FullText(database))
        self._sights = Sights(database)

    async def start(self) -> None:
        self.embeddings.start()
        await self.ingestion.start()

    async def stop(self) -> None:
        await self.ingestion.stop()
        await self.embeddings.stop()

    async def search(self, typed: str, limit: int, user: str, signs: bool = True, patient: bool = True) -> Search:
        """The best passages that a user may see for a search as typed.

        `signs` is False for a question, where + and - are no filters. Without patience, words alone are looked for
        while the embedding model is still being loaded.

        Raises InvalidParams for a filter that cannot be read, DocumentsUnavailable when documents are not set up.
        """
        query = parse_query(typed, signs)
        serving = await self.embeddings.serving()
        if not len(serving.vectors):  # then torch need not be loaded to find nothing
            return Search(query, Matches({}, frozenset(), ()), [], [], by_meaning=False, nothing_there=True)
        meaning = serving if patient or serving.embedder.loaded else None
        return await self._searcher.search(query, await self._sights.of(user), limit, meaning)

    async def compare(self, texts: Sequence[str]) -> tuple[Matrix, str] | None:
        """Vectors of these texts ahead of all documents, and the model they are of; None while it is not loaded."""
        try:
            serving = await self.embeddings.serving()
            if not texts or not serving.embedder.loaded:
                return None
            return await serving.embedder.embed_urgently(texts), serving.model
        except DocumentsUnavailable:
            return None

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """Vectors of texts that are no documents. Raises DocumentsUnavailable."""
        serving = await self.embeddings.serving()
        counts, limit = await serving.embedder.count(texts)
        vectors = await serving.embedder.embed(texts)
        cut = tuple(place for place, count in enumerate(counts) if count > limit)
        return Embedded(vectors, serving.embedder.folder.name, sum(min(count, limit) for count in counts), limit, cut)

    async def remove(self, uid: str, owner: str) -> None:
        """Forget a document. Raises NotFound."""
        async with self.embeddings.committing:
            await self._unindex(await self.documents.remove(owner, uid))

    async def forget(self, owner: str) -> Gone:
        """Forget everything of an owner, also what is on its way in; of the index only its file may still have it.

        Killed meanwhile, the next call goes on.
        """
        jobs, uploads = await self.ingestion.forget(owner)
        documents = passages = 0
        while True:
            async with self.embeddings.committing:
                removed = await self.documents.remove_some(owner)
                await self._unindex(np.concatenate([np.empty(0, np.int64), *removed]))
            if not removed:
                return Gone(documents, passages, jobs, uploads)
            documents += len(removed)
            passages += sum(map(len, removed))

    async def scrub(self) -> None:
        """Write the index's file anew, without what is not in the index any more."""
        await self.embeddings.write_anew()

    async def _unindex(self, removed: Ids) -> None:
        try:
            serving = await self.embeddings.serving()
        except DocumentsUnavailable:
            return  # the next start takes it out of the index
        await serving.vectors.remove(removed)
        await self.documents.indexed()
