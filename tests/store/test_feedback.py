"""One rating for an answer, the last word counts, only its owner may speak; all come back with their conversations."""

import json
import sqlite3
from contextlib import suppress
from typing import Any

import pytest

from neuralbridge.database import Database
from neuralbridge.errors import NotFound
from neuralbridge.store.cached_answers import CachedAnswers, NewEntry
from neuralbridge.store.conversations import Conversation, Conversations, Turn
from neuralbridge.store.feedback import Feedback, Rated, Rating, rated

HERE = Conversation("local", "s")


@pytest.fixture
def feedback(database: Database) -> Feedback:
    return Feedback(database)


async def said(database: Database, question: str = "why?", where: Conversation = HERE, **metadata: Any) -> Turn:
    """A question with its answer."""
    conversations = Conversations(database)
    turn = await conversations.begin(where, question, {}, {})
    await conversations.finish(turn, f"answer to {question}", "complete", metadata)
    return turn


async def all_rated(database: Database) -> list[Rated]:
    return await database.read(lambda connection: [*rated(connection)])


async def test_nothing_is_rated_at_first(database: Database) -> None:
    await said(database)
    assert await all_rated(database) == []


@pytest.mark.parametrize(("rating", "comment"), [(1, ""), (-1, "wrong"), (0, "é\n\0💥"), (0, ""), (1, "x" * 4_000)])
async def test_a_rating_comes_back_with_question_answer_and_metadata(
    database: Database, feedback: Feedback, rating: int, comment: str
) -> None:
    turn = await said(database, source="llm", confidence_score=0.5)
    told = await feedback.put("local", turn.answer, rating, comment)
    assert told == Rating(turn.answer, rating, comment, told.updated_at)
    (found,) = await all_rated(database)
    assert found == Rated(
        told, [("user", "why?"), ("assistant", "answer to why?")], {"source": "llm", "confidence_score": 0.5}
    )


async def test_the_last_word_counts(database: Database, feedback: Feedback) -> None:
    turn = await said(database)
    await feedback.put("local", turn.answer, -1, "no")
    last = await feedback.put("local", turn.answer, 1, "")
    assert [found.rating for found in await all_rated(database)] == [last]


async def test_the_oldest_rating_comes_first_also_when_it_was_changed_since(
    database: Database, feedback: Feedback
) -> None:
    first, second = await said(database, "one"), await said(database, "two")
    await feedback.put("local", second.answer, 1, "")
    await feedback.put("local", first.answer, 1, "")

    def age(connection: sqlite3.Connection) -> None:  # both may have come within a millisecond
        connection.execute(
            "UPDATE feedback SET created_at = '2020' WHERE message = (SELECT id FROM messages WHERE uid = ?)",
            (second.answer,),
        )

    await database.write(age)
    await feedback.put("local", second.answer, -1, "after all")
    assert [found.rating.message for found in await all_rated(database)] == [second.answer, first.answer]


async def test_what_was_said_before_comes_too_and_nothing_that_was_said_after(
    database: Database, feedback: Feedback
) -> None:
    turns = [await said(database, question) for question in ("one", "two", "three")]
    await feedback.put("local", turns[1].answer, 1, "")
    (found,) = await all_rated(database)
    assert [content for _, content in found.turns] == ["one", "answer to one", "two", "answer to two"]


async def test_another_branch_is_left_out(database: Database, feedback: Feedback) -> None:
    first, _ = await said(database, "one"), await said(database, "two")

    def go_back(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE conversations SET leaf = (SELECT id FROM messages WHERE uid = ?)", (first.answer,))

    await database.write(go_back)
    other = await said(database, "instead")
    await feedback.put("local", other.answer, 1, "")
    (found,) = await all_rated(database)
    assert [content for _, content in found.turns] == ["one", "answer to one", "instead", "answer to instead"]


@pytest.mark.parametrize("which", ["question", "unknown", "theirs", "empty"])
async def test_only_ones_own_answers_can_be_rated(database: Database, feedback: Feedback, which: str) -> None:
    mine, theirs = await said(database), await said(database, where=Conversation("other", "s"))
    ids = {"question": mine.question, "unknown": "0" * 32, "theirs": theirs.answer, "empty": ""}
    with pytest.raises(NotFound):
        await feedback.put("local", ids[which], 1, "")
    assert await all_rated(database) == []


async def test_a_rating_goes_with_its_answer(database: Database, feedback: Feedback) -> None:
    turn = await said(database)
    await feedback.put("local", turn.answer, 1, "")

    def forget(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE conversations SET leaf = NULL")
        connection.execute("DELETE FROM messages WHERE uid = ?", (turn.answer,))

    await database.write(forget)
    assert await all_rated(database) == []


@pytest.mark.parametrize("rating", [2, -2])
async def test_a_rating_of_another_size_cannot_be_stored(database: Database, feedback: Feedback, rating: int) -> None:
    turn = await said(database)
    with pytest.raises(sqlite3.IntegrityError):
        await feedback.put("local", turn.answer, rating, "")
    assert await all_rated(database) == []


async def test_metadata_of_every_kind_comes_back(database: Database, feedback: Feedback) -> None:
    metadata = {"confidence": {"features": {"mean": -0.25}}, "sources": [], "none": None}
    turn = await said(database, **metadata)
    await feedback.put("local", turn.answer, 1, "")
    (found,) = await all_rated(database)
    assert found.metadata == json.loads(json.dumps(metadata))


# The cache


async def kept_after(database: Database, owner: str, *ratings: int) -> list[str]:
    """Which of two answers can still be given again when the first was rated so."""
    answers = CachedAnswers(database, 10, 1)
    turns = [await said(database, question) for question in ("rated", "other")]
    for question, turn in zip(("rated", "other"), turns, strict=True):
        await answers.put(NewEntry("local", b"", question, question, turn.answer, "", {}, [], None, 0, frozenset()))
    for rating in ratings:
        with suppress(NotFound):
            await Feedback(database).put(owner, turns[0].answer, rating, "")
    return [question for question in ("rated", "other") if (await answers.find(b"", question))[0] is not None]


@pytest.mark.parametrize(
    ("ratings", "kept"),
    [
        ([-1], ["other"]),
        ([1], ["rated", "other"]),
        ([0], ["rated", "other"]),
        ([1, -1], ["other"]),
        ([-1, 1], ["other"]),
        ([-1, 0], ["other"]),
    ],
)
async def test_a_bad_word_takes_this_answer_out_of_the_cache_and_no_other(
    database: Database, ratings: list[int], kept: list[str]
) -> None:
    assert await kept_after(database, "local", *ratings) == kept


@pytest.mark.parametrize("owner", ["other", "", "LOCAL"])
async def test_what_somebody_else_says_of_an_answer_leaves_it_in_the_cache(database: Database, owner: str) -> None:
    assert await kept_after(database, owner, -1) == ["rated", "other"]
