"""Receipts from and for the store, and the record of answers that others took the place of. Pure."""

from dataclasses import fields, replace
from typing import Any

from neuralbridge.assistant.citations import Citation
from neuralbridge.assistant.confidence import Confidence
from neuralbridge.assistant.context import restored
from neuralbridge.assistant.events import Attempt, Receipt, Tokens

KNOWN = {field.name for field in fields(Receipt)}


def receipt_from(kept: dict[str, Any]) -> Receipt:
    """The receipt that `dataclasses.asdict` and JSON made this of. It has no message id: it is for another message."""
    confidence = kept.get("confidence")
    return Receipt(
        **{
            **{name: value for name, value in kept.items() if name in KNOWN},
            "tokens": Tokens(**kept["tokens"]),
            "sources": restored(kept["sources"]),
            "sources_omitted": restored(kept["sources_omitted"]),
            "citations": citations_from(kept["citations"]),
            "confidence": Confidence(**{**confidence, "reasons": tuple(confidence["reasons"])}) if confidence else None,
            "attempts": (),
            "cache": None,
            "message_id": None,
        }
    )


def citations_from(kept: list[dict[str, Any]]) -> tuple[Citation, ...]:
    return tuple(
        Citation(**{**each, "sentence": tuple(each["sentence"]), "span": tuple(each["span"]) if each["span"] else None})
        for each in kept
    )


def attempt_of(text: str, receipt: Receipt) -> Attempt:
    """What the record keeps of an answer that is replaced."""
    return Attempt(
        text, receipt.source, receipt.model_used, receipt.finish_reason, receipt.confidence_score, receipt.citations
    )


def with_reason(receipt: Receipt, reason: str) -> Receipt:
    """The receipt with one more reason for its confidence."""
    assert receipt.confidence is not None
    return replace(receipt, confidence=replace(receipt.confidence, reasons=(*receipt.confidence.reasons, reason)))
