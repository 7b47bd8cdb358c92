"""Turns find their places in the tree of their conversation, and the branch that is chosen is the one that goes on."""

from pathlib import Path
from typing import Any

import pytest

from neuralbridge.database import Database
from neuralbridge.errors import InvalidParams, NotFound
from neuralbridge.store.branches import Branches, Errand
from neuralbridge.store.conversations import Conversation, Conversations, Place, Turn
from neuralbridge.store.history import History
from neuralbridge.types import Status

ALL = 1_000
HERE, THERE = Conversation("local", "s"), Conversation("local", "t")


@pytest.fixture
def conversations(database: Database) -> Conversations:
    return Conversations(database)


@pytest.fixture
def branches(database: Database) -> Branches:
    return Branches(database)


async def say(
    conversations: Conversations,
    query: str,
    place: Place | None = None,
    status: Status = "complete",
    text: str | None = None,
    **metadata: Any,
) -> Turn:
    """A question and its answer, "to <question>"."""
    turn = await conversations.begin(HERE, query, {}, {}, place=place)
    await conversations.finish(turn, f"to {query}" if text is None else text, status, metadata)
    return turn


async def texts(conversations: Conversations) -> list[str]:
    """The active branch."""
    return [message.content for message in await conversations.branch(HERE, ALL)]


async def test_an_edited_question_stands_beside_the_first_and_its_branch_is_active(
    conversations: Conversations, branches: Branches
) -> None:
    one, two = await say(conversations, "one"), await say(conversations, "two")
    again = await say(conversations, "TWO", await branches.place(HERE, Errand("edits", two.question)))
    assert await texts(conversations) == ["one", "to one", "TWO", "to TWO"]
    messages = await conversations.branch(HERE, ALL)
    assert messages[2].parent == one.answer
    siblings = await conversations.siblings(messages)
    assert [siblings[message.uid] for message in messages] == [
        [one.question],
        [one.answer],
        [two.question, again.question],
        [again.answer],
    ]


async def test_the_first_question_can_be_edited_too(conversations: Conversations, branches: Branches) -> None:
    one = await say(conversations, "one")
    await say(conversations, "two")
    place = await branches.place(HERE, Errand("edits", one.question))
    edited = await say(conversations, "ONE", place)
    assert (place, await texts(conversations)) == (Place(None), ["ONE", "to ONE"])
    messages = await conversations.branch(HERE, ALL)
    assert (await conversations.siblings(messages))[edited.question] == [one.question, edited.question]


async def test_what_precedes_a_place_is_what_stands_above_it(conversations: Conversations, branches: Branches) -> None:
    turns = [await say(conversations, word) for word in ("one", "two", "three")]
    for number, turn in enumerate(turns):
        for errand in (Errand("edits", turn.question), Errand("regenerates", turn.answer)):
            place = await branches.place(HERE, errand)
            above = [each.content for each in await conversations.branch(HERE, ALL, place)]
            assert above == ["one", "to one", "two", "to two"][: 2 * number]
            assert await conversations.length(HERE, place) == 2 * number
            assert await conversations.last_question(HERE, place) == (above[-2] if above else None)


async def test_a_place_at_the_end_stays_where_it_was_when_another_branch_is_chosen(
    conversations: Conversations, branches: Branches
) -> None:
    one = await say(conversations, "one")
    two = await say(conversations, "two")
    await say(conversations, "TWO", await branches.place(HERE, Errand("edits", two.question)))
    place = await branches.place(HERE, None)
    await branches.select(HERE, two.question)
    assert [each.content for each in await conversations.branch(HERE, ALL, place)][2:] == ["TWO", "to TWO"]
    await say(conversations, "three", place)
    assert await texts(conversations) == ["one", "to one", "TWO", "to TWO", "three", "to three"]
    assert (await conversations.branch(HERE, 1, one.answer))[0].content == "one"


async def test_an_answer_made_again_stands_beneath_the_same_question(
    conversations: Conversations, branches: Branches
) -> None:
    first = await say(conversations, "one")
    passages = [{"n": 1}]
    place = await branches.place(HERE, Errand("regenerates", first.answer))
    turn = await conversations.begin(HERE, "not said again", {"new": True}, {}, passages, place)
    question, answer = await conversations.branch(HERE, ALL)
    assert (turn.question, question.content, question.metadata, question.context) == (first.question, "one", {}, [])
    assert (answer.uid, answer.parent, answer.status, answer.context) == (
        turn.answer,
        first.question,
        "streaming",
        passages,
    )
    assert (await conversations.siblings([answer]))[answer.uid] == [first.answer, turn.answer]


@pytest.mark.parametrize(
    ("status", "metadata"),
    [
        ("complete", {"finish_reason": "length"}),
        ("cancelled", {"finish_reason": "cancelled"}),
        ("interrupted", {"finish_reason": "error"}),
        ("interrupted", {}),
        ("error", {"finish_reason": "error"}),
    ],
)
async def test_an_answer_that_goes_on_is_the_same_row_and_grows(
    database: Database, conversations: Conversations, branches: Branches, status: Status, metadata: dict[str, Any]
) -> None:
    first = await say(conversations, "one", status=status, text="half", **metadata)
    place = await branches.place(HERE, Errand("continues", first.answer))
    turn = await conversations.begin(HERE, "", {}, {"model_used": "small"}, [], place)
    _, answer = await conversations.branch(HERE, ALL)
    assert (turn, answer.content, answer.status) == (first, "half", "streaming")
    assert await found(database, "half") == 0  # what grows is not searched
    await conversations.save_text(turn, "half a word")
    assert await conversations.mark_interrupted() == 1
    _, answer = await conversations.branch(HERE, ALL)
    assert (answer.content, answer.status, answer.metadata["model_used"]) == ("half a word", "interrupted", "small")
    assert await found(database, "half") == 1


