"""One model's answer to one prompt, and what is known of it."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Literal

from neuralbridge.assistant.certainty import Certainty, repeated
from neuralbridge.assistant.citations import Citations, shares
from neuralbridge.assistant.confidence import Features, confidence
from neuralbridge.assistant.events import Receipt, Tokens
from neuralbridge.assistant.models import LocalModel
from neuralbridge.assistant.prompt import Prompt
from neuralbridge.assistant.thinking import Thinking
from neuralbridge.types import Cancellation, Chosen, Finish, Piece, Reading, Sampling


class Attempt:
    """Submitted when it is made; iterate over `pieces` once, then ask what it came to. Close it in any case."""

    def __init__(
        self,
        model: LocalModel,
        prompt: Prompt,
        sampling: Sampling,
        citations: Citations,
        strength: float,
        cancellation: Cancellation,
        owner: str,
    ) -> None:
        self.text = prompt.begun.text
        self.thoughts = ""
        self.model = model.name
        self._prompt = prompt
        self._citations = citations
        self._strength = strength  # of the evidence
        self._certainty = Certainty()
        self._thinking = Thinking(prompt.thinking, prompt.verbatim)
        self._finish: Finish | None = None
        self._generation = model.engine.generate(prompt.tokens, sampling, owner, prompt.shared)
        cancellation.on_request(self._generation.cancel)

    async def aclose(self) -> None:
        self._citations.drop()
        await self._generation.aclose()

    async def pieces(self) -> AsyncGenerator[Piece | Reading]:
        """How it reads a long prompt, then what the model says, as it says it; its sentences are checked meanwhile.

        Raises EngineFailed.
        """
        async for event in self._generation:
            match event:
                case Piece(text, tokens):
                    # Most of an answer is neither thought nor held back: as it is, it goes on
                    thinks = self._thinking.inside
                    yield self._take(divided(self._thinking.feed(text), tokens) if thinks else event)
                case Reading():
                    yield event
                case Finish():
                    self._finish = event
                    if any(rest := self._thinking.flush()):
                        yield self._take(divided(rest, ()))

    def _take(self, piece: Piece) -> Piece:
        """Thoughts are no part of the answer, and count for nothing."""
        self.text += piece.text
        self.thoughts += piece.thought
        if not self._thinking.inside:
            self._certainty.add(piece)
            self._citations.grow(self.text)
        return piece

    @property
    def finish(self) -> Finish:
        """How it ended; once `pieces` has."""
        assert self._finish is not None
        return self._finish

    @property
    def ended_by(self) -> Literal["cancelled"] | None:
        """Whether somebody stopped it."""
        return "cancelled" if self._finish is not None and self._finish.reason == "cancelled" else None

    async def receipt(self, receipt: Receipt) -> Receipt:
        """What it came to: the receipt with the reason of its end, its citations and its confidence."""
        finish = self.finish
        receipt = replace(
            receipt,
            model_used=self.model,
            messages_omitted=self._prompt.messages_omitted,
            rag_context_used=self._prompt.passages,
            sources=self._prompt.sources,
            sources_omitted=self._prompt.omitted,
            finish_reason=finish.reason,
            tokens=Tokens(
                finish.prompt_tokens, finish.cached_tokens, self._prompt.begun.tokens + finish.completion_tokens
            ),
            thoughts=self._prompt.begun.thoughts + self.thoughts,
        )
        # Whoever stops an answer waits for nothing more
        citations = () if finish.reason == "cancelled" else await self._citations.finish(self.text)
        receipt = replace(receipt, citations=citations)
        if self._prompt.begun.text == self.text != "":  # it had nothing to add: how sure it was is not known any more
            return receipt
        found = confidence(
            measured(self._certainty, self.text, receipt, self._strength if self._prompt.context else None)
        )
        return replace(receipt, confidence=found, confidence_score=found.score)


def divided(parts: tuple[str, str], tokens: tuple[Chosen, ...]) -> Piece:
    thought, said = parts
    return Piece(said, tokens, thought)


def measured(certainty: Certainty, text: str, receipt: Receipt, strength: float | None) -> Features:
    """What the confidence in an answer is made from; `strength` of the evidence is None without passages."""
    said = Features(certainty.mean, certainty.lowest, repeated(text), float(receipt.finish_reason == "length"))
    if strength is None:
        return said
    supported, contradicted = shares(receipt.citations)
    scores = sorted((source.score for source in (*receipt.sources, *receipt.sources_omitted)), reverse=True)
    best, second = (*scores, 0.0, 0.0)[:2]
    return replace(said, supported=supported, contradicted=contradicted, evidence=strength, margin=best - second)
