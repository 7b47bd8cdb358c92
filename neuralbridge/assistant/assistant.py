"""The main path: a question in, events out. Whatever transport asks enters here."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from neuralbridge.assistant.draft import Draft
from neuralbridge.assistant.events import Answered, AskEvent, Question, Receipt, Sources, Started, Text, Tokens
from neuralbridge.assistant.evidence import Evidence, Witness, no_evidence
from neuralbridge.assistant.prompt import Prompts
from neuralbridge.catalog.names import Names
from neuralbridge.engine.engine import Engine
from neuralbridge.store.conversations import Conversations
from neuralbridge.types import Cancellation, Finish, Piece

NO_EVIDENCE_CONFIDENCE = 0.05  # that the answer is of any use; never 0, since the nearest passages may be


class Assistant:
    """Answers questions with the local model, remembering their conversations."""

    def __init__(
        self, names: Names, witness: Witness, prompts: Prompts, engine: Engine, conversations: Conversations
    ) -> None:
        self._names = names
        self._witness = witness
        self._prompts = prompts
        self._engine = engine
        self._conversations = conversations

    @property
    def ready(self) -> bool:
        """Whether the model is loaded. Questions may come before: they wait."""
        return self._engine.loaded

    @property
    def names(self) -> list[str]:
        """The model names that clients may ask for."""
        return self._names.listed

    async def ask(self, question: Question, cancellation: Cancellation) -> AsyncGenerator[AskEvent]:
        """Answer a question: Started, Sources if there are any, the text as it comes, Answered.

        Raises InvalidRequest, DocumentsUnavailable and Overloaded with nothing stored, EngineFailed with the answer
        stored as far as it came.
        """
        began = time.monotonic()
        target = self._names.resolve(question.model)
        receipt = Receipt(model_used=target.model, model_requested=target.requested, finish_reason="cancelled")
        if cancellation.requested:
            yield Answered("", receipt)
            return
        retrieval = question.retrieval or target.retrieval
        before = await self._conversations.last_question(question.conversation)
        evidence = await self._witness.evidence(question.query, before, retrieval)
        if retrieval == "strict" and not evidence.passages:
            async for said in self._refuse(question, evidence, receipt, began):
                yield said
            return
        await self._engine.ready()
        sampling = target.sampling(question.params)
        prompt = await self._prompts.build(
            question.conversation, target.system_prompt, question.query, sampling.max_tokens, evidence.passages
        )
        receipt = replace(
            receipt,
            messages_omitted=prompt.messages_omitted,
            rag_context_used=prompt.passages,
            sources=prompt.sources,
            sources_omitted=prompt.omitted,
        )
        async with aclosing(self._engine.generate(prompt.tokens, sampling)) as generation:
            cancellation.on_request(generation.cancel)
            # The model reads the prompt while the question is committed; no text leaves before that is done.
            async with Draft(self._conversations, question, receipt, prompt.added) as draft:
                yield Started()
                if prompt.sources:
                    yield Sources(prompt.sources)
                async for event in generation:
                    match event:
                        case Piece(text):
                            await draft.add(event)
                            if text:
                                yield Text(text)
                        case Finish(reason, prompt_tokens, cached, completion):
                            receipt = replace(
                                receipt,
                                finish_reason=reason,
                                tokens=Tokens(prompt_tokens, cached, completion),
                                confidence_score=draft.confidence,
                                processing_time_ms=round((time.monotonic() - began) * 1000),
                            )
                status = cancellation.outcome if receipt.finish_reason == "cancelled" else "complete"
                receipt = await draft.finish(status, receipt)
            yield Answered(draft.text, receipt)

    async def _refuse(
        self, question: Question, evidence: Evidence, receipt: Receipt, began: float
    ) -> AsyncGenerator[AskEvent]:
        """Answer from documents that have no answer: say so and name what is nearest. No model is asked."""
        text = no_evidence(question.query, evidence.nearest)
        receipt = replace(
            receipt,
            source="rag",
            finish_reason="no_evidence",
            confidence_score=NO_EVIDENCE_CONFIDENCE,
            sources=tuple(replace(source, n=n) for n, source in enumerate(evidence.nearest, 1)),
        )
        async with Draft(self._conversations, question, receipt) as draft:
            yield Started()
            draft.say(text)
            yield Text(text)
            receipt = replace(receipt, processing_time_ms=round((time.monotonic() - began) * 1000))
            receipt = await draft.finish("complete", receipt)
        yield Answered(draft.text, receipt)
