"""Whether what a search found answers a question at all, or is only about the same matters. Pure.

Passages about a question's subject are easily found; what tells those that answer it is how many of the question's own
words they have, beside how near they are in meaning.
"""

from collections.abc import Sequence

from neuralbridge.assistant.curves import probability
from neuralbridge.grounding.statements import Statement, read
from neuralbridge.retrieval.search import Found

LOOKED_THROUGH = 3  # of the best passages, for the one that has most of the question's words


def answerable(query: str, results: Sequence[Found]) -> float | None:
    """The probability that one of these passages answers the question; None where meanings were not compared."""
    features = signs(query, results)
    return None if features is None else probability("answerable", features)


def signs(query: str, results: Sequence[Found]) -> dict[str, float] | None:
    """What `answerable` is made from, all from 0 to 1 but the cosines."""
    if not results:
        return None
    best = results[0].evidence
    if best.cosine is None or best.document is None:
        return None
    asked = read(query).words
    texts = [read(f"{each.passage.source} {each.passage.heading} {each.passage.text}") for each in results]

    def covered(there: Sequence[Statement]) -> float:
        return sum(any(text.twin(word) for text in there) for word in asked) / len(asked) if asked else 0.0

    return {
        "cosine": best.cosine,
        "words": best.words,
        "document": best.document,
        "covered": max(covered([text]) for text in texts[:LOOKED_THROUGH]),
        "covered_together": covered(texts),
    }
