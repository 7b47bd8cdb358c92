"""`neuralbridge restore`: a backup in the place of what is there.

Everything is unpacked and checked beside what it replaces. Then a note beside the configuration file says what is to be
done: from that moment the restore counts. Its steps can be done again from the start, so whichever command comes first
after a crash brings them to their end; before the note, a crash has changed nothing.
"""

import errno
import logging
import os
import shutil
import sqlite3
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from neuralbridge.commands.backup import DATABASE, MANIFEST, SETTINGS, Manifest, Member, sync
from neuralbridge.config import read_config
from neuralbridge.data_folder import claim
from neuralbridge.database import APPLICATION_ID, connect_to_read, damaged, migrate, migrations
from neuralbridge.errors import BackupRefused, ConfigInvalid, DataInUse, DataUnusable
from neuralbridge.yaml_file import MAX_BYTES

logger = logging.getLogger(__name__)

MANIFEST_BYTES = 64 * 1024
CHUNK_BYTES = 1 << 20
ROOM_LEFT = 64 * 1024 * 1024  # bytes of the disk that a restore does not use up
STAGING = "restoring"  # the folder below the data folder
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What Python's reader says to bytes that are no whole archive
DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, RuntimeError, OverflowError, IndexError)


class Pending(BaseModel):
    """The note: the data folder, and the folder in it for what is replaced."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    data: str
    before: str


def restore(file: Path, config_path: Path, data_dir: Path | None) -> Path:
    """Replace data and settings by those of a backup; the folder that has what was there before.

    Raises BackupRefused for what is no whole backup, DataInUse while a server runs, DataUnusable.
    """
    finish(config_path)
    config = config_path.resolve()
    with ExitStack() as held:
        try:
            with opened(file) as (archive, manifest):
                unpack(archive, SETTINGS, manifest.members[SETTINGS], staged(config))
                wanted = data_dir_of(staged(config), file)  # also where it is not: the settings are checked by it
                data = data_dir or config_path.parent / wanted
                held.enter_context(claim(data))
                stage_database(file, archive, manifest, data)
            pending = Pending(data=str(data.resolve()), before=unused_name(data))
            write(note_of(config), pending.model_dump_json().encode())
        except OSError as error:
            raise BackupRefused(f"{file}: cannot be restored ({error.strerror or error}).") from error
        finally:
            if not note_of(config).exists():
                staged(config).unlink(missing_ok=True)
        carry_out(config, pending)
    return data / pending.before


def finish(config_path: Path) -> None:
    """Bring a restore to its end that was interrupted; mostly there is none. Raises DataUnusable."""
    config = config_path.resolve()
    try:
        raw = note_of(config).read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise DataUnusable(f"{note_of(config)}: cannot be read ({error.strerror}).") from error
    try:
        pending = Pending.model_validate_json(raw)
    except ValidationError as error:
        raise DataUnusable(f"{note_of(config)}: not the note of an interrupted restore; move it away.") from error
    try:
        with claim(Path(pending.data)):
            carry_out(config, pending)
    except DataInUse:
        # Another command finishes it, or has just done so
        if note_of(config).exists():
            raise
        return
    logger.warning("an interrupted restore was finished", extra={"kept": str(Path(pending.data) / pending.before)})


# Before the note: read, check, unpack


@contextmanager
def opened(file: Path) -> Iterator[tuple[zipfile.ZipFile, Manifest]]:
    """A backup and its manifest, which has nothing in it but what is ours. Raises BackupRefused, OSError."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            names = sorted(member.filename for member in members)
            if names != sorted([MANIFEST, DATABASE, SETTINGS]):
                raise ValueError(f"it holds {', '.join(map(repr, names[:5]))[:200] or 'nothing'}")
            if any(member.compress_type not in METHODS for member in members):
                raise ValueError("it is packed in a way that backups are not")
            yield archive, read_manifest(archive)
    except DAMAGE as error:
        raise BackupRefused(f"{file}: not a whole backup of NeuralBridge ({error}).") from error


def read_manifest(archive: zipfile.ZipFile) -> Manifest:
    """Raises ValueError, and what stands in DAMAGE."""
    with archive.open(MANIFEST) as member:
        raw = member.read(MANIFEST_BYTES + 1)
    if len(raw) > MANIFEST_BYTES:
        raise ValueError(f"its {MANIFEST} has more than {MANIFEST_BYTES:,} bytes")
    try:
        manifest = Manifest.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{MANIFEST}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    if sorted(manifest.members) != sorted([DATABASE, SETTINGS]):
        raise ValueError(f"{MANIFEST} does not describe {DATABASE} and {SETTINGS}")
    if manifest.members[SETTINGS].size > MAX_BYTES:
        raise ValueError(f"its {SETTINGS} has more than {MAX_BYTES:,} bytes")
    return manifest


