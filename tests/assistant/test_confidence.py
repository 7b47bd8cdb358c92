"""Confidence is a probability that is never certain, rises with what speaks for an answer, and says why."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralbridge.assistant.confidence import (
    HIGH,
    MEDIUM,
    NO_EVIDENCE,
    SENTENCES,
    Cause,
    Confidence,
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
    ("changes", "cause", "said"),
    [
        ({"supported": 0.5}, Cause("supported", 0.5), "50% of its sentences are supported by the passages."),
        ({"contradicted": 0.25}, Cause("contradicted", 0.25), "25% of its sentences contradict the passages."),
        ({"evidence": 0.9}, Cause("fits_well"), "The passages that were found fit the question well."),
        ({"evidence": 0.5}, Cause("fits_in_part"), "The passages that were found fit the question only in part."),
        ({"evidence": 0.1}, Cause("fits_hardly"), "The passages that were found fit the question hardly."),
        ({"mean": 0.9}, Cause("sure"), "The model was sure of its words."),
        ({"mean": 0.3}, Cause("unsure"), "The model was unsure of its words."),
        ({"lowest": 0.05}, Cause("guesses"), "Some of its words were little more than guesses."),
        ({"repeated": 0.5}, Cause("repeats"), "The answer repeats itself."),
        ({"cut": 1.0}, Cause("cut"), "The answer ended at the length limit."),
    ],
)
def test_what_made_it_is_said(changes: dict[str, float], cause: Cause, said: str) -> None:
    found = confidence(replace(MIDDLING, **changes))
    assert (cause, said) in [*zip(found.causes, found.reasons, strict=True)]


@given(ALONE | GROUNDED)
def test_every_reason_is_the_sentence_of_its_cause(features: Features) -> None:
    found = confidence(features)
    assert [cause.sentence() for cause in found.causes] == [*found.reasons]
    assert all(cause.value is None or 0 <= cause.value <= 1 for cause in found.causes)


def test_every_sentence_is_said_of_something() -> None:
    every = [
        confidence(Features(1.0, 0.0, 1.0, 1.0, 0.5, 0.5, 0.9, 0.0)),
        confidence(Features(0.0, 0.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.0)),
        confidence(Features(0.0, 0.0, 0.0, 0.0)),
        confidence_of_extract(0.1),
        NO_EVIDENCE.and_also(Cause("no_second_opinion"), "It is gone."),
    ]
    assert {cause.code for found in every for cause in found.causes} == {*SENTENCES}


def test_why_there_is_no_second_opinion_is_said_last() -> None:
    found = Confidence(0.5, "medium", ("From before.",)).and_also(Cause("no_second_opinion"), "100% {broken}.")
    assert found.reasons == ("From before.", "There is no second opinion: 100% {broken}.")


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
    assert fits(max(one, other)) in more.causes
    assert confidence_of_extract(0.9).score > confidence_of_extract(0.1).score


def test_no_evidence_is_of_low_confidence_but_not_certain() -> None:
    assert NO_EVIDENCE.level == "low"
    assert 0 < NO_EVIDENCE.score < MEDIUM
