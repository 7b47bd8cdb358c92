"""Follows folders: what is added, changed, renamed or deleted in them, is so in the library.

The folder is the truth: whatever events are missed, comparing it with the library finds out what is to be done.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from neuralbridge.errors import BridgeError, NotFound, StorageFailed
from neuralbridge.retrieval.documents import Source, file_state
from neuralbridge.retrieval.library import Library
from neuralbridge.types import LOCAL_OWNER

logger = logging.getLogger(__name__)

SETTLE_MS = 400  # a file is read when it was left alone for so long: editors save in several steps
LOOK_AGAIN_MS = 60_000  # without events: some file systems have none
RETRY_SECONDS = 30.0  # for a folder that is not there, or went
AT_ONCE = 4
# Never anybody's documents
IGNORED = frozenset({"node_modules", "__pycache__", "venv", ".venv", "lost+found", "$RECYCLE.BIN"})


Code = Literal["looking", "reading", "up_to_date", "failed"]


@dataclass(frozen=True, slots=True)
class Followed:
    """How a folder stands: in words, and for programs. `problems` are files that could not be read, and why.

    `count` files are being read.
    """

    folder: str
    state: str = "looking"
    code: Code = "looking"
    count: int = 0
    problems: dict[str, str] = field(default_factory=dict)


class Watcher:
    """Keeps the library like the folders."""

    def __init__(self, library: Library, folders: tuple[Path, ...], for_everybody: bool = False) -> None:
        self._library = library
        self._for_everybody = for_everybody
        self._folders = [Folder(library, folder, for_everybody) for folder in folders]
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()

    @property
    def followed(self) -> list[Followed]:
        return [folder.followed for folder in self._folders]

    async def start(self) -> None:
        """Who sees what is in the folders is so when this returns; what is in them follows."""
        await self._library.documents.sharing.set_followed(self._for_everybody)
        self._tasks = [asyncio.create_task(self._follow(folder)) for folder in self._folders]

    async def stop(self) -> None:
        self._stopping.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for folder in self._folders:
            await folder.stop()

    async def _follow(self, folder: "Folder") -> None:
        while True:
            try:
                async for _ in changes(folder.path, self._stopping):
                    await folder.compare()
            except Exception as error:  # noqa: BLE001  # a folder on a stick that was pulled out comes back some day
                folder.state, folder.code = f"cannot be followed: {error}", "failed"
                logger.warning("a folder cannot be followed", extra={"folder": str(folder.path), "why": str(error)})
            await asyncio.sleep(RETRY_SECONDS)


class Folder:
    """One folder and what is being done about it."""

    def __init__(self, library: Library, path: Path, for_everybody: bool = False) -> None:
        self.path = path
        self._for_everybody = for_everybody
        self.state = "looking"
        self.code: Code = "looking"
        self._library = library
        self._taking: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()  # changed while they were taken in
        self._refused: dict[str, tuple[str, str]] = {}  # by key: how the file was then, and why
        self._room = asyncio.Semaphore(AT_ONCE)

    @property
    def followed(self) -> Followed:
        count = len(self._taking)
        problems = {key: why for key, (_, why) in self._refused.items()}
        if count and self.code != "failed":
            return Followed(str(self.path), f"reading {count:,} files", "reading", count, problems)
        return Followed(str(self.path), self.state, self.code, 0, problems)

    async def compare(self) -> None:
        """Begin to take in what is new or changed in the folder; forget what is gone from it."""
        if not await self._library.ingestion.on_thread(self.path.is_dir):
            raise FileNotFoundError(f"{self.path} is not a folder")
        sources = await self._library.ingestion.on_thread(self._look)
        known = await self._library.documents.keys(str(self.path))
        gone = {key: known[key] for key in known.keys() - sources.keys()}
        new = []
        for key, (source, state) in sources.items():
            if (key in known and known[key].state == state) or self._refused.get(key, ("", ""))[0] == state:
                continue
            if key in self._taking:
                self._again.add(key)
            else:
                new.append(self._begin(key, source, state))
        self._refused = {key: refusal for key, refusal in self._refused.items() if key in sources}
        # A renamed file finds its vectors still there: what may have been renamed is forgotten after what is new.
        sizes = {state.rpartition(" ")[2] for key, (_, state) in sources.items() if key in self._taking}
        for key, document in gone.items():
            if document.state.rpartition(" ")[2] in sizes:
                await asyncio.gather(*new)
            await self._forget(key, document.uid)
        self.state, self.code = "up to date", "up_to_date"

    async def settled(self) -> None:
        """Return when nothing is being taken in."""
        while self._taking:
            await asyncio.gather(*self._taking.values())

    async def stop(self) -> None:
        for task in self._taking.values():
            task.cancel()
        await asyncio.gather(*self._taking.values(), return_exceptions=True)

    def _begin(self, key: str, source: Source, state: str) -> "asyncio.Task[None]":
        task = self._taking[key] = asyncio.create_task(self._take(key, source, state))
        return task

    async def _take(self, key: str, source: Source, state: str) -> None:
        """Take one file in, again if it changes meanwhile."""
        path = Path(key)
        try:
            while True:
                async with self._room:
                    await self._take_once(key, source, state)
                if not await self._library.ingestion.on_thread(path.is_file):
                    await self._forget(key, source.uid)
                    return
                if key not in self._again:
                    return
                self._again.discard(key)
                source, state = await self._library.ingestion.on_thread(lambda: self._describe(path))
        except FileNotFoundError:
            await self._forget(key, source.uid)
        finally:
            del self._taking[key]

    async def _take_once(self, key: str, source: Source, state: str) -> None:
        try:
            await self._library.ingestion.take(source, Path(key))
            self._refused.pop(key, None)
        except StorageFailed as error:  # the disk's trouble, not the file's: what is here stays, and it is tried again
            logger.warning("a document could not be kept", extra={"why": str(error)})
        except BridgeError as error:
            self._refused[key] = (state, str(error))
            await self._forget(key, source.uid)  # what it was is not what it is now

    async def _forget(self, key: str, uid: str) -> None:
        self._again.discard(key)
        with suppress(NotFound):
            await self._library.remove(uid, LOCAL_OWNER)

    def _describe(self, path: Path) -> tuple[Source, str]:
        return described(self.path, path, self._for_everybody)

    def _look(self) -> dict[str, tuple[Source, str]]:
        """The folder's documents by key, with how each file is now."""
        found = {}
        for path in documents_in(self.path):
            with suppress(FileNotFoundError):  # gone since
                found[str(path)] = self._describe(path)
        return found


