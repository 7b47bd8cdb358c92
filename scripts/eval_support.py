"""Sentences held against passages: fits the curves of neuralbridge/grounding/support.json, and measures the verdicts.

Fitted on the open half of tests/data/support.jsonl alone. The other half was written without sight of the code; of it
only figures are ever looked at.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from neuralbridge.grounding.alignment import windows
from neuralbridge.grounding.statements import claims, read
from neuralbridge.grounding.verdicts import features, find, judge, nearest

VERDICTS = ("supported", "partial", "unsupported", "contradicted")
PRECISION = 0.95  # of "supported" that the threshold is chosen for
Vectors = dict[str, np.ndarray]


@dataclass(frozen=True)
class Judged:
    """How often each verdict was given where each was right."""

    table: Counter[tuple[str, str]]

    @property
    def precision(self) -> float:
        given = sum(count for (_, verdict), count in self.table.items() if verdict == "supported")
        return self.table["supported", "supported"] / given if given else 0.0

    @property
    def recall(self) -> float:
        right = sum(count for (truth, _), count in self.table.items() if truth == "supported")
        return self.table["supported", "supported"] / right

    @property
    def accuracy(self) -> float:
        return sum(self.table[verdict, verdict] for verdict in VERDICTS) / self.table.total()


def texts(pair: dict[str, Any]) -> list[str]:
    """Everything of a pair whose meaning is compared."""
    of_passage = [statement.text for place in windows(pair["passage"]) for statement in place.sentences]
    return [pair["sentence"], *claims(pair["sentence"]), *of_passage]


def similar(vectors: Vectors | None) -> Callable[[str, Sequence[str]], float | None]:
    """Cosines of a text and the mean of some others."""

    def cosine(one: str, others: Sequence[str]) -> float | None:
        if vectors is None:
            return None
        mean = sum(vectors[other] for other in others)
        return float(np.dot(vectors[one], mean / np.linalg.norm(mean)))

    return cosine


def verdicts(pairs: list[dict[str, Any]], vectors: Vectors | None) -> Judged:
    given = similar(vectors)
    return Judged(Counter((p["verdict"], judge(p["sentence"], p["passage"], "", given).verdict) for p in pairs))


def fit(pairs: list[dict[str, Any]], vectors: Vectors) -> dict[str, Any]:
    """Both curves, and the score from which on a sentence is supported."""
    about = f"fitted by scripts/eval --fit on {len(pairs)} pairs, the open half of tests/data/support.jsonl"
    curves: dict[str, Any] = {"about": about}
    for name, given in (("words", similar(None)), ("meaning", similar(vectors))):
        rows, supported, alike = [], [], []
        for pair in pairs:
            said, places, passage = read(pair["sentence"]), windows(pair["passage"]), read(pair["passage"])
            found = [find(read(claim), places, passage, frozenset(), given) for claim in claims(pair["sentence"])]
            whole = nearest(said, places, passage, frozenset(), given)[0]
            rows.append(features([each.alignment for each in found], whole))
            alike.append(all(each.verdict == "supported" for each in found))
            supported.append(pair["verdict"] == "supported")
        names = [*rows[0]]
        x = np.array([[row[key] for key in names] for row in rows])[alike]
        y = np.array(supported)[alike]
        model = LogisticRegression(max_iter=2000)
        supported_from = threshold(cross_val_predict(model, x, y, cv=10, method="predict_proba")[:, 1], y)
        model.fit(x, y)
        weights = {key: round(float(weight), 3) for key, weight in zip(names, model.coef_[0], strict=True)}
        curves[name] = {
            "intercept": round(float(model.intercept_[0]), 3),
            "weights": weights,
            "supported": supported_from,
        }
    return curves


def threshold(scores: np.ndarray, right: np.ndarray) -> float:
    """The lowest score above which as many of the sentences as are asked for are right."""
    order = np.argsort(-scores)
    precision = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    enough = np.flatnonzero(precision >= PRECISION)
    return round(float(scores[order][enough[-1]]), 3) if len(enough) else 1.0


def read_pairs(path: Path, written: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return [line for line in lines if line["written"] == written]
