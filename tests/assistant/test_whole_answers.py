"""Waiting for whole answers: what comes of it, what ends with whoever waits, and what ends with a conversation."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from neuralbridge.assistant.answers import Answer, Answers, Patient
from neuralbridge.assistant.events import Answered, AnswerEvent, AskEvent, Question, Receipt, Started
from neuralbridge.assistant.metrics import Metrics
from neuralbridge.errors import BridgeError, EngineFailed, Overloaded
from neuralbridge.sections import Limits
from neuralbridge.store.conversations import Conversation
from neuralbridge.types import Cancellation

HERE, THERE = Conversation("local", "s"), Conversation("local", "t")


class FakeAssistant:
    """Answers when it is allowed to, or stopped. `failure` is raised instead."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.go_on = asyncio.Event()
        self.stored: list[str] = []

    async def ask(self, question: Question, cancellation: Cancellation) -> AsyncGenerator[AskEvent]:
        if not cancellation.requested:
            cancellation.on_request(self.go_on.set)
            yield Started()
            await self.go_on.wait()
        if self.failure:
            raise self.failure
        await asyncio.sleep(0)  # as storing it would take
        self.stored.append(question.query)
        yield Answered(question.query, Receipt("small", "gpt-4", "cancelled" if cancellation.requested else "stop"))


def answers_of(assistant: FakeAssistant, waiting: int = 8, metrics: Metrics | None = None) -> Answers:
    return Answers(assistant, Limits(waiting_per_conversation=waiting), metrics or Metrics())  # type: ignore[arg-type]


async def begun(answers: Answers, *questions: Question) -> list[asyncio.Task[Answered]]:
    tasks = [asyncio.create_task(answers.whole(question)) for question in questions]
    await asyncio.sleep(0)  # each runs as far as to where it waits
    assert answers.under_way == len(tasks)
    return tasks


@pytest.mark.parametrize(
    ("failure", "told"),
    [(EngineFailed("it broke"), EngineFailed), (KeyError("a secret of ours"), BridgeError)],
)
async def test_a_failure_is_raised_and_a_mistake_of_ours_without_its_text(
    failure: Exception, told: type[BridgeError]
) -> None:
    assistant = FakeAssistant(failure)
    assistant.go_on.set()
    metrics = Metrics()
    answers = answers_of(assistant, metrics=metrics)
    with pytest.raises(told) as caught:
        await answers.whole(Question(HERE, "why?"))
    assert (type(caught.value), "secret" in str(caught.value)) == (told, False)
    assert (metrics.tally.failures, answers.under_way) == ({type(failure).__name__: 1}, 0)


async def test_answers_come_in_turn_and_are_counted() -> None:
    assistant = FakeAssistant()
    metrics = Metrics()
    answers = answers_of(assistant, metrics=metrics)
    tasks = await begun(answers, Question(HERE, "one"), Question(HERE, "two"))
    assistant.go_on.set()
    assert [task.text for task in await asyncio.gather(*tasks)] == ["one", "two"] == assistant.stored
    assert metrics.tally.reasons == {"stop": 2}


async def test_a_full_line_is_told_and_leaves_nothing_behind() -> None:
    assistant = FakeAssistant()
    answers = answers_of(assistant, waiting=1)
    tasks = await begun(answers, Question(HERE, "one"), Question(HERE, "two"))
    with pytest.raises(Overloaded):
        await answers.whole(Question(HERE, "three"))
    assistant.go_on.set()
    await asyncio.gather(*tasks)
    assert answers.under_way == 0


async def test_who_waits_no_longer_stops_the_answer_and_no_other() -> None:
    assistant = FakeAssistant()
    answers = answers_of(assistant)
    running, waiting, elsewhere = await begun(
        answers, Question(HERE, "one"), Question(HERE, "two"), Question(THERE, "three")
    )
    waiting.cancel()
    await asyncio.wait([waiting])
    for _ in range(9):  # more than it takes
        await asyncio.sleep(0)
    assert (answers.under_way, running.done(), elsewhere.done()) == (2, False, False)
    running.cancel()
    await asyncio.wait([running])
    assert (await elsewhere).text == "three"
    assert answers.under_way == 0


async def test_all_of_a_conversation_ends_and_has_been_stored_when_that_returns() -> None:
    assistant = FakeAssistant()
    answers = answers_of(assistant)
    tasks = await begun(answers, Question(HERE, "one"), Question(HERE, "two"))
    await answers.end_all(HERE)
    assert assistant.stored == ["one", "two"] or assistant.stored == ["two", "one"]
    assert [(await task).receipt.finish_reason for task in tasks] == ["cancelled", "cancelled"]


async def test_what_has_ended_is_not_kept_to_be_resumed_and_others_are() -> None:
    assistant = FakeAssistant()
    assistant.go_on.set()
    answers = answers_of(assistant)
    asked = [answers.ask(Question(conversation, "why?"), Patient()) for conversation in (HERE, THERE)]
    await asyncio.gather(*(answer.ended.wait() for answer in asked))
    await answers.end_all(HERE)
    assert [answers.find(answer.question.conversation, answer.id, 0) is not None for answer in asked] == [False, True]


async def test_where_nothing_runs_nothing_is_waited_for() -> None:
    await answers_of(FakeAssistant()).end_all(HERE)


class Ear:
    """Somebody who follows."""

    def __init__(self) -> None:
        self.heard: list[AnswerEvent] = []

    def hear(self, answer: Answer, seq: int | None, event: AnswerEvent) -> None:
        self.heard.append(event)


async def test_an_answer_that_is_waited_for_is_nobody_elses_to_end() -> None:
    assistant, ear = FakeAssistant(), Ear()
    answers = answers_of(assistant)
    answers.follow(ear, HERE)
    (task,) = await begun(answers, Question(HERE, "one"))
    answers.leave(ear, HERE)
    assert not assistant.go_on.is_set()
    assistant.go_on.set()
    assert (await task).receipt.finish_reason == "stop"
    assert not any(isinstance(event, Answered) for event in ear.heard)
