"""What in an answer the passages in its prompt bear out, sentence by sentence, while it is being written.

A citation is not what the model claims: each sentence is held against every passage (see grounding), and what is cited
is the words of the document that support it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from neuralbridge.assistant.context import Source
from neuralbridge.grounding.alignment import windows
from neuralbridge.grounding.sentences import Span, sentences
from neuralbridge.grounding.statements import claims, read
from neuralbridge.grounding.verdicts import Judgement, Verdict, judge
from neuralbridge.retrieval.arrays import Matrix

Embed = Callable[[Sequence[str]], Awaitable[Matrix | None]]  # None while there is no model for it
Aside = Callable[[Callable[[], "Citation"]], Awaitable["Citation"]]  # does work where it keeps nobody waiting
VECTORS_KEPT = 1_000  # of sentences of one answer's passages
COMPARED = 12  # of these with each sentence of the answer, by meaning


@dataclass(frozen=True, slots=True)
class Citation:
    """A sentence of an answer (its span there), and where a document supports or contradicts it.

    `text` is `document[start:end]` of that version of the document; all of it is None where no passage bears on the
    sentence. `source_gone`: the document was removed or changed while the answer was made.
    """

    sentence: Span
    verdict: Verdict
    score: float
    document_id: str | None = None
    version: str | None = None
    source_document: str | None = None
    span: Span | None = None
    text: str | None = None
    source_gone: bool = False


class Citations:
    """Checks one answer as it grows. Without passages there is nothing to check."""

    def __init__(self, passages: Sequence[Source], embed: Embed, aside: Aside) -> None:
        self._passages = passages
        self._embed = embed
        self._aside = aside
        self._vectors: dict[str, Matrix] = {}
        self._checked: dict[Span, asyncio.Task[Citation]] = {}
        self._looked_at = 0
        self._embedding = asyncio.Lock()

    def grow(self, text: str) -> None:
        """The answer has come so far: check the sentences that are complete, beside the model."""
        if not self._passages or not any(mark in text[self._looked_at :] for mark in ".!?\n"):
            return
        self._looked_at = len(text)
        for span in sentences(text)[:-1]:
            self._begin(text, span)

    async def finish(self, text: str) -> tuple[Citation, ...]:
        """Every sentence of the whole answer."""
        if not self._passages:
            return ()
        for span in sentences(text):
            self._begin(text, span)
        return tuple([await self._checked[span] for span in sentences(text)])

    def drop(self) -> None:
        """Nobody wants to know any more."""
        for task in self._checked.values():
            task.cancel()

    def _begin(self, text: str, span: Span) -> None:
        if span not in self._checked:
            self._checked[span] = asyncio.create_task(self._check(text[slice(*span)], span))

    async def _check(self, sentence: str, span: Span) -> Citation:
        """Have what can be compared, then compare; both take too long to do them on the event loop."""
        await self._know([sentence, *claims(sentence), *self._promising(sentence)])
        return await self._aside(lambda: self._judge(sentence, span))

    def _promising(self, sentence: str) -> list[str]:
        """The sentences of the passages that it may rest on: comparing all of them would slow the model down."""
        said = read(sentence)
        there = {part.text: part for passage in self._passages for at in windows(passage.text) for part in at.sentences}
        shared = {text: sum(part.twin(word) is not None for word in said.words) for text, part in there.items()}
        return sorted(there, key=lambda text: -shared[text])[:COMPARED]

    def _judge(self, sentence: str, span: Span) -> Citation:
        """Hold a sentence against each passage; the best that one says of it counts."""
        judged = [
            (judge(sentence, passage.text, f"{passage.source_document} {passage.heading}", self._similar), passage)
            for passage in self._passages
        ]
        best, passage = max(judged, key=lambda found: (weight(found[0]), found[0].score))
        return citation(span, best, passage)

    async def _know(self, texts: Sequence[str]) -> None:
        """Have the vectors of these texts, if there is a model for them; whoever comes later waits for the first."""
        async with self._embedding:
            new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
            if new and len(self._vectors) < VECTORS_KEPT and (vectors := await self._embed(new)) is not None:
                self._vectors.update(zip(new, vectors, strict=True))

    def _similar(self, one: str, others: Sequence[str]) -> float | None:
        """Cosine of a text and the mean of others, which stands for what they say together."""
        if one not in self._vectors or any(other not in self._vectors for other in others):
            return None
        together = np.sum([self._vectors[other] for other in others], axis=0)
        return float(np.dot(self._vectors[one], together / np.linalg.norm(together)))


def weight(judgement: Judgement) -> int:
    """A passage that supports a sentence outweighs one that seems to contradict it, and that one a partial support."""
    return {"supported": 3, "contradicted": 2, "partial": 1, "unsupported": 0}[judgement.verdict]


def citation(sentence: Span, judgement: Judgement, passage: Source) -> Citation:
    if judgement.span is None or judgement.verdict == "unsupported":
        return Citation(sentence, judgement.verdict, round(judgement.score, 4))
    start, end = judgement.span
    return Citation(
        sentence,
        judgement.verdict,
        round(judgement.score, 4),
        passage.document_id,
        passage.version,
        passage.source_document,
        (passage.start + start, passage.start + end),
        passage.text[start:end],
    )


def mark_gone(citations: Sequence[Citation], versions: dict[str, str]) -> tuple[Citation, ...]:
    """`versions` are those of the documents that are still there."""
    return tuple(
        replace(each, source_gone=each.document_id is not None and versions.get(each.document_id) != each.version)
        for each in citations
    )


def shares(citations: Sequence[Citation]) -> tuple[float, float]:
    """The shares of sentences that are supported, half of a sentence counting half, and that are contradicted."""
    if not citations:
        return 0.0, 0.0
    verdicts = [each.verdict for each in citations]
    supported = verdicts.count("supported") + 0.5 * verdicts.count("partial")
    return supported / len(verdicts), verdicts.count("contradicted") / len(verdicts)
