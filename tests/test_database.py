"""A write has happened when it returns, a schema step happens whole, and a file that is not right is left as it was."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from neuralbridge.database import APPLICATION_ID, BACKUPS_KEPT, Database, migrate, migrations, snapshot
from neuralbridge.errors import DataUnusable
from tests.unprivileged import unprivileged

ADVICE = "Move it away to begin anew, or put back a backup beside it."
COUNT = "SELECT count(*) FROM conversations"


def elsewhere(folder: Path, query: str) -> int:
    """What another process would read."""
    with closing(sqlite3.connect(folder / "neuralbridge.db")) as connection:
        return int(connection.execute(query).fetchone()[0])


def add_conversation(connection: sqlite3.Connection) -> int:
    return connection.execute(
        "INSERT INTO conversations (owner, session_id, created_at) VALUES ('', hex(randomblob(8)), '')"
    ).rowcount


async def test_a_write_is_committed_when_it_returns(database: Database, tmp_path: Path) -> None:
    await database.write(add_conversation)
    assert elsewhere(tmp_path, COUNT) == 1


async def test_a_write_returns_what_the_change_returned_and_a_read_sees_it(database: Database) -> None:
    assert await database.write(add_conversation) == 1
    assert await database.read(lambda connection: connection.execute(COUNT).fetchone()) == (1,)


async def test_a_change_that_fails_is_undone_and_the_next_one_works(database: Database, tmp_path: Path) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        add_conversation(connection)
        raise KeyError("half way")

    with pytest.raises(KeyError, match="half way"):
        await database.write(fail)
    assert elsewhere(tmp_path, COUNT) == 0
    await database.write(add_conversation)
    assert elsewhere(tmp_path, COUNT) == 1


async def test_cancelling_who_waits_does_not_cancel_the_write(database: Database, tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(connection: sqlite3.Connection) -> None:
        begun.set()
        assert go_on.wait(20)
        add_conversation(connection)

    running = asyncio.create_task(database.write(slow))
    behind = asyncio.create_task(database.write(add_conversation))
    await asyncio.to_thread(begun.wait, 20)
    running.cancel()
    behind.cancel()
    outcomes = await asyncio.gather(running, behind, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError, asyncio.CancelledError]
    go_on.set()
    await database.write(add_conversation)
    assert elsewhere(tmp_path, COUNT) == 3


async def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await database.read(add_conversation)


async def test_a_read_goes_on_beside_a_write(database: Database) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(connection: sqlite3.Connection) -> None:
        add_conversation(connection)
        begun.set()
        assert go_on.wait(20)

    writing = asyncio.create_task(database.write(slow))
    await asyncio.to_thread(begun.wait, 20)
    assert await database.read(lambda connection: connection.execute(COUNT).fetchone()) == (0,)
    go_on.set()
    await writing


async def test_a_snapshot_is_of_one_moment_whoever_writes_meanwhile(database: Database, tmp_path: Path) -> None:
    def look(connection: sqlite3.Connection) -> list[int]:
        def count() -> int:
            return int(connection.execute(COUNT).fetchone()[0])

        with snapshot(connection):
            counts = [count()]
            with closing(sqlite3.connect(tmp_path / "neuralbridge.db")) as other:
                add_conversation(other)
                other.commit()
            counts.append(count())
        return [*counts, count()]

    assert await database.read(look) == [0, 0, 1]


@pytest.mark.parametrize(
    ("pragma", "value"), [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("trusted_schema", 0)]
)
async def test_the_writer_is_set_up_for_safety(database: Database, pragma: str, value: object) -> None:
    assert await database.write(lambda connection: connection.execute(f"PRAGMA {pragma}").fetchone()) == (value,)


async def test_a_stopped_database_is_one_file_and_holds_everything(tmp_path: Path) -> None:
    database = Database(tmp_path / "neuralbridge.db")
    await database.start()
    await database.write(add_conversation)
    await database.stop()
    await database.stop()
    assert list(contents(tmp_path)) == ["neuralbridge.db"]
    assert elsewhere(tmp_path, COUNT) == 1


async def test_what_was_committed_survives_a_crash(database: Database, tmp_path: Path) -> None:
    await database.write(add_conversation)
    after = tmp_path / "after the crash"
    after.mkdir()
    for name in ("neuralbridge.db", "neuralbridge.db-wal"):
        (after / name).write_bytes((tmp_path / name).read_bytes())
    again = Database(after / "neuralbridge.db")
    await again.start()
    assert await again.read(lambda connection: connection.execute(COUNT).fetchone()) == (1,)
    await again.stop()


# Migrations


@pytest.fixture
def old(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A database of the first schema with something in it."""
    with closing(sqlite3.connect(tmp_path / "neuralbridge.db", isolation_level=None)) as connection:
        migrate(connection, tmp_path / "neuralbridge.db", migrations())
        add_conversation(connection)
        yield connection


