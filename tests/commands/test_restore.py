"""`neuralbridge restore`: all of a backup or nothing of it, whatever the file holds and whenever the process dies."""

import asyncio
import json
import os
import random
import shutil
import sqlite3
import stat
import sys
import warnings
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from neuralbridge.cli import main
from neuralbridge.commands.backup import DATABASE, MANIFEST, SETTINGS, pack
from neuralbridge.commands.restore import finish, note_of, restore
from neuralbridge.data_folder import claim
from neuralbridge.database import Database, create, migrations
from neuralbridge.errors import BackupRefused, BridgeError
from tests.commands.test_backup import CONFIG, backup, conversation, names, said_in
from tests.conftest import Served

NEW, OLD = ["new", "new"], ["old", "old", "older", "older"]
OLD_CONFIG = f"{CONFIG}# the old one\n"
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.link", "os.truncate"}


@pytest.fixture
async def archive(tmp_path: Path) -> Path:
    """A backup of another machine."""
    there = tmp_path / "there"
    there.mkdir()
    (there / SETTINGS).write_text(CONFIG)
    await conversation(there / "data", "new")
    assert backup(there, tmp_path / "b.zip").exit_code == 0
    return tmp_path / "b.zip"


@pytest.fixture
async def home(tmp_path: Path) -> Path:
    """What is to be replaced: settings, and a data folder as a server leaves it that was killed."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / SETTINGS).write_text(OLD_CONFIG)
    data, running = folder / "data", tmp_path / "running"
    await conversation(running, "old")
    database = sqlite3.connect(running / DATABASE, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA wal_autocheckpoint = 0")
    for role in ("user", "assistant"):
        database.execute(
            "INSERT INTO messages (uid, conversation, depth, role, content, status, metadata, created_at)"
            " VALUES (?, 1, 3, ?, 'older', 'complete', '{}', '')",
            (role, role),
        )
    shutil.copytree(running, data)
    database.close()
    (data / f"{DATABASE}-shm").unlink()
    (data / "uploads").mkdir()
    (data / "uploads" / "waiting").write_text("a document")
    (data / "vectors-x.index").write_text("made from the database")
    assert (data / f"{DATABASE}-wal").stat().st_size > 0
    return folder


def state(folder: Path, scratch: Path) -> tuple[str, list[str]]:
    """Settings and what was said, of a folder with its log. The folder is not changed."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    for path in folder.glob(f"{DATABASE}*"):
        shutil.copy(path, scratch)
    with closing(sqlite3.connect(scratch / DATABASE)) as connection:
        said = [content for (content,) in connection.execute("SELECT content FROM messages ORDER BY id")]
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    settings = folder / SETTINGS if (folder / SETTINGS).exists() else folder.parent / SETTINGS
    return settings.read_text(), said


def restored(home: Path, file: Path, *arguments: object) -> Result:
    return CliRunner().invoke(main, ["restore", str(file), "--config", str(home / SETTINGS), *map(str, arguments)])


# All of it


async def test_everything_is_as_it_was_saved_and_what_was_there_is_kept_beside(
    archive: Path, home: Path, tmp_path: Path
) -> None:
    done = restored(home, archive)
    assert (done.exit_code, done.stderr) == (0, "")
    data = home / "data"
    assert state(data, tmp_path / "scratch") == (CONFIG, NEW)
    (before,) = data.glob("before-restore-*")
    assert str(before) in done.stdout
    assert state(before, tmp_path / "scratch") == (OLD_CONFIG, OLD)
    assert (before / "uploads" / "waiting").read_text() == "a document"
    assert names(data) == {DATABASE, "lock", before.name}
    assert names(home) == {SETTINGS, "data"}


async def test_a_server_starts_on_what_was_restored(archive: Path, home: Path) -> None:
    restored(home, archive)
    database = Database(home / "data" / DATABASE)
    await database.start()
    assert await database.read(lambda connection: connection.execute("SELECT count(*) FROM messages").fetchone()) == (
        2,
    )
    await database.stop()


