"""How probable it is that an answer is right, and why. Pure.

The curves are fitted by scripts/eval on questions whose answers are known.
"""

from dataclasses import asdict, dataclass, field
from typing import Literal

from neuralbridge.assistant.curves import probability

Level = Literal["high", "medium", "low"]
HIGH, MEDIUM = 0.7, 0.4
SURE, UNSURE, GUESSED = 0.8, 0.5, 0.1  # of its words, in probabilities
WELL, HARDLY = 0.7, 0.3  # fit passages a question, in probabilities of an answer in them


@dataclass(frozen=True, slots=True)
class Features:
    """What is known of an answer, all from 0 to 1. None of the last four where it was given no passages.

    `mean` and `lowest` as in certainty.py, `repeated` the share of words said over and over, `cut` 1 for an answer that
    had no end; `supported` and `contradicted` shares of its sentences; `evidence` the probability that
    the passages found answer the question, and `margin` what the best is ahead of the next.
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
    """`score` from 0 to 1, both excluded, is the probability that the answer is right; `reasons` are for people.

    `features` are what it was made from, for those who fit the curves anew.
    """

    score: float
    level: Level
    reasons: tuple[str, ...]
    features: dict[str, float] = field(default_factory=dict)


def confidence(features: Features) -> Confidence:
    """The calibrated probability, its level, and what made it."""
    measured = {name: value for name, value in asdict(features).items() if value is not None}
    score = probability("grounded" if features.grounded else "alone", measured)
    return Confidence(score, level(score), tuple(reasons(features)), measured)


# The nearest passages are named: they may help
NO_EVIDENCE = Confidence(0.05, "low", ("The documents have no passage that answers the question.",))


def confidence_of_extract(evidence: float) -> Confidence:
    """That a passage given as it stands holds the answer; `evidence` is how probable it is that there is one."""
    measured = {"evidence": evidence}
    score = probability("extract", measured)
    said = "This is a passage of the document as it stands: the models had no answer to be sure of."
    return Confidence(score, level(score), (said, fits(evidence)), measured)


def level(score: float) -> Level:
    return "high" if score >= HIGH else "medium" if score >= MEDIUM else "low"


def fits(evidence: float) -> str:
    how = "well" if evidence >= WELL else "only in part" if evidence >= HARDLY else "hardly"
    return f"The passages that were found fit the question {how}."


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
            said.append(fits(features.evidence))
    if features.mean >= SURE:
        said.append("The model was sure of its words.")
    elif features.mean < UNSURE:
        said.append("The model was unsure of its words.")
    if features.lowest < GUESSED:
        said.append("Some of its words were little more than guesses.")
    if features.repeated > 0.3:
        said.append("The answer repeats itself.")
    if features.cut:
        said.append("The answer ended at the length limit.")
    return said
