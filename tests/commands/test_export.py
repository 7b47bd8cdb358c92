"""`neuralbridge export feedback`: one line of chat for each rated answer, or one line that says what is wrong."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from neuralbridge.cli import main
from neuralbridge.database import Database, create, migrations
from neuralbridge.store.conversations import Conversation, Conversations
from neuralbridge.store.feedback import Feedback
from tests.conftest import Served

METADATA = {
    "source": "llm",
    "model_used": "small",
    "confidence_score": 0.5,
    "confidence": {"features": {"mean": -0.25}},
}


def made(folder: Path) -> None:
    folder.mkdir(exist_ok=True)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def rated(data: Path, *said: tuple[str, int, str], metadata: dict[str, Any] | None = None) -> None:
    """A data folder with a conversation: answers (the question is "why?"), each with its rating and comment."""
    made(data)
    database = Database(data / "neuralbridge.db")
    await database.start()
    conversations = Conversations(database)
    for answer, rating, comment in said:
        turn = await conversations.begin(Conversation("local", "s"), "why?", {}, {})
        await conversations.finish(turn, answer, "complete", METADATA if metadata is None else metadata)
        await Feedback(database).put("local", turn.answer, rating, comment)
    await database.stop()


def export(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["export", "feedback", *map(str, arguments)])


def exported(*arguments: object) -> list[dict[str, Any]]:
    result = export(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return [json.loads(line) for line in result.stdout.splitlines()]


async def test_a_line_has_the_chat_the_rating_and_how_the_answer_came_about(tmp_path: Path) -> None:
    await rated(tmp_path, ("because", -1, "no"))
    (line,) = exported("--data-dir", tmp_path)
    assert line.pop("message_id")
    assert line.pop("rated_at").endswith("Z")
    assert line == {
        "messages": [{"role": "user", "content": "why?"}, {"role": "assistant", "content": "because"}],
        "rating": "down",
        "comment": "no",
        "source": "llm",
        "model_used": "small",
        "confidence_score": 0.5,
        "features": {"mean": -0.25},
    }


async def test_ratings_are_up_and_down_and_what_was_taken_back_is_left_out_unless_it_has_words(tmp_path: Path) -> None:
    await rated(tmp_path, ("a", 1, ""), ("b", -1, ""), ("c", 0, ""), ("d", 0, "so so"))
    lines = exported("--data-dir", tmp_path)
    assert sorted((line["messages"][-1]["content"], line["rating"], line["comment"]) for line in lines) == [
        *(("a", "up", ""), ("b", "down", ""), ("d", None, "so so"))
    ]


@pytest.mark.parametrize("answer", ["two\nlines\r\n", "Olhão 💥", '"quoted" \\ \t', ""])
async def test_a_text_of_any_characters_is_one_line_and_comes_back(tmp_path: Path, answer: str) -> None:
    await rated(tmp_path, (answer, 1, answer))
    result = export("--data-dir", tmp_path)
    assert result.stdout.count("\n") == 1
    line = json.loads(result.stdout)
    assert (line["messages"][-1]["content"], line["comment"]) == (answer, answer)


async def test_an_answer_from_before_there_was_a_confidence_is_exported_too(tmp_path: Path) -> None:
    await rated(tmp_path, ("because", 1, ""), metadata={})
    (line,) = exported("--data-dir", tmp_path)
    assert (line["confidence_score"], line["features"], line["source"]) == (None, {}, None)


async def test_the_configuration_names_the_data_folder(tmp_path: Path) -> None:
    await rated(tmp_path / "kept", ("because", 1, ""))
    config = tmp_path / "config.yaml"
    config.write_text("version: 1\ndata_dir: kept\nmodels: {small: {path: x}}\nrouting: {default: small}\n")
    assert len(exported("--config", config)) == 1


async def test_the_lines_go_to_a_file_where_one_is_named(tmp_path: Path) -> None:
    await rated(tmp_path, ("Olhão", 1, ""))
    out = tmp_path / "out.jsonl"
    assert exported("--data-dir", tmp_path, "--out", out) == []
    assert json.loads(out.read_text("utf-8"))["messages"][-1]["content"] == "Olhão"


async def test_without_ratings_there_is_nothing_and_that_is_no_mistake(tmp_path: Path) -> None:
    await rated(tmp_path)
    assert exported("--data-dir", tmp_path) == []


async def test_a_database_that_nobody_uses_is_left_as_it_is(tmp_path: Path) -> None:
    await rated(tmp_path, ("because", 1, ""))
    before = contents(tmp_path)
    exported("--data-dir", tmp_path)
    assert contents(tmp_path) == before


async def test_a_running_server_is_not_disturbed(served: Served, tmp_path: Path) -> None:
    async with served.client() as client:
        await client.join("proxy:s")
        messages = []
        for query in ("one", "two"):
            await client.push("proxy:s", "query", {"query": query})
            messages.append((await client.expect("response"))["metadata"]["message_id"])
        await client.push("proxy:s", "feedback", {"message_id": messages[1], "rating": "down", "comment": "não"})
        await client.expect("feedback")
        (line,) = await asyncio.to_thread(exported, "--data-dir", tmp_path / "data")
    said = ["one", "You asked: one", "two", "You asked: two"]
    assert [message["content"] for message in line["messages"]] == said
    assert 0 < line["confidence_score"] < 1
    assert line["features"].keys() == {"mean", "lowest", "repeated", "cut"}


def said_wrong(*arguments: object) -> str:
    """The one line it ends with."""
    result = export(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    return line


@pytest.mark.parametrize("folder", [".", "nowhere"])
def test_a_missing_database_is_named_and_none_is_made(tmp_path: Path, folder: str) -> None:
    path = tmp_path / folder / "neuralbridge.db"
    said = said_wrong("--data-dir", tmp_path / folder)
    assert said == f"Error: {path}: the database cannot be read (No such file or directory)."
    assert [*tmp_path.iterdir()] == []


def test_another_programs_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "neuralbridge.db").write_bytes(b"")
    assert "of another program" in said_wrong("--data-dir", tmp_path)


async def test_where_there_is_nothing_the_file_says_so_too(tmp_path: Path) -> None:
    await rated(tmp_path)
    out = tmp_path / "out.jsonl"
    out.write_text("from before")
    assert exported("--data-dir", tmp_path, "--out", out) == []
    assert out.read_text() == ""


def test_a_file_that_stood_where_lines_should_go_outlives_a_mistake(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("from before")
    said_wrong("--data-dir", tmp_path, "--out", out)
    assert out.read_text() == "from before"


def test_an_older_database_is_not_read_and_not_changed(tmp_path: Path) -> None:
    create(tmp_path / "neuralbridge.db", migrations()[:2])
    assert "start the server once" in said_wrong("--data-dir", tmp_path)
    with closing(sqlite3.connect(tmp_path / "neuralbridge.db")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)


def test_a_configuration_that_is_missing_is_named(tmp_path: Path) -> None:
    assert str(tmp_path / "none.yaml") in said_wrong("--config", tmp_path / "none.yaml")
