"""The main path: a question in, events out. Whatever transport asks enters here.

Cache, documents, model, second opinion, the passage itself: each step is there for what the one before it left open.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict, dataclass, field, replace

from neuralbridge.assistant.attempt import Attempt
from neuralbridge.assistant.cache import Cache, Found, Key, age_seconds, pieces
from neuralbridge.assistant.checker import Checker
from neuralbridge.assistant.confidence import NO_EVIDENCE, confidence_of_extract
from neuralbridge.assistant.context import restored, stored
from neuralbridge.assistant.draft import Draft
from neuralbridge.assistant.errands import in_full
from neuralbridge.assistant.events import (
    Answered,
    AskEvent,
    Cited,
    Question,
    Receipt,
    Repeated,
    Sources,
    Superseded,
    Text,
    Thought,
    Tokens,
)
from neuralbridge.assistant.evidence import Evidence, Witness, no_evidence
from neuralbridge.assistant.extract import cited, extract
from neuralbridge.assistant.models import LocalModel, Models
from neuralbridge.assistant.prompt import Prompt
from neuralbridge.assistant.receipts import attempt_of, receipt_from, without_second_opinion
from neuralbridge.catalog.names import Target
from neuralbridge.errors import BridgeError
from neuralbridge.sections import Cascade
from neuralbridge.settings import Applied, Settings
from neuralbridge.store.branches import Branches
from neuralbridge.store.conversations import Conversation, Conversations, Place
from neuralbridge.types import Cancellation, Reading, Retrieval, Sampling

STRONG_EVIDENCE = (
    0.5  # the probability of an answer in it from which a passage is worth giving in the place of a weak one
)


@dataclass(slots=True)
class Task:
    """A question on its way, and what has come of it so far."""

    question: Question
    place: Place
    cancellation: Cancellation
    settings: Applied
    target: Target
    sampling: Sampling
    retrieval: Retrieval
    receipt: Receipt
    key: Key | None = None
    found: Found = field(default_factory=lambda: Found(None, 0))
    evidence: Evidence = field(default_factory=Evidence)
    lasting: bool = True  # asked again, it would come to the same
    began: float = field(default_factory=time.monotonic)

    def elapsed(self, receipt: Receipt) -> Receipt:
        return replace(receipt, processing_time_ms=round((time.monotonic() - self.began) * 1000))


class Assistant:
    """Answers questions with the local models, remembering their conversations."""

    def __init__(
        self,
        settings: Settings,
        models: Models,
        witness: Witness,
        checker: Checker,
        cache: Cache,
        conversations: Conversations,
        branches: Branches,
    ) -> None:
        self._settings = settings
        self._models = models
        self._witness = witness
        self._cache = cache
        self._conversations = conversations
        self._branches = branches
        self._checker = checker

    @property
    def ready(self) -> bool:
        """Whether the default's model is loaded. Questions may come before: they wait."""
        return self._models.default.loaded

    @property
    def names(self) -> list[str]:
        """The model names that clients may ask for."""
        return self._settings.applied.names.listed

    async def select(self, conversation: Conversation, message: str) -> None:
        """Make the branch through a message the active one. Raises InvalidParams."""
        await self._branches.select(conversation, message)

    async def ask(self, question: Question, cancellation: Cancellation) -> AsyncGenerator[AskEvent]:
        """Answer a question: Started, Sources if there are any, Reading while a long prompt is read, Thought and Text
        as they come, Cited, Answered.

        Where another answer takes the place of the first, Superseded, and Started again. Raises InvalidRequest,
        DocumentsUnavailable and Overloaded with nothing stored, EngineFailed with the answer stored as far as it came.
        """
        settings = self._settings.applied
        if cancellation.requested:
            yield Answered("", blank(settings.names.resolve(question.model)))
            return
        place = await self._branches.place(question.conversation, question.errand)
        question = in_full(question, place, settings.names)
        target = settings.names.resolve(question.model)
        retrieval = question.retrieval or target.retrieval
        sampling = target.sampling(question.params)
        task = Task(question, place, cancellation, settings, target, sampling, retrieval, blank(target))
        await self._recall(task)
        if task.found.entry is not None:
            steps = self._repeat(task)
        elif retrieval == "strict" and not task.evidence.sufficient:
            steps = self._refuse(task)
        else:
            steps = self._answer(task)
        async with aclosing(steps):
            async for event in steps:
                yield event

    async def _recall(self, task: Task) -> None:
        """Look for an answer from before; where there is none that holds, for passages that fit the question."""
        question = task.question
        if question.cache and task.target.cache:
            cascade = task.settings.cascade.get(task.target.model)
            models = [task.target.model, cascade.to] if cascade else [task.target.model]
            digests = [await self._models[name].digest() for name in models]
            task.key = await self._cache.key(question, digests, self._ways(task, cascade), task.place)
        task.found = await self._cache.find(task.key)
        if task.found.holds:
            return
        before = await self._conversations.last_question(question.conversation, task.place)
        owner = question.conversation.owner
        task.evidence = await self._witness.evidence(question.query, before, task.retrieval, owner)
        passages = task.evidence.passages if task.evidence.looked else None
        if task.found.entry is not None and not (
            task.evidence.settled and await self._cache.confirm(task.found, passages)
        ):
            task.found = replace(task.found, entry=None)

    def _ways(self, task: Task, cascade: Cascade | None) -> list[object]:
        """Everything besides question, conversation and models that decides what becomes of a question."""
        return [
            *(task.target.system_prompt, task.retrieval, asdict(task.sampling)),
            *(cascade and cascade.below, task.settings.answers.extract_below, *self._witness.ways),
        ]

    async def _repeat(self, task: Task) -> AsyncGenerator[AskEvent]:
        """Give an answer from before again, as several pieces."""
        entry = task.found.entry
        assert entry is not None
        kept = receipt_from(entry.receipt)
        receipt = replace(
            kept,
            source="cache",
            model_requested=task.receipt.model_requested,
            cache=Repeated(entry.created_at, age_seconds(entry)),
        )
        async with Draft(self._conversations, task.question, receipt, restored(entry.context), task.place) as draft:
            yield draft.started
            if receipt.sources:
                yield Sources(receipt.sources)
            if receipt.thoughts:
                yield Thought(receipt.thoughts)
            for piece in pieces(entry.answer):
                draft.say(piece)
                yield Text(piece)
            if receipt.citations:
                yield Cited(receipt.citations)
            receipt = await draft.finish("complete", task.elapsed(receipt))
        await self._cache.answers.used(entry.id, task.found.generation)
        yield Answered(draft.text, receipt)

    async def _refuse(self, task: Task) -> AsyncGenerator[AskEvent]:
        """Answer from documents that have no answer: say so and name what is nearest. No model is asked."""
        nearest = task.evidence.nearest
        receipt = replace(
            task.receipt,
            source="rag",
            finish_reason="no_evidence",
            confidence=NO_EVIDENCE,
            confidence_score=NO_EVIDENCE.score,
            sources=tuple(replace(source, n=n) for n, source in enumerate(nearest, 1)),
        )
        async with Draft(self._conversations, task.question, receipt, place=task.place) as draft:
            yield draft.started
            draft.say(no_evidence(task.question.query, task.evidence))
            yield Text(draft.text)
            receipt = await draft.finish("complete", task.elapsed(receipt))
        yield Answered(draft.text, receipt)

    async def _answer(self, task: Task) -> AsyncGenerator[AskEvent]:
        """Let the model answer; if that is weak, another model; if that is weak too, the passage itself."""
        question, passages = task.question, task.evidence.passages
        model, prompt = await self._models.prompted(task.target, lambda model: prompted(task, model))
        started = replace(
            task.receipt,
            model_used=model.name,
            sources=prompt.sources,
            rag_context_used=prompt.passages,
            tokens=Tokens(completion=prompt.begun.tokens),
        )
        async with aclosing(self._attempt(task, model.name, prompt)) as attempt:  # noqa: SIM117
            # The model reads the prompt while the question is committed; no text leaves before that is done.
            async with Draft(self._conversations, question, started, prompt.added, task.place) as draft:
                yield draft.started
                if prompt.sources:
                    yield Sources(prompt.sources)
                if draft.text:
                    yield Text(draft.text)
                async for piece in attempt.pieces():
                    if isinstance(piece, Reading):
                        yield piece
                        continue
                    await draft.add(piece)
                    if piece.thought:
                        yield Thought(piece.thought)
                    if piece.text:
                        yield Text(piece.text)
                task.receipt = await self._checked(task, attempt)
                if task.receipt.citations:
                    yield Cited(task.receipt.citations)
                for improve in (self._second_opinion, self._extract) if question.revisable else ():
                    async with aclosing(improve(task, draft)) as steps:
                        async for event in steps:
                            yield event
                complete = task.receipt.finish_reason != "cancelled"
                receipt = await draft.finish(
                    "complete" if complete else task.cancellation.outcome, task.elapsed(task.receipt)
                )
        if complete and task.key is not None and task.lasting and task.evidence.settled:
            passages_seen = passages if task.evidence.looked else None
            context = stored(prompt.added)
            await self._cache.keep(task.key, task.found.generation, passages_seen, draft.text, receipt, context)
        yield Answered(draft.text, receipt, prompt.begun.tokens)

    async def _second_opinion(self, task: Task, draft: Draft) -> AsyncGenerator[AskEvent]:
        """Where the answer is weak, ask the larger model with the same passages; if it cannot, the first stands."""
        cascade = task.settings.cascade.get(task.receipt.model_used)
        if cascade is None or task.receipt.confidence_score >= cascade.below or task.cancellation.requested:
            return
        first, first_text, replaced, thoughts = task.receipt, draft.text, False, ""
        try:
            model = self._models[cascade.to]
            if not await ready_before(task.cancellation, model):
                task.receipt = replace(first, finish_reason="cancelled")
                return
            question = task.question
            prompt = await model.prompts.build(
                question.conversation,
                task.target.system_prompt,
                question.query,
                task.sampling.max_tokens,
                task.evidence.passages,
                before=draft.before,
            )
            async with aclosing(self._attempt(task, cascade.to, prompt)) as attempt:
                async for piece in attempt.pieces():
                    if isinstance(piece, Reading):  # there is an answer to read meanwhile
                        continue
                    thoughts += piece.thought
                    if not piece.text:
                        continue
                    if not replaced:
                        replaced = True
                        yield Superseded(first_text, await draft.supersede(task.elapsed(first)))
                        yield draft.started
                        if thoughts:
                            yield Thought(thoughts)
                    await draft.add(piece)
                    yield Text(piece.text)
                if replaced:
                    task.receipt = await self._checked(task, attempt)
                    task.receipt = replace(task.receipt, attempts=(attempt_of(first_text, first),))
                    if task.receipt.citations:
                        yield Cited(task.receipt.citations)
                else:  # stopped before it said anything, or it has nothing to say
                    task.receipt = replace(first, finish_reason=attempt.ended_by or first.finish_reason)
        except BridgeError as error:
            task.lasting = False
            task.receipt = without_second_opinion(first, error)
            if replaced:
                broken = replace(first, model_used=cascade.to, finish_reason="error", citations=(), thoughts=thoughts)
                yield Superseded(draft.text, await draft.supersede(broken))
                yield draft.started
                if first.thoughts:
                    yield Thought(first.thoughts)
                draft.say(first_text)
                yield Text(first_text)

    async def _extract(self, task: Task, draft: Draft) -> AsyncGenerator[AskEvent]:
        """Where the answer is still weak and a passage fits the question well, give that."""
        weak = task.receipt
        strong = bool(weak.sources) and task.evidence.strength >= STRONG_EVIDENCE
        if weak.confidence_score >= task.settings.answers.extract_below or not strong or task.cancellation.requested:
            return
        found = extract(task.question.query, weak.sources)
        certain = confidence_of_extract(task.evidence.strength)
        if certain.score <= weak.confidence_score:
            return
        weak_text = draft.text
        yield Superseded(weak_text, await draft.supersede(task.elapsed(weak)))
        yield draft.started
        draft.say(found.text)
        yield Text(found.text)
        task.receipt = replace(
            weak,
            source="rag",
            finish_reason="stop",
            thoughts="",
            citations=(cited(found),),
            confidence=certain,
            confidence_score=certain.score,
            attempts=(*weak.attempts, attempt_of(weak_text, weak)),
        )
        yield Cited(task.receipt.citations)

    def _attempt(self, task: Task, model: str, prompt: Prompt) -> Attempt:
        citations = self._checker.citations(prompt.context)
        # An answer that goes on looked for nothing: it has what it had
        evidence = task.evidence if task.evidence.looked else Evidence(prompt.sources)
        strength = evidence.strength
        owner = task.question.conversation.owner
        return Attempt(self._models[model], prompt, task.sampling, citations, strength, task.cancellation, owner)

    async def _checked(self, task: Task, attempt: Attempt) -> Receipt:
        return await self._checker.receipt(attempt, task.receipt, task.question.conversation.owner)


def blank(target: Target) -> Receipt:
    """Of an answer that has not begun."""
    return Receipt(model_used=target.model, model_requested=target.requested, finish_reason="cancelled")


async def prompted(task: Task, model: LocalModel) -> Prompt:
    """What the model is to be shown: the question where it is asked, or the answer that goes on."""
    conversation, system, room = task.question.conversation, task.target.system_prompt, task.sampling.max_tokens
    if task.place.answer is not None:
        return await model.prompts.going_on(conversation, system, task.place, room)
    return await model.prompts.build(
        conversation, system, task.question.query, room, task.evidence.passages, before=task.place
    )


async def ready_before(cancellation: Cancellation, model: LocalModel) -> bool:
    """Wait until a model is loaded; False when that is no longer wanted. Raises ModelUnusable."""
    cancelled = asyncio.Event()
    cancellation.on_request(cancelled.set)
    loading, stopping = asyncio.ensure_future(model.ready()), asyncio.ensure_future(cancelled.wait())
    try:
        await asyncio.wait([loading, stopping], return_when=asyncio.FIRST_COMPLETED)
        if stopping.done():
            return False
        await loading
        return True
    finally:
        loading.cancel()
        stopping.cancel()
