"""The full text of messages. Whoever adds, changes or deletes a message says so here, in the same transaction.

Messages that are still growing are not in it: an answer gets there whole, when it ends.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

ADD = "INSERT INTO messages_text (rowid, content) SELECT id, content FROM messages"
# FTS5 wants to hear what it was given before
TAKE_OUT = "INSERT INTO messages_text (messages_text, rowid, content) SELECT 'delete', id, content FROM messages"


def add(connection: sqlite3.Connection, message: int) -> None:
    """A message that is there as of now."""
    connection.execute(f"{ADD} WHERE id = ? AND status != 'streaming'", (message,))


def add_growing(connection: sqlite3.Connection) -> None:
    """All messages that were growing and will not go on."""
    connection.execute(f"{ADD} WHERE status = 'streaming'")


@contextmanager
def changing(connection: sqlite3.Connection, uid: str) -> Iterator[None]:
    """Around the statement that changes a message's text or status."""
    condition = "WHERE uid = ? AND status != 'streaming'"
    connection.execute(f"{TAKE_OUT} {condition}", (uid,))
    yield
    connection.execute(f"{ADD} {condition}", (uid,))


def take_out(connection: sqlite3.Connection, conversation: int) -> None:
    """All messages of a conversation that is about to be deleted."""
    connection.execute(f"{TAKE_OUT} WHERE conversation = ? AND status != 'streaming'", (conversation,))