async def test_where_there_was_nothing_it_begins_from_the_backup(archive: Path, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    assert restored(fresh, archive).exit_code == 0
    assert said_in(fresh / "data" / DATABASE) == NEW
    assert (fresh / SETTINGS).read_text() == CONFIG


async def test_one_may_go_back_to_what_was_there_and_forth(archive: Path, home: Path, tmp_path: Path) -> None:
    # What a kill left has its last words in the log, and a backup has them too
    assert backup(home, tmp_path / "old.zip").exit_code == 0
    for file, expected in [
        (archive, (CONFIG, NEW)),
        (tmp_path / "old.zip", (OLD_CONFIG, OLD)),
        (archive, (CONFIG, NEW)),
    ]:
        assert restored(home, file).exit_code == 0
        assert state(home / "data", tmp_path / "scratch") == expected
    assert len([*(home / "data").glob("before-restore-*")]) == 3


async def test_a_broken_configuration_and_a_broken_database_are_no_hindrance(archive: Path, home: Path) -> None:
    (home / SETTINGS).write_text("version: broken")
    (home / "data" / DATABASE).write_bytes(b"broken")
    assert restored(home, archive).exit_code == 0
    assert said_in(home / "data" / DATABASE) == NEW


async def test_the_data_folder_is_that_of_the_settings_in_it_or_the_one_named(archive: Path, home: Path) -> None:
    (home / SETTINGS).write_text(f"data_dir: elsewhere\n{OLD_CONFIG}")
    assert restored(home, archive, "--data-dir", home / "named").exit_code == 0
    assert said_in(home / "named" / DATABASE) == NEW
    assert (home / "data" / f"{DATABASE}-wal").exists()
    assert restored(home, archive).exit_code == 0
    assert said_in(home / "data" / DATABASE) == NEW


async def test_the_settings_may_be_read_by_whom_they_were_read_before(archive: Path, home: Path) -> None:
    (home / SETTINGS).chmod(0o644)
    restored(home, archive)
    assert stat.S_IMODE((home / SETTINGS).stat().st_mode) == 0o644
    assert stat.S_IMODE((home / "data" / DATABASE).stat().st_mode) == 0o600


async def test_settings_behind_a_link_are_replaced_where_they_are(archive: Path, home: Path) -> None:
    (home / SETTINGS).rename(home / "real.yaml")
    (home / SETTINGS).symlink_to("real.yaml")
    assert restored(home, archive).exit_code == 0
    assert (home / SETTINGS).is_symlink()
    assert (home / "real.yaml").read_text() == CONFIG


# Nothing of it


def refused(home: Path, file: Path, *arguments: object) -> str:
    """The one line it is refused with; nothing has changed."""
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file() and path.name != "lock"}
    done = restored(home, file, *arguments)
    assert (done.exit_code, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file() and path.name != "lock"} == before
    return line


async def test_a_running_server_keeps_its_data(served: Served, archive: Path, tmp_path: Path) -> None:
    (tmp_path / SETTINGS).write_text(CONFIG)
    async with served.client() as client:
        await client.join("proxy:trip")
        done = await asyncio.to_thread(restored, tmp_path, archive)
        assert done.exit_code == 1
        assert f"another server (process {os.getpid()}) is using this data folder" in done.stderr
        await client.push("proxy:trip", "query", {"query": "still there?"})
        assert (await client.expect("response"))["response"] == "You asked: still there?"
    assert not (tmp_path / "data" / "restoring").exists()
    assert not (tmp_path / f"{SETTINGS}.restoring").exists()


def test_a_file_that_is_not_there_is_named(home: Path) -> None:
    assert (
        refused(home, home / "none.zip")
        == f"Error: {home / 'none.zip'}: cannot be restored (No such file or directory)."
    )


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\5\6" + bytes(18), b"x" * 100_000, b"SQLite format 3\0"])
def test_what_is_no_archive_is_refused(home: Path, content: bytes) -> None:
    (home / "b.zip").write_bytes(content)
    assert "not a whole backup of NeuralBridge" in refused(home, home / "b.zip")


