"""Builds the prompt of a question: system prompt, as much of the conversation as fits, passages, the question.

History is dropped oldest first, at message borders, and never in silence: the receipt counts what was left out.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from neuralbridge.assistant.context import Source, restored, turn
from neuralbridge.assistant.template import ChatTemplate, Layout, TemplateFailed
from neuralbridge.assistant.thinking import OPENING as THINKING
from neuralbridge.assistant.tools import NO_TOOLS, Tools, marked, supported
from neuralbridge.assistant.tools import OPENING as TOOL_CALL
from neuralbridge.engine.engine import Engine
from neuralbridge.errors import InvalidParams, PromptTooLong
from neuralbridge.store.conversations import Conversation, Conversations, Message
from neuralbridge.types import ChatMessage

logger = logging.getLogger(__name__)

PAGE = 64  # messages read from the store at a time
BORDER = 8  # messages; see `newest`
PASSAGE_TOKENS = 1_200  # of passages with one question: more takes seconds to read and confuses small models
FRAME_TOKENS = 16  # around a passage: its number, blank lines, and what joining texts may cost


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
        before: str | None = None,
    ) -> Prompt:
        """The prompt as token ids, leaving room for the answer where history would take it.

        `before`: the conversation is that above the message of this id; all of it unless given.

        Of `passages`, the best first, those that stand in the conversation already are not said again, and of the
        others as many go in as there is room for. Raises PromptTooLong when the question does not fit even alone.
        """
        prompt = await self._build(conversation, system, query, max_tokens, passages, before)
        return replace(prompt, thinking=await self._thinking())

    async def given(
        self, messages: Sequence[ChatMessage], tools: Tools = NO_TOOLS, passages: Sequence[Source] = ()
    ) -> Prompt:
        """The prompt of a conversation that its asker keeps: all of it. `passages` go in with its last message.

        Raises InvalidParams where functions are offered to a model that cannot be told of them.
        """
        messages = joined(messages)
        *earlier, last = messages
        added: tuple[Source, ...] = ()
        omitted: list[Source] = []
        if passages:
            chosen, omitted = await self._choose([*passages], earlier, last.content)
            added = numbered(chosen, 1)
            messages = [*earlier, replace(last, content=turn(last.content, added))]
        if tools or any(message.calls for message in messages):
            tokens = await self._tokens_with_tools(messages, tools)
        else:
            tokens = await self._tokens(messages)
        thinking = await self._thinking() and not tools.forced
        return Prompt(tokens, 0, added, omitted=tuple(omitted), context=added, thinking=thinking)

    async def plain(self, text: str) -> Prompt:
        """A text as the prompt, without a template: it may name control tokens."""
        (tokens,) = await self._engine.tokenize([(text, True)])
        return Prompt(self._begun(tokens), 0)

    async def _build(
        self,
        conversation: Conversation,
        system: str | None,
        query: str,
        max_tokens: int,
        passages: Sequence[Source],
        before: str | None,
    ) -> Prompt:
        opening = [ChatMessage("system", system)] if system else []
        if not passages:
            prompt = await self._with_history(conversation, opening, ChatMessage("user", query), max_tokens, before)
            return replace(prompt, reused=())
        told = await self._told(conversation, before)
        again = {passage.place: twin for passage in passages for twin in told if twin.covers(passage)}
        while True:
            chosen, omitted = await self._choose([p for p in passages if p.place not in again], opening, query)
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
        before: str | None,
    ) -> Prompt:
        """The prompt with as much of the conversation as fits; its `reused` are all passages in that."""
        alone = await self._tokens([*opening, question])
        limit = self._engine.context
        if len(alone) >= limit:
            raise PromptTooLong(len(alone), limit)
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

    async def _told(self, conversation: Conversation, before: str | None) -> list[Source]:
        """The passages that the conversation's newest turns came with."""
        page = await self._conversations.branch(conversation, PAGE, before)
        return [source for message in page for source in restored(message.context)]

    async def _choose(
        self, passages: list[Source], opening: list[ChatMessage], query: str
    ) -> tuple[list[Source], list[Source]]:
        """The best passages that there is room for, and the others."""
        alone = len(await self._tokens([*opening, ChatMessage("user", query)]))
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

    async def _recent(self, conversation: Conversation, budget: int, frame: int, before: str | None) -> list[Exchange]:
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
            [(text, False) for question, answer in pairs for text in (asked_with(question), answer.content)]
        )
        return [
            Exchange(
                question.position - 1,
                asked_with(question),
                answer.content,
                frame + len(asked) + len(said),
                restored(question.context),
            )
            for (question, answer), asked, said in zip(pairs, encoded[::2], encoded[1::2], strict=True)
        ]

    async def _tokens(self, messages: list[ChatMessage]) -> list[int]:
        try:
            layout = await self._template.layout(tuple(message.role for message in messages))
            if messages[0].role == "system" and 0 not in layout.parts:
                raise TemplateFailed("The model's chat template has no place for a system prompt.")
        except TemplateFailed:
            if messages[0].role != "system":
                raise
            return await self._tokens(without_system(messages))
        return await self._encode(layout, messages)

    async def _tokens_with_tools(self, messages: list[ChatMessage], tools: Tools) -> list[int]:
        template = self._engine.chat_template
        if not supported(template):
            raise InvalidParams("The model's chat template knows no tools: it cannot be offered any.", "tools")
        await self._refuse_control_tokens(messages, tools)
        layout = await self._template.layout_with_tools(messages, tools.shown if tools else [])
        if tools.forced and marked(template):
            layout = Layout((*layout.parts, f"{TOOL_CALL}\n"))
        return await self._encode(layout, messages)

    async def _refuse_control_tokens(self, messages: list[ChatMessage], tools: Tools) -> None:
        """What functions are called and what they say stands in the template's own text: it may not steer the model."""
        calls = [(call.name, call.arguments, call.id) for message in messages for call in message.calls]
        answers = [message.answers for message in messages if message.answers is not None]
        text = json.dumps([tools.shown, calls, answers], ensure_ascii=False)
        plain, special = await self._engine.tokenize([(text, False), (text, True)])
        if plain != special:
            raise InvalidParams("tools must not have control tokens of the model in them.", "tools")

    async def _thinking(self) -> bool:
        """Whether the model's template opens its thoughts itself."""
        try:
            layout = await self._template.layout(("user",))
        except TemplateFailed:
            return False
        last = layout.parts[-1]
        return isinstance(last, str) and last.rstrip().endswith(THINKING)

    async def _encode(self, layout: Layout, messages: list[ChatMessage]) -> list[int]:
        # The template's own text may name control tokens; what people wrote never may.
        texts = [(part, True) if isinstance(part, str) else (messages[part].content, False) for part in layout.parts]
        tokens = [token for part in await self._engine.tokenize(texts) for token in part]
        return self._begun(tokens)

    def _begun(self, tokens: list[int]) -> list[int]:
        first = self._engine.first_token
        return tokens if first is None or tokens[:1] == [first] else [first, *tokens]


def asked_with(question: Message) -> str:
    return turn(question.content, restored(question.context))


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
    system = "\n\n".join(message.content for message in messages if message.role == "system")
    together = [ChatMessage("system", system)] if system else []
    for message in messages:
        last = together[-1] if together else None
        if message.role == "system":
            continue
        if last and last.role == message.role and message.role in ("user", "assistant") and not last.calls:
            together[-1] = replace(message, content=f"{last.content}\n\n{message.content}")
        else:
            together.append(message)
    return together


def without_system(messages: list[ChatMessage]) -> list[ChatMessage]:
    """For templates that know no system role: its words go before the first question."""
    system, first, *rest = messages
    return [ChatMessage(first.role, f"{system.content}\n\n{first.content}"), *rest]
