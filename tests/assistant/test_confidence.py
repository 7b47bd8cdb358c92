"""Confidence is a probability that is never certain, rises with what speaks for an answer, and says why."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralbridge.assistant.confidence import (
    HIGH,
    MEDIUM,
    NO_EVIDENCE,
    Features,
    confidence,
    confidence_of_extract,
    fits,
    level,
)

SHARES = st.floats(0, 1)
ALONE = st.builds(Features, SHARES, SHARES, SHARES, st.sampled_from([0.0, 1.0]))
GROUNDED = st.builds(Features, SHARES, SHARES, SHARES, st.sampled_from([0.0, 1.0]), SHARES, SHARES, SHARES, SHARES)
MIDDLING = Features(0.7, 0.4, 0.0, 0.0, supported=0.5, contradicted=0.2, evidence=0.5, margin=0.1)
BARE = Features(0.7, 0.4, 0.0, 0.0)


@given(ALONE | GROUNDED)
def test_it_is_never_certain_and_its_level_goes_with_it(features: Features) -> None:
    found = confidence(features)
    assert 0.01 <= found.score <= 0.99
    assert found.level == level(found.score)
    assert found.reasons
    assert all(reason.endswith(".") for reason in found.reasons)


@given(GROUNDED, st.sampled_from(["mean", "lowest", "supported", "evidence", "margin"]), SHARES, SHARES)
def test_it_never_falls_with_what_speaks_for_an_answer(features: Features, name: str, one: float, other: float) -> None:
    less, more = sorted((one, other))
    assert confidence(replace(features, **{name: less})).score <= confidence(replace(features, **{name: more})).score


@given(GROUNDED, st.sampled_from(["repeated", "cut", "contradicted"]), SHARES, SHARES)
def test_it_never_rises_with_what_speaks_against_it(features: Features, name: str, one: float, other: float) -> None:
    less, more = sorted((one, other))
    assert confidence(replace(features, **{name: less})).score >= confidence(replace(features, **{name: more})).score


@pytest.mark.parametrize("name", ["supported", "evidence", "mean"])
def test_it_rises_with_evidence_support_and_certainty(name: str) -> None:
    assert confidence(replace(MIDDLING, **{name: 0.9})).score > confidence(replace(MIDDLING, **{name: 0.1})).score


def test_contradictions_and_repetition_lower_it() -> None:
    score = confidence(MIDDLING).score
    assert confidence(replace(MIDDLING, contradicted=1.0)).score < score
    assert confidence(replace(MIDDLING, repeated=1.0)).score < score
    assert confidence(replace(BARE, mean=0.2)).score < confidence(BARE).score


@given(ALONE)
def test_without_documents_it_says_that_it_rests_on_the_models_probabilities_alone(features: Features) -> None:
    found = confidence(features)
    assert found.reasons[0] == "No document was used: this rests on the model's own probabilities alone."
    assert not any("passages" in reason for reason in found.reasons)
    assert found.features.keys() == {"mean", "lowest", "repeated", "cut"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"supported": 0.5}, "50% of its sentences are supported by the passages."),
        ({"contradicted": 0.25}, "25% of its sentences contradict the passages."),
        ({"evidence": 0.9}, "The passages that were found fit the question well."),
        ({"evidence": 0.5}, "The passages that were found fit the question only in part."),
        ({"evidence": 0.1}, "The passages that were found fit the question hardly."),
        ({"mean": 0.9}, "The model was sure of its words."),
        ({"mean": 0.3}, "The model was unsure of its words."),
        ({"repeated": 0.5}, "The answer repeats itself."),
        ({"cut": 1.0}, "The answer ended at the length limit."),
    ],
)
def test_what_made_it_is_said(changes: dict[str, float], said: str) -> None:
    assert said in confidence(replace(MIDDLING, **changes)).reasons


def test_what_is_not_so_is_not_said() -> None:
    found = confidence(replace(MIDDLING, contradicted=0.0))
    assert found.reasons == (
        "50% of its sentences are supported by the passages.",
        "The passages that were found fit the question only in part.",
    )


@pytest.mark.parametrize(
    ("score", "expected"),
    [(HIGH, "high"), (HIGH - 0.01, "medium"), (MEDIUM, "medium"), (MEDIUM - 0.01, "low"), (0.0, "low"), (1.0, "high")],
)
def test_levels(score: float, expected: str) -> None:
    assert level(score) == expected


@given(SHARES, SHARES)
def test_an_extract_is_as_probable_as_its_evidence(one: float, other: float) -> None:
    less, more = (confidence_of_extract(evidence) for evidence in sorted((one, other)))
    assert 0.01 <= less.score <= more.score <= 0.99
    assert fits(max(one, other)) in more.reasons
    assert confidence_of_extract(0.9).score > confidence_of_extract(0.1).score


def test_no_evidence_is_of_low_confidence_but_not_certain() -> None:
    assert NO_EVIDENCE.level == "low"
    assert 0 < NO_EVIDENCE.score < MEDIUM
