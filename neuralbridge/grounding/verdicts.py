"""Whether a passage says what a sentence says. Pure: similarities of meaning are given to it.

A sentence is taken apart into its claims. Each is held against the sentences of the passage and their neighbours; what
has to agree exactly (numbers, dates, names, denials, opposites) decides first, then how much of its words is there and
how near it is in meaning. A sentence is supported when all of its claims are.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from neuralbridge.grounding.alignment import Alignment, Similar, Window, align, differing, windows
from neuralbridge.grounding.opposites import opposite
from neuralbridge.grounding.sentences import Span
from neuralbridge.grounding.statements import Statement, claims, read
from neuralbridge.words import words

Verdict = Literal["supported", "partial", "unsupported", "contradicted"]

SAME_WORDS, SAME_MEANING = 0.3, 0.5  # of which a claim has to have one, to be about the same matter at all
DENIED = 0.2  # of the words shared: so many that are denied on one side only turn a claim round
# A part of the passage that has so many of them, and is so little less near, may contradict too
SOME_WORDS, NEARLY = 0.2, 0.35
ALIKE = 0.6  # of the words shared or of the cosine: from here on what differs contradicts
PARTIAL = 0.5  # of the words shared


@dataclass(frozen=True, slots=True)
class Judgement:
    """`span` is where the passage supports or contradicts the sentence, None where it does neither; `score` 0 to 1."""

    verdict: Verdict
    score: float
    span: Span | None


@dataclass(frozen=True, slots=True)
class Finding:
    """How a claim fits the part of the passage that is nearest to it, and what that makes of it."""

    alignment: Alignment
    window: Window
    verdict: Verdict


def unknown(_one: str, _others: Sequence[str]) -> None:
    """Where there is no model for the meaning of texts."""


def judge(sentence: str, passage: str, about: str = "", similar: Similar = unknown) -> Judgement:
    """How a passage bears on a sentence. `about`: its document's name and headings, whose words it may use."""
    said = read(sentence)
    places = windows(passage)
    if not places or (not said.words and not said.quantities):
        return Judgement("unsupported", 0.0, None)
    known = frozenset(words(about))
    findings = [find(read(claim), places, read(passage), known, similar) for claim in claims(sentence)]
    whole = nearest(said, places, read(passage), known, similar)[0]
    found = features([finding.alignment for finding in findings], whole)
    score = support(found)
    verdict = together([finding.verdict for finding in findings], score >= curve_of(found)["supported"])
    if verdict == "unsupported":
        return Judgement("unsupported", 0.0, None)
    telling = [finding for finding in findings if finding.verdict == verdict] or [
        finding for finding in findings if finding.verdict != "unsupported"
    ]
    spans = [finding.window.span for finding in telling]
    return Judgement(verdict, score, (min(start for start, _ in spans), max(end for _, end in spans)))


def find(
    claim: Statement, places: Sequence[Window], passage: Statement, about: frozenset[str], similar: Similar
) -> Finding:
    """What a passage makes of one claim."""
    best, window, others = nearest(claim, places, passage, about, similar)
    apart = not (best.shared >= SAME_WORDS or (best.cosine or 0.0) >= SAME_MEANING)
    if not apart and (best.wrong or turned_round(best)):
        return Finding(best, window, "contradicted" if alike(best) else "unsupported")
    if not apart:
        for alignment, place in others:
            if turned_round(alignment) and alignment.shared >= SOME_WORDS and near(alignment) > near(best) - NEARLY:
                return Finding(best, place, "contradicted" if alike(alignment) else "unsupported")
    if best.invented or best.missing or apart:
        part = best.shared >= PARTIAL and not best.invented and not best.missing
        return Finding(best, window, "partial" if part else "unsupported")
    return Finding(best, window, "supported")


def nearest(
    claim: Statement, places: Sequence[Window], passage: Statement, about: frozenset[str], similar: Similar
) -> tuple[Alignment, Window, list[tuple[Alignment, Window]]]:
    """The part of a passage that a claim fits best, and all of them."""
    aligned = [(align(claim, place, passage, about, similar), place) for place in places]
    best, window = max(aligned, key=lambda found: (fit(found[0]), -found[1].span[1]))
    return best, window, aligned


def near(alignment: Alignment) -> float:
    return alignment.shared + (alignment.cosine if alignment.cosine is not None else alignment.shared)


def fit(alignment: Alignment) -> float:
    """What has to agree and does not makes another part of the passage the likelier source."""
    against = 0.3 * (alignment.wrong + alignment.missing + alignment.denied) + 0.2 * alignment.opposed
    return near(alignment) - against


def alike(alignment: Alignment) -> bool:
    """Whether so much is the same that a difference is a contradiction, and not another matter."""
    return alignment.shared >= ALIKE or (alignment.cosine or 0.0) >= ALIKE


def turned_round(alignment: Alignment) -> bool:
    return alignment.denied >= DENIED or alignment.opposed > 0


def features(alignments: Sequence[Alignment], whole: Alignment) -> dict[str, float]:
    """What the support of a sentence is made from: its weakest claim counts. Without cosines, words have to do."""
    found = {
        "shared": min(alignment.shared for alignment in alignments),
        "elsewhere": float(any(alignment.elsewhere for alignment in alignments)),
        "numbers": float(whole.numbers > 0),  # which all agree
    }
    cosines = [alignment.cosine for alignment in (*alignments, whole)]
    if None not in cosines:
        found |= {"cosine": min(cosine for cosine in cosines[:-1] if cosine is not None), "whole": cosines[-1] or 0.0}
    return found


@cache
def curves() -> dict[str, Any]:
    """The coefficients that scripts/eval fitted, and what on."""
    loaded: dict[str, Any] = json.loads(files("neuralbridge.grounding").joinpath("support.json").read_text("utf-8"))
    return loaded


def curve_of(found: dict[str, float]) -> dict[str, Any]:
    curve: dict[str, Any] = curves()["meaning" if "cosine" in found else "words"]
    return curve


def support(found: dict[str, float]) -> float:
    """How probable it is that a passage supports a sentence with these features and nothing that disagrees."""
    curve = curve_of(found)
    total = curve["intercept"] + sum(weight * found[name] for name, weight in curve["weights"].items())
    return float(1 / (1 + math.exp(-total)))


def together(verdicts: Sequence[Verdict], enough: bool) -> Verdict:
    """The verdict on a sentence from those on its claims; `enough`: there is enough of it in the passage."""
    if "contradicted" in verdicts:
        return "contradicted"
    if all(verdict == "supported" for verdict in verdicts):
        return "supported" if enough else "partial"
    return "unsupported" if all(verdict == "unsupported" for verdict in verdicts) else "partial"


def same_facts(one: str, other: str) -> bool:
    """Whether two questions name the same numbers, dates and names, and neither turns the other round."""
    first, second = read(one), read(other)
    return (
        differing(first.quantities, second.quantities) == (0, 0)
        and differing(second.quantities, first.quantities) == (0, 0)
        and not any(opposite(word.folded, twin.folded) for word in first.words for twin in second.words)
        and {word.denied for word in first.words} == {word.denied for word in second.words}
        and {name.words for name in first.names if name.sure} == {name.words for name in second.names if name.sure}
    )
