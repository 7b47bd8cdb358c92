"""A kept answer is found by its question, within its time and number, until a document it rests on changes."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from neuralbridge.database import Database
from neuralbridge.store.cached_answers import CachedAnswers, Entry, Held, NewEntry, forget
from neuralbridge.store.conversations import Conversation, Conversations
from neuralbridge.store.feedback import Feedback

SCOPE = b"scope"
LONG_AGO = "2020-01-01T00:00:00.000Z"
PUT = NewEntry(
    owner="ana",
    scope=SCOPE,
    question="why",
    asked="Why?",
    message="m1",
    answer="Because.",
    receipt={"source": "llm", "sources": [{"text": "é"}]},
    context=[{"n": 1}],
    evidence=b"evidence",
    generation=0,
    documents=frozenset({"pump", "boat"}),
    vector=b"\0\0\0\0",
    vector_model="fake",
)


@pytest.fixture
def answers(database: Database) -> CachedAnswers:
    return CachedAnswers(database, limit=1_000, hours=1)


async def found(answers: CachedAnswers, question: str = "why", scope: bytes = SCOPE) -> Entry | None:
    return (await answers.find(scope, question))[0]


async def kept(answers: CachedAnswers, *questions: str) -> list[str]:
    """Which of these questions still have an answer."""
    return [question for question in questions if await found(answers, question) is not None]


async def put_all(answers: CachedAnswers, *questions: str) -> None:
    for question in questions:
        await answers.put(replace(PUT, question=question, message=f"of {question}"))


async def execute(database: Database, statement: str, *parameters: object) -> None:
    await database.write(lambda connection: connection.execute(statement, parameters))


async def count(database: Database, table: str) -> int:
    return await database.read(
        lambda connection: int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
    )


async def write_document(database: Database, uid: str, version: str = "v1", owner: str = "local") -> None:
    await execute(
        database,
        """
        INSERT INTO documents (uid, owner, key, source, kind, version, size, passages, metadata, modified_at,
            created_at, updated_at, characters, text)
        VALUES (?, ?, ?, ?, 'text', ?, 1, 0, '{}', '', '', '', 1, 'x')
        ON CONFLICT (owner, key) DO UPDATE SET version = excluded.version
        """,
        *(uid, owner, uid, uid, version),
    )


async def test_what_was_put_is_found_as_it_was(answers: CachedAnswers) -> None:
    await answers.put(PUT)
    entry = await found(answers)
    assert entry is not None
    kept_as = (
        PUT.answer,
        PUT.receipt,
        PUT.context,
        PUT.evidence,
        PUT.generation,
        entry.created_at,
        PUT.asked,
        PUT.vector,
    )
    assert entry == Entry(entry.id, *kept_as)


@pytest.mark.parametrize(("scope", "question"), [(b"other", "why"), (SCOPE, "why not"), (SCOPE, ""), (b"", "why")])
async def test_another_scope_or_question_finds_nothing(answers: CachedAnswers, scope: bytes, question: str) -> None:
    await answers.put(PUT)
    assert await found(answers, question, scope) is None


async def test_a_second_answer_takes_the_place_of_the_first(answers: CachedAnswers, database: Database) -> None:
    await answers.put(PUT)
    await answers.put(replace(PUT, answer="For no reason.", documents=frozenset({"boat"})))
    entry = await found(answers)
    assert (entry and entry.answer, await count(database, "cached_documents")) == ("For no reason.", 1)


async def test_the_same_question_in_two_scopes_has_two_answers(answers: CachedAnswers) -> None:
    await answers.put(PUT)
    await answers.put(replace(PUT, scope=b"other", answer="Elsewhere."))
    entries = [await found(answers), await found(answers, scope=b"other")]
    assert [entry and entry.answer for entry in entries] == ["Because.", "Elsewhere."]


# Bounds


async def test_no_more_are_kept_than_allowed_and_the_least_recently_used_go(database: Database) -> None:
    answers = CachedAnswers(database, limit=3, hours=1)
    await put_all(answers, "a", "b", "c")
    for number, question in enumerate(("b", "c", "a")):  # a was used last, then c, then b
        used_at = f"2020-01-01T00:00:00.00{number}Z"
        await execute(database, "UPDATE cached_answers SET used_at = ? WHERE question = ?", used_at, question)
    await put_all(answers, "d")
    assert await kept(answers, "a", "b", "c", "d") == ["a", "c", "d"]
    await put_all(answers, "e")
    assert await kept(answers, "a", "b", "c", "d", "e") == ["a", "d", "e"]


async def test_being_given_again_makes_an_answer_the_most_recently_used(database: Database) -> None:
    answers = CachedAnswers(database, limit=2, hours=1)
    await put_all(answers, "a", "b")
    await execute(database, "UPDATE cached_answers SET used_at = ?", LONG_AGO)
    entry = await found(answers, "a")
    assert entry is not None
    await answers.used(entry.id, 0)
    await put_all(answers, "c")
    assert await kept(answers, "a", "b", "c") == ["a", "c"]


async def test_the_newest_answer_is_kept_where_only_one_may_be(database: Database) -> None:
    answers = CachedAnswers(database, limit=1, hours=1)
    await put_all(answers, "a", "b", "c")
    assert (await kept(answers, "a", "b", "c"), (await answers.held("ana")).entries) == (["c"], 1)


async def test_an_answer_that_has_had_its_time_is_not_found(answers: CachedAnswers, database: Database) -> None:
    await put_all(answers, "a", "b")
    await execute(database, "UPDATE cached_answers SET created_at = ? WHERE question = 'a'", LONG_AGO)
    assert await kept(answers, "a", "b") == ["b"]
    assert len(await answers.in_scope(SCOPE, "fake")) == 1


async def test_being_given_again_does_not_make_an_answer_younger(answers: CachedAnswers, database: Database) -> None:
    await answers.put(PUT)
    entry = await found(answers)
    assert entry is not None
    await execute(database, "UPDATE cached_answers SET created_at = ?", LONG_AGO)
    await answers.used(entry.id, 0)
    assert await found(answers) is None


async def test_what_has_had_its_time_makes_room_for_what_comes(answers: CachedAnswers, database: Database) -> None:
    await put_all(answers, "a", "b")
    await execute(database, "UPDATE cached_answers SET created_at = ?", LONG_AGO)
    await put_all(answers, "c")
    assert await count(database, "cached_answers") == 1
    assert await count(database, "cached_documents") == len(PUT.documents)


# Documents


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE documents SET version = 'v2' WHERE uid = 'pump'",
        "DELETE FROM documents WHERE uid = 'pump'",
    ],
)
async def test_a_changed_document_takes_the_answers_that_rest_on_it_and_no_others(
    answers: CachedAnswers, database: Database, change: str
) -> None:
    for uid in ("pump", "boat"):
        await write_document(database, uid)
    _, generation = await answers.find(SCOPE, "")
    rests_on = {"pump": {"pump"}, "boat": {"boat"}, "both": {"boat", "pump"}, "none": set[str]()}
    for question, documents in rests_on.items():
        await answers.put(replace(PUT, question=question, documents=frozenset(documents), generation=generation))
    assert await kept(answers, *rests_on) == [*rests_on]
    await execute(database, change)
    assert await kept(answers, *rests_on) == ["boat", "none"]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE documents SET pinned = 1, updated_at = 'now'",
        "UPDATE documents SET source = 'another name'",
        "UPDATE documents SET version = 'v1'",
    ],
)
async def test_an_update_that_leaves_the_version_drops_nothing(
    answers: CachedAnswers, database: Database, change: str
) -> None:
    await write_document(database, "pump")
    await answers.put(replace(PUT, generation=1))
    await execute(database, change)
    assert await found(answers) is not None


async def test_every_change_of_a_document_is_counted(answers: CachedAnswers, database: Database) -> None:
    counted = []
    for uid, version in (("pump", "v1"), ("boat", "v1"), ("pump", "v2")):
        await write_document(database, uid, version)
        counted.append((await answers.find(SCOPE, "why"))[1])
    await execute(database, "DELETE FROM documents WHERE uid = 'boat'")
    counted.append((await answers.find(SCOPE, "why"))[1])
    assert counted == [1, 2, 3, 4]


async def test_a_write_that_is_undone_is_not_counted_and_drops_nothing(
    answers: CachedAnswers, database: Database
) -> None:
    await write_document(database, "pump")
    await answers.put(replace(PUT, generation=1))

    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM documents")
        raise KeyError("half way")

    with pytest.raises(KeyError, match="half way"):
        await database.write(fail)
    assert await found(answers) is not None
    assert (await answers.find(SCOPE, "why"))[1] == 1


async def test_an_answer_made_while_a_document_changed_is_not_kept(answers: CachedAnswers, database: Database) -> None:
    await write_document(database, "unrelated")
    await answers.put(PUT)
    assert await found(answers) is None


async def test_an_answer_made_while_a_document_changed_takes_the_one_before_with_it(
    answers: CachedAnswers, database: Database
) -> None:
    await answers.put(PUT)
    await write_document(database, "unrelated")
    await answers.put(replace(PUT, answer="Nobody knows of which state."))
    assert await found(answers) is None


async def test_an_answer_without_documents_is_kept_whatever_changed(answers: CachedAnswers, database: Database) -> None:
    await write_document(database, "unrelated")
    await answers.put(replace(PUT, evidence=None, documents=frozenset()))
    assert await found(answers) is not None


async def test_the_generation_in_which_an_answer_held_only_grows(answers: CachedAnswers) -> None:
    await answers.put(PUT)
    generations = []
    for generation in (3, 2, 5):
        entry = await found(answers)
        assert entry is not None
        await answers.used(entry.id, generation)
        after = await found(answers)
        generations.append(after and after.generation)
    assert generations == [3, 3, 5]


# Forgetting, and what there is


async def test_one_answer_is_forgotten_and_the_others_stay(answers: CachedAnswers, database: Database) -> None:
    await put_all(answers, "a", "b")
    entry = await found(answers, "a")
    assert entry is not None
    await answers.drop([entry.id])
    assert (await kept(answers, "a", "b"), await count(database, "cached_documents")) == (["b"], len(PUT.documents))


@pytest.mark.parametrize(
    ("message", "kept_then"), [*((other, ["a"]) for other in ("", "of b", "of", "%")), ("of a", [])]
)
async def test_the_answer_of_a_message_is_forgotten_and_no_other(
    answers: CachedAnswers, database: Database, message: str, kept_then: list[str]
) -> None:
    await put_all(answers, "a")
    await database.write(lambda connection: forget(connection, "ana", message))
    assert await kept(answers, "a") == kept_then


async def test_another_owners_answer_in_the_same_words_stays(answers: CachedAnswers, database: Database) -> None:
    await put_all(answers, "a")
    conversations = Conversations(database)
    turn = await conversations.begin(Conversation("ben", "s"), PUT.asked, {}, {})
    await conversations.finish(turn, PUT.answer, "complete", {})
    await Feedback(database).put("ben", turn.answer, -1, "")
    assert await kept(answers, "a") == ["a"]


async def test_everything_is_forgotten_and_counted(answers: CachedAnswers, database: Database) -> None:
    await put_all(answers, "a", "b", "c")
    assert [await answers.clear("ana"), await answers.clear("ana")] == [3, 0]
    assert await count(database, "cached_documents") == 0


async def test_what_is_held_is_told(answers: CachedAnswers, database: Database) -> None:
    assert await answers.held("ana") == Held(0, 0, 0, None, None)
    await answers.put(replace(PUT, question="a", answer="é" * 3))
    await answers.put(replace(PUT, question="b", answer="x" * 4))
    await execute(database, "UPDATE cached_answers SET created_at = ? WHERE question = 'a'", LONG_AGO)
    entry = await found(answers, "b")
    assert entry is not None
    await answers.used(entry.id, 0)
    await answers.used(entry.id, 0)
    assert await answers.held("ana") == Held(2, 7, 2, LONG_AGO, entry.created_at)


@pytest.mark.parametrize(
    ("scope", "model", "expected"),
    [(SCOPE, "fake", {"a", "b"}), (SCOPE, "another", set()), (b"other", "fake", {"c"}), (b"third", "fake", set())],
)
async def test_a_scope_gives_the_entries_with_vectors_of_that_model(
    answers: CachedAnswers, scope: bytes, model: str, expected: set[str]
) -> None:
    for at, question in ((SCOPE, "a"), (SCOPE, "b"), (b"other", "c")):
        await answers.put(replace(PUT, scope=at, question=question, asked=question))
    await answers.put(replace(PUT, question="d", asked="d", vector=None, vector_model=None))
    assert {entry.asked for entry in await answers.in_scope(scope, model)} == expected


async def test_what_is_kept_is_there_after_a_restart(tmp_path: Path) -> None:
    for _ in range(2):
        database = Database(tmp_path / "neuralbridge.db")
        await database.start()
        answers = CachedAnswers(database, limit=10, hours=1)
        before = await kept(answers, "why")
        await answers.put(PUT)
        await database.stop()
    assert before == ["why"]
