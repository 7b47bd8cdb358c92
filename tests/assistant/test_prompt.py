"""A prompt is the system prompt, as much of the conversation as fits, and the question; what was left out is counted.

The model's vocabulary is bytes here, so tokens can be counted by hand: a message costs its bytes and its frame.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuralbridge.assistant.prompt import BORDER, PAGE, Prompt, Prompts
from neuralbridge.assistant.template import ChatTemplate
from neuralbridge.database import Database
from neuralbridge.engine.engine import Engine
from neuralbridge.errors import PromptTooLong
from neuralbridge.store.conversations import Conversation, Conversations, Message
from neuralbridge.types import Status
from tests.fakes import END, START, FakeRunner

HERE = Conversation("local", "s")
SYSTEM = "Be brief."
NO_SYSTEM = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)
DEAF = (
    "{% for m in messages if m.role != 'system' %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n"
)
CHANGING = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
    "{% if messages | length > 5 %}{{ 'and so on ' * 20 }}{% endif %}{% endfor %}<|im_start|>assistant\n"
)


class CountedConversations(Conversations):
    """The store, counting the pages that are read of it."""

    pages = 0

    async def branch(self, conversation: Conversation, limit: int, before: str | None = None) -> list[Message]:
        self.pages += 1
        return await super().branch(conversation, limit, before)


@dataclass
class Desk:
    """Where prompts are built: real everything but the model."""

    prompts: Prompts
    conversations: CountedConversations
    engine: Engine

    async def build(self, query: str, system: str | None = SYSTEM, max_tokens: int = 16) -> Prompt:
        return await self.prompts.build(HERE, system, query, max_tokens)

    async def said(self, query: str, answer: str, status: Status = "complete") -> None:
        turn = await self.conversations.begin(HERE, query, {}, {})
        await self.conversations.finish(turn, answer, status, {})


@asynccontextmanager
async def opened(
    folder: Path, cells: int, template: str | None = None, first: int | None = None
) -> AsyncIterator[Desk]:
    runner = FakeRunner(cells=cells)
    runner.chat_template = template
    runner.vocabulary.first = first
    engine = Engine(lambda: runner, max_waiting=1)
    database = Database(folder / "neuralbridge.db")
    await database.start()
    engine.start()
    await engine.ready()
    conversations, chat_template = CountedConversations(database), ChatTemplate(engine)
    try:
        yield Desk(Prompts(engine, chat_template, conversations), conversations, engine)
    finally:
        await chat_template.stop()
        await engine.stop()
        await database.stop()


Open = Callable[..., Awaitable[Desk]]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Open]:
    """`await desk(cells, ...)`"""
    ends = []

    async def begin(cells: int = 4096, **settings: Any) -> Desk:
        context = opened(tmp_path, cells, **settings)
        ends.append(context)
        return await context.__aenter__()

    yield begin
    for context in ends:
        await context.__aexit__(None, None, None)


def read(prompt: Prompt) -> list[tuple[str, str]]:
    """The messages as the model sees them: what stands between its control tokens."""
    messages = []
    for part in "".join(chr(0xE000 + token) for token in prompt.tokens).split(chr(0xE000 + START))[1:]:
        text, _, _ = part.partition(chr(0xE000 + END))
        role, _, content = bytes(ord(letter) - 0xE000 for letter in text).decode().partition("\n")
        messages.append((role, content))
    return messages


async def test_a_first_question_stands_behind_the_system_prompt(desk: Open) -> None:
    prompt = await (await desk()).build("why?")
    assert read(prompt) == [("system", SYSTEM), ("user", "why?"), ("assistant", "")]
    assert prompt.messages_omitted == 0


@pytest.mark.parametrize("system", [None, ""])
async def test_without_a_system_prompt_the_question_stands_alone(desk: Open, system: str | None) -> None:
    assert read(await (await desk()).build("why?", system)) == [("user", "why?"), ("assistant", "")]


async def test_earlier_turns_stand_in_order_between_them(desk: Open) -> None:
    here = await desk()
    await here.said("one", "1")
    await here.said("two", "2")
    prompt = await here.build("three")
    asked = [("user", "one"), ("assistant", "1"), ("user", "two"), ("assistant", "2"), ("user", "three")]
    assert read(prompt) == [("system", SYSTEM), *asked, ("assistant", "")]
    assert prompt.messages_omitted == 0


@pytest.mark.parametrize("template", [NO_SYSTEM, DEAF], ids=["refuses", "ignores"])
async def test_where_a_template_knows_no_system_its_words_go_before_the_first_question(
    desk: Open, template: str
) -> None:
    here = await desk(template=template)
    await here.said("one", "1")
    asked = [("user", f"{SYSTEM}\n\none"), ("assistant", "1"), ("user", "two"), ("assistant", "")]
    assert read(await here.build("two")) == asked
    assert read(await here.build("two", None))[0] == ("user", "one")


@pytest.mark.parametrize(("first", "template"), [(7, None), (START, None)])
async def test_a_prompt_begins_once_with_the_token_the_model_wants_first(
    desk: Open, first: int, template: str | None
) -> None:
    tokens = (await (await desk(first=first, template=template)).build("why?")).tokens
    assert (tokens[0], tokens[1] == first) == (first, False)


UNANSWERED: list[Status] = ["error", "interrupted", "cancelled", "streaming"]


@pytest.mark.parametrize("status", UNANSWERED)
async def test_a_question_without_any_answer_is_left_out_and_counted(desk: Open, status: Status) -> None:
    here = await desk()
    await here.said("lost", "", status)
    await here.said("cut", "short", status)
    prompt = await here.build("why?")
    assert read(prompt)[1:-1] == [("user", "cut"), ("assistant", "short"), ("user", "why?")]
    assert prompt.messages_omitted == 2


async def test_a_template_that_fails_is_told_before_anybody_asks(desk: Open, caplog: pytest.LogCaptureFixture) -> None:
    await (await desk(template="{% explode %}")).prompts.warm_up()
    assert [(record.message, "explode" in vars(record)["why"]) for record in caplog.records] == [
        ("no question can be answered", True)
    ]


# Limits


@pytest.mark.parametrize("more", [-1, 0, 1, 2])
async def test_a_question_fits_while_one_token_is_left_for_the_answer(desk: Open, tmp_path: Path, more: int) -> None:
    query = "why? " * 20
    needed = len((await (await desk()).build(query)).tokens)
    (tmp_path / "small").mkdir()
    async with opened(tmp_path / "small", cells=needed + more) as small:
        if more > 0:
            assert len((await small.build(query)).tokens) == needed
        else:
            with pytest.raises(PromptTooLong) as refused:
                await small.build(query)
            assert (refused.value.tokens, refused.value.limit) == (needed, needed + more)


@pytest.mark.parametrize("max_tokens", [1, 100, 10_000])
@pytest.mark.parametrize("history", [0, 1, 5])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
async def test_a_long_question_is_asked_whatever_room_the_answer_would_like(
    desk: Open, max_tokens: int, history: int, share: float
) -> None:
    here = await desk(cells=1000)
    for number in range(history):
        await here.said(f"question {number}", "answer " * 10)
    query = "x" * int(1000 * share)
    prompt = await here.build(query, max_tokens=max_tokens)
    assert read(prompt)[-2] == ("user", query)
    assert len(prompt.tokens) < 1000


@pytest.mark.parametrize("short", [-1, 0, 1])
async def test_a_turn_is_kept_up_to_the_last_token(desk: Open, tmp_path: Path, short: int) -> None:
    here = await desk()
    await here.said("one", "1")
    whole = len((await here.build("two")).tokens)
    (tmp_path / "small").mkdir()
    async with opened(tmp_path / "small", cells=whole + 16 - short) as small:
        await small.said("one", "1")
        prompt = await small.build("two", max_tokens=16)
    assert (len(read(prompt)), prompt.messages_omitted) == ((5, 0) if short <= 0 else (3, 2))


@pytest.mark.parametrize("letters", [1, 20, 150])
@pytest.mark.parametrize("turns", [1, 5, 40, 100])
async def test_the_newest_turns_that_fit_are_kept_whole_and_the_others_counted(
    desk: Open, letters: int, turns: int
) -> None:
    here = await desk(cells=1500)
    told = []
    for number in range(turns):
        told += [("user", f"{number} {'q' * letters}"), ("assistant", f"{number} {'a' * letters}")]
        await here.said(told[-2][1], told[-1][1])
    prompt = await here.build("why?", max_tokens=100)
    kept = read(prompt)[1:-2]
    assert kept == told[prompt.messages_omitted :]
    assert len(prompt.tokens) <= 1500 - 100
    assert prompt.messages_omitted == 0 or len(prompt.tokens) > (1500 - 100) / 2


@pytest.mark.parametrize("letters", [1, 30, 60])
async def test_the_beginning_of_the_prompt_stays_equal_over_several_questions(desk: Open, letters: int) -> None:
    here = await desk(cells=1200)
    omitted = []
    for number in range(60):
        prompt = await here.build(f"{number:02} {'q' * letters}")
        await here.said(f"{number:02} {'q' * letters}", f"{number:02} {'a' * letters}")
        omitted.append(prompt.messages_omitted)
    moves = [number for number in range(1, 60) if omitted[number] != omitted[number - 1]]
    assert omitted == sorted(omitted)
    assert omitted[-1] > 2 * BORDER
    assert all(later - earlier >= BORDER // 2 for earlier, later in pairwise(moves))


async def test_a_template_whose_frame_grows_still_gives_a_prompt_that_fits(desk: Open) -> None:
    here = await desk(cells=1500, template=CHANGING)
    for number in range(12):
        await here.said(f"question {number}", f"answer {number}")
    prompt = await here.build("why?")
    assert len(prompt.tokens) <= 1500 - 16
    assert prompt.messages_omitted == 24 - (len(read(prompt)) - 3)


async def test_of_a_conversation_of_a_thousand_messages_few_pages_are_read(desk: Open) -> None:
    here = await desk(cells=2000)
    for number in range(500):
        await here.said(f"question {number}", f"answer {number} {'a' * 40}")
    here.conversations.pages = 0
    prompt = await here.build("why?")
    assert here.conversations.pages <= 1 + 2000 // (40 * PAGE // 2)
    assert prompt.messages_omitted == 1000 - (len(read(prompt)) - 3)
    assert read(prompt)[-3] == ("assistant", f"answer 499 {'a' * 40}")


# What people write never becomes a control token

fragments = st.lists(
    st.sampled_from(
        ["<|im_start|>", "<|im_end|>", "<|", "|>", "im_start", "system\n", "\n", "é", "x", "\0", "{{ 1 }}"]
    ),
    min_size=1,
    max_size=8,
).map("".join)


async def shown_to_the_model(system: str, turns: list[tuple[str, str]], query: str) -> Prompt:
    with TemporaryDirectory() as folder:
        async with opened(Path(folder), cells=4096) as here:
            for question, answer in turns:
                await here.said(question, answer)
            return await here.build(query, system)


@settings(max_examples=25, deadline=None)
@given(fragments, st.lists(st.tuples(fragments, fragments), max_size=3), fragments)
def test_no_text_of_anybody_becomes_a_control_token(system: str, turns: list[tuple[str, str]], query: str) -> None:
    prompt = asyncio.run(shown_to_the_model(system, turns, query))
    said = [message for question, answer in turns for message in (("user", question), ("assistant", answer))]
    assert read(prompt) == [("system", system), *said, ("user", query), ("assistant", "")]
    assert prompt.tokens.count(END) == len(said) + 2
