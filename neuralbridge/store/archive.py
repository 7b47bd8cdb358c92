"""Conversations whole, with all their branches: as they are written out, and taken in from elsewhere."""

import json
import sqlite3
from dataclasses import dataclass

from neuralbridge.database import snapshot
from neuralbridge.errors import InvalidRequest
from neuralbridge.store import message_text
from neuralbridge.store.conversations import Conversation, Message, find, message


@dataclass(frozen=True, slots=True)
class Whole:
    """A conversation with all its messages, each after its parent. `leaf`: the last message of the active branch.

    `title` is None where its first question names it.
    """

    session_id: str
    title: str | None
    pinned: bool
    created_at: str
    updated_at: str
    leaf: str | None
    messages: tuple[Message, ...]

    @property
    def branch(self) -> list[Message]:
        """The active branch, the oldest message first."""
        by_name = {each.uid: each for each in self.messages}
        branch, uid = [], self.leaf
        while uid is not None:
            branch.append(by_name[uid])
            uid = by_name[uid].parent
        return branch[::-1]


@dataclass(frozen=True, slots=True)
class Kept:
    """What taking in a conversation came to: whether it is new here, and how many of its messages are."""

    new: bool
    messages: int


def session_ids(connection: sqlite3.Connection, owner: str) -> list[str]:
    """An owner's conversations, the oldest first."""
    rows = connection.execute("SELECT session_id FROM conversations WHERE owner = ? ORDER BY id", (owner,))
    return [session_id for (session_id,) in rows]


def whole(connection: sqlite3.Connection, conversation: Conversation) -> Whole | None:
    """None where there is no such conversation."""
    with snapshot(connection):
        return all_of(connection, conversation)


def all_of(connection: sqlite3.Connection, conversation: Conversation) -> Whole | None:
    found = find(connection, conversation)
    if found is None:
        return None
    row = connection.execute(
        """
        SELECT c.title, c.pinned, c.created_at, c.updated_at, m.uid
        FROM conversations c LEFT JOIN messages m ON m.id = c.leaf WHERE c.id = ?
        """,
        found[:1],
    ).fetchone()
    title, pinned, created_at, updated_at, leaf = row
    rows = connection.execute(
        """
        SELECT m.uid, p.uid, m.depth, m.role, m.content, m.status, m.metadata, m.created_at, m.context
        FROM messages m LEFT JOIN messages p ON p.id = m.parent WHERE m.conversation = ? ORDER BY m.id
        """,
        found[:1],
    )
    messages = tuple(message(row) for row in rows)
    return Whole(conversation.session_id, title, bool(pinned), created_at, updated_at, leaf, messages)


def keep(connection: sqlite3.Connection, owner: str, taken: Whole) -> Kept:
    """Take in a conversation; what is here of it already stays as it is. What was growing is taken as interrupted.

    Raises InvalidRequest where one of its messages is part of another conversation here.
    """
    new = bool(
        connection.execute(
            """
            INSERT INTO conversations (owner, session_id, title, pinned, created_at, updated_at)
            VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
            """,
            (owner, taken.session_id, taken.title, taken.pinned, taken.created_at, taken.updated_at),
        ).rowcount
    )
    found = find(connection, Conversation(owner, taken.session_id))
    assert found is not None
    row, leaf = found
    here = known(connection, row, taken)
    before = len(here)
    for each in taken.messages:
        if each.uid not in here:
            here[each.uid] = insert(connection, row, here[each.parent] if each.parent else None, each)
    if len(here) > before:
        connection.execute(
            "UPDATE conversations SET updated_at = max(updated_at, ?) WHERE id = ?", (taken.updated_at, row)
        )
        if taken.leaf is not None and (leaf is None or is_below(connection, here[taken.leaf], leaf)):
            connection.execute("UPDATE conversations SET leaf = ? WHERE id = ?", (here[taken.leaf], row))
    return Kept(new, len(here) - before)


def known(connection: sqlite3.Connection, row: int, taken: Whole) -> dict[str, int]:
    """Row ids of those messages that are here already. Raises InvalidRequest."""
    rows = connection.execute(
        """
        SELECT m.uid, m.id, m.conversation FROM json_each(?) AS w CROSS JOIN messages m ON m.uid = w.value
        """,
        (json.dumps([each.uid for each in taken.messages]),),
    ).fetchall()
    for uid, _, conversation in rows:
        if conversation != row:
            raise InvalidRequest(f"Its message {uid} is part of another conversation here.")
    return {uid: id for uid, id, _ in rows}


def insert(connection: sqlite3.Connection, conversation: int, parent: int | None, new: Message) -> int:
    """Add a message under its own name; its row id."""
    status = "interrupted" if new.status == "streaming" else new.status
    id = connection.execute(
        """
        INSERT INTO messages (uid, conversation, parent, depth, role, content, status, metadata, context, created_at)
        VALUES (?, ?, ?, 1 + coalesce((SELECT depth FROM messages WHERE id = ?), 0), ?, ?, ?, ?, ?, ?)
        """,
        (
            *(new.uid, conversation, parent, parent, new.role, new.content, status),
            *(json.dumps(new.metadata), json.dumps(new.context), new.created_at),
        ),
    ).lastrowid
    assert id is not None
    message_text.add(connection, id)
    return id


def is_below(connection: sqlite3.Connection, message: int, above: int) -> bool:
    """Whether a message stands further down on the branch of another one."""
    return bool(
        connection.execute(
            """
            WITH RECURSIVE branch (id, parent) AS (
                SELECT id, parent FROM messages WHERE id = ?
                UNION ALL
                SELECT m.id, m.parent FROM messages m JOIN branch b ON m.id = b.parent
            )
            SELECT 1 FROM branch WHERE id = ?
            """,
            (message, above),
        ).fetchone()
    )
