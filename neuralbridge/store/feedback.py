"""What people say of answers: thumbs and comments, in SQLite. A bad word also takes an answer out of the cache."""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from neuralbridge.database import Database
from neuralbridge.errors import NotFound
from neuralbridge.store.cached_answers import forget
from neuralbridge.store.conversations import timestamp


@dataclass(frozen=True, slots=True)
class Rating:
    """`rating` is 1, -1, or 0 for none."""

    message: str
    rating: int
    comment: str
    updated_at: str


@dataclass(frozen=True, slots=True)
class Rated:
    """A rated answer with the question it answered, and what else was said above it, the oldest first."""

    rating: Rating
    turns: list[tuple[str, str]]  # role, content; the answer is the last
    metadata: dict[str, Any]


class Feedback:
    """Reads and writes ratings of messages."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, owner: str, message: str, rating: int, comment: str) -> Rating:
        """Rate an answer, 1, -1 or 0, in the place of an earlier rating. Raises NotFound: the owner has no such one."""
        now = timestamp()

        def change(connection: sqlite3.Connection) -> None:
            row = connection.execute(
                """
                SELECT m.id FROM messages m JOIN conversations c ON c.id = m.conversation
                WHERE m.uid = ? AND c.owner = ? AND m.role = 'assistant'
                """,
                (message, owner),
            ).fetchone()
            if row is None:
                raise NotFound(f"There is no answer {message[:40]!r}.")
            connection.execute(
                """
                INSERT INTO feedback (message, rating, comment, created_at, updated_at) VALUES (?, ?, ?, ?, ?)
                ON CONFLICT (message) DO UPDATE SET rating = excluded.rating, comment = excluded.comment,
                    updated_at = excluded.updated_at
                """,
                (row[0], rating, comment, now, now),
            )
            if rating < 0:
                forget(connection, owner, message)

        await self._database.write(change)
        return Rating(message, rating, comment, now)


def rated(connection: sqlite3.Connection) -> Iterator[Rated]:
    """Every rated answer with what was said before it, the oldest rating first."""
    rows = connection.execute(
        """
        SELECT m.id, m.uid, m.metadata, f.rating, f.comment, f.updated_at
        FROM feedback f JOIN messages m ON m.id = f.message ORDER BY f.created_at, m.id
        """
    ).fetchall()
    for id, uid, metadata, rating, comment, updated_at in rows:
        turns = connection.execute(
            """
            WITH RECURSIVE branch (id, parent, depth, role, content) AS (
                SELECT id, parent, depth, role, content FROM messages WHERE id = ?
                UNION ALL
                SELECT m.id, m.parent, m.depth, m.role, m.content FROM messages m JOIN branch b ON m.id = b.parent
            )
            SELECT role, content FROM branch ORDER BY depth
            """,
            (id,),
        ).fetchall()
        yield Rated(Rating(uid, rating, comment, updated_at), turns, json.loads(metadata))