async def changes(folder: Path, stopping: asyncio.Event) -> AsyncIterator[None]:
    """Once at the beginning, then whenever something in the folder has changed and come to rest."""
    from watchfiles import awatch  # with the libraries of documents, which may not be installed

    # It watches from the first step on, and yields after a while without events too: so nothing is missed between
    # the first comparison and the first event.
    watching = awatch(
        folder,
        debounce=4 * SETTLE_MS,
        step=SETTLE_MS,
        stop_event=stopping,
        watch_filter=None,
        yield_on_timeout=True,
        rust_timeout=LOOK_AGAIN_MS,
    )
    yield
    async for _ in watching:
        yield


def documents_in(folder: Path) -> Iterator[Path]:
    """The regular files of a folder, whatever is in them; nothing hidden, and nothing behind a link."""
    for directory, folders, files in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in IGNORED)
        for name in sorted(files):
            path = Path(directory, name)
            if not name.startswith((".", "~$")) and not name.endswith("~") and path.is_file() and not path.is_symlink():
                yield path


def name_in(folder: Path, path: Path) -> str:
    """What a file of a watched folder is shown as."""
    return f"{folder.name}/{path.relative_to(folder).as_posix()}"


def described(folder: Path, path: Path, for_everybody: bool = False) -> tuple[Source, str]:
    """Where a file of a watched folder comes from, and how it is: when it was changed, and its size."""
    status = path.stat()
    modified = datetime.fromtimestamp(status.st_mtime_ns / 1e9, UTC).isoformat(timespec="microseconds")
    source = Source(
        LOCAL_OWNER,
        str(path),
        name_in(folder, path),
        modified.replace("+00:00", "Z"),
        folder=str(folder),
        for_everybody=for_everybody,
    )
    return source, file_state(source.modified_at, status.st_size)
