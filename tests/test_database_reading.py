"""A database is read beside whoever writes it, is left as it is, and what is wrong with it is said."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from neuralbridge.database import APPLICATION_ID, Database, create, migrations, reading
from neuralbridge.errors import DataUnusable

COUNT = "SELECT count(*) FROM conversations"
ADD = "INSERT INTO conversations (owner, session_id, created_at) VALUES ('', hex(randomblob(8)), '')"


def count(path: Path) -> int:
    with reading(path) as connection:
        return int(connection.execute(COUNT).fetchone()[0])


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def stopped(path: Path) -> None:
    """A sound database that nobody uses, with one conversation."""
    database = Database(path)
    await database.start()
    await database.write(lambda connection: connection.execute(ADD))
    await database.stop()


async def test_a_database_nobody_uses_is_read_and_left_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "neuralbridge.db"
    await stopped(path)
    before = contents(tmp_path)
    assert count(path) == 1
    assert contents(tmp_path) == before


async def test_what_a_running_server_has_committed_is_read(tmp_path: Path) -> None:
    path = tmp_path / "neuralbridge.db"
    database = Database(path)
    await database.start()
    counted = []
    for _ in range(2):
        await database.write(lambda connection: connection.execute(ADD))
        counted.append(count(path))
    await database.stop()
    assert counted == [1, 2]


async def test_the_server_writes_on_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "neuralbridge.db"
    database = Database(path)
    await database.start()
    with reading(path) as connection:
        assert connection.execute(COUNT).fetchone() == (0,)
        await database.write(lambda writing: writing.execute(ADD))
        assert connection.execute(COUNT).fetchone() == (1,)
    await database.stop()


async def test_what_is_not_committed_yet_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "neuralbridge.db"
    await stopped(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as writing:
        writing.execute("BEGIN IMMEDIATE")
        writing.execute(ADD)
        assert count(path) == 1
        writing.execute("COMMIT")
        assert count(path) == 2


@pytest.mark.parametrize("used", [True, False])
async def test_nothing_can_be_written(tmp_path: Path, used: bool) -> None:
    path = tmp_path / "neuralbridge.db"
    await stopped(path)
    database = Database(path)
    if used:
        await database.start()
    with pytest.raises(DataUnusable, match="readonly"), reading(path) as connection:
        connection.execute(ADD)
    await database.stop()
    assert count(path) == 1


async def test_a_missing_database_is_named_and_none_is_made(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "neuralbridge.db"
    with pytest.raises(DataUnusable) as refused, reading(path):
        pass
    assert str(refused.value) == f"{path}: the database cannot be read (No such file or directory)."
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    ("version", "said"),
    [(len(migrations()) - 1, "is older than this program's; start the server once"), (99, "is newer than")],
)
async def test_another_schema_is_refused_and_left_as_it_is(tmp_path: Path, version: int, said: str) -> None:
    path = tmp_path / "neuralbridge.db"
    create(path, migrations()[:version])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    before = contents(tmp_path)
    with pytest.raises(DataUnusable, match=f"schema {version} {said}"), reading(path):
        pass
    assert contents(tmp_path) == before


@pytest.mark.parametrize("content", [b"", b"x", b"not a database\n" * 1000])
async def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "neuralbridge.db"
    path.write_bytes(content)
    with pytest.raises(DataUnusable, match="the database cannot be read"), reading(path):
        pass
    assert contents(tmp_path) == {"neuralbridge.db": content}


def test_the_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "neuralbridge.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"CREATE TABLE t (x); PRAGMA application_id = {APPLICATION_ID + 1};")
    with pytest.raises(DataUnusable, match="of another program"), reading(path):
        pass
