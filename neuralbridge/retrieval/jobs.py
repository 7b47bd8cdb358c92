"""Jobs that take documents in, in SQLite: what was acknowledged is done after a crash, or reads as failed."""

import json
import sqlite3
import uuid
from dataclasses import dataclass, replace
from typing import Literal

from neuralbridge.database import Database
from neuralbridge.errors import NotFound
from neuralbridge.retrieval.documents import Source, now

State = Literal["queued", "reading", "embedding", "done", "failed"]
UNFINISHED: tuple[State, ...] = ("queued", "reading", "embedding")
KEPT = 10_000  # finished jobs
COLUMNS = (
    "uid, owner, key, source, modified_at, metadata, upload, state, code, error, document, passages, created_at, "
    "updated_at"
)


@dataclass(frozen=True, slots=True)
class Job:
    """One document on its way in. `embedded` of its `passages` are done; `code` and `error` say why it failed."""

    uid: str
    source: Source
    upload: str | None = None
    state: State = "queued"
    code: str | None = None
    error: str | None = None
    document: str | None = None
    passages: int = 0
    embedded: int = 0
    created_at: str = ""
    updated_at: str = ""

    @property
    def finished(self) -> bool:
        return self.state not in UNFINISHED


def new_job(source: Source, upload: str | None = None) -> Job:
    return Job(uuid.uuid4().hex, source, upload, created_at=now(), updated_at=now())


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
            *(job.upload, job.state, job.code, job.error, job.document, job.passages, job.created_at, job.updated_at),
        )

        def change(connection: sqlite3.Connection) -> None:
            connection.execute(
                f"""
                INSERT INTO jobs ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (uid) DO UPDATE SET upload = excluded.upload, state = excluded.state, code = excluded.code,
                    error = excluded.error, document = excluded.document, passages = excluded.passages,
                    updated_at = excluded.updated_at
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

    async def _select(self, where: str, *values: str) -> list[Job]:
        return await self._database.read(
            lambda connection: [
                job_of(row)
                for row in connection.execute(f"SELECT {COLUMNS} FROM jobs {where}", values)  # noqa: S608
            ]
        )


def job_of(row: tuple[str, ...]) -> Job:
    uid, owner, key, name, modified_at, metadata, upload, state, code, error, document, passages, created, updated = row
    source = Source(owner, key, name, modified_at, metadata=json.loads(metadata))
    count = int(passages)
    return Job(uid, source, upload, state, code, error, document, count, count, created, updated)  # type: ignore[arg-type]  # the schema checks the state
