"""What the database holds of a user, row by row."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

OF_OWNER = {
    "conversations": "SELECT * FROM conversations WHERE owner = :owner",
    "messages": "SELECT * FROM messages WHERE conversation IN (SELECT id FROM conversations WHERE owner = :owner)",
    "feedback": """
        SELECT f.* FROM feedback f JOIN messages m ON m.id = f.message
        JOIN conversations c ON c.id = m.conversation WHERE c.owner = :owner
    """,
    "cached_answers": "SELECT * FROM cached_answers WHERE owner = :owner",
    "documents": "SELECT * FROM documents WHERE owner = :owner",
    "passages": "SELECT * FROM passages WHERE document IN (SELECT id FROM documents WHERE owner = :owner)",
    "jobs": "SELECT * FROM jobs WHERE owner = :owner",
}


def rows_of(data: Path, owner: str) -> dict[str, list[tuple[Any, ...]]]:
    with closing(sqlite3.connect(data / "neuralbridge.db")) as connection:
        return {name: connection.execute(query, {"owner": owner}).fetchall() for name, query in OF_OWNER.items()}
