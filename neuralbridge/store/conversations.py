"""Conversations as trees of messages. Knows SQL, and neither prompts nor models."""

import json
import sqlite3
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from neuralbridge.database import Database
from neuralbridge.store import message_text
from neuralbridge.types import Speaker, Status

BRANCH = """
    WITH RECURSIVE branch (id, uid, parent, depth, role, content, status, metadata, created_at, context) AS (
        SELECT id, uid, parent, depth, role, content, status, metadata, created_at, context
        FROM messages WHERE id = :leaf
        UNION ALL
        SELECT m.id, m.uid, m.parent, m.depth, m.role, m.content, m.status, m.metadata, m.created_at, m.context
        FROM messages m JOIN branch b ON m.id = b.parent
        LIMIT :limit
    )
    SELECT b.uid, p.uid, b.depth, b.role, b.content, b.status, b.metadata, b.created_at, b.context
    FROM branch b LEFT JOIN messages p ON p.id = b.parent ORDER BY b.depth
"""


@dataclass(frozen=True, slots=True)
class Conversation:
    """Names a conversation: whose it is, and the session id its clients know it by."""

    owner: str
    session_id: str


@dataclass(frozen=True, slots=True)
class Message:
    """A stored message. `position` counts from 1 along its branch; `created_at` is ISO 8601, UTC.

    `context`: the passages the model was shown with it.
    """

    uid: str
    parent: str | None
    position: int
    role: Speaker
    content: str
    status: Status
    metadata: dict[str, Any]
    created_at: str
    context: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and its answer in the making, as rows."""

    question: str
    answer: str


def timestamp() -> str:
    """Now, as ISO 8601 in UTC with a Z."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Conversations:
    """Reads and writes conversations. Every method returns after the commit."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def mark_interrupted(self) -> int:
        """What was streaming when the server ended will not go on. Returns how many answers that were."""

        def change(connection: sqlite3.Connection) -> int:
            message_text.add_growing(connection)
            return connection.execute(
                """
                UPDATE messages SET status = 'interrupted', metadata = json_set(metadata, '$.finish_reason', 'error')
                WHERE status = 'streaming'
                """
            ).rowcount

        return await self._database.write(change)

    async def begin(
        self,
        conversation: Conversation,
        query: str,
        metadata: dict[str, Any],
        answer_metadata: dict[str, Any],
        context: list[dict[str, Any]] | None = None,
    ) -> Turn:
        """Append a question and an empty answer to the active branch, and make the answer its leaf."""

        def change(connection: sqlite3.Connection) -> Turn:
            now = timestamp()
            connection.execute(
                """
                INSERT INTO conversations (owner, session_id, created_at, updated_at) VALUES (?, ?, ?, ?)
                ON CONFLICT DO UPDATE SET updated_at = excluded.updated_at
                """,
                (conversation.owner, conversation.session_id, now, now),
            )
            found = find(connection, conversation)
            assert found is not None
            row, leaf = found
            append = partial(self._append, connection, row, now)
            question, question_uid = append(leaf, "user", query, "complete", metadata, context or [])
            answer, answer_uid = append(question, "assistant", "", "streaming", answer_metadata, [])
            connection.execute("UPDATE conversations SET leaf = ? WHERE id = ?", (answer, row))
            return Turn(question_uid, answer_uid)

        return await self._database.write(change)

    async def save_text(self, turn: Turn, content: str) -> None:
        """Keep the text of an unfinished answer, so that a crash loses little of it."""

        def change(connection: sqlite3.Connection) -> None:
            with message_text.changing(connection, turn.answer):
                connection.execute("UPDATE messages SET content = ? WHERE uid = ?", (content, turn.answer))

        await self._database.write(change)

    async def finish(self, turn: Turn, content: str, status: Status, metadata: dict[str, Any]) -> None:
        """The answer as it ended."""

        def change(connection: sqlite3.Connection) -> None:
            with message_text.changing(connection, turn.answer):
                connection.execute(
                    "UPDATE messages SET content = ?, status = ?, metadata = ? WHERE uid = ?",
                    (content, status, json.dumps(metadata), turn.answer),
                )

        await self._database.write(change)

    async def branch(self, conversation: Conversation, limit: int, before: str | None = None) -> list[Message]:
        """The last `limit` messages of the active branch, oldest first; with `before`, those that precede it."""

        def query(connection: sqlite3.Connection) -> list[Message]:
            found = find(connection, conversation)
            leaf = found[1] if found else None
            if found and before is not None:
                row = connection.execute(
                    "SELECT parent FROM messages WHERE uid = ? AND conversation = ?", (before, found[0])
                ).fetchone()
                leaf = row[0] if row else None
            rows = connection.execute(BRANCH, {"leaf": leaf, "limit": limit}).fetchall()
            return [message(row) for row in rows]

        return await self._database.read(query)

    async def last_question(self, conversation: Conversation) -> str | None:
        """What was asked last on the active branch."""
        page = await self.branch(conversation, 2)
        return next((message.content for message in reversed(page) if message.role == "user"), None)

    async def length(self, conversation: Conversation, before: str | None = None) -> int:
        """Messages on the active branch; with `before`, those that precede it."""

        def query(connection: sqlite3.Connection) -> int:
            found = find(connection, conversation)
            if not found or found[1] is None:
                return 0
            if before is not None:
                row = connection.execute(
                    "SELECT depth - 1 FROM messages WHERE uid = ? AND conversation = ?", (before, found[0])
                ).fetchone()
                return int(row[0]) if row else 0
            (depth,) = connection.execute("SELECT depth FROM messages WHERE id = ?", (found[1],)).fetchone()
            return int(depth)

        return await self._database.read(query)

    @staticmethod
    def _append(
        connection: sqlite3.Connection,
        conversation: int,
        now: str,
        parent: int | None,
        role: Speaker,
        content: str,
        status: Status,
        metadata: dict[str, Any],
        context: list[dict[str, Any]],
    ) -> tuple[int, str]:
        """Add a message below `parent`; its row id and its name."""
        uid = uuid.uuid4().hex
        id = connection.execute(
            """
            INSERT INTO messages
                (uid, conversation, parent, depth, role, content, status, metadata, context, created_at)
            VALUES (?, ?, ?, 1 + coalesce((SELECT depth FROM messages WHERE id = ?), 0), ?, ?, ?, ?, ?, ?)
            """,
            (uid, conversation, parent, parent, role, content, status, json.dumps(metadata), json.dumps(context), now),
        ).lastrowid
        assert id is not None
        message_text.add(connection, id)
        return id, uid


def message(row: tuple[str, str | None, int, Speaker, str, Status, str, str, str]) -> Message:
    uid, parent, position, role, content, status, metadata, created_at, context = row
    kept = json.loads(context)
    return Message(uid, parent, position, role, content, status, json.loads(metadata), created_at, kept)


def find(connection: sqlite3.Connection, conversation: Conversation) -> tuple[int, int | None] | None:
    """Row id and leaf of a conversation, None when nothing was asked in it yet."""
    row = connection.execute(
        "SELECT id, leaf FROM conversations WHERE owner = ? AND session_id = ?",
        (conversation.owner, conversation.session_id),
    ).fetchone()
    return (row[0], row[1]) if row else None
