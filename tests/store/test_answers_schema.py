"""The schema of kept answers and ratings comes to a database that is in use, and leaves what is in it alone."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from neuralbridge.database import Database, create, migrations
from neuralbridge.store.cached_answers import CachedAnswers, Held
from neuralbridge.store.conversations import Conversation, Conversations
from neuralbridge.store.feedback import Feedback, rated

BEFORE = 2  # the schema this one comes after
FILLED = """
    INSERT INTO conversations (id, owner, session_id, created_at) VALUES (1, 'local', 's', '');
    INSERT INTO messages (uid, conversation, parent, depth, role, content, status, metadata, created_at)
        VALUES ('q', 1, NULL, 1, 'user', 'why?', 'complete', '{}', ''),
               ('a', 1, 1, 2, 'assistant', 'because', 'complete', '{"source": "llm"}', '');
    UPDATE conversations SET leaf = 2;
    INSERT INTO documents (uid, owner, key, source, kind, version, size, passages, metadata, modified_at, created_at,
        updated_at, characters, text) VALUES ('pump', 'local', 'k', 's', 'text', 'v1', 1, 0, '{}', '', '', '', 1, 'x');
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "neuralbridge.db"
    create(path, migrations()[:BEFORE])
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FILLED)
    return path


async def test_an_older_database_takes_ratings_of_its_answers(old: Path) -> None:
    database = Database(old)
    await database.start()
    await Feedback(database).put("local", "a", 1, "good")
    (found,) = await database.read(lambda connection: [*rated(connection)])
    messages = await Conversations(database).branch(Conversation("local", "s"), 10)
    await database.stop()
    assert found.turns == [("user", "why?"), ("assistant", "because")]
    assert [message.content for message in messages] == ["why?", "because"]


async def test_an_older_database_begins_with_an_empty_cache(old: Path) -> None:
    database = Database(old)
    await database.start()
    answers = CachedAnswers(database, 10, 1)
    held, (entry, generation) = await answers.held("local"), await answers.find(b"", "")
    await database.stop()
    assert (held, entry, generation) == (Held(0, 0, 0, None, None), None, 0)


async def test_changes_of_documents_from_before_are_counted(old: Path) -> None:
    database = Database(old)
    await database.start()
    await database.write(lambda connection: connection.execute("UPDATE documents SET version = 'v2'"))
    _, generation = await CachedAnswers(database, 10, 1).find(b"", "")
    await database.stop()
    assert generation == 1
