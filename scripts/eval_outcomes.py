"""What came of each question, from the words that were written down and the product's own judgement of them."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuralbridge.assistant.answerable import signs
from neuralbridge.assistant.attempt import measured
from neuralbridge.assistant.certainty import Certainty
from neuralbridge.assistant.citations import Citation, Citations
from neuralbridge.assistant.confidence import Features, confidence, confidence_of_extract
from neuralbridge.assistant.context import restored
from neuralbridge.assistant.curves import probability
from neuralbridge.assistant.events import Receipt
from neuralbridge.assistant.evidence import PASSAGES, Evidence
from neuralbridge.assistant.extract import extract
from neuralbridge.retrieval.arrays import Matrix
from neuralbridge.retrieval.library import Library
from neuralbridge.types import LOCAL_OWNER, Chosen, Piece


@dataclass(frozen=True)
class Outcome:
    """A question, a model's answer to it, and the passage that could be given in its place.

    `correct` and `extract_correct`: it contains the gold span. `signs` are what the search says of answerability.
    """

    id: str
    kind: str
    text: str
    correct: bool
    features: Features
    confidence: float
    signs: dict[str, float] | None
    evidence: Evidence
    extract_correct: bool
    extract_confidence: float

    @property
    def answerable(self) -> bool:
        return self.kind == "answerable"


class Embedding:
    """Vectors of the product's own, each computed once: many answers are held against the same passages."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._vectors: dict[str, Matrix] = {}

    async def __call__(self, texts: Sequence[str]) -> Matrix | None:
        new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        if new:
            compared = await self._library.compare(new)
            assert compared is not None, "the embedding model is loaded"
            self._vectors.update(zip(new, compared[0], strict=True))
        return np.array([self._vectors[text] for text in texts])


async def outcomes(
    library: Library,
    embed: Embedding,
    questions: list[dict[str, Any]],
    lines: list[dict[str, Any]],
    elsewhere: bool,
) -> list[Outcome]:
    """Judge the recorded answers. `elsewhere`: what people know of other matters counts as right, too."""
    said = {line["id"]: line for line in lines}
    found = []
    for question in questions:
        line = said[question["id"]]
        golds = question.get("gold", []) + (question.get("known", []) if elsewhere else [])
        if elsewhere and not golds:
            continue  # there is no one right answer to it
        pieces = [Piece(text, tuple(Chosen(*token) for token in tokens)) for text, tokens in line["pieces"]]
        text = "".join(piece.text for piece in pieces)
        certainty = Certainty()
        for piece in pieces:
            certainty.add(piece)
        context = restored(line["context"])
        citations = await Citations(context, embed, at_once).finish(text)
        receipt = Receipt(
            "",
            "",
            line["finish"]["reason"],
            sources=context,
            sources_omitted=restored(line["omitted"]),
            citations=citations,
        )
        search = await library.search(question["question"], PASSAGES, LOCAL_OWNER, signs=False)
        seen = signs(question["question"], search.results)
        evidence = Evidence(context, (), None if seen is None else probability("answerable", seen), looked=True)
        features = measured(certainty, text, receipt, evidence.strength if context else None)
        passage = extract(question["question"], context).text if context else ""
        found.append(
            Outcome(
                question["id"],
                question["kind"],
                text,
                contains(text, golds),
                features,
                confidence(features).score,
                seen,
                evidence,
                contains(passage, golds),
                confidence_of_extract(evidence.strength).score if context else 0.0,
            )
        )
    return found


async def at_once(work: Callable[[], Citation]) -> Citation:
    return work()


def contains(text: str, golds: Sequence[str]) -> bool:
    """Whether one of these stands in the text, whatever its capitals and blanks."""
    plain = joined(text)
    return any(joined(gold) in plain for gold in golds)


def joined(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().casefold()
