"""Jobs of a database from before there were reasons are still told, without one."""

import sqlite3
from contextlib import closing
from pathlib import Path

from neuralbridge.database import Database, create, migrations
from neuralbridge.retrieval.jobs import Jobs

BEFORE = 4  # the schema that had none
FAILED = """
    INSERT INTO jobs (uid, owner, key, source, metadata, modified_at, state, code, error, created_at, updated_at)
    VALUES ('j', 'local', 'k', 'a.txt', '{}', '', 'failed', 'DocumentRefused', 'a.txt is empty.', '', '')
"""


async def test_a_job_that_failed_before_there_were_reasons_has_none(tmp_path: Path) -> None:
    path = tmp_path / "neuralbridge.db"
    create(path, migrations()[:BEFORE])
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FAILED)
    database = Database(path)
    await database.start()
    job = await Jobs(database).get("local", "j")
    await database.stop()
    assert (job.state, job.code, job.error, job.reason) == ("failed", "DocumentRefused", "a.txt is empty.", None)
