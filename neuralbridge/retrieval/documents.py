"""Documents, their passages and vectors in SQLite. Knows SQL, and neither models nor files."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import numpy as np

from neuralbridge.database import Database
from neuralbridge.errors import NotFound
from neuralbridge.retrieval.arrays import Ids, Matrix
from neuralbridge.retrieval.stored_vectors import StoredVectors, fingerprint, mean, write_vectors
from neuralbridge.words import extra_words, name_words

SHOWN = """
    d.uid, d.source, d.folder, d.kind, d.title, d.version, d.size, d.passages, d.pinned, d.metadata, d.modified_at,
    d.created_at, d.updated_at, d.characters
"""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a document comes from. `key` tells it from all others of its owner: the same key again replaces it.

    `name` is what it is shown as, `folder` the watched folder it lies in, `modified_at` its own date (ISO 8601, UTC).
    """

    owner: str
    key: str
    name: str
    modified_at: str
    folder: str | None = None
    metadata: dict[str, Any] | None = None

    @property
    def uid(self) -> str:
        return sha256(f"{self.owner}\0{self.key}".encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class NewPassage:
    """A part of a document's text, with what its vector is made from."""

    start: int
    end: int
    page: int | None
    heading: str
    text: str
    embedded: str  # the text that is embedded


@dataclass(frozen=True, slots=True)
class NewDocument:
    source: Source
    kind: str
    title: str | None
    version: str
    size: int
    text: str
    passages: tuple[NewPassage, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A stored document, without its text."""

    uid: str
    source: str
    folder: str | None
    kind: str
    title: str | None
    version: str
    size: int
    passages: int
    pinned: bool
    metadata: dict[str, Any]
    modified_at: str
    created_at: str
    updated_at: str
    characters: int


@dataclass(frozen=True, slots=True)
class Known:
    """A document of a watched folder, and how its file was when it was read."""

    uid: str
    state: str


def file_state(modified_at: str, size: int) -> str:
    """What tells that a file was changed."""
    return f"{modified_at} {size}"


@dataclass(frozen=True, slots=True)
class Passage:
    """A stored passage: `text` is the text of its document, in that version, from `start` to `end`."""

    id: int
    document: str
    version: str
    source: str
    start: int
    end: int
    page: int | None
    heading: str
    text: str


@dataclass(frozen=True, slots=True)
class Change:
    """What a write did to the index: ids that came with their vectors, and ids that went."""

    added: Ids
    vectors: Matrix
    removed: Ids


class Documents:
    """Reads and writes documents. Every method returns after the commit."""

    def __init__(self, database: Database) -> None:
        self.vectors = StoredVectors(database)
        self._database = database

    async def find(self, owner: str, key: str) -> Document | None:
        """The document that came from there."""
        return await self._database.read(
            lambda connection: one(
                connection.execute(f"SELECT {SHOWN} FROM documents d WHERE owner = ? AND key = ?", (owner, key))  # noqa: S608
            )
        )

    async def twin(self, source: Source, version: str) -> str | None:
        """The name of another document of this owner with the same bytes."""

        def query(connection: sqlite3.Connection) -> str | None:
            row = connection.execute(
                "SELECT source FROM documents WHERE version = ? AND owner = ? AND key != ? ORDER BY id LIMIT 1",
                (version, source.owner, source.key),
            ).fetchone()
            return row[0] if row else None

        return await self._database.read(query)

    async def holds(self, owner: str, what: str) -> bool:
        """Whether there is a document of that name or id, or with that text in it."""
        return await self._database.read(
            lambda connection: (
                connection.execute(
                    """
                SELECT 1 FROM documents WHERE owner = :owner AND (uid = :what OR source = :what
                    OR source LIKE '%/' || :what OR instr(lower(text), lower(:what)) > 0) LIMIT 1
                """,
                    {"owner": owner, "what": what},
                ).fetchone()
                is not None
            )
        )

    async def count(self) -> int:
        return await self._database.read(
            lambda connection: int(connection.execute("SELECT count(*) FROM documents").fetchone()[0])
        )

    async def put(self, document: NewDocument, vectors: Matrix, model: str) -> Change:
        """Store a document, whole, in the place of what came from the same source before."""
        rows = passage_rows(document)
        centroid = mean(vectors)

        def change(connection: sqlite3.Connection) -> Change:
            removed = passage_ids(connection, document.source)
            row = write_document(connection, document, centroid.tobytes(), model)
            delete_passages(connection, row)
            connection.executemany(
                """
                INSERT INTO passages (id, document, start, end, page, heading, name, text, extra, embedded)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
                [(id, row, *rest) for id, *rest in rows],
            )
            index_text(connection, row)
            write_vectors(connection, [id for id, *_ in rows], vectors, model)
            return Change(np.array([id for id, *_ in rows], np.int64), vectors, removed)

        return await self._database.write(change)

    async def touch(self, source: Source) -> None:
        """The same document as before, of another date, name or folder."""

        def change(connection: sqlite3.Connection) -> None:
            row, name = connection.execute(
                "SELECT id, source FROM documents WHERE owner = ? AND key = ?", (source.owner, source.key)
            ).fetchone()
            connection.execute(
                "UPDATE documents SET modified_at = ?, folder = ? WHERE id = ?",
                (source.modified_at, source.folder, row),
            )
            if name != source.name:
                rename(connection, row, source.name)

        await self._database.write(change)

    async def remove(self, owner: str, uid: str) -> Ids:
        """Remove a document; the ids of its passages. Raises NotFound."""

        def change(connection: sqlite3.Connection) -> Ids:
            row = connection.execute("SELECT id FROM documents WHERE owner = ? AND uid = ?", (owner, uid)).fetchone()
            if row is None:
                raise NotFound(f"There is no document {uid[:40]!r}.")
            ids = connection.execute("SELECT id FROM passages WHERE document = ?", row).fetchall()
            delete_passages(connection, row[0])
            connection.execute("DELETE FROM documents WHERE id = ?", row)
            return np.array([id for (id,) in ids], np.int64)

        return await self._database.write(change)

    async def indexed(self) -> None:
        """The vector index has caught up with a change: what was found between the two may be found no more."""
        await self._database.write(
            lambda connection: connection.execute("UPDATE library SET generation = generation + 1")
        )

    async def edit(self, owner: str, uid: str, source: str | None, pinned: bool | None) -> Document:
        """Show a document under another name; pin it. Raises NotFound."""

        def change(connection: sqlite3.Connection) -> None:
            row = connection.execute("SELECT id FROM documents WHERE owner = ? AND uid = ?", (owner, uid)).fetchone()
            if row is None:
                raise NotFound(f"There is no document {uid[:40]!r}.")
            connection.execute(
                """
                UPDATE documents SET pinned = coalesce(?, pinned), updated_at = ? WHERE id = ?
                """,
                (pinned, now(), *row),
            )
            if source is not None:
                rename(connection, row[0], source)

        await self._database.write(change)
        return (await self.get(owner, uid))[0]

    async def get(self, owner: str, uid: str) -> tuple[Document, str]:
        """A document and its text. Raises NotFound."""

        def query(connection: sqlite3.Connection) -> tuple[Document, str] | None:
            row = connection.execute(
                f"SELECT {SHOWN}, d.text FROM documents d WHERE owner = ? AND uid = ?",  # noqa: S608
                (owner, uid),
            ).fetchone()
            return (document_of(row[:-1]), row[-1]) if row else None

        found = await self._database.read(query)
        if found is None:
            raise NotFound(f"There is no document {uid[:40]!r}.")
        return found

    async def versions(self, owner: str, uids: Sequence[str]) -> dict[str, str]:
        """The versions of those of these documents that are there."""
        return await self._database.read(
            lambda connection: dict(
                connection.execute(
                    """
                    SELECT d.uid, d.version FROM json_each(?) AS wanted
                    CROSS JOIN documents d ON d.uid = wanted.value AND d.owner = ?
                    """,
                    (json.dumps([*uids]), owner),
                ).fetchall()
            )
        )

    async def listed(self, owner: str, limit: int, offset: int = 0, folder: str | None = None) -> list[Document]:
        """Documents, those pinned first, then the newest first; of one watched folder where it is named."""
        where = "owner = :owner" + (" AND folder = :folder" if folder is not None else "")
        return await self._database.read(
            lambda connection: [
                document_of(row)
                for row in connection.execute(
                    f"SELECT {SHOWN} FROM documents d WHERE {where} ORDER BY pinned DESC, id DESC LIMIT :limit OFFSET :offset",  # noqa: S608, E501
                    {"owner": owner, "folder": folder, "limit": limit, "offset": offset},
                )
            ]
        )

    async def keys(self, folder: str) -> dict[str, Known]:
        """The documents of a watched folder by key."""
        return await self._database.read(
            lambda connection: {
                key: Known(uid, file_state(modified_at, size))
                for key, uid, modified_at, size in connection.execute(
                    "SELECT key, uid, modified_at, size FROM documents WHERE folder = ?", (folder,)
                )
            }
        )


def passage_rows(document: NewDocument) -> list[tuple[int, int, int, int | None, str, str, str, str, bytes]]:
    """Rows of passages without their document: id, start, end, page, heading, name, text, extra, embedded."""
    name = name_words(document.source.name)
    return [
        (
            passage_id(document.source.uid, document.version, passage.start, passage.end),
            passage.start,
            passage.end,
            passage.page,
            passage.heading,
            name,
            passage.text,
            extra_words(passage.text),
            fingerprint(passage.embedded),
        )
        for passage in document.passages
    ]


def passage_id(document: str, version: str, start: int, end: int) -> int:
    """63 bits that the same passage of the same document gets again whenever it is made."""
    digest = sha256(f"{document}\0{version}\0{start}\0{end}".encode()).digest()
    return int.from_bytes(digest[:8]) >> 1


def passage_ids(connection: sqlite3.Connection, source: Source) -> Ids:
    rows = connection.execute(
        "SELECT p.id FROM passages p JOIN documents d ON d.id = p.document WHERE d.owner = ? AND d.key = ?",
        (source.owner, source.key),
    )
    return np.array([id for (id,) in rows], np.int64)


def write_document(connection: sqlite3.Connection, document: NewDocument, centroid: bytes, model: str) -> int:
    """Insert or replace the document's own row; its id. What a person set stays: pinned, and when it was added."""
    source, time = document.source, now()
    (row,) = connection.execute(
        """
        INSERT INTO documents (uid, owner, key, source, folder, kind, title, version, size, characters, text,
            centroid, centroid_model, passages, metadata, modified_at, created_at, updated_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (owner, key) DO UPDATE SET
            source = excluded.source, folder = excluded.folder, kind = excluded.kind, title = excluded.title,
            version = excluded.version, size = excluded.size, characters = excluded.characters, text = excluded.text,
            centroid = excluded.centroid, centroid_model = excluded.centroid_model, passages = excluded.passages,
            metadata = excluded.metadata, modified_at = excluded.modified_at, updated_at = excluded.updated_at
        RETURNING id
        """,
        (
            source.uid,
            source.owner,
            source.key,
            source.name,
            source.folder,
            document.kind,
            document.title,
            document.version,
            document.size,
            len(document.text),
            document.text,
            centroid,
            model,
            len(document.passages),
            json.dumps(source.metadata or {}),
            source.modified_at,
            time,
            time,
        ),
    ).fetchone()
    return int(row)


def rename(connection: sqlite3.Connection, document: int, source: str) -> None:
    """Show a document under another name, and find it by that."""
    connection.execute("UPDATE documents SET source = ? WHERE id = ?", (source, document))
    unindex_text(connection, document)
    connection.execute("UPDATE passages SET name = ? WHERE document = ?", (name_words(source), document))
    index_text(connection, document)


def delete_passages(connection: sqlite3.Connection, document: int) -> None:
    unindex_text(connection, document)
    connection.execute("DELETE FROM passages WHERE document = ?", (document,))


def index_text(connection: sqlite3.Connection, document: int) -> None:
    connection.execute(
        """
        INSERT INTO passages_text (rowid, name, heading, text, extra)
        SELECT id, name, heading, text, extra FROM passages WHERE document = ?
        """,
        (document,),
    )


def unindex_text(connection: sqlite3.Connection, document: int) -> None:
    """FTS5 has to be told what stood there: it keeps words, not texts."""
    connection.execute(
        """
        INSERT INTO passages_text (passages_text, rowid, name, heading, text, extra)
        SELECT 'delete', id, name, heading, text, extra FROM passages WHERE document = ?
        """,
        (document,),
    )


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def one(rows: sqlite3.Cursor) -> Document | None:
    row = rows.fetchone()
    return document_of(row) if row else None


def document_of(row: tuple[Any, ...]) -> Document:
    uid, source, folder, kind, title, version, size, passages, pinned, metadata, *dates, characters = row
    modified_at, created_at, updated_at = dates
    return Document(
        uid,
        source,
        folder,
        kind,
        title,
        version,
        size,
        passages,
        bool(pinned),
        json.loads(metadata),
        modified_at,
        created_at,
        updated_at,
        characters,
    )
