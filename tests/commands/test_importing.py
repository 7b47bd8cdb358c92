"""Conversations out by `export conversations` and in by `import`, with a server and without."""

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from neuralbridge.cli import main
from neuralbridge.database import Database
from neuralbridge.store.conversations import Conversation, Conversations
from tests.conftest import Served


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])


def export(data: Path, *more: object) -> str:
    result = run("export", "conversations", "--data-dir", data, *more)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def said(data: Path, *sessions: str) -> None:
    """A data folder with these conversations, a turn in each."""
    data.mkdir(exist_ok=True)
    asyncio.run(converse(data, *sessions))


async def converse(data: Path, *sessions: str) -> None:
    database = Database(data / "neuralbridge.db")
    await database.start()
    conversations = Conversations(database)
    for session in sessions:
        turn = await conversations.begin(Conversation("local", session), f"Olá {session}?", {}, {})
        await conversations.finish(turn, f"Sim, {session}.", "complete", {})
    await database.stop()


def test_what_was_exported_comes_in_once(tmp_path: Path) -> None:
    said(tmp_path / "old", "one", "two")
    (tmp_path / "all.jsonl").write_text(export(tmp_path / "old"), "utf-8")
    command = ("import", tmp_path / "all.jsonl", "--data-dir", tmp_path / "new", "--config", config(tmp_path))
    first, again = run(*command), run(*command)
    assert (first.exit_code, first.stdout) == (0, "2 taken in, 0 went on, 0 here already (4 messages), 0 refused\n")
    assert again.stdout == "0 taken in, 0 went on, 2 here already (0 messages), 0 refused\n"
    assert export(tmp_path / "new") == export(tmp_path / "old")


def config(folder: Path) -> Path:
    """One whose port nobody listens at."""
    path = folder / "config.yaml"
    path.write_text("version: 1\nserver: {port: 1}\nmodels: {small: {path: x}}\nrouting: {default: small}\n")
    return path


def test_one_conversation_can_be_written_out_for_people(tmp_path: Path) -> None:
    said(tmp_path, "one", "two")
    text = export(tmp_path, "--session", "two", "--format", "markdown")
    assert "Olá two?" in text
    assert "one" not in text


def test_an_unknown_conversation_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    said(tmp_path, "one")
    out = tmp_path / "out.md"
    out.write_text("from before")
    result = run("export", "conversations", "--data-dir", tmp_path, "--session", "none", "--out", out)
    assert (result.exit_code, result.stderr) == (1, "Error: There is no conversation 'none'.\n")
    assert out.read_text() == "from before"


async def test_a_running_server_takes_a_file_in(served: Served, tmp_path: Path) -> None:
    await asyncio.to_thread(said, tmp_path / "old", "one")
    file = tmp_path / "all.jsonl"
    file.write_text(await asyncio.to_thread(export, tmp_path / "old"), "utf-8")
    result = await asyncio.to_thread(run, "import", file, "--url", served.url)
    assert (result.exit_code, result.stdout.partition(",")[0]) == (0, "1 taken in")
    assert "Olá one?" in await asyncio.to_thread(export, tmp_path / "data")


@pytest.mark.parametrize(("content", "told"), [("no conversations", "Error: "), ('{"x": 1}\n', "Error: ")])
async def test_a_file_of_another_kind_is_refused(served: Served, tmp_path: Path, content: str, told: str) -> None:
    file = tmp_path / "file"
    file.write_text(content)
    for where in (("--url", served.url), ("--data-dir", tmp_path / "new", "--config", config(tmp_path))):
        result = await asyncio.to_thread(run, "import", file, *where)
        assert result.exit_code == 1
        assert result.stderr.startswith(told) or "refused" in result.stdout
