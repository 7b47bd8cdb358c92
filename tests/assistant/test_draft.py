"""An answer in the making is in the store from the first moment, is never far behind, and always gets an ending."""

import asyncio
import json
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, replace
from typing import Any

import pytest

from neuralbridge.assistant.draft import SAVE_TOKENS, Draft
from neuralbridge.assistant.events import Question, Receipt, Tokens
from neuralbridge.database import Database
from neuralbridge.errors import EngineFailed
from neuralbridge.store.branches import Branches, Errand
from neuralbridge.store.conversations import Conversation, Conversations, Message, Turn
from neuralbridge.types import Chosen, Piece, Status

HERE = Conversation("local", "s")
LOST_AT_MOST = 32  # tokens, which is what is promised
QUESTION = Question(HERE, "why?", metadata={"asked": True})
RECEIPT = Receipt(model_used="small", model_requested="gpt-4", finish_reason="cancelled", messages_omitted=2)
ENDED = replace(RECEIPT, finish_reason="stop", tokens=Tokens(10, 4, 3), confidence_score=0.5)


@pytest.fixture
def conversations(database: Database) -> Conversations:
    return Conversations(database)


@asynccontextmanager
async def held(database: Database) -> AsyncIterator[None]:
    """Within, nothing is written: a slow disk."""
    go_on = threading.Event()
    writing = asyncio.create_task(database.write(lambda _: go_on.wait(20)))
    try:
        yield
    finally:
        go_on.set()
        await writing


def as_stored(receipt: Receipt) -> dict[str, Any]:
    """JSON knows no tuples."""
    stored: dict[str, Any] = json.loads(json.dumps(asdict(receipt)))
    return stored


def piece(text: str, logprob: float = -0.25) -> Piece:
    return Piece(text, (Chosen(1, logprob),))


async def kept(database: Database) -> Message:
    """The answer as stored, after what was being written."""
    for _ in range(2):  # a save that has just begun gets into the line at the first
        await database.write(lambda _: None)
    return (await Conversations(database).branch(HERE, 10))[-1]


async def test_the_question_and_an_empty_answer_are_stored_first(conversations: Conversations) -> None:
    async with Draft(conversations, QUESTION, RECEIPT):
        question, answer = await conversations.branch(HERE, 10)
    assert (question.content, question.status, question.metadata) == ("why?", "complete", {"asked": True})
    assert (answer.content, answer.status, answer.metadata) == ("", "streaming", as_stored(RECEIPT))


@pytest.mark.parametrize("status", ["complete", "cancelled", "interrupted"])
async def test_a_finished_answer_is_stored_with_its_receipt(
    database: Database, conversations: Conversations, status: Status
) -> None:
    async with Draft(conversations, QUESTION, RECEIPT) as draft:
        for text in ("be", "cau", "se"):
            await draft.add(piece(text))
        receipt = await draft.finish(status, ENDED)
    answer = await kept(database)
    assert receipt == replace(ENDED, message_id=answer.uid)
    assert (answer.content, answer.status, answer.metadata) == ("because", status, as_stored(receipt))


ENDINGS: list[tuple[BaseException, Status]] = [
    (ValueError("the model failed"), "error"),
    (asyncio.CancelledError(), "interrupted"),
    (GeneratorExit(), "interrupted"),
    (KeyboardInterrupt(), "interrupted"),
]


@pytest.mark.parametrize(("failure", "status"), ENDINGS, ids=lambda value: type(value).__name__)
async def test_an_answer_that_breaks_off_keeps_its_text_and_says_so(
    database: Database, conversations: Conversations, failure: BaseException, status: Status
) -> None:
    async def break_off() -> None:
        async with Draft(conversations, QUESTION, RECEIPT) as draft:
            await draft.add(piece("beca"))
            raise failure

    with pytest.raises(type(failure)):
        await break_off()
    answer = await kept(database)
    assert (answer.content, answer.status) == ("beca", status)
    assert answer.metadata == as_stored(replace(RECEIPT, finish_reason="error", message_id=answer.uid))


async def test_the_text_is_saved_as_it_grows(database: Database, conversations: Conversations) -> None:
    behind = []
    async with Draft(conversations, QUESTION, RECEIPT) as draft:
        for amount in range(1, 5 * SAVE_TOKENS):
            await draft.add(piece("x"))
            answer = await kept(database)
            assert answer.status == "streaming"
            behind.append(amount - len(answer.content))
    assert max(behind) == SAVE_TOKENS - 1


async def test_text_of_many_tokens_at_once_is_saved_at_once(database: Database, conversations: Conversations) -> None:
    async with Draft(conversations, QUESTION, RECEIPT) as draft:
        await draft.add(Piece("all of it", (Chosen(1, -1.0),) * SAVE_TOKENS))
        assert (await kept(database)).content == "all of it"