def unpack(archive: zipfile.ZipFile, name: str, described: Member, target: Path) -> None:
    """Write a member to a file, and to the disk. Raises ValueError unless it is what the manifest describes."""
    digest, size = sha256(), 0
    with archive.open(name) as member, target.open("wb") as file:
        while chunk := member.read(CHUNK_BYTES):
            size += len(chunk)
            if size > described.size:
                break
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    if (size, digest.hexdigest()) != (described.size, described.sha256):
        raise ValueError(f"{name} is not what {MANIFEST} says")


def data_dir_of(settings: Path, file: Path) -> str:
    """Where the settings of a backup want its data. Raises BackupRefused."""
    try:
        return read_config(settings).data_dir
    except ConfigInvalid as error:
        raise BackupRefused(f"{file}: this program does not take its settings: {error}") from error


def stage_database(file: Path, archive: zipfile.ZipFile, manifest: Manifest, data: Path) -> None:
    """Unpack the database below the data folder and check it. Raises BackupRefused, OSError, and ValueError."""
    described = manifest.members[DATABASE]
    free = shutil.disk_usage(data).free
    if described.size + ROOM_LEFT > free:
        raise OSError(errno.ENOSPC, f"it takes {described.size:,} bytes, and {free:,} are free")
    staging = data / STAGING
    shutil.rmtree(staging, ignore_errors=True)  # of one that did not come to its note
    staging.mkdir(mode=0o700)
    try:
        unpack(archive, DATABASE, described, staging / DATABASE)
        check_database(file, staging / DATABASE)
        sync(staging)
        sync(data)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


def check_database(file: Path, database: Path) -> None:
    """Whether it is whole, ours, and no newer than we are. Raises BackupRefused."""
    try:
        with closing(connect_to_read(database, "mode=ro&immutable=1")) as connection:
            (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (schema,) = connection.execute("PRAGMA user_version").fetchone()
            made_of = schema_of(connection)
            if verdict != "ok":
                raise damaged(verdict)
    except sqlite3.Error as error:
        raise BackupRefused(f"{file}: the database in it is damaged ({error}).") from error
    if application != APPLICATION_ID:
        raise BackupRefused(f"{file}: the database in it is of another program.")
    newest = len(migrations())
    if schema > newest:
        raise BackupRefused(
            f"{file}: the database in it has schema {schema}, newer than this program's {newest}; use a newer program."
        )
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection, database, migrations()[:schema])
        foreign = made_of - schema_of(connection)
    if foreign:  # a trigger would act whenever the server writes
        kind, name, _ = min(foreign)
        raise BackupRefused(f"{file}: the database in it has a {kind} {name[:60]!r} that is not ours.")


def schema_of(connection: sqlite3.Connection) -> set[tuple[str, str, str]]:
    """Tables, indexes and triggers, by kind, name and how they were made."""
    query = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    return {(kind, name, sql or "") for kind, name, sql in connection.execute(query)}


def unused_name(data: Path) -> str:
    name = f"before-restore-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    while (data / name).exists():
        name += "~"
    return name


# After it: steps that may be done again


def carry_out(config: Path, pending: Pending) -> None:
    """Put everything in its place, from wherever an earlier attempt ended. Whoever calls has the data folder.

    Raises DataUnusable; the next command tries again.
    """
    data = Path(pending.data)
    before = data / pending.before
    try:
        before.mkdir(mode=0o700, exist_ok=True)
        put_database(data, before)
        put_settings(config, before)
        note_of(config).unlink()
        sync(config.parent)
    except OSError as error:
        raise DataUnusable(f"{data}: a restore that has begun cannot be finished ({error}).") from error


def put_database(data: Path, before: Path) -> None:
    new = data / STAGING / DATABASE
    if new.exists():
        for path in replaced(data):
            path.rename(unused(before / path.name))
        sync(before)
        sync(data)
        new.rename(data / DATABASE)
        sync(data)
    shutil.rmtree(data / STAGING, ignore_errors=True)


def put_settings(config: Path, before: Path) -> None:
    if staged(config).exists():
        if config.exists():
            write(before / config.name, config.read_bytes())
            shutil.copymode(config, staged(config))
        staged(config).replace(config)
        sync(config.parent)


def replaced(data: Path) -> list[Path]:
    """What a database has around it: its log, files that wait to be read, and indexes made from it."""
    names = [DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", "uploads"]
    return [*(path for path in map(data.joinpath, names) if path.exists()), *data.glob("vectors-*")]


def unused(path: Path) -> Path:
    while path.exists():
        path = path.with_name(f"{path.name}~")
    return path


def write(path: Path, content: bytes) -> None:
    """A file that is there whole and on the disk, or not at all."""
    new = path.with_name(f"{path.name}.new")
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync(path.parent)


def note_of(config: Path) -> Path:
    return config.with_name(f"{config.name}.restore")


def staged(config: Path) -> Path:
    return config.with_name(f"{config.name}.restoring")
