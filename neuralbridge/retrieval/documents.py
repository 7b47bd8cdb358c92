"""Documents, their passages and vectors in SQLite. Knows SQL, and neither models nor files."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import numpy as np

from neuralbridge.database import Database, snapshot
from neuralbridge.errors import NotFound, QuotaExceeded
from neuralbridge.retrieval.arrays import Ids, Matrix
from neuralbridge.retrieval.sharing import VISIBLE, Sharing, demand, share_as_folder
from neuralbridge.retrieval.stored_vectors import StoredVectors, fingerprint, mean, write_vectors
from neuralbridge.words import extra_words, fold, name_words

# What stands in a document's row for the user `:user`; pinning, and the folder on this machine, are its owner's affair
SHOWN = """
    d.uid, d.owner, d.source, CASE WHEN d.owner = :user THEN d.folder END, d.kind, d.title, d.version, d.size,
    d.passages, d.pinned AND d.owner = :user, d.metadata, d.modified_at, d.created_at, d.updated_at, d.characters,
    (SELECT json_group_array(reader) FROM document_readers WHERE document = d.id)
"""
IN_ORDER = "ORDER BY d.pinned AND d.owner = :user DESC, d.id DESC"
REMOVED_AT_ONCE = 50  # documents of one transaction: whoever else writes waits for it


@dataclass(frozen=True, slots=True)
class Source:
    """Where a document comes from. `key` tells it from all others of its owner: the same key again replaces it.

    `name` is what it is shown as, `folder` the watched folder it lies in, `modified_at` its own date (ISO 8601, UTC).
    `for_everybody`: what lies in that folder is for all users.
    """

    owner: str
    key: str
    name: str
    modified_at: str
    folder: str | None = None
    metadata: dict[str, Any] | None = None
    for_everybody: bool = False

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
    """A stored document, without its text, as a user sees it. `readers` may see it beside its owner."""

    uid: str
    owner: str
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
    readers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a document's text, from `start` to `end` in code points, as UTF-8."""

    start: int
    end: int
    text: bytes


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
    """Reads and writes documents. Every method returns after the commit.

    An `owner` changes what is theirs; a `user` sees that and what others share with them.
    """

    def __init__(self, database: Database) -> None:
        self.vectors = StoredVectors(database)
        self.sharing = Sharing(database)
        self._database = database

    async def find(self, owner: str, key: str) -> Document | None:
        """The document that came from there."""
        wanted = {"user": owner, "key": key}
        return await self._database.read(
            lambda connection: one(
                connection.execute(f"SELECT {SHOWN} FROM documents d WHERE owner = :user AND key = :key", wanted)  # noqa: S608
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

    async def holds(self, user: str, what: str) -> bool:
        """Whether there is a document of that name or id, or with that text in it."""
        return await self._database.read(
            lambda connection: (
                connection.execute(
                    f"""
                SELECT 1 FROM documents d WHERE {VISIBLE} AND (uid = :what OR source = :what
                    OR source LIKE '%/' || :what OR instr(lower(text), lower(:what)) > 0) LIMIT 1
                """,  # noqa: S608
                    {"user": user, "what": what},
                ).fetchone()
                is not None
            )
        )

    async def count(self, user: str) -> int:
        return await self._database.read(
            lambda connection: int(
                connection.execute(f"SELECT count(*) FROM documents d WHERE {VISIBLE}", {"user": user}).fetchone()[0]  # noqa: S608
            )
        )

    async def size(self, owner: str, without: str | None = None) -> int:
        """Bytes of the originals of an owner's documents; `without` the one of that key."""
        return await self._database.read(lambda connection: size_of(connection, owner, without))

    async def put(self, document: NewDocument, vectors: Matrix, model: str, room: int | None = None) -> Change:
        """Store a document, whole, in the place of what came from the same source before.

        `room` is for the bytes of all documents of its owner together. Raises QuotaExceeded.
        """
        rows = passage_rows(document)
        centroid = mean(vectors)

        def change(connection: sqlite3.Connection) -> Change:
            source = document.source
            if room is not None:
                refuse_beyond(room, size_of(connection, source.owner, source.key), document.size, source.name)
            removed = passage_ids(connection, source)
            row = write_document(connection, document, centroid.tobytes(), model)
            share_as_folder(connection, row, source.folder, source.for_everybody)
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
            share_as_folder(connection, row, source.folder, source.for_everybody)
            if name != source.name:
                rename(connection, row, source.name)

        await self._database.write(change)

    async def remove(self, owner: str, uid: str) -> Ids:
        """Remove a document; the ids of its passages. Raises NotFound."""

        def change(connection: sqlite3.Connection) -> Ids:
            return delete_document(connection, demand(connection, owner, uid))

        return await self._database.write(change)

    async def remove_some(self, owner: str) -> list[Ids]:
        """Remove up to `REMOVED_AT_ONCE` of an owner's documents; of each the ids of its passages. None are left where
        none comes back.
        """

        def change(connection: sqlite3.Connection) -> list[Ids]:
            rows = connection.execute("SELECT id FROM documents WHERE owner = ? LIMIT ?", (owner, REMOVED_AT_ONCE))
            return [delete_document(connection, row) for (row,) in rows.fetchall()]

        return await self._database.write(change)

    async def indexed(self) -> None:
        """The vector index has caught up with a change: what was found between the two may be found no more."""
        await self._database.write(
            lambda connection: connection.execute("UPDATE library SET generation = generation + 1")
        )

    async def edit(self, owner: str, uid: str, source: str | None, pinned: bool | None) -> Document:
        """Show a document under another name; pin it. Raises NotFound."""

        def change(connection: sqlite3.Connection) -> None:
            row = demand(connection, owner, uid)
            connection.execute(
                """
                UPDATE documents SET pinned = coalesce(?, pinned), updated_at = ? WHERE id = ?
                """,
                (pinned, now(), row),
            )
            if source is not None:
                rename(connection, row, source)

        await self._database.write(change)
        return await self.get(owner, uid)

    async def get(self, user: str, uid: str) -> Document:
        """Raises NotFound."""
        wanted = {"user": user, "uid": uid}
        found = await self._database.read(
            lambda connection: one(
                connection.execute(f"SELECT {SHOWN} FROM documents d WHERE uid = :uid AND {VISIBLE}", wanted)  # noqa: S608
            )
        )
        if found is None:
            raise NotFound(f"There is no document {uid[:40]!r}.")
        return found

    async def part(self, user: str, uid: str, start: int = 0, end: int | None = None) -> tuple[Document, Part]:
        """A document and its text from `start` to `end`, as far as there is one. Raises NotFound."""

        def query(connection: sqlite3.Connection) -> tuple[Document, Part] | None:
            # SQLite counts code points too, and lets other threads run meanwhile. As bytes: making a text of many
            # megabytes would hold them up.
            row = connection.execute(
                f"""
                SELECT {SHOWN}, CAST(substr(d.text, :start + 1, max(0, coalesce(:end, d.characters) - :start)) AS BLOB)
                FROM documents d WHERE uid = :uid AND {VISIBLE}
                """,  # noqa: S608
                {"user": user, "uid": uid, "start": start, "end": end},
            ).fetchone()
            if row is None:
                return None
            document = document_of(row[:-1])
            begin, stop = (min(at, document.characters) for at in (start, document.characters if end is None else end))
            return document, Part(begin, max(begin, stop), row[-1])

        found = await self._database.read(query)
        if found is None:
            raise NotFound(f"There is no document {uid[:40]!r}.")
        return found

    async def versions(self, user: str, uids: Sequence[str]) -> dict[str, str]:
        """The versions of those of these documents that are there."""
        return await self._database.read(
            lambda connection: dict(
                connection.execute(
                    f"""
                    SELECT d.uid, d.version FROM json_each(:uids) AS wanted
                    CROSS JOIN documents d ON d.uid = wanted.value WHERE {VISIBLE}
                    """,  # noqa: S608
                    {"uids": json.dumps([*uids]), "user": user},
                ).fetchall()
            )
        )

    async def listed(self, user: str, limit: int, offset: int = 0, folder: str | None = None) -> list[Document]:
        """Documents, those pinned first, then the newest first; of one watched folder where it is named."""
        where = VISIBLE + (" AND folder = :folder" if folder is not None else "")
        return await self._database.read(
            lambda connection: [
                document_of(row)
                for row in connection.execute(
                    f"SELECT {SHOWN} FROM documents d WHERE {where} {IN_ORDER} LIMIT :limit OFFSET :offset",  # noqa: S608
                    {"user": user, "folder": folder, "limit": limit, "offset": offset},
                )
            ]
        )

    async def named(self, user: str, typed: str, limit: int, offset: int = 0) -> tuple[list[Document], int]:
        """Documents with all words of `typed` somewhere in their names or titles, in the same order; how many in all.

        Neither case nor accents matter.
        """
        wanted = fold(typed).split()

        def query(connection: sqlite3.Connection) -> tuple[list[Document], int]:
            with snapshot(connection):
                rows = connection.execute(
                    f"SELECT id, source || char(10) || coalesce(title, '') FROM documents d WHERE {VISIBLE} {IN_ORDER}",  # noqa: S608
                    {"user": user},
                )
                found = [id for id, name in rows for folded in [fold(name)] if all(word in folded for word in wanted)]
                rows = connection.execute(
                    f"""
                    SELECT {SHOWN} FROM documents d WHERE id IN (SELECT value FROM json_each(:found)) {IN_ORDER}
                    """,  # noqa: S608
                    {"found": json.dumps(found[offset : offset + limit]), "user": user},
                )
                return [document_of(row) for row in rows], len(found)

        return await self._database.read(query)

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


def size_of(connection: sqlite3.Connection, owner: str, without: str | None) -> int:
    (size,) = connection.execute(
        "SELECT coalesce(sum(size), 0) FROM documents WHERE owner = ? AND key IS NOT ?", (owner, without)
    ).fetchone()
    return int(size)


def refuse_beyond(room: int, used: int, more: int, name: str, waiting: int = 0) -> None:
    """Raises QuotaExceeded where `more` bytes are too many beside those used and those that wait to be read."""
    if used + waiting + more > room:
        raise QuotaExceeded(
            f"There is no room for {name}: your documents have {used + waiting:,} bytes, and may have {room:,}."
        )


def delete_document(connection: sqlite3.Connection, document: int) -> Ids:
    """The ids of the passages it had."""
    ids = connection.execute("SELECT id FROM passages WHERE document = ?", (document,)).fetchall()
    delete_passages(connection, document)
    connection.execute("DELETE FROM documents WHERE id = ?", (document,))
    return np.array([id for (id,) in ids], np.int64)


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
    uid, owner, source, folder, kind, title, version, size, passages, pinned, metadata, *dates, characters, readers = (
        row
    )
    modified_at, created_at, updated_at = dates
    return Document(
        uid,
        owner,
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
        tuple(sorted(json.loads(readers))),
    )
