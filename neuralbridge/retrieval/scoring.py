"""How well a passage fits a question, from 0 to 1. Pure; one formula for ranking, for the threshold and for people.

The weights were chosen on known-item sets made from manual pages (manpages, git-man, coreutils): they lie on a plateau
of all three. The curve lies between the best passages of right answers and those of small talk and of questions about
another library; docs/benchmarks.md has the figures.
"""

import math
from dataclasses import dataclass

# How much each kind of evidence counts
COSINE = 0.7  # of question and passage
WORDS = 0.45  # BM25 as a share of the greatest possible for this question
DOCUMENT = 0.3  # cosine of question and the mean of the document's passages
EXACT = 0.4  # all identifiers of the question stand in the passage, as they are written
# The logistic curve from their sum to the probability that the passage answers the question
SLOPE = 16.0
OFFSET = -8.8


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for a passage: cosines from -1 to 1, the share of BM25 from 0 to 1."""

    cosine: float | None
    words: float
    document: float | None
    exact: bool

    @property
    def total(self) -> float:
        cosine = max(self.cosine or 0.0, 0.0)
        # Without a vector (the embedder is away) the words have to speak for all
        if self.cosine is None:
            return (COSINE + WORDS + DOCUMENT) * 0.6 * self.words + EXACT * self.exact
        document = cosine if self.document is None else max(self.document, 0.0)
        return COSINE * cosine + WORDS * self.words + DOCUMENT * document + EXACT * self.exact

    @property
    def relevance(self) -> float:
        return 1 / (1 + math.exp(-(SLOPE * self.total + OFFSET)))
