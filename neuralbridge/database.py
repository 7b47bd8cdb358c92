"""SQLite behind the event loop: one writing connection on its own thread, one reading, and numbered migrations.

A write has happened when `write` returns: it is committed and, with synchronous=FULL, on the disk.
"""

import asyncio
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import Self, TypeVar

from neuralbridge.errors import DataUnusable, StorageFailed, StorageFull

logger = logging.getLogger(__name__)
T = TypeVar("T")

APPLICATION_ID = 0x4E425231  # stands in the file's header, so that no other program's database is taken for ours
BUSY_TIMEOUT_MS = 5_000
BACKUPS_KEPT = 3
FULL_TEXTS = ("messages_text", "passages_text")
# Two connections that write and checkpoint at once can corrupt a WAL database before this version; we write with one.
SAFE_SQLITE = (3, 51, 3)


class Database:
    """The database file at `path`. Functions given to `read` and `write` run on the connection's own thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer = ThreadPoolExecutor(1, "database-writer")
        self._reader = ThreadPoolExecutor(1, "database-reader")

    async def __aenter__(self) -> Self:
        """`start`, and at the end `stop`."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Open, check and migrate. Raises DataUnusable and leaves a damaged file as it is."""
        loop = asyncio.get_running_loop()
        self._writing = await loop.run_in_executor(self._writer, self._open)
        self._reading = await loop.run_in_executor(self._reader, self._open_reading)

    async def stop(self) -> None:
        """Finish what was begun, move the log into the database, close."""
        loop = asyncio.get_running_loop()
        if hasattr(self, "_reading"):
            await loop.run_in_executor(self._reader, self._reading.close)
            del self._reading
        if hasattr(self, "_writing"):
            await loop.run_in_executor(self._writer, self._close_writing)
            del self._writing
        self._reader.shutdown()
        self._writer.shutdown()

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._reader, query, self._reading)

    async def write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Run `change` as one transaction. Whoever awaits may be cancelled; the transaction is not.

        Raises StorageFailed, and StorageFull, when the disk does not take it; then nothing has changed.
        """
        done = asyncio.get_running_loop().run_in_executor(self._writer, self._transact, change)
        return await asyncio.shield(done)

    async def scrub(self) -> bool:
        """Leave nothing in the file, nor in its log, of what was deleted. Everything else waits meanwhile.

        False: another program reads the database, or there is no room for a copy of it; try again later.
        """
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._writer, self._scrub))

    async def checkpoint(self) -> bool:
        """Move the log into the database, as far as nobody reads what was there before; whether all of it went."""
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._writer, self._checkpoint))

    # On the connections' threads

    def _transact(self, change: Callable[[sqlite3.Connection], T]) -> T:
        try:
            self._writing.execute("BEGIN IMMEDIATE")
            result = change(self._writing)
            self._writing.execute("COMMIT")
        except BaseException as error:
            if self._writing.in_transaction:
                self._writing.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error) and (failure := storage_failure(error)):
                logger.error("the disk does not take what is written", extra={"path": self._path, "why": str(error)})
                raise failure from error
            raise
        return result

    def _scrub(self) -> bool:
        connection = self._writing
        try:
            # FTS5 only marks words as deleted until its segments are merged
            for table in FULL_TEXTS:
                connection.execute(f"INSERT INTO {table} ({table}) VALUES ('optimize')")  # noqa: S608
            connection.execute("PRAGMA temp_store = FILE")  # a copy of everything is made, which memory may not hold
            connection.execute("VACUUM")
            return self._checkpoint()
        except sqlite3.OperationalError as error:
            logger.warning("what was deleted may still be in the database's file", extra={"why": str(error)})
            return False
        finally:
            connection.execute("PRAGMA temp_store = MEMORY")

    def _checkpoint(self) -> bool:
        (busy, *_) = self._writing.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def _open(self) -> sqlite3.Connection:
        if sqlite3.sqlite_version_info < SAFE_SQLITE:
            logger.info("SQLite %s: safe here, where one connection writes", sqlite3.sqlite_version)
        steps = migrations()
        try:
            if self._path.exists():
                examine(self._path, len(steps))
            else:
                create(self._path, steps)
            connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            try:
                prepare(connection)
                migrate(connection, self._path, steps)
            except BaseException:
                connection.close()
                raise
        except (sqlite3.Error, OSError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            advice = "Move it away to begin anew, or put back a backup beside it."
            raise DataUnusable(f"{self._path}: the database cannot be used ({why}). {advice}") from error
        return connection

    def _open_reading(self) -> sqlite3.Connection:
        connection = connect_to_read(self._path, "mode=ro")
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        return connection

    def _close_writing(self) -> None:
        with suppress(sqlite3.Error):  # a reader of ours or a backup tool may hold it; the next start does it
            self._writing.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._writing.close()


def storage_failure(error: sqlite3.Error) -> StorageFailed | None:
    """What is wrong with the disk, where it is the disk. The next write tries it again."""
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:  # the rest of it says which call
        case sqlite3.SQLITE_FULL:
            advice = "Make room; then ask again, nothing has to be started anew."
            return StorageFull(f"The disk of the data folder is full, so nothing new is kept. {advice}")
        case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN:
            advice = "Look whether its disk is there and may be written to; nothing has to be started anew."
            return StorageFailed(f"The data folder cannot be written ({error}), so nothing new is kept. {advice}")
        case _:
            return None


def connect_to_read(path: Path, parameters: str) -> sqlite3.Connection:
    address = f"{path.absolute().as_uri()}?{parameters}"
    return sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """All that is read inside is of one moment, whoever writes meanwhile."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("COMMIT")


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A database that may be in use elsewhere, to read from. Raises DataUnusable."""
    steps = migrations()
    try:
        examine(path, len(steps))
        # A log that is there is read too; without one the file is left exactly as it is
        parameters = "mode=ro" if log_of(path).exists() else "mode=ro&immutable=1"
        with closing(connect_to_read(path, parameters)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version < len(steps):
                raise DataUnusable(f"{path}: schema {version} is older than this program's; start the server once.")
            yield connection
    except (sqlite3.Error, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise DataUnusable(f"{path}: the database cannot be read ({why}).") from error


def examine(path: Path, newest: int) -> None:
    """Look at an existing file without changing it: is it whole, ours, and of a schema up to `newest`?

    Raises DataUnusable and sqlite3.Error.
    """
    with path.open("r+b"):  # SQLite would tell no earlier than at the first write
        pass
    # Without a log there is nothing to share with anybody, and an immutable file gets no log from us either.
    parameters = "mode=ro" if log_of(path).exists() else "mode=ro&immutable=1"
    with closing(connect_to_read(path, parameters)) as connection:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    if verdict != "ok":
        raise damaged(verdict)
    if application != APPLICATION_ID:
        raise sqlite3.DatabaseError("it is empty, or of another program")
    if version > newest:
        raise DataUnusable(f"{path}: schema {version} is newer than this program's {newest}; use a newer program.")


def damaged(verdict: str) -> sqlite3.DatabaseError:
    """What a check found, which may have several lines, in one."""
    return sqlite3.DatabaseError(" ".join(verdict.split()))


def create(path: Path, steps: list[str]) -> None:
    """Make a new database. It gets its name when it is complete, so that an empty file is known to be a damaged one."""
    if log_of(path).exists():  # SQLite would apply it to the new database
        raise sqlite3.DatabaseError(f"it is gone, and {log_of(path).name} is still there")
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with closing(sqlite3.connect(new, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        migrate(connection, new, steps)
    new.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def prepare(connection: sqlite3.Connection) -> None:
    for pragma in [
        "journal_mode = WAL",
        "synchronous = FULL",
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "foreign_keys = ON",
        "trusted_schema = OFF",
        "cell_size_check = ON",
        "temp_store = MEMORY",
        "secure_delete = FAST",  # what was deleted is not left in pages that are written anyway
    ]:
        connection.execute(f"PRAGMA {pragma}")


def migrations() -> list[str]:
    """The schema's steps in order; step n (from 1) leads to `user_version` n. Never edited, only added to."""
    folder = files("neuralbridge").joinpath("migrations")
    scripts = [entry for entry in folder.iterdir() if entry.name.endswith(".sql")]
    return [script.read_text("utf-8") for script in sorted(scripts, key=lambda entry: entry.name)]


def migrate(connection: sqlite3.Connection, path: Path, steps: list[str]) -> None:
    """Bring the schema to the newest version, each step one transaction, with a backup before the first."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if 0 < version < len(steps):
        back_up(connection, path, version)
    for number in range(version, len(steps)):
        # executescript commits what is open before it starts, so the transaction is part of the script
        connection.executescript(f"BEGIN IMMEDIATE;\n{steps[number]}\n; PRAGMA user_version = {number + 1}; COMMIT;")


def back_up(connection: sqlite3.Connection, path: Path, version: int) -> None:
    target = path.with_name(f"{path.name}.before-{version + 1:04}.backup")
    target.unlink(missing_ok=True)
    connection.execute("VACUUM INTO ?", (str(target),))
    for old in sorted(path.parent.glob(f"{path.name}.before-*.backup"))[:-BACKUPS_KEPT]:
        old.unlink()
