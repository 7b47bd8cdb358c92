"""Answers to conversations that their askers keep themselves, as OpenAI's clients do. Nothing of them is stored."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

from neuralbridge.assistant.attempt import Attempt
from neuralbridge.assistant.checker import Checker
from neuralbridge.assistant.confidence import NO_EVIDENCE
from neuralbridge.assistant.events import Receipt
from neuralbridge.assistant.evidence import Evidence, Witness, no_evidence
from neuralbridge.assistant.metrics import Metrics, Timing
from neuralbridge.assistant.models import LocalModel, Models
from neuralbridge.assistant.prompt import Prompt
from neuralbridge.assistant.tools import NO_TOOLS, CallReader, Tools, marked
from neuralbridge.catalog.names import Target
from neuralbridge.engine.conformance import violation
from neuralbridge.errors import BridgeError, EngineFailed, SchemaRefused
from neuralbridge.settings import Settings
from neuralbridge.types import Call, Cancellation, ChatMessage, Params, Piece, Reading, Retrieval, Sampling

logger = logging.getLogger(__name__)

Build = Callable[[LocalModel], Awaitable[Prompt]]
LONGEST_QUESTION = 32_000  # characters of a message that documents are asked with


@dataclass(frozen=True, slots=True)
class Wish:
    """How the next words are to be chosen. `schema` is what the answer has to conform to as JSON, None for any object,
    where `structured`.
    """

    params: Params = field(default_factory=Params)
    choices: int = 1
    logit_bias: tuple[tuple[int, float], ...] = ()
    top_logprobs: int = 0
    structured: bool = False
    schema: dict[str, Any] | None = None


class Choice:
    """One answer under way: what it says, then the functions that it calls."""

    def __init__(self, attempt: Attempt, reader: CallReader | None, timing: Timing) -> None:
        self.attempt = attempt
        self.text = ""
        self.calls: list[Call] = []
        self.timing = timing
        self._reader = reader

    async def pieces(self) -> AsyncGenerator[Piece]:
        """Its text as it comes, without its calls. Raises EngineFailed."""
        async for piece in self.attempt.pieces():
            if isinstance(piece, Reading):
                continue
            if piece.text or piece.thought:
                self.timing.spoke()
            shown = replace(piece, text=self._reader.feed(piece.text)) if self._reader else piece
            self.text += shown.text
            yield shown
        if self._reader:
            rest = self._reader.finish()
            self.calls = self._reader.calls
            self.text += rest
            yield Piece(rest, ())

    @property
    def finish_reason(self) -> Literal["stop", "length", "tool_calls"]:
        if self.attempt.finish.reason == "length":
            return "length"
        return "tool_calls" if self.calls else "stop"


@dataclass(slots=True)
class Reply:
    """Answers under way, or a `refusal` in their place. Close it in any case."""

    owner: str
    target: Target
    model: LocalModel
    receipt: Receipt
    wish: Wish
    choices: list[Choice]
    refusal: str | None = None
    again: Callable[[str], Awaitable["Reply"]] | None = None  # the same, of another model

    async def aclose(self) -> None:
        for choice in self.choices:
            await choice.attempt.aclose()


class Completions:
    """Goes on with conversations and texts."""

    def __init__(
        self, settings: Settings, models: Models, witness: Witness, checker: Checker, metrics: Metrics
    ) -> None:
        self._metrics = metrics
        self._settings = settings
        self._models = models
        self._witness = witness
        self._checker = checker

    async def chat(
        self,
        name: str | None,
        messages: Sequence[ChatMessage],
        wish: Wish,
        tools: Tools = NO_TOOLS,
        retrieval: Retrieval | None = None,
        *,
        owner: str,
    ) -> Reply:
        """Begin the next message for a user.

        Documents are asked where the last one is a question and no functions are offered. Raises InvalidRequest,
        DocumentsUnavailable, Overloaded, ModelUnusable and EngineFailed, all before any text.
        """
        target = self._settings.applied.names.resolve(name)
        if target.system_prompt and not any(message.role == "system" for message in messages):
            messages = [ChatMessage("system", target.system_prompt), *messages]
        wanted = retrieval or target.retrieval
        evidence = Evidence() if tools else await self._evidence(messages, wanted, owner)
        if wanted == "strict" and not tools and not evidence.sufficient:
            return self._refuse(owner, target, messages[-1].content, evidence, wish)

        def build(model: LocalModel) -> Awaitable[Prompt]:
            return model.prompts.given(messages, tools, evidence.passages, wish.structured)

        reply = await self._begin(owner, target, wish, tools, evidence, build)
        if wish.choices == 1 and not tools:
            reply.again = lambda name: self._begin(owner, only(target, name), wish, tools, evidence, build)
        return reply

    async def second_opinion(self, reply: Reply, receipt: Receipt) -> Reply | None:
        """The larger model's answer, begun, where the first is weak and that is wanted; None: the first stands."""
        cascade = self._settings.applied.cascade.get(receipt.model_used)
        if reply.again is None or cascade is None or receipt.confidence_score >= cascade.below:
            return None
        try:
            return await reply.again(cascade.to)
        except BridgeError as error:
            logger.warning("there is no second opinion", extra={"why": str(error)})
            return None

    async def text(self, name: str | None, prompts: Sequence[str], wish: Wish, *, owner: str) -> Reply:
        """Begin to go on with texts; the choices are those of the first, then those of the next. Raises as `chat`."""
        target = self._settings.applied.names.resolve(name)
        whole = await self._begin(owner, target, wish, NO_TOOLS, Evidence(), partial(plain, prompts[0]))
        try:
            for prompt in prompts[1:]:
                reply = await self._begin(owner, target, wish, NO_TOOLS, Evidence(), partial(plain, prompt))
                whole.choices += reply.choices
        except BaseException:
            await whole.aclose()
            raise
        return whole

    async def _evidence(self, messages: Sequence[ChatMessage], retrieval: Retrieval, owner: str) -> Evidence:
        """What the documents have for the last message, if that is a question."""
        questions = [message.content for message in messages if message.role == "user"]
        if messages[-1].role != "user":
            return Evidence()
        before = questions[-2] if len(questions) > 1 else None
        return await self._witness.evidence(questions[-1][:LONGEST_QUESTION], before, retrieval, owner)

    async def _begin(
        self, owner: str, target: Target, wish: Wish, tools: Tools, evidence: Evidence, build: Build
    ) -> Reply:
        """Have the model ready that is to answer, and let it begin on each choice."""
        timing = Timing()
        model, prompt = await self._models.prompted(target, build)
        sampling = await self._sampling(target, wish, tools, model)
        reply = Reply(owner, target, model, receipt_of(target, model), wish, [])
        try:
            for number in range(wish.choices):
                seeded = sampling if sampling.seed is None else replace(sampling, seed=sampling.seed + number)
                citations = self._checker.citations(prompt.context)
                attempt = Attempt(model, prompt, seeded, citations, evidence.strength, Cancellation(), owner)
                reader = CallReader(tools, marked(model.engine.chat_template)) if tools else None
                reply.choices.append(Choice(attempt, reader, timing))
        except BaseException:
            await reply.aclose()
            raise
        return reply

    async def _sampling(self, target: Target, wish: Wish, tools: Tools, model: LocalModel) -> Sampling:
        sampling = target.sampling(wish.params)
        if not any(params.max_tokens for params in (*target.params, wish.params)):
            sampling = replace(sampling, max_tokens=model.engine.context)  # OpenAI's clients expect no other limit
        grammar = None
        if tools.forced or wish.structured:
            try:
                grammar = await model.engine.grammar(tools.schema() if tools.forced else wish.schema)
            except SchemaRefused as error:
                raise SchemaRefused(str(error), "tools" if tools.forced else "response_format") from error
        return replace(sampling, logit_bias=wish.logit_bias, top_logprobs=wish.top_logprobs, grammar=grammar)

    def _refuse(self, owner: str, target: Target, query: str, evidence: Evidence, wish: Wish) -> Reply:
        """The documents have no answer, and nothing else is wanted: no model is asked."""
        model = self._models[target.model]
        receipt = replace(
            receipt_of(target, model),
            source="rag",
            finish_reason="no_evidence",
            confidence=NO_EVIDENCE,
            confidence_score=NO_EVIDENCE.score,
            sources=tuple(replace(source, n=n) for n, source in enumerate(evidence.nearest, 1)),
        )
        return Reply(owner, target, model, receipt, wish, [], no_evidence(query, evidence))

    async def receipt(self, reply: Reply, choice: Choice) -> Receipt:
        """What one of the answers came to, once it has ended. Raises EngineFailed: it is not of the wanted form."""
        wish = reply.wish
        if wish.structured and choice.finish_reason == "stop":
            why = await asyncio.to_thread(violation, wish.schema, choice.text)
            if why is not None:
                raise EngineFailed(f"The answer is not what response_format asks for: {why}")
        receipt = await self._checker.receipt(choice.attempt, reply.receipt, reply.owner)
        self._metrics.answered(receipt, choice.timing)
        return receipt


async def plain(text: str, model: LocalModel) -> Prompt:
    return await model.prompts.plain(text)


def only(target: Target, model: str) -> Target:
    """The same wishes, but of this model and no other."""
    return replace(target, model=model, fallbacks=(), overflow=())


def receipt_of(target: Target, model: LocalModel) -> Receipt:
    return Receipt(model_used=model.name, model_requested=target.requested, finish_reason="cancelled")