SECOND = "CREATE TABLE second (id); INSERT INTO second VALUES (2) -- without an end"
THIRD = "CREATE TABLE third (id);"
BROKEN = "CREATE TABLE third (id); INSERT INTO nowhere VALUES (3);"


def state(connection: sqlite3.Connection) -> tuple[int, set[str]]:
    """The schema's version and its tables."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return version, {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}


def tables_of_today() -> set[str]:
    with closing(sqlite3.connect(":memory:")) as connection:
        for step in migrations():
            connection.executescript(step)
        return state(connection)[1]


def test_the_missing_steps_are_taken_in_order(old: sqlite3.Connection, tmp_path: Path) -> None:
    migrate(old, tmp_path / "neuralbridge.db", [*migrations(), SECOND, THIRD])
    assert state(old) == (len(migrations()) + 2, tables_of_today() | {"second", "third"})
    assert not old.in_transaction


def test_a_step_that_fails_leaves_nothing_of_itself_and_keeps_those_before_it(
    old: sqlite3.Connection, tmp_path: Path
) -> None:
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        migrate(old, tmp_path / "neuralbridge.db", [*migrations(), SECOND, BROKEN])
    old.close()
    with closing(sqlite3.connect(tmp_path / "neuralbridge.db")) as again:
        assert state(again) == (len(migrations()) + 1, tables_of_today() | {"second"})


def test_the_database_as_it_was_is_kept_beside_it(old: sqlite3.Connection, tmp_path: Path) -> None:
    migrate(old, tmp_path / "neuralbridge.db", [*migrations(), SECOND])
    (backup,) = tmp_path.glob("*.backup")
    assert backup.name == f"neuralbridge.db.before-{len(migrations()) + 1:04}.backup"
    with closing(sqlite3.connect(backup)) as kept:
        assert state(kept) == (len(migrations()), tables_of_today())
        assert kept.execute(COUNT).fetchone() == (1,)


def test_nothing_to_do_makes_no_backup(old: sqlite3.Connection, tmp_path: Path) -> None:
    migrate(old, tmp_path / "neuralbridge.db", migrations())
    assert [path.name for path in tmp_path.iterdir()] == ["neuralbridge.db"]


def test_the_newest_backups_are_kept(old: sqlite3.Connection, tmp_path: Path) -> None:
    steps = migrations()
    for number in range(BACKUPS_KEPT + 2):
        steps = [*steps, f"CREATE TABLE more_{number} (id)"]
        migrate(old, tmp_path / "neuralbridge.db", steps)
    names = sorted(path.name for path in tmp_path.glob("*.backup"))
    newest = range(len(steps) - BACKUPS_KEPT + 1, len(steps) + 1)
    assert names == [f"neuralbridge.db.before-{number:04}.backup" for number in newest]


# Files that are not right


async def refusal(path: Path) -> str:
    database = Database(path)
    try:
        with pytest.raises(DataUnusable) as refused:
            await database.start()
    finally:
        await database.stop()
    return str(refused.value)


def contents(folder: Path, *names: str) -> dict[str, bytes]:
    """The files of a folder, all of them or those named."""
    paths = [folder / name for name in names] or folder.iterdir()
    return {path.name: path.read_bytes() for path in paths}


def made(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


async def ours(path: Path, rows: int = 400) -> None:
    """A sound database, with enough in it to be more than a few pages."""
    database = Database(path)
    await database.start()
    await database.write(lambda connection: [add_conversation(connection) for _ in range(rows)])
    await database.stop()


def overwrite(path: Path, at: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


def cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "nothing in it": lambda path: path.write_bytes(b""),
    "one byte": lambda path: path.write_bytes(b"x"),
    "a text": lambda path: path.write_text("not a database\n" * 1000),
    "another header": lambda path: overwrite(path, 0, b"Not a database!!"),
    "a page of noise": lambda path: overwrite(path, 4096, bytes(range(256)) * 16),
    "cut in the middle": cut,
    "cut in a page": lambda path: path.write_bytes(path.read_bytes()[:-100]),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
async def test_a_damaged_file_is_refused_with_advice_and_left_as_it_is(
    tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    path = tmp_path / "neuralbridge.db"
    await ours(path)
    damage(path)
    before = path.read_bytes()
    said = await refusal(path)
    assert said.startswith(f"{path}: the database cannot be used (")
    assert said.endswith(ADVICE)
    assert contents(tmp_path) == {"neuralbridge.db": before}


FOREIGN = {
    "tables": "CREATE TABLE t (x);",
    "our names": "CREATE TABLE conversations (x); CREATE TABLE messages (x); PRAGMA user_version = 1;",
    "nothing": "CREATE TABLE t (x); DROP TABLE t;",
    "another id": "CREATE TABLE t (x); PRAGMA application_id = 7; PRAGMA journal_mode = DELETE;",
    "a log": "PRAGMA journal_mode = WAL; CREATE TABLE t (x);",
}


@pytest.mark.parametrize("script", FOREIGN.values(), ids=FOREIGN.keys())
async def test_the_database_of_another_program_is_refused_and_left_as_it_is(tmp_path: Path, script: str) -> None:
    path = tmp_path / "neuralbridge.db"
    made(path, script)
    before = path.read_bytes()
    assert await refusal(path) == (
        f"{path}: the database cannot be used (it is empty, or of another program). {ADVICE}"
    )
    assert contents(tmp_path) == {"neuralbridge.db": before}


async def test_a_newer_schema_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "neuralbridge.db"
    newer = len(migrations()) + 1
    await ours(path)
    made(path, f"PRAGMA user_version = {newer}; PRAGMA journal_mode = DELETE;")
    before = path.read_bytes()
    assert await refusal(path) == (
        f"{path}: schema {newer} is newer than this program's {newer - 1}; use a newer program."
    )
    assert contents(tmp_path) == {"neuralbridge.db": before}


async def test_a_newer_schema_that_still_has_its_log_is_left_as_it_is_too(tmp_path: Path) -> None:
    path, newer = tmp_path / "neuralbridge.db", len(migrations()) + 1
    await ours(path)
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    with closing(sqlite3.connect(path)) as running:
        running.execute(f"PRAGMA user_version = {newer}")
        before = contents(tmp_path, "neuralbridge.db", "neuralbridge.db-wal")
        for name, content in before.items():
            (crashed / name).write_bytes(content)
    assert f"schema {newer} is newer" in await refusal(crashed / "neuralbridge.db")
    assert contents(crashed, *before) == before


async def test_a_log_without_its_database_is_refused_and_not_applied_to_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "neuralbridge.db"
    (tmp_path / "neuralbridge.db-wal").write_bytes(b"what was committed last")
    assert "it is gone, and neuralbridge.db-wal is still there" in await refusal(path)
    assert list(contents(tmp_path)) == ["neuralbridge.db-wal"]


async def test_a_half_made_database_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "neuralbridge.db.new").write_bytes(b"killed while this was written")
    await ours(tmp_path / "neuralbridge.db", rows=1)
    assert list(contents(tmp_path)) == ["neuralbridge.db"]


async def test_a_new_database_is_marked_as_ours(tmp_path: Path) -> None:
    await ours(tmp_path / "neuralbridge.db", rows=1)
    assert elsewhere(tmp_path, "PRAGMA application_id") == APPLICATION_ID


async def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    assert "the database cannot be used (Is a directory)" in await refusal(tmp_path)


async def test_a_file_that_may_only_be_read_is_refused(tmp_path: Path) -> None:
    with unprivileged() as folder:
        path = folder / "neuralbridge.db"
        await ours(path)
        before = path.read_bytes()
        path.chmod(0o400)
        assert "the database cannot be used (Permission denied)" in await refusal(path)
        assert path.read_bytes() == before


@pytest.mark.parametrize("there", [True, False])
async def test_a_folder_that_may_only_be_read_is_refused(there: bool) -> None:
    with unprivileged() as folder:
        path = folder / "neuralbridge.db"
        if there:
            await ours(path)
        folder.chmod(0o500)
        said = await refusal(path)
        folder.chmod(0o700)
    assert said.startswith(f"{path}: the database cannot be used (")
    assert said.endswith(ADVICE)
