"""`neuralbridge backup`: one whole file of one moment, while a server goes on, and never over what is there."""

import asyncio
import json
import sqlite3
import zipfile
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from neuralbridge import __version__
from neuralbridge.cli import main
from neuralbridge.commands.backup import DATABASE, MANIFEST, SETTINGS
from neuralbridge.database import Database, migrations
from neuralbridge.store.conversations import Conversation, Conversations
from tests.conftest import Served
from tests.unprivileged import unprivileged

CONFIG = "version: 1\nmodels: {small: {path: x}}\nrouting: {default: small}\n"


def made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def hidden(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.startswith(".")]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def conversation(data: Path, *said: str) -> None:
    """A data folder with these questions, each one answered by itself."""
    database = Database(made(data) / DATABASE)
    await database.start()
    for query in said:
        turn = await Conversations(database).begin(Conversation("local", "trip"), query, {}, {})
        await Conversations(database).finish(turn, query, "complete", {})
    await database.stop()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a configuration; its data folder is `data`."""
    (tmp_path / SETTINGS).write_text(CONFIG)
    return tmp_path


def backup(home: Path, *arguments: object) -> Result:
    return CliRunner().invoke(main, ["backup", *map(str, arguments), "--config", str(home / SETTINGS)])


def said_in(database: Path) -> list[str]:
    """Questions and answers, read from a file that is complete by itself."""
    with closing(sqlite3.connect(f"{database.as_uri()}?immutable=1", uri=True)) as connection:
        return [content for (content,) in connection.execute("SELECT content FROM messages ORDER BY id")]


def unpacked(file: Path, folder: Path) -> dict[str, Any]:
    """The manifest; the members are in the folder."""
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder)
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    return manifest


async def test_it_has_everything_said_the_settings_and_what_proves_it_whole(home: Path) -> None:
    await conversation(home / "data", "one", "two")
    (home / "data" / "vectors-x.index").write_text("made from the database")
    done = backup(home, home / "b.zip")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{home / 'b.zip'}: 1 conversations, 0 documents, ")
    manifest = unpacked(home / "b.zip", home / "out")
    assert names(home / "out") == {MANIFEST, DATABASE, SETTINGS}
    assert (manifest["format"], manifest["program"]) == (1, __version__)
    assert manifest["database_schema"] == len(migrations())
    for name, member in manifest["members"].items():
        content = (home / "out" / name).read_bytes()
        assert member == {"size": len(content), "sha256": sha256(content).hexdigest()}
    assert said_in(home / "out" / DATABASE) == ["one", "one", "two", "two"]
    assert (home / "out" / SETTINGS).read_text() == CONFIG


async def test_a_running_server_is_not_disturbed_and_what_it_has_said_is_in_it(served: Served, home: Path) -> None:
    async with served.client() as client:
        await client.join("proxy:trip")
        await client.push("proxy:trip", "query", {"query": "one"})
        await client.expect("response")
        done = await asyncio.to_thread(backup, home, home / "b.zip")
        assert done.exit_code == 0, done.stderr
        await client.push("proxy:trip", "query", {"query": "two"})
        await client.expect("response")
    unpacked(home / "b.zip", home / "out")
    assert said_in(home / "out" / DATABASE) == ["one", "You asked: one"]


async def test_while_a_server_writes_each_backup_is_of_one_moment(served: Served, home: Path) -> None:
    async def talk() -> None:
        async with served.client() as client:
            await client.join("proxy:trip")
            for number in range(60):
                await client.push("proxy:trip", "query", {"query": str(number)})
                await client.expect("response")

    talking = asyncio.create_task(talk())
    for number in range(5):
        done = await asyncio.to_thread(backup, home, home / f"{number}.zip")
        assert done.exit_code == 0, done.stderr
        unpacked(home / f"{number}.zip", home / str(number))
        with closing(sqlite3.connect(home / str(number) / DATABASE)) as copy:
            assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        said = said_in(home / str(number) / DATABASE)
        assert said[::2] == [str(place) for place in range(len(said[::2]))]
    await talking


async def test_documents_that_wait_to_be_read_are_said_to_be_missing(home: Path) -> None:
    await conversation(home / "data", "one")
    with closing(sqlite3.connect(home / "data" / DATABASE, isolation_level=None)) as connection:
        connection.execute(
            "INSERT INTO jobs (uid, owner, key, source, upload, metadata, modified_at, state, created_at, updated_at)"
            " VALUES ('u', 'local', 'k', 's', 'f', '{}', '', 'reading', '', '')"
        )
    assert "1 documents still wait to be read and are not in it." in backup(home, home / "b.zip").stdout


async def test_nobody_else_may_read_it(home: Path) -> None:
    await conversation(home / "data", "one")
    backup(home, home / "b.zip")
    assert (home / "b.zip").stat().st_mode & 0o077 == 0


def said_wrong(done: Result) -> str:
    assert (done.exit_code, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    return line


@pytest.mark.parametrize("name", ["b.zip", "data/neuralbridge.db", "dangling"])
async def test_what_is_there_already_is_never_written_over(home: Path, name: str) -> None:
    await conversation(home / "data", "one")
    (home / "b.zip").write_text("from before")
    (home / "dangling").symlink_to(home / "nowhere")
    before = (home / "data" / DATABASE).read_bytes()
    assert "there is something of that name" in said_wrong(backup(home, home / name))
    assert (home / "b.zip").read_text() == "from before"
    assert (home / "data" / DATABASE).read_bytes() == before


async def test_where_it_cannot_be_written_the_reason_is_told(home: Path) -> None:
    await conversation(home / "data", "one")
    assert "No such file or directory" in said_wrong(backup(home, home / "nowhere" / "b.zip"))
    with unprivileged() as folder:
        (folder / SETTINGS).write_text(CONFIG)
        await conversation(folder / "data", "one")
        (folder / "out").mkdir(0o500)
        assert "Permission denied" in said_wrong(backup(folder, folder / "out" / "b.zip"))


def test_a_missing_database_is_told_and_no_file_is_left(home: Path) -> None:
    assert "cannot be read (No such file or directory)" in said_wrong(backup(home, home / "b.zip"))
    assert names(home) == {SETTINGS}


async def test_a_damaged_database_makes_no_backup(home: Path) -> None:
    await conversation(home / "data", *(str(number) * 1000 for number in range(20)))
    database = home / "data" / DATABASE
    raw = bytearray(database.read_bytes())
    raw[-4096 * 8 :] = b"\xff" * 4096 * 8
    database.write_bytes(raw)
    said_wrong(backup(home, home / "b.zip"))
    assert not (home / "b.zip").exists()
    assert hidden(home) == []
