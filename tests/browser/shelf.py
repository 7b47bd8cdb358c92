"""Conversations put straight into the database, as many and as old as a test wants."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from neuralbridge.store import message_text
from neuralbridge.types import LOCAL_OWNER


@dataclass(frozen=True)
class Said:
    """A conversation: its messages by turns, and when something was asked last."""

    session: str
    at: datetime
    texts: tuple[str, ...] = ("Why is the sea salty?", "Rivers carry minerals.")
    title: str | None = None
    pinned: bool = False


def put(data: Path, conversations: Iterable[Said]) -> None:
    with closing(sqlite3.connect(data / "neuralbridge.db")) as connection, connection:
        for said in conversations:
            put_one(connection, said)


def put_one(connection: sqlite3.Connection, said: Said) -> None:
    at = said.at.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    conversation = connection.execute(
        """
        INSERT INTO conversations (owner, session_id, created_at, updated_at, title, pinned)
        VALUES (?, ?, ?, ?, ?, ?)
        """,
        (LOCAL_OWNER, said.session, at, at, said.title, said.pinned),
    ).lastrowid
    message: int | None = None
    for place, text in enumerate(said.texts):
        role = "assistant" if place % 2 else "user"
        message = connection.execute(
            """
            INSERT INTO messages (uid, conversation, parent, depth, role, content, status, metadata, created_at)
            VALUES (?, ?, ?, ?, ?, ?, 'complete', '{}', ?)
            """,
            (f"{said.session}-{place}", conversation, message, place + 1, role, text, at),
        ).lastrowid
        assert message is not None
        message_text.add(connection, message)
    connection.execute("UPDATE conversations SET leaf = ? WHERE id = ?", (message, conversation))
