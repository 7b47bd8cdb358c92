"""Conversations as trees of messages. Knows SQL, and neither prompts nor models."""

import json
import sqlite3
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from neuralbridge.database import Database
from neuralbridge.errors import NotFound, StorageFailed
from neuralbridge.store import message_text
from neuralbridge.types import Speaker, Status

SIZE = "length(CAST(m.content AS BLOB)) + length(CAST(m.metadata AS BLOB)) + length(CAST(m.context AS BLOB))"  # bytes
BRANCH = f"""
    WITH RECURSIVE branch (id, uid, parent, depth, role, content, status, metadata, created_at, context, size) AS (
        SELECT m.id, m.uid, m.parent, m.depth, m.role, m.content, m.status, m.metadata, m.created_at, m.context, {SIZE}
        FROM messages m WHERE m.id = :leaf
        UNION ALL
        SELECT m.id, m.uid, m.parent, m.depth, m.role, m.content, m.status, m.metadata, m.created_at, m.context,
            b.size + {SIZE}
        FROM messages m JOIN branch b ON m.id = b.parent WHERE :size IS NULL OR b.size + {SIZE} <= :size
        LIMIT :limit
    )
    SELECT b.uid, p.uid, b.depth, b.role, b.content, b.status, b.metadata, b.created_at, b.context, f.rating
    FROM branch b LEFT JOIN messages p ON p.id = b.parent LEFT JOIN feedback f ON f.message = b.id ORDER BY b.depth
"""  # noqa: S608
SIBLINGS = """
    SELECT m.uid, s.uid FROM json_each(?) w CROSS JOIN messages m ON m.uid = w.value
    CROSS JOIN messages s ON s.parent IS m.parent AND s.conversation = m.conversation AND s.role = m.role
    ORDER BY s.id
"""


@dataclass(frozen=True, slots=True)
class Conversation:
    """Names a conversation: whose it is, and the session id its clients know it by."""

    owner: str
    session_id: str


@dataclass(frozen=True, slots=True)
class Message:
    """A stored message. `position` counts from 1 along its branch; `created_at` is ISO 8601, UTC.

    `context`: the passages the model was shown with it. `rating`: what somebody thinks of it, 1, -1 or 0 for nothing.
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
    rating: int = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and its answer in the making, as rows."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a turn stands: beneath the message of the id `parent`, or at the beginning of its conversation.

    What there is of it already: a `question` that is answered once more, an `answer` that goes on.
    """

    parent: str | None = None
    question: Message | None = None
    answer: Message | None = None


Change = Callable[[sqlite3.Connection], None]
Before = str | Place | None  # the id of a message, or a place; None: at the end of the active branch


