"""Everything of an owner's, deleted from the store. What documents are is forgotten elsewhere."""

import json
import sqlite3
from dataclasses import dataclass

from neuralbridge.database import Database
from neuralbridge.store import message_text

AT_ONCE = 100  # conversations of one transaction: whoever else writes waits for it


@dataclass(frozen=True, slots=True)
class Said:
    """What was deleted, in numbers."""

    conversations: int
    messages: int
    feedback: int
    cached_answers: int

    def __add__(self, other: "Said") -> "Said":
        return Said(
            self.conversations + other.conversations,
            self.messages + other.messages,
            self.feedback + other.feedback,
            self.cached_answers + other.cached_answers,
        )


class Forgetting:
    """Remembers whose things are being deleted, so that it is brought to its end whatever happens meanwhile."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, owner: str) -> None:
        await self._database.write(
            lambda connection: connection.execute("INSERT OR IGNORE INTO forgotten (owner) VALUES (?)", (owner,))
        )

    async def begun(self) -> list[str]:
        """The owners of whom something may be left."""
        return await self._database.read(
            lambda connection: [owner for (owner,) in connection.execute("SELECT owner FROM forgotten ORDER BY owner")]
        )

    async def end(self, owner: str) -> bool:
        """Leave no trace in the file either; False while that cannot be, see `Database.scrub`."""
        if not await self._database.scrub():
            return False
        await self._database.write(
            lambda connection: connection.execute("DELETE FROM forgotten WHERE owner = ?", (owner,))
        )
        await self._database.checkpoint()  # their name goes too
        return True

    async def conversations(self, owner: str) -> Said:
        """Delete an owner's conversations with all that hangs on them, and the answers kept for them."""

        def some(connection: sqlite3.Connection) -> Said:
            rows = connection.execute("SELECT id FROM conversations WHERE owner = ? LIMIT ?", (owner, AT_ONCE))
            return delete(connection, [id for (id,) in rows.fetchall()])

        def rest(connection: sqlite3.Connection) -> int:
            return connection.execute("DELETE FROM cached_answers WHERE owner = ?", (owner,)).rowcount

        gone = Said(0, 0, 0, await self._database.write(rest))
        while (part := await self._database.write(some)).conversations:
            gone += part
        return gone

    async def unused(self, before: str) -> Said:
        """Delete the conversations of everybody in which nothing was asked since then, but those that are pinned."""

        def some(connection: sqlite3.Connection) -> Said:
            rows = connection.execute(
                "SELECT id FROM conversations WHERE updated_at < ? AND NOT pinned LIMIT ?", (before, AT_ONCE)
            )
            return delete(connection, [id for (id,) in rows.fetchall()])

        gone = Said(0, 0, 0, 0)
        while (part := await self._database.write(some)).conversations:
            gone += part
        return gone


def delete(connection: sqlite3.Connection, conversations: list[int]) -> Said:
    """Delete these conversations, their messages, what was said of them, and the answers that came from them."""
    chosen = "IN (SELECT value FROM json_each(?))"
    wanted = (json.dumps(conversations),)
    (messages, rated) = connection.execute(
        f"""
        SELECT count(*), count(f.message) FROM messages m LEFT JOIN feedback f ON f.message = m.id
        WHERE m.conversation {chosen}
        """,  # noqa: S608
        wanted,
    ).fetchone()
    cached = connection.execute(
        f"DELETE FROM cached_answers WHERE message IN (SELECT uid FROM messages WHERE conversation {chosen})",  # noqa: S608
        wanted,
    ).rowcount
    for conversation in conversations:
        message_text.take_out(connection, conversation)
    connection.execute(f"DELETE FROM conversations WHERE id {chosen}", wanted)  # noqa: S608
    return Said(len(conversations), messages, rated, cached)