async def test_on_a_slow_disk_the_answer_waits_before_a_crash_could_lose_much(
    database: Database, conversations: Conversations
) -> None:
    added = 0
    async with Draft(conversations, QUESTION, RECEIPT) as draft, held(database):
        with suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                while True:
                    await draft.add(piece("x"))
                    added += 1
    assert added < LOST_AT_MOST


@pytest.mark.parametrize("tokens", [1, SAVE_TOKENS, 2 * SAVE_TOKENS - 1, 2 * SAVE_TOKENS])
async def test_an_answer_that_is_cancelled_while_it_is_saved_keeps_all_its_text(
    database: Database, conversations: Conversations, tokens: int
) -> None:
    began, go_on, added = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def answer() -> None:
        async with Draft(conversations, QUESTION, RECEIPT) as draft:
            began.set()
            await go_on.wait()
            for _ in range(tokens):
                await draft.add(piece("x"))
            added.set()
            await asyncio.Event().wait()

    answering = asyncio.create_task(answer())
    await began.wait()
    async with held(database):
        go_on.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                await added.wait()
        answering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answering
    stored = await kept(database)
    assert (stored.content, stored.status) == ("x" * tokens, "interrupted")


@pytest.mark.parametrize("tokens", [1, SAVE_TOKENS])
async def test_an_answer_that_is_cancelled_while_its_ending_is_stored_is_still_whole(
    database: Database, conversations: Conversations, tokens: int
) -> None:
    began, go_on, finishing = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def answer() -> None:
        async with Draft(conversations, QUESTION, RECEIPT) as draft:
            began.set()
            await go_on.wait()
            for _ in range(tokens):
                await draft.add(piece("x"))
            finishing.set()
            await draft.finish("complete", ENDED)

    answering = asyncio.create_task(answer())
    await began.wait()
    async with held(database):
        go_on.set()
        await finishing.wait()
        answering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answering
    stored = await kept(database)
    assert (stored.content, stored.status, stored.metadata["finish_reason"]) == ("x" * tokens, "complete", "stop")


class FullDisk(Conversations):
    """A store that cannot save the text of unfinished answers."""

    async def save_text(self, turn: Turn, content: str) -> None:
        raise sqlite3.OperationalError("database or disk is full")


async def test_an_answer_whose_text_could_not_be_saved_ends_as_an_error_with_what_there_is(database: Database) -> None:
    async def answer_at_length() -> None:
        async with Draft(FullDisk(database), QUESTION, RECEIPT) as draft:
            for _ in range(3 * SAVE_TOKENS):
                await draft.add(piece("x"))

    with pytest.raises(sqlite3.OperationalError, match="disk is full"):
        await answer_at_length()
    answer = await kept(database)
    assert (answer.content, answer.status) == ("x" * (2 * SAVE_TOKENS), "error")


async def test_an_answer_that_is_being_replaced_stands_until_the_other_is_finished(
    conversations: Conversations,
) -> None:
    async def fail_half_way() -> None:
        async with Draft(conversations, QUESTION, RECEIPT) as draft:
            await draft.add(piece("the first"))
            receipt = await draft.supersede(ENDED)
            for _ in range(40):
                await draft.add(piece("another "))
            (answer,) = (await conversations.branch(QUESTION.conversation, 2))[1:]
            assert (answer.content, answer.uid) == ("the first", receipt.message_id)
            raise EngineFailed("the second model")

    with pytest.raises(EngineFailed):
        await fail_half_way()
    (answer,) = (await conversations.branch(QUESTION.conversation, 2))[1:]
    assert (answer.content, answer.status) == ("the first", "complete")


async def test_the_answer_that_replaces_another_is_what_is_kept(conversations: Conversations) -> None:
    async with Draft(conversations, QUESTION, RECEIPT) as draft:
        await draft.add(piece("the first"))
        await draft.supersede(ENDED)
        await draft.add(piece("the second"))
        await draft.finish("complete", ENDED)
    (answer,) = (await conversations.branch(QUESTION.conversation, 2))[1:]
    assert (answer.content, answer.status) == ("the second", "complete")


@pytest.mark.parametrize(("failure", "status"), ENDINGS, ids=lambda value: type(value).__name__)
async def test_an_answer_that_breaks_off_again_while_it_goes_on_keeps_all_its_text(
    database: Database, conversations: Conversations, failure: BaseException, status: Status
) -> None:
    async with Draft(conversations, QUESTION, RECEIPT) as draft:
        await draft.add(piece("be"))
        stopped = await draft.finish("cancelled", ENDED)
    assert stopped.message_id is not None
    place = await Branches(database).place(HERE, Errand("continues", stopped.message_id))

    async def go_on() -> None:
        async with Draft(conversations, QUESTION, RECEIPT, (), place) as draft:
            assert (draft.text, (await kept(database)).status) == ("be", "streaming")
            assert draft.started.message_id == stopped.message_id
            await draft.add(piece("caus"))
            raise failure

    with suppress(type(failure)):
        await go_on()
    answer = await kept(database)
    assert (answer.uid, answer.content, answer.status) == (stopped.message_id, "becaus", status)
    assert await conversations.length(HERE) == 2
