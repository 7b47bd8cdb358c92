"""The vectors of passages, in SQLite: one of each embedding model that there is or was."""

import json
import sqlite3
from collections.abc import Sequence
from hashlib import sha256

import numpy as np

from neuralbridge.database import Database
from neuralbridge.retrieval.arrays import Ids, Matrix
from neuralbridge.words import name_words

VARIABLES = 500  # in one statement; SQLite allows some 32,000, older ones 999


class StoredVectors:
    """Reads and writes vectors."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def embedded(self, owner: str, model: str, texts: Sequence[str]) -> dict[str, Matrix]:
        """Of these texts those that were embedded before for this owner, with their vectors.

        Not for others: how fast a text is taken in would tell whether somebody has it.
        """
        texts_by_hash = {fingerprint(text): text for text in texts}
        hashes = list(texts_by_hash)

        def query(connection: sqlite3.Connection) -> dict[str, Matrix]:
            found: dict[str, Matrix] = {}
            for begin in range(0, len(hashes), VARIABLES):
                part = hashes[begin : begin + VARIABLES]
                rows = connection.execute(
                    f"""
                    SELECT p.embedded, v.vector FROM passages p JOIN vectors v ON v.passage = p.id AND v.model = ?
                    JOIN documents d ON d.id = p.document AND d.owner = ?
                    WHERE p.embedded IN ({", ".join("?" * len(part))})
                    """,  # noqa: S608
                    (model, owner, *part),
                )
                found.update((texts_by_hash[digest], vector_of(blob)) for digest, blob in rows)
            return found

        return await self._database.read(query)

    async def ids(self, model: str) -> Ids:
        return await self._database.read(
            lambda connection: np.array(
                [id for (id,) in connection.execute("SELECT passage FROM vectors WHERE model = ?", (model,))], np.int64
            )
        )

    async def of(self, model: str, ids: Ids) -> tuple[Ids, Matrix]:
        """Those of these passages that have a vector, and their vectors."""
        # CROSS: the list leads. SQLite takes it for long otherwise, and looks through it once for every vector.

        def query(connection: sqlite3.Connection) -> tuple[Ids, Matrix]:
            rows = connection.execute(
                """
                SELECT v.passage, v.vector FROM json_each(?) AS wanted
                CROSS JOIN vectors v ON v.passage = wanted.value AND v.model = ?
                """,
                (json.dumps(ids.tolist()), model),
            ).fetchall()
            found = np.array([id for id, _ in rows], np.int64)
            return found, np.array([vector_of(blob) for _, blob in rows], np.float32)

        return await self._database.read(query)

    async def models(self) -> dict[str, int]:
        """The models there are vectors of, and of how many passages."""
        return await self._database.read(
            lambda connection: dict(connection.execute("SELECT model, count(*) FROM vectors GROUP BY model").fetchall())
        )

    async def missing(self, model: str, limit: int) -> list[tuple[int, str]]:
        """Passages this model has not embedded: id, and the text to embed."""

        def query(connection: sqlite3.Connection) -> list[tuple[int, str]]:
            rows = connection.execute(
                """
                SELECT p.id, d.key, p.heading, p.text FROM passages p JOIN documents d ON d.id = p.document
                WHERE NOT EXISTS (SELECT 1 FROM vectors v WHERE v.passage = p.id AND v.model = ?) LIMIT ?
                """,
                (model, limit),
            ).fetchall()
            return [(id, embedded_text(key, heading, text)) for id, key, heading, text in rows]

        return await self._database.read(query)

    async def add(self, ids: Sequence[int], vectors: Matrix, model: str) -> None:
        """Vectors of another model. Passages that went meanwhile are left out."""

        def change(connection: sqlite3.Connection) -> None:
            connection.executemany(
                """
                INSERT INTO vectors (passage, model, vector)
                SELECT id, ?, ? FROM passages WHERE id = ? ON CONFLICT DO NOTHING
                """,
                [(model, vector.tobytes(), id) for id, vector in zip(ids, vectors, strict=True)],
            )

        await self._database.write(change)

    async def settle_on(self, model: str) -> None:
        """Forget the vectors of all other models, and take documents' centroids from this one's."""
        await self._database.write(lambda connection: settle(connection, model))


def settle(connection: sqlite3.Connection, model: str) -> None:
    connection.execute("DELETE FROM vectors WHERE model != ?", (model,))
    stale = connection.execute("SELECT id FROM documents WHERE centroid_model IS NOT ?", (model,)).fetchall()
    for (document,) in stale:
        rows = connection.execute(
            "SELECT v.vector FROM vectors v JOIN passages p ON p.id = v.passage WHERE p.document = ?", (document,)
        )
        centroid = mean(np.array([vector_of(blob) for (blob,) in rows], np.float32))
        connection.execute(
            "UPDATE documents SET centroid = ?, centroid_model = ? WHERE id = ?", (centroid.tobytes(), model, document)
        )


def write_vectors(connection: sqlite3.Connection, ids: list[int], vectors: Matrix, model: str) -> None:
    connection.executemany(
        "INSERT INTO vectors (passage, model, vector) VALUES (?, ?, ?)",
        [(id, model, vector.tobytes()) for id, vector in zip(ids, vectors, strict=True)],
    )


def mean(vectors: Matrix) -> Matrix:
    """The direction that vectors have in common, of length 1."""
    total = vectors.sum(axis=0, dtype=np.float32)
    return np.asarray(total / max(float(np.linalg.norm(total)), 1e-9), np.float32)


def vector_of(blob: bytes) -> Matrix:
    return np.frombuffer(blob, np.float32)


def embedded_text(key: str, heading: str, text: str) -> str:
    """What a passage's vector is made from: where it stands says what it is about. Not the shown name, which may
    change: the key does not.
    """
    return "\n".join(part for part in (name_words(key.rpartition("/")[2])[:80], heading[:160], text) if part)


def fingerprint(text: str) -> bytes:
    return sha256(text.encode()).digest()