def timestamp() -> str:
    """Now, as ISO 8601 in UTC with a Z."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Conversations:
    """Reads and writes conversations. Every method returns after the commit."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._owed: dict[str, Change] = {}  # ends of answers that the disk did not take, by the answer

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
        place: Place | None = None,
    ) -> Turn:
        """Store a question and an empty answer at a place, at the end of the active branch unless one is given.

        What stands there already stays as it is. The answer becomes the leaf of the active branch.
        """

        owed = {**self._owed}

        def change(connection: sqlite3.Connection) -> Turn:
            for settle in owed.values():
                settle(connection)
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
            own = context or []  # with the question, or with the answer where that is not the first one
            match place:
                case Place(question=Message(uid=question_uid), answer=Message(uid=answer_uid)):
                    answer = self._open_again(connection, row, answer_uid, answer_metadata)
                case Place(question=Message(uid=question_uid)):
                    question = demand_row(connection, row, question_uid)
                    answer, answer_uid = append(question, "assistant", "", "streaming", answer_metadata, own)
                case _:
                    above = end(connection, row, leaf, place)
                    question, question_uid = append(above, "user", query, "complete", metadata, own)
                    answer, answer_uid = append(question, "assistant", "", "streaming", answer_metadata, [])
            connection.execute("UPDATE conversations SET leaf = ? WHERE id = ?", (answer, row))
            return Turn(question_uid, answer_uid)

        turn = await self._database.write(change)
        for answer in owed:
            self._owed.pop(answer, None)
        return turn

    async def save_text(self, turn: Turn, content: str) -> None:
        """Keep the text of an unfinished answer, so that a crash loses little of it."""

        def change(connection: sqlite3.Connection) -> None:
            with message_text.changing(connection, turn.answer):
                connection.execute("UPDATE messages SET content = ? WHERE uid = ?", (content, turn.answer))

        await self._database.write(change)

    async def finish(self, turn: Turn, content: str, status: Status, metadata: dict[str, Any]) -> None:
        """The answer as it ended. Where the disk does not take it now, it does with the next turn.

        Raises StorageFailed.
        """

        def change(connection: sqlite3.Connection) -> None:
            with message_text.changing(connection, turn.answer):
                connection.execute(
                    "UPDATE messages SET content = ?, status = ?, metadata = ? WHERE uid = ?",
                    (content, status, json.dumps(metadata), turn.answer),
                )

        try:
            await self._database.write(change)
        except StorageFailed:
            self._owed[turn.answer] = change
            raise

    async def branch(
        self, conversation: Conversation, limit: int, before: Before = None, size: int | None = None
    ) -> list[Message]:
        """The last `limit` messages of the active branch, oldest first; with `before`, those that precede it.

        Fewer, but one at least, where they are more than `size` bytes together.
        """

        def query(connection: sqlite3.Connection) -> list[Message]:
            found = find(connection, conversation)
            leaf = end(connection, *found, before) if found else None
            rows = connection.execute(BRANCH, {"leaf": leaf, "limit": limit, "size": size}).fetchall()
            return [replace(message(row), rating=rating or 0) for *row, rating in rows]

        return await self._database.read(query)

    async def last_question(self, conversation: Conversation, before: Before = None) -> str | None:
        """What was asked last on the active branch; with `before`, what was asked last of those that precede it."""
        page = await self.branch(conversation, 2, before)
        return next((message.content for message in reversed(page) if message.role == "user"), None)

    async def siblings(self, messages: Sequence[Message]) -> dict[str, list[str]]:
        """For each of these, the messages with the same parent and role, itself among them, the oldest first."""

        def query(connection: sqlite3.Connection) -> dict[str, list[str]]:
            found: dict[str, list[str]] = {message.uid: [] for message in messages}
            for uid, sibling in connection.execute(SIBLINGS, (json.dumps([*found]),)):
                found[uid].append(sibling)
            return found

        return await self._database.read(query)

    async def length(self, conversation: Conversation, before: Before = None) -> int:
        """Messages on the active branch; with `before`, those that precede it."""

        def query(connection: sqlite3.Connection) -> int:
            found = find(connection, conversation)
            last = end(connection, *found, before) if found else None
            row = connection.execute("SELECT depth FROM messages WHERE id = ?", (last,)).fetchone()
            return int(row[0]) if row else 0

        return await self._database.read(query)

    @staticmethod
    def _open_again(connection: sqlite3.Connection, conversation: int, uid: str, metadata: dict[str, Any]) -> int:
        """An answer that had ended grows again; its row id."""
        id = demand_row(connection, conversation, uid)
        with message_text.changing(connection, uid):
            connection.execute(
                "UPDATE messages SET status = 'streaming', metadata = ? WHERE id = ?", (json.dumps(metadata), id)
            )
        return id

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


def message(row: Sequence[Any]) -> Message:
    """From its columns in the order of `BRANCH`, without the rating."""
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


def end(connection: sqlite3.Connection, conversation: int, leaf: int | None, before: Before) -> int | None:
    """Row id of the last message of the branch that ends at `leaf`; with `before`, of those that precede it."""
    match before:
        case None:
            return leaf
        case Place(parent=uid):
            row = connection.execute("SELECT id FROM messages WHERE uid = ? AND conversation = ?", (uid, conversation))
        case uid:
            row = connection.execute(
                "SELECT parent FROM messages WHERE uid = ? AND conversation = ?", (uid, conversation)
            )
    found = row.fetchone()
    return found[0] if found else None


def demand_row(connection: sqlite3.Connection, conversation: int, uid: str) -> int:
    """Row id of a message. Raises NotFound: its conversation was deleted meanwhile."""
    found = connection.execute("SELECT id FROM messages WHERE uid = ? AND conversation = ?", (uid, conversation))
    row = found.fetchone()
    if row is None:
        raise NotFound(f"There is no message {uid[:40]!r} any more.")
    return int(row[0])
