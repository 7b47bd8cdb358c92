"""A bad word takes an answer out of the cache, a good one leaves it, and one that may not be said does nothing."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from neuralbridge.assistant.ratings import Ratings
from neuralbridge.database import Database
from neuralbridge.errors import NotFound
from neuralbridge.store.cached_answers import CachedAnswers, NewEntry
from neuralbridge.store.conversations import Conversation, Conversations
from neuralbridge.store.feedback import Feedback


@dataclass
class Room:
    """Two kept answers, and where they are rated."""

    ratings: Ratings
    answers: CachedAnswers
    rated: str
    other: str

    async def kept(self) -> list[str]:
        return [question for question in ("rated", "other") if (await self.answers.find(b"", question))[0] is not None]


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    database = Database(tmp_path / "neuralbridge.db")
    await database.start()
    answers, conversations = CachedAnswers(database, 10, 1), Conversations(database)
    messages = []
    for question in ("rated", "other"):
        turn = await conversations.begin(Conversation("local", question), question, {}, {})
        messages.append(turn.answer)
        await answers.put(NewEntry(b"", question, question, turn.answer, "", {}, [], None, 0, frozenset()))
    yield Room(Ratings(Feedback(database), answers), answers, *messages)
    await database.stop()


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
    room: Room, ratings: list[int], kept: list[str]
) -> None:
    for rating in ratings:
        await room.ratings.put("local", room.rated, rating, "")
    assert await room.kept() == kept


async def test_what_was_said_comes_back(room: Room) -> None:
    told = await room.ratings.put("local", room.rated, -1, "no")
    assert (told.message, told.rating, told.comment) == (room.rated, -1, "no")


@pytest.mark.parametrize("owner", ["other", "", "LOCAL"])
async def test_what_somebody_else_says_of_an_answer_leaves_it_in_the_cache(room: Room, owner: str) -> None:
    with pytest.raises(NotFound):
        await room.ratings.put(owner, room.rated, -1, "")
    assert await room.kept() == ["rated", "other"]
