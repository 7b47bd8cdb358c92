"""How probable it is that an answer is right, and why. Pure.

The curve and its coefficients are fitted by scripts/eval on questions whose answers are known, and stand with where
they come from in confidence.json.
"""

import json
import math
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

LEAST, MOST = 0.01, 0.99  # nothing is certain
Level = Literal["high", "medium", "low"]
HIGH, MEDIUM = 0.7, 0.4
SURE, UNSURE = 0.8, 0.5  # of its words, in probabilities
FITS = 0.8


@dataclass(frozen=True, slots=True)
class Features:
    """What is known of an answer, all from 0 to 1. None of the last four where it was given no passages.

    `mean` and `lowest` as in certainty.py, `repeated` the share of words said over and over, `cut` 1 for an answer that
    had no end; `supported` and `contradicted` shares of its sentences; `evidence` the score of the best passage and
    `margin` what it is ahead of the next.
    """

    mean: float
    lowest: float
    repeated: float
    cut: float
    supported: float | None = None
    contradicted: float | None = None
    evidence: float | None = None
    margin: float | None = None

    @property
    def grounded(self) -> bool:
        return self.supported is not None


@dataclass(frozen=True, slots=True)
class Confidence:
    """`score` from 0 to 1, both excluded, is the probability that the answer is right; `reasons` are for people."""

    score: float
    level: Level
    reasons: tuple[str, ...]


@cache
def coefficients() -> dict[str, Any]:
    raw = files("neuralbridge.assistant").joinpath("confidence.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(raw)
    return loaded


def confidence(features: Features) -> Confidence:
    """The calibrated probability, its level, and what made it."""
    curve = coefficients()["grounded" if features.grounded else "alone"]
    values = asdict(features)
    total = curve["intercept"] + sum(weight * (values[name] or 0.0) for name, weight in curve["weights"].items())
    score = round(min(max(1 / (1 + math.exp(-total)), LEAST), MOST), 4)
    return Confidence(score, level(score), tuple(reasons(features)))


NO_EVIDENCE = Confidence(
    0.05, "low", ("The documents have no passage that fits the question.",)
)  # the nearest may help


def confidence_of_extract(evidence: float) -> Confidence:
    """That the best passage, given as it stands, holds the answer; `evidence` is its score."""
    curve = coefficients()["extract"]
    total = curve["intercept"] + curve["weights"]["evidence"] * evidence
    score = round(min(max(1 / (1 + math.exp(-total)), LEAST), MOST), 4)
    said = "This is a passage of the document as it stands: the models had no answer to be sure of."
    return Confidence(score, level(score), (said, f"It fits the question with {evidence:.2f}."))


def level(score: float) -> Level:
    return "high" if score >= HIGH else "medium" if score >= MEDIUM else "low"


def reasons(features: Features) -> list[str]:
    """What speaks for an answer and against it, in sentences."""
    said = []
    if features.supported is None:
        said.append("No document was used: this rests on the model's own probabilities alone.")
    else:
        said.append(f"{features.supported:.0%} of its sentences are supported by the passages.")
        if features.contradicted:
            said.append(f"{features.contradicted:.0%} of its sentences contradict the passages.")
        if features.evidence is not None:
            fits = "well" if features.evidence >= FITS else "only in part"
            said.append(f"The best passage fits the question {fits} ({features.evidence:.2f}).")
    if features.mean >= SURE:
        said.append("The model was sure of its words.")
    elif features.mean < UNSURE:
        said.append("The model was unsure of its words.")
    if features.repeated > 0.3:
        said.append("The answer repeats itself.")
    if features.cut:
        said.append("The answer ended at the length limit.")
    return said
