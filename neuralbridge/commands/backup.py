"""`neuralbridge backup`: conversations, documents and settings in one file, also while a server runs.

The file is a zip of three members: `manifest.json` says what the others are, with size and sha256 of each.
"""

import os
import sqlite3
import zipfile
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from neuralbridge import __version__
from neuralbridge.database import damaged, reading
from neuralbridge.errors import BackupRefused

MANIFEST: Final = "manifest.json"
DATABASE: Final = "neuralbridge.db"
SETTINGS: Final = "config.yaml"


class Member(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Manifest(BaseModel):
    """What is in a backup, and which program made it."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    format: Literal[1] = 1
    program: Annotated[str, Field(max_length=40)]
    database_schema: Annotated[int, Field(ge=0)]
    created_at: Annotated[str, Field(max_length=40)]
    members: dict[Literal["neuralbridge.db", "config.yaml"], Member]


@dataclass(frozen=True, slots=True)
class Contents:
    """What a database holds; `waiting` counts documents that are not read yet."""

    schema: int
    conversations: int
    documents: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Saved:
    """A backup that was made."""

    file: Path
    size: int
    contents: Contents

    def __str__(self) -> str:
        held = self.contents
        waiting = f" {held.waiting:,} documents still wait to be read and are not in it." if held.waiting else ""
        said = f"{held.conversations:,} conversations, {held.documents:,} documents, {self.size / 1e6:.1f} MB."
        return f"{self.file}: {said}{waiting}"


def back_up(target: Path, data: Path, settings: Path) -> Saved:
    """Write a backup to a file that is not there yet; it gets its name when it is whole.

    Raises BackupRefused and DataUnusable.
    """
    if target.exists() or target.is_symlink():
        raise BackupRefused(f"{target}: there is something of that name, and it is left as it is; choose another.")
    try:
        with TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as made:
            folder = Path(made)
            contents = take_snapshot(data / DATABASE, folder / DATABASE)
            copyfile(settings, folder / SETTINGS)
            archive = pack(folder, contents.schema)
            size = archive.stat().st_size
            archive.rename(target)
            sync(target.parent)
    except OSError as error:
        raise BackupRefused(f"{target}: the backup cannot be written ({error.strerror}).") from error
    return Saved(target, size, contents)


def take_snapshot(source: Path, target: Path) -> Contents:
    """Copy a database at one moment, whoever uses it, and look whether the copy is whole. Raises DataUnusable."""
    with reading(source) as connection, closing(sqlite3.connect(target, isolation_level=None)) as copy:
        connection.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # so that it is one file
        (verdict,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
        if verdict != "ok":
            raise damaged(verdict)
        return contents_of(copy)


def contents_of(connection: sqlite3.Connection) -> Contents:
    (schema,) = connection.execute("PRAGMA user_version").fetchone()
    (conversations,) = connection.execute("SELECT count(*) FROM conversations").fetchone()
    (documents,) = connection.execute("SELECT count(*) FROM documents").fetchone()
    (waiting,) = connection.execute(
        "SELECT count(*) FROM jobs WHERE state IN ('queued', 'reading', 'embedding')"
    ).fetchone()
    return Contents(schema, conversations, documents, waiting)


def pack(folder: Path, schema: int) -> Path:
    """The archive of the members in a folder, beside them and on the disk."""
    manifest = Manifest(
        program=__version__,
        database_schema=schema,
        created_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        members={"neuralbridge.db": describe(folder / DATABASE), "config.yaml": describe(folder / SETTINGS)},
    )
    archive = folder / "archive"
    with archive.open("xb") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
            packed.writestr(MANIFEST, manifest.model_dump_json(indent=2))
            for name in manifest.members:
                packed.write(folder / name, name)
        file.flush()
        os.fsync(file.fileno())
    return archive


def describe(path: Path) -> Member:
    with path.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    return Member(size=path.stat().st_size, sha256=digest)


def sync(folder: Path) -> None:
    """Put on the disk which names a folder has."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