def test_an_archive_that_is_cut_short_is_refused_wherever_it_is_cut(archive: Path, home: Path) -> None:
    whole = archive.read_bytes()
    for length in [*random.Random(5).sample(range(len(whole)), 60), len(whole) - 1]:
        archive.write_bytes(whole[:length])
        refused(home, archive)


def test_an_archive_with_a_byte_changed_is_refused_or_means_the_same(archive: Path, tmp_path: Path) -> None:
    whole = archive.read_bytes()
    chance = random.Random(6)
    directory = whole.rindex(b"PK\5\6") - 260  # where archives say what is in them, and readers believe it
    places = [*range(60), *range(directory, len(whole)), *chance.sample(range(60, directory), 100)]
    kept = 0
    for place in places:
        changed = bytearray(whole)
        changed[place] ^= 1 << chance.randrange(8)
        archive.write_bytes(changed)
        folder = tmp_path / "flipped"
        folder.mkdir()
        try:
            restore(archive, folder / SETTINGS, None)
        except BackupRefused:
            assert [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"] == []
        else:
            kept += 1
            assert said_in(folder / "data" / DATABASE) == NEW
            assert (folder / SETTINGS).read_text() == CONFIG
        shutil.rmtree(folder)
    assert 0 < kept < len(places) / 2  # some bytes are dates and rights, which nobody reads


def remade(archive: Path, change: Callable[[dict[str, bytes]], object], describe: bool = True) -> None:
    """The archive with other members; where `describe`, its manifest says what they are."""
    with zipfile.ZipFile(archive) as old:
        members = {name: old.read(name) for name in old.namelist()}
    change(members)
    folder = archive.parent / "members"
    folder.mkdir()
    if describe:
        for name in (DATABASE, SETTINGS):
            (folder / name).write_bytes(members[name])
        shutil.move(pack(folder, len(migrations())), archive)
        return
    with zipfile.ZipFile(archive, "w") as new:
        for name, content in members.items():
            new.writestr(name, content)


@pytest.mark.parametrize(
    "name", ["../evil", "/tmp/evil", "data/../../evil", "C:\\evil", "evil\0.txt", "neuralbridge.db-wal", "lock", "x/"]
)
def test_a_name_that_is_none_of_ours_is_refused_whatever_it_is(archive: Path, home: Path, name: str) -> None:
    remade(archive, lambda members: members.update({name: b"evil"}), describe=False)
    assert "it holds " in refused(home, archive)
    assert not [*archive.parent.rglob("evil*")]


@pytest.mark.parametrize("name", [MANIFEST, DATABASE, SETTINGS])
def test_a_member_that_is_missing_or_there_twice_is_refused(archive: Path, home: Path, name: str) -> None:
    with zipfile.ZipFile(archive, "a") as twice, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        twice.writestr(name, b"again")
    assert "it holds " in refused(home, archive)
    remade(archive, lambda members: members.pop(name), describe=False)
    assert "it holds " in refused(home, archive)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda manifest: manifest.update(format=2), "format"),
        (lambda manifest: manifest.update(more=1), "more"),
        (lambda manifest: manifest["members"].pop(DATABASE), "does not describe"),
        (lambda manifest: manifest["members"].update({"../x": {"size": 1, "sha256": "0" * 64}}), "members"),
        (lambda manifest: manifest["members"][DATABASE].update(sha256="0" * 64), "is not what manifest.json says"),
        (lambda manifest: manifest["members"][DATABASE].update(sha256="x"), "sha256"),
        (lambda manifest: manifest["members"][DATABASE].update(size=10), "is not what manifest.json says"),
        (lambda manifest: manifest["members"][DATABASE].update(size=-1), "size"),
        (lambda manifest: manifest["members"][DATABASE].update(size=2**60), "are free"),
        (lambda manifest: manifest["members"][SETTINGS].update(size=2**40), "has more than 262,144 bytes"),
        (lambda manifest: manifest.update(program="x" * 100_000), "has more than 65,536 bytes"),
    ],
)
def test_a_manifest_that_does_not_describe_what_is_there_is_refused(
    archive: Path, home: Path, change: Callable[[dict[str, object]], object], said: str
) -> None:
    def changed(members: dict[str, bytes]) -> None:
        manifest = json.loads(members[MANIFEST])
        change(manifest)
        members[MANIFEST] = json.dumps(manifest).encode()

    remade(archive, changed, describe=False)
    assert said in refused(home, archive)


