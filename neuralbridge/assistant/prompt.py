"""Builds the prompt of a question: system prompt, as much of the conversation as fits, passages, the question.

History is dropped oldest first, at message borders, and never in silence: the receipt counts what was left out.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from neuralbridge.assistant.context import Source, restored, turn
from neuralbridge.assistant.template import ChatTemplate, Layout, TemplateFailed
from neuralbridge.engine.engine import Engine
from neuralbridge.errors import PromptTooLong
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

    async def _encode(self, layout: Layout, messages: list[ChatMessage]) -> list[int]:
        # The template's own text may name control tokens; what people wrote never may.
        texts = [(part, True) if isinstance(part, str) else (messages[part].content, False) for part in layout.parts]
        tokens = [token for part in await self._engine.tokenize(texts) for token in part]
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


def without_system(messages: list[ChatMessage]) -> list[ChatMessage]:
    """For templates that know no system role: its words go before the first question."""
    system, first, *rest = messages
    return [ChatMessage(first.role, f"{system.content}\n\n{first.content}"), *rest]
