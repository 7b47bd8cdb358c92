"""Answers that can be given again, in SQLite. What makes two questions the same is decided elsewhere."""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from neuralbridge.database import Database
from neuralbridge.store.conversations import timestamp

COLUMNS = "id, answer, receipt, context, evidence, generation, created_at, asked, vector"


@dataclass(frozen=True, slots=True)
class Entry:
    """A kept answer. `evidence` names the passages that fitted its question, None where no document was asked;
    `generation` is that of the library when these were last found to be the same.
    """

    id: int
    answer: str
    receipt: dict[str, Any]
    context: list[dict[str, Any]]
    evidence: bytes | None
    generation: int
    created_at: str
    asked: str
    vector: bytes | None


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An answer to keep, given to `owner`, from the message of that uid."""

    owner: str
    scope: bytes
    question: str
    asked: str
    message: str
    answer: str
    receipt: dict[str, Any]
    context: list[dict[str, Any]]
    evidence: bytes | None
    generation: int
    documents: frozenset[str]
    vector: bytes | None = None
    vector_model: str | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """What there is: entries, the characters of their answers, how often they were given, dates of the oldest and newest."""  # noqa: E501

    entries: int
    characters: int
    hits: int
    oldest: str | None
    newest: str | None


class CachedAnswers:
    """Keeps at most `limit` answers, those used last, for at most `hours`."""

    def __init__(self, database: Database, limit: int, hours: float) -> None:
        self._database = database
        self._limit = limit
        self._hours = hours

    async def find(self, scope: bytes, question: str) -> tuple[Entry | None, int]:
        """The answer to that question, and the library's generation as of now."""
        oldest = self._oldest()

        def query(connection: sqlite3.Connection) -> tuple[Entry | None, int]:
            (generation,) = connection.execute("SELECT generation FROM library").fetchone()
            row = connection.execute(
                f"SELECT {COLUMNS} FROM cached_answers WHERE scope = ? AND question = ? AND created_at > ?",  # noqa: S608
                (scope, question, oldest),
            ).fetchone()
            return (entry(row) if row else None), int(generation)

        return await self._database.read(query)

    async def in_scope(self, scope: bytes, model: str) -> list[Entry]:
        """All of a scope whose questions have a vector of that model."""
        oldest = self._oldest()
        return await self._database.read(
            lambda connection: [
                entry(row)
                for row in connection.execute(
                    f"SELECT {COLUMNS} FROM cached_answers WHERE scope = ? AND vector_model = ? AND created_at > ?",  # noqa: S608
                    (scope, model, oldest),
                )
            ]
        )

    async def put(self, new: NewEntry) -> None:
        """Keep an answer in the place of an earlier one; the least recently used make room for it."""
        now, oldest = timestamp(), self._oldest()

        def change(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM cached_answers WHERE scope = ? AND question = ?", (new.scope, new.question))
            (generation,) = connection.execute("SELECT generation FROM library").fetchone()
            if new.evidence is not None and generation != new.generation:
                return  # a document changed while the answer was made: nobody knows which state it is of
            row = connection.execute(
                """
                INSERT INTO cached_answers (owner, scope, question, asked, message, answer, receipt, context, evidence,
                    generation, vector, vector_model, created_at, used_at)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
                (
                    *(new.owner, new.scope, new.question, new.asked, new.message, new.answer, json.dumps(new.receipt)),
                    *(json.dumps(new.context), new.evidence, new.generation, new.vector, new.vector_model, now, now),
                ),
            ).lastrowid
            connection.executemany(
                "INSERT INTO cached_documents (answer, document) VALUES (?, ?)",
                [(row, document) for document in sorted(new.documents)],
            )
            connection.execute("DELETE FROM cached_answers WHERE created_at <= ?", (oldest,))
            connection.execute(
                """
                DELETE FROM cached_answers WHERE id IN (
                    SELECT id FROM cached_answers ORDER BY used_at DESC, id DESC LIMIT -1 OFFSET ?)
                """,
                (self._limit,),
            )

        await self._database.write(change)

    async def used(self, id: int, generation: int) -> None:
        """The answer was given again, and its evidence is the same in this generation of the library."""
        await self._database.write(
            lambda connection: connection.execute(
                "UPDATE cached_answers SET hits = hits + 1, used_at = ?, generation = max(generation, ?) WHERE id = ?",
                (timestamp(), generation, id),
            )
        )

    async def drop(self, ids: Iterable[int]) -> None:
        await self._database.write(
            lambda connection: connection.executemany("DELETE FROM cached_answers WHERE id = ?", [(id,) for id in ids])
        )

    async def clear(self, owner: str) -> int:
        """Forget all of an owner; how many there were."""
        return await self._database.write(
            lambda connection: connection.execute("DELETE FROM cached_answers WHERE owner = ?", (owner,)).rowcount
        )

    async def held(self, owner: str) -> Held:
        return await self._database.read(
            lambda connection: Held(
                *connection.execute(
                    """
                    SELECT count(*), coalesce(sum(length(answer)), 0), coalesce(sum(hits), 0), min(created_at),
                        max(created_at) FROM cached_answers WHERE owner = ?
                    """,
                    (owner,),
                ).fetchone()
            )
        )

    def _oldest(self) -> str:
        """Answers from before this have had their time."""
        moment = datetime.now(UTC) - timedelta(hours=self._hours)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def forget(connection: sqlite3.Connection, owner: str, message: str) -> None:
    """Drop the answer that came from this message of an owner's, or that it repeated."""
    connection.execute(
        """
        DELETE FROM cached_answers WHERE owner = :owner AND (
            message = :message OR (answer, lower(asked)) = (
                SELECT m.content, lower(q.content) FROM messages m JOIN messages q ON q.id = m.parent
                WHERE m.uid = :message
            )
        )
        """,
        {"owner": owner, "message": message},
    )


def entry(row: tuple[int, str, str, str, bytes | None, int, str, str, bytes | None]) -> Entry:
    id, answer, receipt, context, evidence, generation, created_at, asked, vector = row
    kept = json.loads(receipt), json.loads(context)
    return Entry(id, answer, *kept, evidence, generation, created_at, asked, vector)
