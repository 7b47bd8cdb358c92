"""How probable it is that an answer is right, and why. Pure.

The curves are fitted by scripts/eval on questions whose answers are known.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
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


# What is said of each cause. The codes are on the wire: new ones may come, none changes its meaning.
SENTENCES = {
    "no_document": "No document was used: this rests on the model's own probabilities alone.",
    "supported": "{value:.0%} of its sentences are supported by the passages.",
    "contradicted": "{value:.0%} of its sentences contradict the passages.",
    "fits_well": "The passages that were found fit the question well.",
    "fits_in_part": "The passages that were found fit the question only in part.",
    "fits_hardly": "The passages that were found fit the question hardly.",
    "sure": "The model was sure of its words.",
    "unsure": "The model was unsure of its words.",
    "guesses": "Some of its words were little more than guesses.",
    "repeats": "The answer repeats itself.",
    "cut": "The answer ended at the length limit.",
    "passage": "This is a passage of the document as it stands: the models had no answer to be sure of.",
    "no_evidence": "The documents have no passage that answers the question.",
    "no_second_opinion": "There is no second opinion: {why}",
}


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that made a confidence what it is. `value` is the share that its sentence names, if it names one."""

    code: str
    value: float | None = None

    def sentence(self, why: str = "") -> str:
        """For a person, in English."""
        return SENTENCES[self.code].format(value=self.value, why=why)


@dataclass(frozen=True, slots=True)
class Confidence:
    """`score` from 0 to 1, both excluded, is the probability that the answer is right; `reasons` are for people.

    `features` are what it was made from, for those who fit the curves anew. `causes` are the reasons for programs;
    what was stored before there were any has none.
    """

    score: float
    level: Level
    reasons: tuple[str, ...]
    features: dict[str, float] = field(default_factory=dict)
    causes: tuple[Cause, ...] = ()

    def and_also(self, cause: Cause, why: str) -> "Confidence":
        """With one more cause, which an error explains."""
        return replace(self, reasons=(*self.reasons, cause.sentence(why)), causes=(*self.causes, cause))


def confidence(features: Features) -> Confidence:
    """The calibrated probability, its level, and what made it."""
    measured = {name: value for name, value in asdict(features).items() if value is not None}
    score = probability("grounded" if features.grounded else "alone", measured)
    return because(score, causes(features), measured)


def because(score: float, causes: Sequence[Cause], measured: dict[str, float]) -> Confidence:
    return Confidence(score, level(score), tuple(cause.sentence() for cause in causes), measured, tuple(causes))


def confidence_of_extract(evidence: float) -> Confidence:
    """That a passage given as it stands holds the answer; `evidence` is how probable it is that there is one."""
    measured = {"evidence": evidence}
    score = probability("extract", measured)
    return because(score, [Cause("passage"), fits(evidence)], measured)


def level(score: float) -> Level:
    return "high" if score >= HIGH else "medium" if score >= MEDIUM else "low"


def fits(evidence: float) -> Cause:
    return Cause("fits_well" if evidence >= WELL else "fits_in_part" if evidence >= HARDLY else "fits_hardly")


def causes(features: Features) -> list[Cause]:
    """What speaks for an answer and against it."""
    said = []
    if features.supported is None:
        said.append(Cause("no_document"))
    else:
        said.append(Cause("supported", features.supported))
        if features.contradicted:
            said.append(Cause("contradicted", features.contradicted))
        if features.evidence is not None:
            said.append(fits(features.evidence))
    if features.mean >= SURE:
        said.append(Cause("sure"))
    elif features.mean < UNSURE:
        said.append(Cause("unsure"))
    if features.lowest < GUESSED:
        said.append(Cause("guesses"))
    if features.repeated > 0.3:
        said.append(Cause("repeats"))
    if features.cut:
        said.append(Cause("cut"))
    return said


# The nearest passages are named: they may help
NO_EVIDENCE = because(0.05, [Cause("no_evidence")], {})
