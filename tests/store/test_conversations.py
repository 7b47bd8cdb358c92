"""What was said comes back: in order, whole, on the active branch, to whom it belongs, also after a restart."""

import asyncio
import sqlite3
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuralbridge.database import Database
from neuralbridge.store.conversations import Conversation, Conversations, Message, Turn, timestamp
from neuralbridge.types import Status

ALL = 1_000
HERE = Conversation("local", "s")


@pytest.fixture
def conversations(database: Database) -> Conversations:
    return Conversations(database)


async def said(conversations: Conversations, conversation: Conversation, amount: int) -> list[Message]:
    """A conversation of so many turns."""
    for number in range(amount):
        turn = await conversations.begin(conversation, f"question {number}", {}, {})
        await conversations.finish(turn, f"answer {number}", "complete", {})
    return await conversations.branch(conversation, ALL)


async def test_nothing_is_in_a_conversation_before_the_first_question(conversations: Conversations) -> None:
    assert (await conversations.branch(HERE, ALL), await conversations.length(HERE)) == ([], 0)


async def test_a_turn_is_a_question_with_its_answer_below_it(conversations: Conversations) -> None:
    turn = await conversations.begin(HERE, "why?", {"asked": True}, {"model_used": "small"})
    question, answer = await conversations.branch(HERE, ALL)
    assert question == Message(turn.question, None, 1, "user", "why?", "complete", {"asked": True}, question.created_at)
    assert answer == Message(
        turn.answer, turn.question, 2, "assistant", "", "streaming", {"model_used": "small"}, answer.created_at
    )
    await conversations.finish(turn, "because", "complete", {"tokens": 3})
    ended = replace(answer, content="because", status="complete", metadata={"tokens": 3})
    assert await conversations.branch(HERE, ALL) == [question, ended]


async def test_saved_text_is_there_before_the_answer_ends(conversations: Conversations) -> None:
    turn = await conversations.begin(HERE, "why?", {}, {})
    await conversations.save_text(turn, "bec")
    _, answer = await conversations.branch(HERE, ALL)
    assert (answer.content, answer.status) == ("bec", "streaming")


async def test_the_next_question_follows_the_last_answer(conversations: Conversations) -> None:
    messages = await said(conversations, HERE, 3)
    assert [message.parent for message in messages] == [None, *(message.uid for message in messages[:-1])]
    assert [message.position for message in messages] == [1, 2, 3, 4, 5, 6]
    assert await conversations.length(HERE) == 6


@pytest.mark.parametrize(
    ("limit", "before", "expected"),
    [
        (0, None, []),
        (1, None, [5]),
        (3, None, [3, 4, 5]),
        (6, None, [0, 1, 2, 3, 4, 5]),
        (7, None, [0, 1, 2, 3, 4, 5]),
        (2, 5, [3, 4]),
        (9, 2, [0, 1]),
        (9, 1, [0]),
        (9, 0, []),
    ],
)
async def test_a_page_is_the_newest_messages_before_a_place_oldest_first(
    conversations: Conversations, limit: int, before: int | None, expected: list[int]
) -> None:
    messages = await said(conversations, HERE, 3)
    page = await conversations.branch(HERE, limit, None if before is None else messages[before].uid)
    assert page == [messages[place] for place in expected]


@pytest.mark.parametrize(
    ("size", "before", "expected"),
    [
        (0, None, [5]),
        (1_415, None, [5]),
        (1_416, None, [4, 5]),
        (1_827, None, [4, 5]),
        (1_828, None, [3, 4, 5]),
        (100_000, None, [0, 1, 2, 3, 4, 5]),
        (0, 5, [4]),
        (0, 1, [0]),
        (0, 0, []),
    ],
)
async def test_a_page_has_so_many_bytes_or_one_message(
    conversations: Conversations, size: int, before: int | None, expected: list[int]
) -> None:
    for _ in range(3):
        turn = await conversations.begin(HERE, "é" * 500, {}, {})
        await conversations.finish(turn, "a", "complete", {"n": "x" * 400})
    messages = await conversations.branch(HERE, ALL)
    page = await conversations.branch(HERE, ALL, None if before is None else messages[before].uid, size)
    assert page == [messages[place] for place in expected]


@pytest.mark.parametrize("before", ["", "unknown", "' OR 1=1 --", "\0", "💥" * 1000])
async def test_nothing_precedes_an_unknown_message(conversations: Conversations, before: str) -> None:
    await said(conversations, HERE, 1)
    assert await conversations.branch(HERE, ALL, before) == []


OTHERS = [Conversation("other", "s"), Conversation("local", "S"), Conversation("local", "s "), Conversation("", "s")]


@pytest.mark.parametrize("other", OTHERS)
async def test_conversations_of_other_owners_or_names_never_mix(
    conversations: Conversations, other: Conversation
) -> None:
    mine, theirs = await said(conversations, HERE, 2), await said(conversations, other, 1)
    assert {message.uid for message in mine}.isdisjoint(message.uid for message in theirs)
    assert (len(await conversations.branch(HERE, ALL)), await conversations.length(other)) == (4, 2)
    assert await conversations.branch(other, ALL, before=mine[3].uid) == []


