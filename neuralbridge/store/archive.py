"""Conversations whole, with all their branches: as they are written out, and taken in from elsewhere."""

import json
import sqlite3
from dataclasses import dataclass
from functools import cached_property

from neuralbridge.database import snapshot
from neuralbridge.errors import InvalidRequest
from neuralbridge.store import message_text
from neuralbridge.store.conversations import Conversation, Message, find, message

PART_SIZE = 1_000_000  # characters in one transaction, while which nobody else writes: some tenths of a second
DELETED = "It was deleted while it was taken in."


@dataclass(frozen=True)  # without slots, in which nothing can be kept
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

    @cached_property
    def active(self) -> frozenset[str]:
        """The names of the messages of the active branch."""
        return frozenset(each.uid for each in self.branch)


@dataclass(frozen=True, slots=True)
class Kept:
    """What taking in a conversation came to: whether it is new here, how many of its messages are, and how many of
    them all have been seen to.
    """

    new: bool
    messages: int
    seen: int


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


def keep(connection: sqlite3.Connection, owner: str, taken: Whole, seen: int = 0) -> Kept:
    """Take in a part of a conversation, from its message `seen` on: as much as one transaction should hold up others.

    What is here of it already stays as it is; what was growing is taken as interrupted. The active branch grows with
    each part, so what is broken off is a conversation too, and becomes the whole one when it is taken in again.

    Raises InvalidRequest where one of its messages is part of another conversation here, or it was deleted meanwhile.
    """
    new = not seen and opened(connection, owner, taken)
    found = find(connection, Conversation(owner, taken.session_id))
    if found is None:
        raise InvalidRequest(DELETED)
    row, leaf = found
    if not seen:
        known(connection, row, [each.uid for each in taken.messages])  # before there is anything of it
    part = taken.messages[seen : end_of_part(taken.messages, seen)]
    here = known(connection, row, [uid for each in part for uid in (each.uid, each.parent) if uid is not None])
    missing = [each for each in part if each.uid not in here]
    for each in missing:
        if each.parent is not None and each.parent not in here:
            raise InvalidRequest(DELETED)
        here[each.uid] = insert(connection, row, here[each.parent] if each.parent else None, each)
    if missing:
        connection.execute(
            "UPDATE conversations SET updated_at = max(updated_at, ?) WHERE id = ?", (taken.updated_at, row)
        )
        last = next((here[each.uid] for each in reversed(part) if each.uid in taken.active), None)
        if last is not None and (leaf is None or is_below(connection, last, leaf)):
            connection.execute("UPDATE conversations SET leaf = ? WHERE id = ?", (last, row))
    return Kept(new, len(missing), seen + len(part))


def opened(connection: sqlite3.Connection, owner: str, taken: Whole) -> bool:
    """Have a conversation of that name; whether it is new."""
    return bool(
        connection.execute(
            """
            INSERT INTO conversations (owner, session_id, title, pinned, created_at, updated_at)
            VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
            """,
            (owner, taken.session_id, taken.title, taken.pinned, taken.created_at, taken.updated_at),
        ).rowcount
    )


def end_of_part(messages: tuple[Message, ...], start: int) -> int:
    size = 0
    for end, each in enumerate(messages[start:], start + 1):
        size += len(each.content) + len(json.dumps([each.metadata, each.context]))
        if size >= PART_SIZE:
            return end
    return len(messages)


def known(connection: sqlite3.Connection, row: int, uids: list[str]) -> dict[str, int]:
    """Row ids of those messages that are here already. Raises InvalidRequest."""
    rows = connection.execute(
        """
        SELECT m.uid, m.id, m.conversation FROM json_each(?) AS w CROSS JOIN messages m ON m.uid = w.value
        """,
        (json.dumps(uids),),
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
                SELECT m.id, m.parent FROM messages m JOIN branch b ON m.id = b.parent WHERE b.id != ?
            )
            SELECT 1 FROM branch WHERE id = ?
            """,
            (message, above, above),
        ).fetchone()
    )
