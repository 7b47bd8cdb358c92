"""Builds the prompt of a question: system prompt, as much of the conversation as fits, passages, the question.

History is dropped oldest first, at message borders, and never in silence: the receipt counts what was left out.
"""

import asyncio
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import Any

from neuralbridge.assistant.context import Source, restored, shown_with, turn
from neuralbridge.assistant.receipts import completion_in, places_in, thoughts_in
from neuralbridge.assistant.template import ChatTemplate, Layout, TemplateFailed
from neuralbridge.assistant.thinking import CLOSING as THOUGHT
from neuralbridge.assistant.thinking import OPENING as THINKING
from neuralbridge.assistant.tools import NO_TOOLS, Tools, as_object, in_words, marked, supported
from neuralbridge.assistant.tools import OPENING as TOOL_CALL
from neuralbridge.engine.engine import Engine
from neuralbridge.engine.scheduler import common_prefix
from neuralbridge.errors import InvalidParams, PromptTooLong
from neuralbridge.store.conversations import Before, Conversation, Conversations, Message, Place
from neuralbridge.types import ChatMessage

logger = logging.getLogger(__name__)

PAGE = 64  # messages read from the store at a time
BORDER = 8  # messages; see `newest`
PASSAGE_TOKENS = 1_200  # of passages with one question: more takes seconds to read and confuses small models
BLANKS_KEPT = 64  # see `_shared`
FRAME_TOKENS = 16  # around a passage: its number, blank lines, and what joining texts may cost


@dataclass(frozen=True, slots=True)
class Begun:
    """What there is of an answer that goes on: its text, the tokens that were computed for it, its thoughts."""

    text: str = ""
    tokens: int = 0
    thoughts: str = ""