async def test_a_second_branch_leaves_the_first_out(database: Database, conversations: Conversations) -> None:
    first = await said(conversations, HERE, 3)

    def go_back(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE conversations SET leaf = (SELECT id FROM messages WHERE uid = ?)", (first[1].uid,))

    await database.write(go_back)
    second = await said(conversations, HERE, 1)
    assert [message.content for message in second] == ["question 0", "answer 0", "question 0", "answer 0"]
    assert (second[:2], second[2].parent, await conversations.length(HERE)) == (first[:2], first[1].uid, 4)
    # What preceded a message of the branch that was left is still found from there.
    assert await conversations.branch(HERE, ALL, before=first[4].uid) == first[:4]


async def test_what_was_streaming_at_a_restart_is_interrupted_and_keeps_its_text(conversations: Conversations) -> None:
    ended = await conversations.begin(HERE, "one", {}, {})
    await conversations.finish(ended, "whole", "complete", {"finish_reason": "stop"})
    cut = await conversations.begin(HERE, "two", {}, {"finish_reason": "cancelled", "model_used": "small"})
    await conversations.save_text(cut, "ha")
    assert [await conversations.mark_interrupted(), await conversations.mark_interrupted()] == [1, 0]
    _, whole, _, half = await conversations.branch(HERE, ALL)
    assert (whole.status, whole.metadata) == ("complete", {"finish_reason": "stop"})
    assert (half.content, half.status) == ("ha", "interrupted")
    assert half.metadata == {"finish_reason": "error", "model_used": "small"}


async def test_a_timestamp_is_utc_and_ends_in_z() -> None:
    assert timestamp()[10] == "T"
    assert timestamp().endswith("Z")


async def test_questions_at_the_same_time_make_one_branch(conversations: Conversations) -> None:
    await asyncio.gather(*(conversations.begin(HERE, str(number), {}, {}) for number in range(20)))
    branch = await conversations.branch(HERE, ALL)
    assert [message.position for message in branch] == list(range(1, 41))
    assert sorted(message.content for message in branch[::2]) == sorted(map(str, range(20)))


# Against a model: whatever happens in whatever order, what comes back is what a list would say.

texts = st.text(max_size=40)
statuses = st.sampled_from(["complete", "cancelled", "interrupted", "error"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
objects = st.dictionaries(texts, json_values, max_size=3)
places = st.integers(0, 30)
whose = st.sampled_from([Conversation(owner, session) for owner in ("", "a", "ã\0") for session in ("s", "s\0t")])
deeds = st.one_of(
    st.tuples(st.just("begin"), whose, texts, objects),
    st.tuples(st.just("save"), places, texts),
    st.tuples(st.just("finish"), places, texts, statuses, objects),
    st.tuples(st.just("restart")),
    st.tuples(st.just("look"), whose, st.integers(1, 12), st.none() | places),
)


@dataclass
class Said:
    """What the model expects of a message."""

    uid: str
    role: str
    content: str
    status: Status
    metadata: dict[str, Any]


@dataclass
class Expected:
    """Conversations as lists."""

    conversations: dict[Conversation, list[Said]] = field(default_factory=dict)
    turns: list[tuple[Turn, Said]] = field(default_factory=list)

    def begin(self, conversation: Conversation, turn: Turn, query: str, metadata: dict[str, Any]) -> None:
        answer = Said(turn.answer, "assistant", "", "streaming", metadata)
        asked = Said(turn.question, "user", query, "complete", metadata)
        self.conversations.setdefault(conversation, []).extend([asked, answer])
        self.turns.append((turn, answer))


async def play(folder: Path, story: list[Any]) -> None:
    expected = Expected()
    database = Database(folder / "neuralbridge.db")
    await database.start()
    conversations = Conversations(database)
    try:
        for deed in story:
            match deed:
                case ("begin", conversation, query, metadata):
                    turn = await conversations.begin(conversation, query, metadata, metadata)
                    expected.begin(conversation, turn, query, metadata)
                case ("save", place, text) if expected.turns:
                    turn, answer = expected.turns[place % len(expected.turns)]
                    await conversations.save_text(turn, text)
                    answer.content = text
                case ("finish", place, text, status, metadata) if expected.turns:
                    turn, answer = expected.turns[place % len(expected.turns)]
                    await conversations.finish(turn, text, status, metadata)
                    answer.content, answer.status, answer.metadata = text, status, metadata
                case ("restart",):
                    await database.stop()
                    database = Database(folder / "neuralbridge.db")
                    await database.start()
                    conversations = Conversations(database)
                    cut = [answer for _, answer in expected.turns if answer.status == "streaming"]
                    assert await conversations.mark_interrupted() == len(cut)
                    for answer in cut:
                        answer.status = "interrupted"
                        answer.metadata = {**answer.metadata, "finish_reason": "error"}
                case ("look", conversation, limit, before):
                    await look(conversations, expected, conversation, limit, before)
        for conversation in expected.conversations:
            await look(conversations, expected, conversation, ALL, None)
    finally:
        await database.stop()


async def look(
    conversations: Conversations, expected: Expected, conversation: Conversation, limit: int, before: int | None
) -> None:
    messages = expected.conversations.get(conversation, [])
    at = None if before is None or before >= len(messages) else before
    page = await conversations.branch(conversation, limit, None if at is None else messages[at].uid)
    found = [Said(each.uid, each.role, each.content, each.status, each.metadata) for each in page]
    wanted = messages[:at]
    assert found == wanted[-limit:]
    assert [each.position for each in page] == list(range(len(wanted) - len(page) + 1, len(wanted) + 1))
    assert await conversations.length(conversation) == len(messages)


@settings(max_examples=60, deadline=None)
@given(st.lists(deeds, max_size=25))
def test_any_story_reads_as_it_was_told(story: list[Any]) -> None:
    with TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder), story))
