"""Vectors that can be searched: exactly, or by FAISS's inverted lists where exact search is too slow. Not thread-safe.

Vectors are float32 of length 1, so the inner product is the cosine. Ids are those of passages.
"""

import json
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

import faiss
import numpy as np

from neuralbridge.retrieval.arrays import Ids, Matrix

RECALL = 0.98  # of exact search, at least, at RECALL_DEPTH
RECALL_DEPTH = 10
SAMPLE_QUERIES = 200
QUESTION_NOISE = 4.0  # beside a passage's length of 1: leaves a best cosine of 0.27, real questions have 0.3 to 0.5
TRAINING_VECTORS_PER_LIST = 40  # FAISS asks for 39 at least


class VectorIndex:
    """A set of vectors by id."""

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions
        self._index: Any = faiss.IndexIDMap2(faiss.IndexFlatIP(dimensions))
        self.exact = True

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def ids(self) -> Ids:
        return np.array(faiss.vector_to_array(self._index.id_map if self.exact else self._all_ids()), dtype=np.int64)

    def add(self, ids: Ids, vectors: Matrix) -> None:
        """Take these in; an id that is here already gets the new vector."""
        if len(ids):
            self.remove(ids)
            self._index.add_with_ids(np.ascontiguousarray(vectors, dtype=np.float32), ids)

    def remove(self, ids: Ids) -> None:
        if len(ids) and len(self):
            self._index.remove_ids(faiss.IDSelectorBatch(np.ascontiguousarray(ids, dtype=np.int64)))

    def search(self, vector: Matrix, count: int, allowed: Ids | None = None) -> tuple[Ids, Matrix]:
        """The `count` nearest and their cosines, nearest first; only among `allowed` where given."""
        if len(self) == 0 or (allowed is not None and len(allowed) == 0):
            return np.empty(0, np.int64), np.empty(0, np.float32)
        params = None
        if allowed is not None:
            selector = faiss.IDSelectorBatch(np.ascontiguousarray(allowed, dtype=np.int64))
            # With few to look at, all lists are looked through: nprobe is for the unfiltered search
            params = (
                faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]  # swig has constructors of its own
                if self.exact
                else faiss.SearchParametersIVF(sel=selector, nprobe=self._index.nlist)  # type: ignore[call-arg]
            )
        scores, ids = self._index.search(vector.reshape(1, -1), min(count, len(self)), params=params)
        found = ids[0] >= 0
        return ids[0][found], scores[0][found]

    def inverted(self, seed: int = 1) -> "tuple[VectorIndex, float] | None":
        """The same vectors in inverted lists with their recall, as measured on a sample of them.

        None when no setting reaches `RECALL` while looking at less than half of the lists.
        """
        assert self.exact
        vectors, ids = self._vectors(), self.ids
        lists = max(1, int(4 * np.sqrt(len(ids))))
        rng = np.random.default_rng(seed)
        # Questions lie far from passages: what passages find of each other says too much good of few lists
        asked = vectors[rng.choice(len(ids), min(SAMPLE_QUERIES, len(ids)), replace=False)]
        asked = asked + rng.normal(0, QUESTION_NOISE / np.sqrt(self.dimensions), asked.shape).astype(np.float32)
        exact, _ = self._nearest(self._index, asked)
        new = faiss.IndexIVFFlat(faiss.IndexFlatIP(self.dimensions), self.dimensions, lists, faiss.METRIC_INNER_PRODUCT)
        new.cp.seed = seed
        sample = min(len(ids), lists * TRAINING_VECTORS_PER_LIST)
        new.train(vectors[rng.choice(len(ids), sample, replace=False)])
        new.add_with_ids(vectors, ids)
        new.nprobe = 8
        while new.nprobe <= lists // 2:
            near, _ = self._nearest(new, asked)
            recall = float(np.mean([len(np.intersect1d(a, b)) for a, b in zip(near, exact, strict=True)])) / len(
                exact[0]
            )
            if recall >= RECALL:
                made = VectorIndex(self.dimensions)
                made._index, made.exact = new, False
                return made, recall
            new.nprobe = new.nprobe * 5 // 4
        return None

    def dump(self, about: dict[str, str]) -> list[bytes]:
        """The index as the parts of a file, with a checksum of itself and `about` in its first line."""
        body = faiss.serialize_index(self._index).tobytes()
        head = {**about, "dimensions": self.dimensions, "exact": self.exact, "sha256": sha256(body).hexdigest()}
        return [json.dumps(head, sort_keys=True).encode() + b"\n", body]

    @classmethod
    def load(cls, raw: bytes, about: dict[str, str]) -> "VectorIndex":
        """What `dump` made. Raises ValueError when it is not whole or is about something else.

        FAISS's reader is native code that trusts its input, so nothing reaches it unchecked.
        """
        line, _, body = raw.partition(b"\n")
        head = json.loads(line)
        if {key: head.get(key) for key in about} != about:
            raise ValueError("it belongs to another model")
        if sha256(body).hexdigest() != head.get("sha256"):
            raise ValueError("its checksum is wrong")
        loaded = cls(int(head["dimensions"]))
        loaded._index = faiss.deserialize_index(np.frombuffer(body, dtype=np.uint8))
        loaded.exact = bool(head["exact"])
        return loaded

    def _nearest(self, index: Any, asked: Matrix) -> tuple[Ids, Matrix]:
        scores, ids = index.search(asked, min(RECALL_DEPTH, len(self)))
        return ids, scores

    def _vectors(self) -> Matrix:
        flat: Any = faiss.downcast_index(self._index.index)
        return np.array(faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * self.dimensions)).reshape(-1, self.dimensions)

    def _all_ids(self) -> Any:
        ids = faiss.Int64Vector()
        lists = self._index.invlists
        for number in range(self._index.nlist):
            for id in faiss.rev_swig_ptr(lists.get_ids(number), lists.list_size(number)):
                ids.push_back(int(id))
        return ids


def as_ids(ids: Iterable[int]) -> Ids:
    return np.fromiter(ids, dtype=np.int64)