@pytest.mark.parametrize("content", [b"", b"null", b"[" * 60_000, b"\xff", b'{"format": NaN}'])
def test_a_manifest_that_is_none_is_refused(archive: Path, home: Path, content: bytes) -> None:
    remade(archive, lambda members: members.update({MANIFEST: content}), describe=False)
    assert MANIFEST in refused(home, archive)


def test_a_member_that_unpacks_to_more_than_it_should_is_left_as_soon_as_it_does(archive: Path, home: Path) -> None:
    with zipfile.ZipFile(archive) as old:
        manifest = old.read(MANIFEST)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr(MANIFEST, manifest)
        bomb.writestr(DATABASE, b"x")
        bomb.writestr(SETTINGS, bytes(500_000_000))
    assert f"{SETTINGS} is not what" in refused(home, archive)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("PRAGMA user_version = 99", "has schema 99, newer than this program's"),
        ("PRAGMA application_id = 7", "of another program"),
        (
            "CREATE TRIGGER evil AFTER INSERT ON messages BEGIN DELETE FROM documents; END",
            "a trigger 'evil' that is not",
        ),
        ("CREATE TABLE more (x)", "a table 'more' that is not ours"),
    ],
)
def test_a_database_that_is_not_for_this_program_is_refused(
    archive: Path, home: Path, statement: str, said: str
) -> None:
    assert said in refused(home, with_database(archive, lambda connection: connection.execute(statement)))


def with_database(archive: Path, change: Callable[[sqlite3.Connection], object]) -> Path:
    def changed(members: dict[str, bytes]) -> None:
        path = archive.parent / "changed.db"
        path.write_bytes(members[DATABASE])
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            change(connection)
        members[DATABASE] = path.read_bytes()

    remade(archive, changed)
    return archive


@pytest.mark.parametrize("content", [b"", b"no database at all", b"SQLite format 3\0" + bytes(4096)])
def test_what_is_no_database_is_refused_though_it_is_as_described(archive: Path, home: Path, content: bytes) -> None:
    remade(archive, lambda members: members.update({DATABASE: content}))
    assert "the database in it is" in refused(home, archive)


def test_a_damaged_database_is_refused_though_it_is_as_described(archive: Path, home: Path) -> None:
    def damage(members: dict[str, bytes]) -> None:
        raw = bytearray(members[DATABASE])
        raw[4096 * 2 : 4096 * 6] = b"\xff" * 4096 * 4
        members[DATABASE] = bytes(raw)

    remade(archive, damage)
    assert "the database in it is damaged" in refused(home, archive)


def test_settings_that_this_program_does_not_take_are_refused_with_their_mistake(archive: Path, home: Path) -> None:
    remade(archive, lambda members: members.update({SETTINGS: b"version: 1\ncolour: red\n"}))
    assert "colour: unknown setting" in refused(home, archive)
    assert "colour: unknown setting" in refused(home, archive, "--data-dir", home / "data")


async def test_an_older_database_is_taken_and_the_server_brings_it_up_to_date(archive: Path, home: Path) -> None:
    older = home / "older.db"
    create(older, migrations()[:2])
    remade(archive, lambda members: members.update({DATABASE: older.read_bytes()}))
    assert restored(home, archive).exit_code == 0
    database = Database(home / "data" / DATABASE)
    await database.start()
    await database.stop()


# Killed at any moment


def dying(step: int, act: Callable[[], object]) -> bool:
    """Do it in another process that dies before its change number `step` of the disk; whether it did."""
    child = os.fork()
    if child == 0:
        left = step

        def count(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if event in CHANGES or writes:
                left -= 1
                if left < 0:
                    os._exit(9)

        sys.addaudithook(count)
        try:
            act()
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, 9)
    return code == 9


