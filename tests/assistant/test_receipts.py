"""A receipt comes back from the store as it was, for another message."""

import json
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralbridge.assistant.citations import Citation
from neuralbridge.assistant.confidence import Cause, Confidence, Features, confidence
from neuralbridge.assistant.context import Source
from neuralbridge.assistant.events import Attempt, Receipt, Repeated, Tokens
from neuralbridge.assistant.receipts import attempt_of, citations_from, receipt_from, without_second_opinion
from neuralbridge.errors import EngineFailed

SOURCE = Source(1, "d1", "pump.md", 3, "Warranty", 40, 60, 0.8, "It lasts two years.", "v1")
CITED = (
    Citation((0, 12), "supported", 0.93, "d1", "v1", "pump.md", (40, 59), "It lasts two years."),
    Citation((13, 20), "unsupported", 0.0),
    Citation((21, 30), "contradicted", 0.7, "d1", "v0", "pump.md", (0, 9), "It is old", source_gone=True),
)
RECEIPT = Receipt(
    model_used="small",
    model_requested="gpt-4",
    finish_reason="stop",
    tokens=Tokens(30, 20, 10),
    confidence_score=0.6,
    processing_time_ms=12,
    messages_omitted=1,
    source="rag",
    rag_context_used=2,
    sources=(SOURCE,),
    sources_omitted=(replace(SOURCE, n=2, page=None),),
    citations=CITED,
    confidence=confidence(Features(0.9, 0.5, 0.0, 0.0, 0.5, 0.0, 0.7, 0.1)),
    thoughts="Two years?",
)


def stored(receipt: Receipt) -> dict[str, Any]:
    """As it comes back from the store."""
    loaded: dict[str, Any] = json.loads(json.dumps(asdict(receipt)))
    return loaded


@pytest.mark.parametrize(
    "receipt",
    [
        RECEIPT,
        Receipt("small", "small", "cancelled"),
        replace(RECEIPT, citations=(), sources=(), sources_omitted=()),
        replace(RECEIPT, confidence=Confidence(0.05, "low", ())),
    ],
)
def test_a_receipt_comes_back_as_it_was(receipt: Receipt) -> None:
    assert receipt_from(stored(receipt)) == receipt


def test_what_belongs_to_the_first_message_does_not_come_back() -> None:
    kept = replace(RECEIPT, message_id="m1", cache=Repeated("2026-01-01", 5.0), attempts=(attempt_of("No.", RECEIPT),))
    assert receipt_from(stored(kept)) == RECEIPT


def test_keys_that_are_not_a_receipts_are_left_out() -> None:
    assert receipt_from({**stored(RECEIPT), "client": "mine", "superseded_by": "s2"}) == RECEIPT


SPANS = st.tuples(st.integers(0, 99), st.integers(0, 99))


@given(
    st.lists(st.builds(Citation, SPANS, st.just("partial"), st.floats(0, 1), span=SPANS | st.none(), text=st.text()))
)
def test_citations_come_back_as_they_were(citations: list[Citation]) -> None:
    kept = json.loads(json.dumps([asdict(each) for each in citations]))
    assert citations_from(kept) == tuple(citations)


def test_the_record_of_an_attempt_has_its_text_and_what_became_of_it() -> None:
    assert attempt_of("No.", RECEIPT) == Attempt("No.", "rag", "small", "stop", 0.6, CITED)


def test_a_receipt_from_before_there_were_causes_and_thoughts_has_none() -> None:
    kept = stored(RECEIPT)
    del kept["confidence"]["causes"], kept["thoughts"]
    assert RECEIPT.confidence is not None
    expected = replace(RECEIPT, confidence=replace(RECEIPT.confidence, causes=()), thoughts="")
    assert receipt_from(kept) == expected


def test_one_more_reason_comes_last_and_nothing_else_changes() -> None:
    assert RECEIPT.confidence is not None
    found = without_second_opinion(RECEIPT, EngineFailed("It is broken."))
    assert found.confidence is not None
    assert found.confidence.causes == (*RECEIPT.confidence.causes, Cause("no_second_opinion"))
    assert found.confidence.reasons == (
        *RECEIPT.confidence.reasons,
        "There is no second opinion: It is broken.",
    )
    assert replace(found, confidence=RECEIPT.confidence) == RECEIPT
