"""Jobs that take documents in, in SQLite: what was acknowledged is done after a crash, or reads as failed."""

import json
import sqlite3
import uuid
from dataclasses import dataclass, replace
from typing import Literal

from neuralbridge.database import Database
from neuralbridge.errors import NotFound, Reason
from neuralbridge.retrieval.documents import Source, now

State = Literal["queued", "reading", "embedding", "done", "failed"]
UNFINISHED: tuple[State, ...] = ("queued", "reading", "embedding")
UNDER_WAY: tuple[State, ...] = ("reading", "embedding")
KEPT = 10_000  # finished jobs
COLUMNS = (
    "uid, owner, key, source, modified_at, metadata, upload, state, code, error, reason, document, passages, "
    "created_at, updated_at"
)


@dataclass(frozen=True, slots=True)
class Job:
    """One document on its way in, of `size` bytes while it waits. `embedded` of its `passages` are done.

    `code` and `error` say why it failed, and `reason` why it was refused.
    """

    uid: str
    source: Source
    upload: str | None = None
    state: State = "queued"
    code: str | None = None
    error: str | None = None
    reason: Reason | None = None
    document: str | None = None
    passages: int = 0
    embedded: int = 0
    created_at: str = ""
    updated_at: str = ""
    size: int = 0

    @property
    def finished(self) -> bool:
        return self.state not in UNFINISHED


def new_job(source: Source, upload: str | None = None, size: int = 0) -> Job:
    return Job(uuid.uuid4().hex, source, upload, created_at=now(), updated_at=now(), size=size)


class Jobs:
    """Reads and writes jobs. Every method returns after the commit."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, job: Job) -> Job:
        """Insert or update a job."""
        job = replace(job, updated_at=now())
        source = job.source
        values = (
            *(job.uid, source.owner, source.key, source.name, source.modified_at, json.dumps(source.metadata or {})),
            *(job.upload, job.state, job.code, job.error, job.reason, job.document, job.passages),
            *(job.created_at, job.updated_at),
        )

        def change(connection: sqlite3.Connection) -> None:
            connection.execute(
                f"""
                INSERT INTO jobs ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (uid) DO UPDATE SET upload = excluded.upload, state = excluded.state, code = excluded.code,
                    error = excluded.error, reason = excluded.reason, document = excluded.document,
                    passages = excluded.passages, updated_at = excluded.updated_at
                """,  # noqa: S608
                values,
            )

        await self._database.write(change)
        return job

    async def get(self, owner: str, uid: str) -> Job:
        """Raises NotFound."""
        rows = await self._select("WHERE owner = ? AND uid = ?", owner, uid)
        if not rows:
            raise NotFound(f"There is no job {uid[:40]!r}.")
        return rows[0]

    async def unfinished(self) -> list[Job]:
        return await self._select("WHERE state IN ('queued', 'reading', 'embedding') ORDER BY id")

    async def ended(self, owner: str, since: str, limit: int) -> list[Job]:
        """Those that ended since then, the newest first."""
        return await self._select(
            "WHERE updated_at >= ? AND owner = ? AND state IN ('done', 'failed') ORDER BY id DESC LIMIT ?",
            *(since, owner, limit),
        )

    async def forget(self, owner: str) -> tuple[int, list[str]]:
        """Forget an owner's; how many there were, and the names of uploads that were still needed."""

        def change(connection: sqlite3.Connection) -> tuple[int, list[str]]:
            rows = connection.execute("SELECT upload FROM jobs WHERE owner = ?", (owner,)).fetchall()
            connection.execute("DELETE FROM jobs WHERE owner = ?", (owner,))
            return len(rows), [upload for (upload,) in rows if upload is not None]

        return await self._database.write(change)

    async def forget_before(self, moment: str) -> int:
        """Forget those that ended before then; how many there were."""

        def change(connection: sqlite3.Connection) -> int:
            return connection.execute(
                "DELETE FROM jobs WHERE state IN ('done', 'failed') AND updated_at < ?", (moment,)
            ).rowcount

        return await self._database.write(change)

    async def forget_old(self) -> None:
        """Keep the newest `KEPT` of those that are finished."""

        def change(connection: sqlite3.Connection) -> None:
            connection.execute(
                """
                DELETE FROM jobs WHERE state IN ('done', 'failed')
                AND id < (SELECT id FROM jobs ORDER BY id DESC LIMIT 1 OFFSET ?)
                """,
                (KEPT,),
            )

        await self._database.write(change)

    async def _select(self, where: str, *values: str | int) -> list[Job]:
        return await self._database.read(
            lambda connection: [
                job_of(row)
                for row in connection.execute(f"SELECT {COLUMNS} FROM jobs {where}", values)  # noqa: S608
            ]
        )


def job_of(row: tuple[str, ...]) -> Job:
    uid, owner, key, name, modified_at, metadata, upload, state, code, error, reason, document, passages, *times = row
    source = Source(owner, key, name, modified_at, metadata=json.loads(metadata))
    count = int(passages)
    return Job(uid, source, upload, state, code, error, reason, document, count, count, *times)  # type: ignore[arg-type]  # the schema checks the state
