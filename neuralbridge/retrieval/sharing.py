"""Who may see a document besides its owner. Its readers are rows of SQLite, so that every search can ask for them."""

import sqlite3
from collections.abc import Iterable

from neuralbridge.database import Database
from neuralbridge.errors import InvalidParams, NotFound

EVERYBODY = "*"  # as a reader; no user goes by that name
# Documents that the user `:user` may see, of others those that are shared
VISIBLE = """
    (d.owner = :user OR EXISTS (SELECT 1 FROM document_readers WHERE document = d.id AND reader IN (:user, '*')))
"""


class Sharing:
    """The readers of each document. Every method returns after the commit."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def set(self, owner: str, uid: str, readers: Iterable[str]) -> None:
        """Let these users see a document, and nobody else but its owner; `EVERYBODY` is all of them.

        Raises NotFound, and InvalidParams for what lies in a watched folder: settings say who sees that.
        """

        def change(connection: sqlite3.Connection) -> None:
            row = demand(connection, owner, uid)
            (folder,) = connection.execute("SELECT folder FROM documents WHERE id = ?", (row,)).fetchone()
            if folder is not None:
                raise InvalidParams(
                    "Who sees what is in a folder that is followed is set in config.yaml (documents: watched_for).",
                    "shared_with",
                )
            set_readers(connection, row, {*readers} - {owner})

        await self._database.write(change)

    async def set_followed(self, for_everybody: bool) -> None:
        """Let everybody see what is in watched folders, or nobody but its owner."""

        def change(connection: sqlite3.Connection) -> None:
            rows = connection.execute("SELECT id FROM documents WHERE folder IS NOT NULL").fetchall()
            for (row,) in rows:
                set_readers(connection, row, {EVERYBODY} if for_everybody else set())

        await self._database.write(change)


def demand(connection: sqlite3.Connection, owner: str, uid: str) -> int:
    """The row id of an owner's own document. Raises NotFound."""
    row = connection.execute("SELECT id FROM documents WHERE owner = ? AND uid = ?", (owner, uid)).fetchone()
    if row is None:
        raise NotFound(f"There is no document {uid[:40]!r} of yours.")
    return int(row[0])


def share_as_folder(connection: sqlite3.Connection, document: int, folder: str | None, for_everybody: bool) -> None:
    """What lies in a watched folder is seen by whom that folder is for."""
    if folder is not None:
        set_readers(connection, document, {EVERYBODY} if for_everybody else set())


def set_readers(connection: sqlite3.Connection, document: int, readers: set[str]) -> None:
    """Only what differs is written: each row that comes or goes costs answers that are kept."""
    rows = connection.execute("SELECT reader FROM document_readers WHERE document = ?", (document,))
    before = {reader for (reader,) in rows}
    for statement, changed in (
        ("DELETE FROM document_readers WHERE document = ? AND reader = ?", before - readers),
        ("INSERT INTO document_readers (document, reader) VALUES (?, ?)", readers - before),
    ):
        connection.executemany(statement, [(document, reader) for reader in sorted(changed)])