def test_killed_at_any_moment_the_next_command_finds_the_old_or_the_new_whole(
    archive: Path, home: Path, tmp_path: Path
) -> None:
    old, new = (OLD_CONFIG, OLD), (CONFIG, NEW)
    found = []
    for step in range(1000):
        here = tmp_path / "here"
        shutil.copytree(home, here)
        died = dying(step, lambda: restore(archive, tmp_path / "here" / SETTINGS, None))
        committed = note_of(here / SETTINGS).exists()
        finish(here / SETTINGS)
        found.append(state(here / "data", tmp_path / "scratch"))
        assert found[-1] in (old, new), f"step {step}"
        if committed or not died:
            (before,) = (here / "data").glob("before-restore-*")
            assert state(before, tmp_path / "scratch") == old, f"step {step}"
            assert (before / "uploads" / "waiting").exists()
            assert found[-1] == new
        restore(archive, here / SETTINGS, None)  # what is left of an attempt is in nobody's way
        assert state(here / "data", tmp_path / "scratch") == new
        assert not (here / "data" / "restoring").exists()
        assert names(here) == {SETTINGS, "data"}
        shutil.rmtree(here)
        if not died:
            break
    assert found == sorted(found, key=[old, new].index)  # old up to one moment, new from then on
    assert found.count(old) > 5
    assert found.count(new) > 5


def test_killed_again_while_it_is_brought_to_its_end_it_still_comes_to_it(
    archive: Path, home: Path, tmp_path: Path
) -> None:
    new = (CONFIG, NEW)
    first = next(step for step in range(1000) if committed_at(step, archive, home, tmp_path))
    for step in range(1000):
        here = tmp_path / "here"
        shutil.copytree(home, here)
        assert dying(first, lambda: restore(archive, tmp_path / "here" / SETTINGS, None))
        died = dying(step, lambda: finish(tmp_path / "here" / SETTINGS))
        dying(step // 2, lambda: finish(tmp_path / "here" / SETTINGS))
        finish(here / SETTINGS)
        assert state(here / "data", tmp_path / "scratch") == new, f"step {step}"
        (before,) = (here / "data").glob("before-restore-*")
        assert state(before, tmp_path / "scratch") == (OLD_CONFIG, OLD), f"step {step}"
        shutil.rmtree(here)
        if not died:
            break
    assert step > 8


def committed_at(step: int, archive: Path, home: Path, tmp_path: Path) -> bool:
    here = tmp_path / "here"
    shutil.copytree(home, here)
    dying(step, lambda: restore(archive, here / SETTINGS, None))
    committed = note_of(here / SETTINGS).exists()
    shutil.rmtree(here)
    return committed


def interrupted(archive: Path, home: Path, tmp_path: Path) -> None:
    """A restore that counts and has not begun to replace anything."""
    first = next(step for step in range(1000) if committed_at(step, archive, home, tmp_path))
    assert dying(first, lambda: restore(archive, home / SETTINGS, None))


def test_any_command_that_reads_the_settings_brings_it_to_its_end_first(
    archive: Path, home: Path, tmp_path: Path
) -> None:
    interrupted(archive, home, tmp_path)
    assert (home / SETTINGS).read_text() == OLD_CONFIG
    out = home / "now.zip"
    assert backup(home, out).exit_code == 0
    assert state(home / "data", tmp_path / "scratch") == (CONFIG, NEW)
    assert not note_of(home / SETTINGS).exists()


def test_while_another_process_has_the_data_folder_the_end_waits_for_it(
    archive: Path, home: Path, tmp_path: Path
) -> None:
    interrupted(archive, home, tmp_path)
    with claim(home / "data"), pytest.raises(BridgeError, match="is using this data folder"):
        finish(home / SETTINGS)
    finish(home / SETTINGS)
    assert state(home / "data", tmp_path / "scratch") == (CONFIG, NEW)


def test_a_note_that_is_none_of_ours_is_named_and_left(home: Path) -> None:
    note_of(home / SETTINGS).write_text("{}")
    with pytest.raises(BridgeError, match="move it away"):
        finish(home / SETTINGS)
    assert note_of(home / SETTINGS).read_text() == "{}"
