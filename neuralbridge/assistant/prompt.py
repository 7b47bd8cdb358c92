"""Builds the prompt of a question: system prompt, as much of the conversation as fits, the question.

History is dropped oldest first, at message borders, and never in silence: the receipt counts what was left out.
"""

import logging
from dataclasses import dataclass
from itertools import pairwise

from neuralbridge.assistant.template import ChatTemplate, Layout, TemplateFailed
from neuralbridge.engine.engine import Engine
from neuralbridge.errors import PromptTooLong
from neuralbridge.store.conversations import Conversation, Conversations, Message
from neuralbridge.types import ChatMessage

logger = logging.getLogger(__name__)

PAGE = 64  # messages read from the store at a time
BORDER = 8  # messages; see `newest`


@dataclass(frozen=True, slots=True)
class Prompt:
    tokens: list[int]
    messages_omitted: int


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question with its answer. `before` counts the messages above them, `tokens` what they add to a prompt."""

    before: int
    question: str
    answer: str
    tokens: int


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

    async def build(self, conversation: Conversation, system: str | None, query: str, max_tokens: int) -> Prompt:
        """The prompt as token ids, leaving room for the answer where history would take it.

        Raises PromptTooLong when the question does not fit even alone.
        """
        opening = [ChatMessage("system", system)] if system else []
        question = ChatMessage("user", query)
        alone = await self._tokens([*opening, question])
        limit = self._engine.context
        if len(alone) >= limit:
            raise PromptTooLong(len(alone), limit)
        budget = limit - len(alone) - min(max_tokens, limit // 2)
        total = await self._conversations.length(conversation)
        if total == 0 or budget <= 0:
            return Prompt(alone, total)
        frame = len(await self._tokens([*opening, *messages([Exchange(0, "", "", 0)]), question])) - len(alone)
        exchanges = await self._recent(conversation, budget, frame)
        estimate = budget
        while kept := newest(exchanges, estimate):
            tokens = await self._tokens([*opening, *messages(kept), question])
            over = len(tokens) - len(alone) - budget
            if over <= 0:
                return Prompt(tokens, total - 2 * len(kept))
            estimate = min(estimate - over, cost(kept) - 1)  # the template frames some turns with more than others
        return Prompt(alone, total)

    async def _recent(self, conversation: Conversation, budget: int, frame: int) -> list[Exchange]:
        """All exchanges, oldest first, or as many of the newest as are more than `budget` tokens."""
        exchanges: list[Exchange] = []
        before: str | None = None
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
        encoded = await self._engine.tokenize([(message.content, False) for pair in pairs for message in pair])
        return [
            Exchange(question.position - 1, question.content, answer.content, frame + len(asked) + len(said))
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
