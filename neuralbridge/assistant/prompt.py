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
BORDER = 8  # see `drop`


@dataclass(frozen=True, slots=True)
class Prompt:
    tokens: list[int]
    messages_omitted: int


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
        turns = await self._recent(conversation, budget)
        while turns:
            tokens = await self._tokens([*opening, *turns, question])
            if len(tokens) - len(alone) <= budget:
                return Prompt(tokens, total - len(turns))
            del turns[:2]
        return Prompt(alone, total)

    async def _recent(self, conversation: Conversation, budget: int) -> list[ChatMessage]:
        """The newest turns that may fit `budget` tokens by their contents alone, oldest first."""
        newest: list[ChatMessage] = []
        costs: list[int] = []
        before: str | None = None
        while page := await self._conversations.branch(conversation, PAGE, before):
            before = page[0].uid
            turns = answered(page)
            encoded = await self._engine.tokenize([(message.content, False) for message in turns])
            newest = turns + newest
            costs = [len(tokens) for tokens in encoded] + costs
            if sum(costs) > budget or page[0].parent is None:
                break
        return newest[drop(costs, budget) :]

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


def answered(messages: list[Message]) -> list[ChatMessage]:
    """Questions with their answers; a question that got no text of an answer is left out with it."""
    return [
        ChatMessage(message.role, message.content)
        for question, answer in pairwise(messages)
        if question.role == "user" and answer.role == "assistant" and answer.content
        for message in (question, answer)
    ]


def drop(costs: list[int], budget: int) -> int:
    """How many of the oldest messages to leave out, given the tokens of each; whole turns of two.

    Dropping just enough would move the beginning of the prompt with every question, and everything computed for it
    would be lost each time. So the border moves in steps of `BORDER` messages where half the budget stays used.
    """
    fewest = next(at for at in range(0, len(costs) + 2, 2) if sum(costs[at:]) <= budget)
    stepped = -(-fewest // BORDER) * BORDER
    return stepped if 2 * sum(costs[stepped:]) >= budget else fewest


def without_system(messages: list[ChatMessage]) -> list[ChatMessage]:
    """For templates that know no system role: its words go before the first question."""
    system, first, *rest = messages
    return [ChatMessage(first.role, f"{system.content}\n\n{first.content}"), *rest]
