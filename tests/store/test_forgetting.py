"""Everything of an owner goes, nothing of others does, and nothing is left in the files: searched with a canary."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from textwrap import dedent

import pytest

from neuralbridge.commands.forgetting import forget_here
from neuralbridge.database import Database
from neuralbridge.store.cached_answers import CachedAnswers, NewEntry
from neuralbridge.store.conversations import Conversation, Conversations
from neuralbridge.store.feedback import Feedback
from neuralbridge.store.forgetting import Forgetting, Said
from neuralbridge.store.history import Counts, History
from tests.retrieval.rooms import troubles

CANARY = "zirkonium"
ROOT = Path(__file__).parents[2]


async def fill(database: Database, owner: str, word: str, conversations: int = 3) -> None:
    """Conversations with a question, an answer, a rating, and an answer that is kept."""
    for number in range(conversations):
        talk = Conversation(owner, f"{word} {number}")
        turn = await Conversations(database).begin(talk, f"Is {word} heavy?", {}, {}, [{"text": f"{word} is"}])
        await Conversations(database).finish(turn, f"Yes, {word} is heavy.", "complete", {"source": word})
        await Feedback(database).put(owner, turn.answer, 1, f"{word}!")
        kept = NewEntry(owner, f"{word}{number}".encode(), word, word, turn.answer, word, {}, [], None, 0, frozenset())
        await CachedAnswers(database, 100, 1).put(kept)


def holding(folder: Path, word: str) -> list[str]:
    """The files of a folder that have this word in them, in whatever case."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return sorted(path.name for path in files if word.encode() in path.read_bytes().lower())


async def test_all_of_one_owner_goes_and_nothing_of_another(database: Database) -> None:
    await fill(database, "ana", CANARY)
    await fill(database, "ben", "brass")
    gone = await Forgetting(database).conversations("ana")
    assert gone == Said(conversations=3, messages=6, feedback=3, cached_answers=3)
    assert await Forgetting(database).conversations("ana") == Said(0, 0, 0, 0)
    history = History(database)
    assert (await history.counts("ana"), await history.counts("ben")) == (Counts(0, 0), Counts(3, 6))
    assert [(await history.found(user, word, 10)).total for user, word in (("ana", CANARY), ("ben", "brass"))] == [0, 3]
    assert (await CachedAnswers(database, 100, 1).held("ben")).entries == 3


async def test_nothing_is_left_in_the_files(tmp_path: Path, database: Database) -> None:
    await fill(database, "user-zirkonium", CANARY, conversations=40)
    await fill(database, "ben", "brass")
    index = tmp_path / "vectors-x.index"
    index.write_bytes(CANARY.encode())
    assert "neuralbridge.db-wal" in holding(tmp_path, CANARY)
    told = await forget_here("user-zirkonium", database, tmp_path)
    assert (told.conversations, told.scrubbed, told.backups) == (40, True, [])
    assert holding(tmp_path, CANARY) == []
    assert "neuralbridge.db" in holding(tmp_path, "brass")
    assert await Forgetting(database).begun() == []


async def test_copies_of_before_a_migration_are_named(tmp_path: Path, database: Database) -> None:
    (tmp_path / "neuralbridge.db.before-0006.backup").write_bytes(b"")
    told = await forget_here("ana", database, tmp_path)
    assert told.backups == ["neuralbridge.db.before-0006.backup"]


async def test_while_another_program_reads_the_rest_is_left_for_later(tmp_path: Path, database: Database) -> None:
    await fill(database, "ana", CANARY)
    await database.write(lambda connection: connection.execute("SELECT 1"))
    with closing(sqlite3.connect(tmp_path / "neuralbridge.db", isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM messages").fetchall()
        await database.read(lambda connection: connection.execute("SELECT 1"))
        database._writing.execute("PRAGMA busy_timeout = 1")
        assert not (await forget_here("ana", database, tmp_path)).scrubbed
        assert await Forgetting(database).begun() == ["ana"]
    again = await forget_here("ana", database, tmp_path)
    assert (again.conversations, again.scrubbed, holding(tmp_path, CANARY)) == (0, True, [])


KILLED = """
    import asyncio, os, signal, sys
    from pathlib import Path
    import neuralbridge.store.forgetting as forgetting
    from neuralbridge.commands.forgetting import forget_here
    from neuralbridge.database import Database

    forgetting.AT_ONCE = 1
    steps, data = int(sys.argv[1]), Path(sys.argv[2])

    class Doomed(Database):
        left = steps

        def _transact(self, change):
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return super()._transact(change)

        def _scrub(self):
            if self.left == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            return super()._scrub()

    async def main():
        database = Doomed(data / "neuralbridge.db")
        await database.start()
        await forget_here("ana", database, data)

    asyncio.run(main())
"""


@pytest.mark.parametrize("steps", [2, 5, 7, 9])
async def test_killed_at_any_step_the_next_call_ends_it(tmp_path: Path, steps: int) -> None:
    database = Database(tmp_path / "neuralbridge.db")
    await database.start()
    await fill(database, "ana", CANARY)
    await fill(database, "ben", "brass")
    await database.stop()
    command = [sys.executable, "-c", dedent(KILLED), str(steps), str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, check=False)  # noqa: ASYNC221
    assert ended.returncode == -9
    assert troubles(tmp_path) == []
    database = Database(tmp_path / "neuralbridge.db")
    await database.start()
    assert await Forgetting(database).begun() == ["ana"]
    assert (await forget_here("ana", database, tmp_path)).scrubbed
    history = History(database)
    assert (await history.counts("ana"), await history.counts("ben")) == (Counts(0, 0), Counts(3, 6))
    await database.stop()
    assert holding(tmp_path, CANARY) == []
    assert troubles(tmp_path) == []
