"""The folder that everything of the user's is kept in; one server at a time."""

import fcntl
import os
from pathlib import Path
from typing import TextIO

from neuralbridge.errors import DataInUse, DataUnusable


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
