"""The curves of neuralbridge/assistant/curves.json, fitted on the fitting part alone."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from eval_outcomes import Outcome
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from neuralbridge.assistant.confidence import Features

FOLDS = StratifiedKFold(10, shuffle=True, random_state=1)
ANSWERED = 0.05  # of the unanswerable questions, at the most: what strict mode's threshold is chosen for
REGULARISED = 0.3  # inverse strength: there are few answers to learn from
ALONE = ("mean", "lowest", "repeated", "cut")
GROUNDED = (*ALONE, "supported", "contradicted", "evidence", "margin")


def fit_curves(
    fitting: list[Outcome], alone: list[Outcome], larger: list[Outcome], feedback: Path | None
) -> dict[str, Any]:
    """All of them: whether documents answer a question, whether an answer is right, whether an extract is."""
    answerable, chances = fit_answerable(fitting)
    # What evidence is worth is judged as it will be on questions that were not fitted on
    grounded = [(with_evidence(each, chances[each.id]), each.correct) for each in fitting if each.features.grounded]
    grounded += [(with_evidence(each, chances[each.id]), each.correct) for each in larger if each.features.grounded]
    said_alone = [(asdict(each.features), each.correct) for each in alone]
    for features, right in rated(feedback):
        (grounded if "supported" in features else said_alone).append((features, right))
    extracts = [({"evidence": chances[each.id]}, each.extract_correct) for each in fitting if each.features.grounded]
    return {
        "about": "fitted by scripts/eval --fit on the fitting part of tests/data/questions.jsonl; docs/evaluation.md",
        "answerable": answerable,
        "grounded": curve(grounded, GROUNDED),
        "alone": curve(said_alone, ALONE),
        "extract": curve(extracts, ("evidence",)),
    }


def with_evidence(outcome: Outcome, chance: float) -> dict[str, float]:
    return {**asdict(outcome.features), "evidence": chance}


def fit_answerable(fitting: list[Outcome]) -> tuple[dict[str, Any], dict[str, float]]:
    """The curve with the threshold of strict mode, and each question's chance when it is not fitted on."""
    seen = [each for each in fitting if each.signs is not None]
    names = [*(seen[0].signs or {})]
    x = np.array([[(each.signs or {})[name] for name in names] for each in seen])
    y = np.array([each.answerable for each in seen])
    model = LogisticRegression(C=10.0, max_iter=5000)
    held_out = cross_val_predict(model, x, y, cv=FOLDS, method="predict_proba")[:, 1]
    model.fit(x, y)
    fitted = {**coefficients(model, names), "from": threshold(held_out, y, len(fitting) - len(seen)), "of": len(seen)}
    chances = {each.id: round(float(chance), 4) for each, chance in zip(seen, held_out, strict=True)}
    return fitted, {**{each.id: 0.01 for each in fitting}, **chances}


def threshold(chances: np.ndarray, answerable: np.ndarray, without: int) -> float:
    """The lowest at which no more of the unanswerable questions than allowed are answered.

    `without`: unanswerable questions that nothing was found for; they are refused in any case.
    """
    wrong = np.sort(chances[~answerable])[::-1]
    allowed = int(ANSWERED * (len(wrong) + without))
    return round(float(wrong[allowed]) + 1e-4, 4)


def curve(rows: Sequence[tuple[dict[str, float], bool]], names: Sequence[str]) -> dict[str, Any]:
    x = np.array([[features.get(name) or 0.0 for name in names] for features, _ in rows])
    y = np.array([right for _, right in rows])
    model = LogisticRegression(C=REGULARISED, max_iter=5000).fit(x, y)
    return {**coefficients(model, names), "of": len(rows), "right": int(y.sum())}


def coefficients(model: LogisticRegression, names: Sequence[str]) -> dict[str, Any]:
    weights = {name: round(float(weight), 4) for name, weight in zip(names, model.coef_[0], strict=True)}
    return {"intercept": round(float(model.intercept_[0]), 4), "weights": weights}


def rated(feedback: Path | None) -> list[tuple[dict[str, float], bool]]:
    """Answers of models that people rated: up is right."""
    if feedback is None:
        return []
    lines = [json.loads(line) for line in feedback.read_text("utf-8").splitlines()]
    known = set(Features.__dataclass_fields__)
    return [
        (line["features"], line["rating"] == "up")
        for line in lines
        if line["rating"] and line["source"] == "llm" and set(line["features"]) <= known and line["features"]
    ]
