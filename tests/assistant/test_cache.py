"""The same question finds its answer, another one does not, and an answer that no longer holds is dropped."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralbridge.assistant.cache import (
    WORDS_OF_A_TOKEN,
    Cache,
    Found,
    Key,
    age_seconds,
    fingerprint,
    normalised,
    pieces,
)
from neuralbridge.assistant.context import Source
from neuralbridge.assistant.events import Question, Receipt
from neuralbridge.database import Database
from neuralbridge.retrieval.arrays import Matrix
from neuralbridge.sections import Cache as Settings
from neuralbridge.store.cached_answers import CachedAnswers, Entry
from neuralbridge.store.conversations import Conversation, Conversations

HERE = Conversation("local", "s")
PASSAGE = Source(1, "pump", "pump.md", None, "", 0, 9, 0.8, "27 months", "v1")
OTHER = Source(2, "boat", "boat.md", None, "", 0, 8, 0.7, "Tuesdays", "v1")
RECEIPT = Receipt("small", "gpt-4", "stop", message_id="m1")
LETTERS = "abcxyzABCXYZ0189áÁçÇãÉéñ,;:-_/()'\""

Embed = Callable[[Sequence[str]], Any]


@dataclass
class Room:
    """A cache on a database of its own. `vectors` are those of the embedding model `model`; None: it is away."""

    cache: Cache
    answers: CachedAnswers
    conversations: Conversations
    database: Database
    vectors: dict[str, list[float]] | None
    model: str = "fake"

    async def embed(self, texts: Sequence[str]) -> tuple[Matrix, str] | None:
        if self.vectors is None:
            return None
        return np.array([self.vectors[text] for text in texts], np.float32), self.model

    async def key(self, query: str = "Why?", where: Conversation = HERE, ways: list[object] | None = None) -> Key:
        key = await self.cache.key(Question(where, query), ["digest"], ways or [])
        assert key is not None
        return key

    async def keep(self, key: Key, *passages: Source, generation: int = 0, looked: bool = True) -> None:
        seen = passages if looked else None
        await self.cache.keep(key, generation, seen, f"Because of {key.asked}", RECEIPT, [asdict(PASSAGE)])

    async def said(self, where: Conversation, answer: str = "Hello.", context: Sequence[Source] = ()) -> None:
        stored = [asdict(source) for source in context]
        turn = await self.conversations.begin(where, "Hi", {"user_id": where.session_id}, {}, stored)
        await self.conversations.finish(turn, answer, "complete", {"of": where.session_id})

    async def change_library(self) -> None:
        await self.database.write(
            lambda connection: connection.execute("UPDATE library SET generation = generation + 1")
        )


def opened(database: Database, rephrased: bool) -> Room:
    answers, conversations = CachedAnswers(database, 100, 1), Conversations(database)
    settings = Settings(rephrased=rephrased)
    room = Room(
        Cache(answers, conversations, settings, lambda texts: room.embed(texts)), answers, conversations, database, None
    )
    return room


@pytest.fixture
def room(database: Database) -> Room:
    return opened(database, rephrased=False)


@pytest.fixture
def wide(database: Database) -> Room:
    """One that takes questions for the same that only mean the same."""
    return opened(database, rephrased=True)


# Which words are the same question


@pytest.mark.parametrize(
    "typed",
    [
        "How long?",
        "how long",
        "HOW LONG?",
        "  How\n\tlong  ",
        "How long???",
        "How long?!.",
        "How long ?",
        "How long\uff1f",
        "How long…",
    ],
)
def test_blanks_capitals_and_final_marks_make_no_other_question(typed: str) -> None:
    assert normalised(typed) == "how long"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Is it 3.5?", "Is it 35?"),
        ("Is it 3.5?", "Is it 3 5?"),
        ("What is C?", "What is C++?"),
        ("What is C?", "What is C#?"),
        ("How long?", "How long not?"),
        ("to day", "today"),
        ("Is it -5?", "Is it 5?"),
        ("e é", "é e"),
        ("avô", "avó"),
        ("a, b", "a b"),
        ("5%", "5"),
    ],
)
def test_everything_else_does(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


@given(
    st.text(LETTERS + " .?!"),
    st.text(" \t\n\u00a0", max_size=3),
    st.text(" \n.?!", max_size=4),
    st.sampled_from([str.upper, str.lower, str.swapcase, str.title]),
)
def test_whatever_is_typed_stays_the_same_question(
    typed: str, before: str, after: str, write: Callable[[str], str]
) -> None:
    assert normalised(before + write(typed) + after) == normalised(typed)
    assert normalised(normalised(typed)) == normalised(typed)


@given(st.text(LETTERS + " \n", min_size=1), st.text(LETTERS + " \n", min_size=1))
def test_other_words_stay_another_question(one: str, other: str) -> None:
    same = one.casefold().split() == other.casefold().split()
    assert (normalised(one) == normalised(other)) is same


# What else makes a question the same


async def test_two_new_conversations_of_an_owner_ask_the_same(room: Room) -> None:
    assert await room.key() == await room.key(where=Conversation("local", "another"))


@pytest.mark.parametrize("ways", [["strict"], [0], [None], [[]], [{"temperature": 0.5}]])
async def test_another_way_of_answering_is_another_question(room: Room, ways: list[object]) -> None:
    assert (await room.key(ways=ways)).scope != (await room.key()).scope


async def test_another_owner_asks_another_question(room: Room) -> None:
    assert (await room.key(where=Conversation("other", "s"))).scope != (await room.key()).scope


async def test_another_model_is_asked_another_question(room: Room) -> None:
    keys = [await room.cache.key(Question(HERE, "Why?"), [digest], []) for digest in ("one", "two")]
    assert len({key.scope for key in keys if key is not None}) == 2


async def test_without_the_models_digest_there_is_no_key_and_nothing_is_found(room: Room) -> None:
    await room.keep(await room.key(), looked=False)
    key = await room.cache.key(Question(HERE, "Why?"), ["digest", None], [])
    assert (key, await room.cache.find(key)) == (None, Found(None, 0))


async def test_the_same_conversation_so_far_is_the_same_question(room: Room) -> None:
    for session in ("s", "t"):
        await room.said(Conversation("local", session), context=[PASSAGE])
    assert await room.key() == await room.key(where=Conversation("local", "t"))


@pytest.mark.parametrize(
    "turns",
    [
        [],
        [("Hello!", [])],
        [("Hello.", [PASSAGE])],
        [("Hello.", []), ("Hello.", [])],
    ],
)
async def test_another_conversation_so_far_is_another_question(
    room: Room, turns: list[tuple[str, list[Source]]]
) -> None:
    await room.said(HERE)
    there = Conversation("local", "t")
    for answer, context in turns:
        await room.said(there, answer, context)
    assert (await room.key(where=there)).scope != (await room.key()).scope


async def test_a_passage_of_another_version_in_the_conversation_is_another_question(room: Room) -> None:
    await room.said(HERE, context=[PASSAGE])
    await room.said(Conversation("local", "t"), context=[replace(PASSAGE, version="v2")])
    assert (await room.key(where=Conversation("local", "t"))).scope != (await room.key()).scope


# Whether an answer from before still holds


async def test_what_was_kept_is_found_and_holds(room: Room) -> None:
    await room.keep(await room.key(), PASSAGE)
    found = await room.cache.find(await room.key("  WHY "))
    assert found.entry is not None
    assert (found.entry.answer, found.entry.receipt["message_id"], found.holds) == ("Because of Why?", "m1", True)
    assert found.entry.context == [asdict(PASSAGE)]


async def test_after_a_change_of_the_library_an_answer_has_to_be_confirmed(room: Room) -> None:
    await room.keep(await room.key(), PASSAGE)
    await room.change_library()
    found = await room.cache.find(await room.key())
    assert (found.entry is not None, found.generation, found.holds) == (True, 1, False)


async def test_an_answer_without_documents_holds_whatever_changes(room: Room) -> None:
    await room.keep(await room.key(), looked=False)
    await room.change_library()
    assert (await room.cache.find(await room.key())).holds


async def test_an_answer_that_no_passage_fitted_has_to_be_confirmed_too(room: Room) -> None:
    await room.keep(await room.key())
    await room.change_library()
    found = await room.cache.find(await room.key())
    assert (found.holds, await room.cache.confirm(found, ())) == (False, True)


@pytest.mark.parametrize(
    ("now", "holds"),
    [
        ([PASSAGE, OTHER], True),
        ([replace(PASSAGE, n=7, score=0.1), OTHER], True),
        ([PASSAGE], False),
        ([], False),
        (None, False),
        ([OTHER, PASSAGE], False),
        ([replace(PASSAGE, version="v2"), OTHER], False),
        ([replace(PASSAGE, end=8), OTHER], False),
        ([replace(PASSAGE, start=1), OTHER], False),
        ([replace(PASSAGE, source_document="engine.md"), OTHER], False),
        ([PASSAGE, OTHER, replace(OTHER, document_id="new")], False),
    ],
)
async def test_an_answer_holds_while_the_same_passages_fit_and_goes_when_others_do(
    room: Room, now: list[Source] | None, holds: bool
) -> None:
    await room.keep(await room.key(), PASSAGE, OTHER)
    await room.change_library()
    assert await room.cache.confirm(await room.cache.find(await room.key()), now) is holds
    assert ((await room.cache.find(await room.key())).entry is not None) is holds


async def test_dropping_an_answer_leaves_the_others(room: Room) -> None:
    await room.keep(await room.key("one"), PASSAGE)
    await room.keep(await room.key("two"), PASSAGE)
    await room.change_library()
    await room.cache.confirm(await room.cache.find(await room.key("one")), [OTHER])
    entries = [(await room.cache.find(await room.key(query))).entry for query in ("one", "two")]
    assert [entry is not None for entry in entries] == [False, True]


@pytest.mark.parametrize(("passages", "known"), [(None, False), ((), True), ((PASSAGE,), True)])
def test_no_look_at_documents_has_no_fingerprint(passages: tuple[Source, ...] | None, known: bool) -> None:
    assert (fingerprint(passages) is not None) is known


# Questions that mean the same

QUESTION = "How long is the warranty of the XK-204 pump?"
NEAR, FAR = [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("asked", "vector", "found"),
    [
        ("What is the length of the warranty of the XK-204 pump?", NEAR, True),
        ("What is the length of the warranty of the XK-204 pump?", [0.95, 0.312, 0.0], True),
        ("What is the length of the warranty of the XK-204 pump?", [0.9, 0.436, 0.0], False),
        ("What is the length of the warranty of the XK-204 pump?", FAR, False),
        ("How long is the warranty of the XK-205 pump?", NEAR, False),
        ("How long is the warranty of the pump?", NEAR, False),
        ("How long is the warranty of 12 XK-204 pumps?", NEAR, False),
        ("How long is there no warranty of the XK-204 pump?", NEAR, False),
    ],
)
async def test_a_rephrased_question_is_answered_where_it_is_near_and_names_the_same_facts(
    wide: Room, asked: str, vector: list[float], found: bool
) -> None:
    wide.vectors = {QUESTION: NEAR, asked: vector}
    await wide.keep(await wide.key(QUESTION), PASSAGE)
    entry = (await wide.cache.find(await wide.key(asked))).entry
    assert (entry and entry.asked) == (QUESTION if found else None)


async def test_the_nearest_of_several_is_given(wide: Room) -> None:
    wide.vectors = {"the warranty time": [0.95, 0.312, 0.0], "the warranty period": NEAR, "the warranty span": NEAR}
    for query in ("the warranty time", "the warranty period"):
        await wide.keep(await wide.key(query))
    entry = (await wide.cache.find(await wide.key("the warranty span"))).entry
    assert entry is not None
    assert entry.asked == "the warranty period"


async def test_the_same_words_are_found_without_their_meaning(wide: Room) -> None:
    await wide.keep(await wide.key(QUESTION), PASSAGE)
    assert (await wide.cache.find(await wide.key(QUESTION.upper()))).entry is not None


@pytest.mark.parametrize("difference", ["owner", "ways", "model", "away", "kept while it was away"])
async def test_a_rephrased_question_finds_nothing_where_the_rest_is_not_the_same(wide: Room, difference: str) -> None:
    wide.vectors = None if difference == "kept while it was away" else {"one way": NEAR, "another way": NEAR}
    await wide.keep(await wide.key("one way"))
    wide.vectors = None if difference == "away" else {"one way": NEAR, "another way": NEAR}
    wide.model = "newer" if difference == "model" else "fake"
    where = Conversation("other", "s") if difference == "owner" else HERE
    key = await wide.key("another way", where, ["strict"] if difference == "ways" else None)
    assert (await wide.cache.find(key)).entry is None


async def test_where_rephrasings_are_not_wanted_no_meaning_is_asked_for(room: Room) -> None:
    room.vectors = {}  # asking for one would fail
    await room.keep(await room.key("one way"))
    assert (await room.cache.find(await room.key("another way"))).entry is None


# Saying it again


@given(st.text())
def test_the_pieces_are_the_text(text: str) -> None:
    assert "".join(pieces(text)) == text


@given(st.lists(st.text(LETTERS, min_size=1, max_size=5), min_size=WORDS_OF_A_TOKEN + 1, max_size=20))
def test_a_text_of_some_words_comes_in_several_pieces_and_none_is_empty(words: list[str]) -> None:
    said = pieces(" ".join(words))
    assert len(said) == -(-len(words) // WORDS_OF_A_TOKEN)
    assert all(said)


@pytest.mark.parametrize(("seconds_ago", "age"), [(90.0, 90.0), (0.0, 0.0), (-500.0, 0.0)])
def test_an_answer_is_as_old_as_it_is_and_never_from_the_future(seconds_ago: float, age: float) -> None:
    moment = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    made = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert age_seconds(Entry(1, "", {}, [], None, 0, made, "", None)) == pytest.approx(age, abs=5)
