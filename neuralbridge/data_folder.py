"""The folder that everything of the user's is kept in; one server at a time."""

import errno
import fcntl
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from neuralbridge.errors import DataInUse, DataUnusable, StorageFailed, StorageFull

logger = logging.getLogger(__name__)

LISTENING = "listening.json"  # where the server that has the folder is, for commands of its user
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def backups(folder: Path) -> tuple[str, ...]:
    """The names of what lies in the folder beside what is in use: databases from before a migration or a restore."""
    return tuple(sorted(path.name for kind in ("*.backup", "before-restore-*") for path in folder.glob(kind)))


def claim(folder: Path) -> TextIO:
    """Make the folder, private to this user, and lock it until the returned file is closed or the process ends.

    Raises DataUnusable, and DataInUse where another process has it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (folder / "lock").open("a+")
    except OSError as error:
        raise DataUnusable(f"{folder}: the data folder cannot be written ({error.strerror}).") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        owner = lock.read(20).strip() or "unknown"
        lock.close()
        raise DataInUse(f"{folder}: another server (process {owner}) is using this data folder.") from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


@contextmanager
def listening(folder: Path, host: str, port: int) -> Iterator[None]:
    """Within, commands that have the folder know where the server listens, whatever its command line said."""
    file = folder / LISTENING
    try:
        file.write_text(json.dumps([host, port]), "utf-8")
    except OSError as error:  # a full disk keeps nobody out; commands look where the configuration says
        logger.warning("commands are not told where this listens", extra={"file": str(file), "why": error.strerror})
    try:
        yield
    finally:
        with suppress(OSError):
            file.unlink(missing_ok=True)


def listens(folder: Path) -> tuple[str, int] | None:
    """Host and port of the server that has the folder; None where none has it, or it does not say."""
    try:
        with (folder / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        pass
    except OSError:
        return None
    try:
        host, port = json.loads((folder / LISTENING).read_text("utf-8"))
    except (OSError, ValueError, TypeError):
        return None
    return str(host), int(port)


@contextmanager
def keeping() -> Iterator[None]:
    """Within, nothing is done but a file in the folder written. Raises StorageFull and StorageFailed."""
    try:
        yield
    except OSError as error:
        logger.error("a file cannot be written", extra={"why": str(error)})
        if error.errno in NO_ROOM:
            raise StorageFull("The disk of the data folder is full, so the file is not kept. Make room.") from error
        why = f"The data folder cannot be written ({error.strerror}), so the file is not kept."
        raise StorageFailed(f"{why} Look whether its disk is there, and may be written to.") from error