@dataclass(frozen=True, slots=True)
class Prompt:
    """`added` are the passages that go in with the question, `reused` those that stand in its conversation already;
    `omitted` found no room.
    """

    tokens: list[int]
    messages_omitted: int
    added: tuple[Source, ...] = ()
    reused: tuple[Source, ...] = ()
    omitted: tuple[Source, ...] = ()
    context: tuple[Source, ...] = ()  # all passages in the prompt, also of earlier questions
    thinking: bool = False  # it ends where the model is to think
    verbatim: bool = False  # a text to go on with: marks in what follows are text too
    begun: Begun = Begun()  # the answer that it ends with
    shared: int = 0  # so many tokens at its beginning are of the configuration alone, and nobody's own

    @property
    def passages(self) -> int:
        return len(self.context)

    @property
    def sources(self) -> tuple[Source, ...]:
        """What the model is shown for this question, by number."""
        return tuple(sorted((*self.reused, *self.added), key=lambda source: source.n))


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question with its answer. `before` counts the messages above them, `tokens` what they add to a prompt.

    `question` is as the model was shown it, with the passages it came with.
    """

    before: int
    question: str
    answer: str
    tokens: int
    sources: tuple[Source, ...] = ()


class Prompts:
    """Builds prompts for one engine."""

    def __init__(self, engine: Engine, template: ChatTemplate, conversations: Conversations) -> None:
        self._engine = engine
        self._template = template
        self._conversations = conversations
        self._blanks: dict[tuple[Layout, str], list[int]] = {}  # oldest first

    async def warm_up(self) -> None:
        """Start what renders templates, and say early when this model's cannot be rendered."""
        await self._engine.ready()
        try:
            await self._tokens([ChatMessage("system", ""), ChatMessage("user", "")])
        except TemplateFailed as failure:
            logger.error("no question can be answered", extra={"why": str(failure)})

    async def build(
        self,
        conversation: Conversation,
        system: str | None,
        query: str,
        max_tokens: int,
        passages: Sequence[Source] = (),
        before: Before = None,
    ) -> Prompt:
        """The prompt as token ids, leaving room for the answer where history would take it.

        `before`: the conversation is that above this message or place; all of it unless given.

        Of `passages`, the best first, those that stand in the conversation already are not said again, and of the
        others as many go in as there is room for. Raises PromptTooLong when the question does not fit even alone.
        """
        prompt = await self._build(conversation, system, query, max_tokens, passages, before)
        return replace(prompt, thinking=await self._thinking(), shared=await self._shared(system, prompt))

    async def going_on(self, conversation: Conversation, system: str | None, place: Place, max_tokens: int) -> Prompt:
        """The prompt of the answer at that place, which it ends with. Raises PromptTooLong as `build` does."""
        assert place.question is not None and place.answer is not None
        answer, added = place.answer, shown_with(place.question, place.answer)
        opening = [ChatMessage("system", system)] if system else []
        question = ChatMessage("user", turn(place.question.content, added))
        thought = f"{THOUGHT}\n\n" if await self._thinking() else ""  # what was thought is not kept
        closed, said = await self._engine.tokenize([(thought, True), (answer.content, False)])
        there = [*closed, *said]
        prompt = await self._with_history(conversation, opening, question, max_tokens, place, len(there))
        named = places_in(answer.metadata)
        return replace(
            prompt,
            tokens=[*prompt.tokens, *there],
            added=added,
            reused=tuple(source for source in prompt.reused if source.place in named),
            context=(*prompt.context, *added),
            verbatim=True,
            begun=Begun(answer.content, completion_in(answer.metadata), thoughts_in(answer.metadata)),
            shared=await self._shared(system, prompt),
        )

    async def given(
        self,
        messages: Sequence[ChatMessage],
        tools: Tools = NO_TOOLS,
        passages: Sequence[Source] = (),
        structured: bool = False,
    ) -> Prompt:
        """The prompt of a conversation that its asker keeps: all of it. `passages` go in with its last message.

        `structured`: the answer has a form, in which there is no room for thoughts. Raises InvalidParams for messages
        that the model's template does not take, and for functions that would steer it.
        """
        shown = tools
        if not supported(self._engine.chat_template):
            messages, shown = in_words(messages, tools), NO_TOOLS
        messages = joined(messages)
        added: tuple[Source, ...] = ()
        omitted: list[Source] = []
        try:
            if passages:
                *earlier, last = messages
                chosen, omitted = await self._choose([*passages], len(await self._tokens(messages, shown)))
                added = numbered(chosen, 1)
                messages = [*earlier, replace(last, content=turn(last.content, added))]
            layout, messages = await self._laid_out(messages, shown)
        except TemplateFailed as failure:
            await self._template.layout(("user",))  # raises what it does where nothing can be asked at all
            raise InvalidParams(f"messages must be as the model takes them. {failure}", "messages") from failure
        thinking = thinks(layout)
        if thinking and (structured or tools.forced):
            thinking, layout = False, Layout((*layout.parts, f"{THOUGHT}\n\n"))
        if tools.forced and marked(self._engine.chat_template):
            layout = Layout((*layout.parts, f"{TOOL_CALL}\n"))
        tokens = await self._encode(layout, messages)
        return Prompt(tokens, 0, added, omitted=tuple(omitted), context=added, thinking=thinking)

    async def plain(self, text: str) -> Prompt:
        """A text as the prompt, without a template: it may name control tokens."""
        (tokens,) = await self._engine.tokenize([(text, True)])
        return Prompt(self._begun(tokens), 0, verbatim=True)

    async def _shared(self, system: str | None, prompt: Prompt) -> int:
        """How many tokens it has in common with the prompt of an empty question.

        That one is made once for each system prompt, and again when the template says something else, as the date.
        """
        opening = [ChatMessage("system", system)] if system else []
        layout, messages = await self._laid_out([*opening, ChatMessage("user", "")])
        key = (layout, system or "")
        if key not in self._blanks:
            blank = await self._encode(layout, messages)
            if len(self._blanks) >= BLANKS_KEPT:
                del self._blanks[next(iter(self._blanks))]
            self._blanks[key] = blank
        return common_prefix(self._blanks[key], prompt.tokens)

    async def _build(
        self,
        conversation: Conversation,
        system: str | None,
        query: str,
        max_tokens: int,
        passages: Sequence[Source],
        before: Before,
    ) -> Prompt:
        opening = [ChatMessage("system", system)] if system else []
        if not passages:
            prompt = await self._with_history(conversation, opening, ChatMessage("user", query), max_tokens, before)
            return replace(prompt, reused=())
        alone = len(await self._tokens([*opening, ChatMessage("user", query)]))
        told = await self._told(conversation, before)
        again = {passage.place: twin for passage in passages for twin in told if twin.covers(passage)}
        while True:
            chosen, omitted = await self._choose([p for p in passages if p.place not in again], alone)
            added = numbered(chosen, 1 + max((source.n for source in told), default=0))
            question = ChatMessage("user", turn(query, added))
            prompt = await self._with_history(conversation, opening, question, max_tokens, before)
            kept = {source.place for source in prompt.reused}
            lost = [place for place, twin in again.items() if twin.place not in kept]
            if not lost:
                break
            for place in lost:  # their turn found no room, so they have to be said again
                del again[place]
        reused = {again[passage.place].place: again[passage.place] for passage in passages if passage.place in again}
        context = (*prompt.context, *added)
        return replace(prompt, added=added, reused=tuple(reused.values()), omitted=tuple(omitted), context=context)

    async def _with_history(
        self,
        conversation: Conversation,
        opening: list[ChatMessage],
        question: ChatMessage,
        max_tokens: int,
        before: Before,
        there: int = 0,
    ) -> Prompt:
        """The prompt with as much of the conversation as fits; its `reused` are all passages in that.

        `there`: so many tokens of the answer are there already, and need room too.
        """
        alone = await self._tokens([*opening, question])
        limit = self._engine.context - there
        if len(alone) >= limit:
            raise PromptTooLong(len(alone) + there, self._engine.context)
        budget = limit - len(alone) - min(max_tokens, limit // 2)
        total = await self._conversations.length(conversation, before)
        if total == 0 or budget <= 0:
            return Prompt(alone, total)
        frame = len(await self._tokens([*opening, *messages([Exchange(0, "", "", 0)]), question])) - len(alone)
        exchanges = await self._recent(conversation, budget, frame, before)
        estimate = budget
        while kept := newest(exchanges, estimate):
            tokens = await self._tokens([*opening, *messages(kept), question])
            over = len(tokens) - len(alone) - budget
            if over <= 0:
                sources = tuple(source for exchange in kept for source in exchange.sources)
                return Prompt(tokens, total - 2 * len(kept), reused=sources, context=sources)
            estimate = min(estimate - over, cost(kept) - 1)  # the template frames some turns with more than others
        return Prompt(alone, total)

    async def _told(self, conversation: Conversation, before: Before) -> list[Source]:
        """The passages that the conversation's newest turns came with."""
        page = await self._conversations.branch(conversation, PAGE, before)
        return [source for message in page for source in restored(message.context)]

    async def _choose(self, passages: list[Source], alone: int) -> tuple[list[Source], list[Source]]:
        """The best passages that there is room for beside as many tokens as `alone`, and the others."""
        room = min(PASSAGE_TOKENS, (self._engine.context - alone) // 2)
        lengths = [len(tokens) for tokens in await self._engine.tokenize([(p.shown, False) for p in passages])]
        added, omitted = [], []
        for passage, length in zip(passages, lengths, strict=True):
            if length + FRAME_TOKENS <= room:
                room -= length + FRAME_TOKENS
                added.append(passage)
            else:
                omitted.append(passage)
        return added, omitted

    async def _recent(self, conversation: Conversation, budget: int, frame: int, before: Before) -> list[Exchange]:
        """All exchanges, oldest first, or as many of the newest as are more than `budget` tokens."""
        exchanges: list[Exchange] = []
        while page := await self._conversations.branch(conversation, PAGE, before):
            before = page[0].uid
            exchanges = await self._exchanges(page, frame) + exchanges
            if cost(exchanges) > budget or page[0].parent is None:
                break
        return exchanges

    async def _exchanges(self, page: list[Message], frame: int) -> list[Exchange]:
        """Questions with their answers; a question that got no text of an answer is left out with it."""
        pairs = [
            (question, answer)
            for question, answer in pairwise(page)
            if question.role == "user" and answer.role == "assistant" and answer.content
        ]
        encoded = await self._engine.tokenize(
            [(text, False) for pair in pairs for text in (asked_with(*pair), in_own_words(pair[1]))]
        )
        return [
            Exchange(
                question.position - 1,
                asked_with(question, answer),
                in_own_words(answer),
                frame + len(asked) + len(said),
                shown_with(question, answer),
            )
            for (question, answer), asked, said in zip(pairs, encoded[::2], encoded[1::2], strict=True)
        ]

    async def _tokens(self, messages: list[ChatMessage], tools: Tools = NO_TOOLS) -> list[int]:
        return await self._encode(*await self._laid_out(messages, tools))

    async def _laid_out(self, messages: list[ChatMessage], tools: Tools = NO_TOOLS) -> tuple[Layout, list[ChatMessage]]:
        """A layout, and the messages that its indices mean."""
        try:
            layout = await self._layout(messages, tools)
            if messages[0].role == "system" and 0 not in layout.parts:
                raise TemplateFailed("The model's chat template has no place for a system prompt.")
        except TemplateFailed:
            if messages[0].role != "system":
                raise
            return await self._laid_out(without_system(messages), tools)
        return layout, messages

    async def _layout(self, messages: list[ChatMessage], tools: Tools) -> Layout:
        if not tools and not any(message.calls for message in messages):
            return await self._template.layout(tuple(message.role for message in messages))
        offered = tools.shown if tools else []
        calls = [[call.name, as_object(call.arguments), call.id] for message in messages for call in message.calls]
        answered = [message.answers for message in messages if message.answers is not None]
        await self._refuse_control_tokens("tools", offered)
        await self._refuse_control_tokens("messages", [calls, answered])
        return await self._template.layout_with_tools(messages, offered)

    async def _refuse_control_tokens(self, param: str, value: list[Any]) -> None:
        """What functions are called and what they say stands in the template's own text: it may not steer the model."""
        texts = await asyncio.to_thread(lambda: [*strings(value), json.dumps(value, ensure_ascii=False)])
        tokens = await self._engine.tokenize([(text, special) for special in (False, True) for text in texts])
        for text, plain, special in zip(texts, tokens, tokens[len(texts) :], strict=False):
            if plain != special:
                raise InvalidParams(f"{param} must have no control token of the model, as in {text[:80]!r}.", param)

    async def _thinking(self) -> bool:
        """Whether the model's template opens its thoughts itself."""
        try:
            layout = await self._template.layout(("user",))
        except TemplateFailed:
            return False
        return thinks(layout)

    async def _encode(self, layout: Layout, messages: list[ChatMessage]) -> list[int]:
        # The template's own text may name control tokens; what people wrote never may.
        texts = [(part, True) if isinstance(part, str) else (messages[part].content, False) for part in layout.parts]
        tokens = list(chain.from_iterable(await self._engine.tokenize(texts)))
        return self._begun(tokens)

    def _begun(self, tokens: list[int]) -> list[int]:
        first = self._engine.first_token
        return tokens if first is None or tokens[:1] == [first] else [first, *tokens]


def asked_with(question: Message, answer: Message) -> str:
    return turn(question.content, shown_with(question, answer))


def in_own_words(answer: Message) -> str:
    """An answer as the model is shown it: without what we said around a passage, which it would say after us."""
    citations = answer.metadata.get("citations") or []
    if answer.metadata.get("finish_reason") == "no_evidence":
        return answer.content.partition("\n")[0]
    if len(citations) == 1 and citations[0].get("text") and citations[0]["sentence"][0] > 0:
        passage = str(citations[0]["text"])
        return passage if answer.content.endswith(passage) else answer.content
    return answer.content


def numbered(passages: list[Source], first: int) -> tuple[Source, ...]:
    """In the order of their documents, which does not depend on how well they fit; numbered on from the last ones."""
    ordered = sorted(passages, key=lambda passage: (passage.source_document, passage.place))
    return tuple(replace(passage, n=n) for n, passage in enumerate(ordered, first))


def newest(exchanges: list[Exchange], budget: int) -> list[Exchange]:
    """The newest of these that `budget` tokens have room for.

    Leaving out just enough would move the beginning of the prompt with every question, and everything computed for it
    would be lost each time. So the border moves in steps of `BORDER` messages where half the budget stays used.
    """
    first, room = len(exchanges), budget
    while first > 0 and exchanges[first - 1].tokens <= room:
        first -= 1
        room -= exchanges[first].tokens
    if first in (0, len(exchanges)):
        return exchanges[first:]
    border = -(-exchanges[first].before // BORDER) * BORDER
    stepped = [exchange for exchange in exchanges if exchange.before >= border]
    return stepped if 2 * cost(stepped) >= budget else exchanges[first:]


def cost(exchanges: list[Exchange]) -> int:
    return sum(exchange.tokens for exchange in exchanges)


def messages(exchanges: list[Exchange]) -> list[ChatMessage]:
    return [
        message
        for exchange in exchanges
        for message in (ChatMessage("user", exchange.question), ChatMessage("assistant", exchange.answer))
    ]


def joined(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """System messages as one at the beginning, and what one side said in several messages as one.

    Most templates take no other order.
    """
    system = both(*(message.content for message in messages if message.role == "system"))
    others = [message for message in messages if message.role != "system"]
    turns: list[list[ChatMessage]] = []  # each text is put together once: a request may be all one turn
    for message in others:
        last = turns[-1][-1] if turns else None
        if last and last.role == message.role and message.role in ("user", "assistant") and not last.calls:
            turns[-1].append(message)
        else:
            turns.append([message])
    opening = [ChatMessage("system", system)] if system or not others else []
    return [*opening, *(replace(said[-1], content=both(*(each.content for each in said))) for said in turns)]


def both(*texts: str) -> str:
    """Texts as one, without those that say nothing."""
    return "\n\n".join(text for text in texts if text)


def without_system(messages: list[ChatMessage]) -> list[ChatMessage]:
    """For templates that know no system role: its words go before the first question."""
    system, *others = messages
    if not others or others[0].role != "user":
        return [ChatMessage("user", system.content), *others]
    return [replace(others[0], content=f"{system.content}\n\n{others[0].content}"), *others[1:]]


def thinks(layout: Layout) -> bool:
    """Whether a template has opened the model's thoughts itself."""
    last = layout.parts[-1]
    return isinstance(last, str) and last.rstrip().endswith(THINKING)


def strings(value: Any) -> Iterator[str]:
    """All texts in a JSON value, names of fields among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from strings([each for pair in value.items() for each in pair])
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)
