"""Rated answers as JSON Lines, from a database that may be in use."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from neuralbridge.cli import main
from neuralbridge.errors import DataUnusable
from neuralbridge.export import feedback_lines
from tests.conftest import Served
from tests.web.test_documents_in_answers import TOPIC


async def test_a_rated_answer_is_a_line_in_chat_format_while_the_server_runs(served: Served, tmp_path: Path) -> None:
    async with served.client() as client:
        await client.join(TOPIC)
        messages = []
        for query in ("one", "two"):
            await client.push(TOPIC, "query", {"query": query})
            messages.append((await client.expect("response"))["metadata"]["message_id"])
        await client.push(TOPIC, "feedback", {"message_id": messages[1], "rating": "down", "comment": "não"})
        await client.expect("feedback")
        await client.push(TOPIC, "feedback", {"message_id": messages[0], "rating": None})
        await client.expect("feedback")
        (line,) = feedback_lines(tmp_path / "data")
    told = json.loads(line)
    assert told["messages"] == [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "You asked: one"},
        {"role": "user", "content": "two"},
        {"role": "assistant", "content": "You asked: two"},
    ]
    assert (told["rating"], told["comment"], told["message_id"]) == ("down", "não", messages[1])
    assert 0 < told["confidence_score"] < 1
    assert told["features"].keys() == {"mean", "lowest", "repeated", "cut"}


def test_without_a_database_the_command_says_so(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["export", "feedback", "--data-dir", str(tmp_path)])
    assert result.exit_code == 1
    assert "neuralbridge.db: the database cannot be read" in result.output


def test_another_programs_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "neuralbridge.db").write_bytes(b"")
    with pytest.raises(DataUnusable, match="of another program"):
        [*feedback_lines(tmp_path)]