async def found(database: Database, words: str) -> int:
    return (await History(database).found("local", words, 9)).total


async def test_what_cannot_be_done_is_refused_by_name(conversations: Conversations, branches: Branches) -> None:
    stopped = await say(conversations, "one", status="cancelled", text="half")
    ended = await say(conversations, "two", finish_reason="stop")
    theirs = await conversations.begin(THERE, "theirs", {}, {})
    cases = [
        (Errand("edits", "unknown"), "edits must be the id of a question of this conversation, not 'unknown'"),
        (Errand("edits", theirs.question), f"not '{theirs.question}'"),
        (Errand("edits", ended.answer), f"not '{ended.answer}'"),
        (Errand("regenerates", "unknown"), "message_id must be the id of an answer of this conversation"),
        (Errand("regenerates", theirs.answer), f"not '{theirs.answer}'"),
        (Errand("regenerates", ended.question), f"not '{ended.question}'"),
        (Errand("continues", "unknown"), "message_id must be the id of an answer of this conversation"),
        (Errand("continues", theirs.answer), f"not '{theirs.answer}'"),
        (Errand("continues", ended.question), f"not '{ended.question}'"),
        (Errand("continues", ended.answer), "complete"),
        (Errand("continues", stopped.answer), "last answer of the active branch"),
    ]
    for errand, said in cases:
        with pytest.raises(InvalidParams) as refused:
            await branches.place(HERE, errand)
        assert said in str(refused.value), errand
    empty = await say(conversations, "three", status="cancelled", text="")
    with pytest.raises(InvalidParams, match="no text"):
        await branches.place(HERE, Errand("continues", empty.answer))
    with pytest.raises(InvalidParams, match="unknown"):
        await branches.place(Conversation("local", "new"), Errand("edits", "unknown"))


async def test_an_answer_without_a_question_is_not_made_again(
    database: Database, conversations: Conversations, branches: Branches
) -> None:
    turn = await say(conversations, "one")
    await database.write(
        lambda connection: connection.execute("UPDATE messages SET parent = NULL WHERE uid = ?", (turn.answer,))
    )
    with pytest.raises(InvalidParams, match="no question above it"):
        await branches.place(HERE, Errand("regenerates", turn.answer))


async def test_a_turn_whose_conversation_was_deleted_meanwhile_is_refused(
    database: Database, conversations: Conversations, branches: Branches
) -> None:
    turn = await say(conversations, "one")
    place = await branches.place(HERE, Errand("regenerates", turn.answer))
    await History(database).remove(HERE)
    with pytest.raises(NotFound, match="any more"):
        await conversations.begin(HERE, "one", {}, {}, place=place)
    assert await texts(conversations) == []


async def test_a_chosen_branch_ends_at_its_newest_message(conversations: Conversations, branches: Branches) -> None:
    one, two = await say(conversations, "one"), await say(conversations, "two")
    again = await say(conversations, "", await branches.place(HERE, Errand("regenerates", two.answer)), text="newer")
    await say(conversations, "ONE", await branches.place(HERE, Errand("edits", one.question)))
    await branches.select(HERE, one.question)
    assert await texts(conversations) == ["one", "to one", "two", "newer"]
    await branches.select(HERE, two.answer)
    assert await texts(conversations) == ["one", "to one", "two", "to two"]
    await branches.select(HERE, one.answer)  # it is active already, and no other branch beneath it is asked for
    assert await texts(conversations) == ["one", "to one", "two", "to two"]
    await say(conversations, "three")
    await branches.select(HERE, again.answer)
    assert await texts(conversations) == ["one", "to one", "two", "newer"]


async def test_no_branch_goes_through_what_is_not_in_the_conversation(
    conversations: Conversations, branches: Branches
) -> None:
    await say(conversations, "one")
    theirs = await conversations.begin(THERE, "theirs", {}, {})
    for uid in ("unknown", theirs.question):
        with pytest.raises(InvalidParams, match=uid):
            await branches.select(HERE, uid)
    assert await texts(conversations) == ["one", "to one"]


async def test_branches_survive_a_restart(tmp_path: Path) -> None:
    database = Database(tmp_path / "neuralbridge.db")
    await database.start()
    conversations, branches = Conversations(database), Branches(database)
    one = await say(conversations, "one")
    await say(conversations, "ONE", await branches.place(HERE, Errand("edits", one.question)))
    await branches.select(HERE, one.question)
    await database.stop()
    database = Database(tmp_path / "neuralbridge.db")
    await database.start()
    conversations = Conversations(database)
    messages = await conversations.branch(HERE, ALL)
    siblings = await conversations.siblings(messages)
    await database.stop()
    assert [message.content for message in messages] == ["one", "to one"]
    assert [len(siblings[message.uid]) for message in messages] == [2, 1]


async def test_siblings_are_of_one_role_and_one_conversation(database: Database, conversations: Conversations) -> None:
    one = await say(conversations, "one")
    theirs = await conversations.begin(THERE, "first too", {}, {})
    await database.write(  # as an import may have it: an answer that answers nothing
        lambda connection: connection.execute("UPDATE messages SET parent = NULL WHERE uid = ?", (theirs.answer,))
    )
    mine = await conversations.branch(HERE, ALL)
    assert await conversations.siblings(mine) == {one.question: [one.question], one.answer: [one.answer]}
    assert await conversations.siblings([]) == {}
