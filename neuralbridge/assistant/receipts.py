"""Receipts from and for the store, and the record of answers that others took the place of. Pure."""

from dataclasses import fields, replace
from typing import Any

from neuralbridge.assistant.citations import Citation
from neuralbridge.assistant.confidence import Cause, Confidence
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
            "confidence": confidence_from(confidence) if confidence else None,
            "attempts": (),
            "cache": None,
            "message_id": None,
        }
    )


def confidence_from(kept: dict[str, Any]) -> Confidence:
    causes = tuple(Cause(**each) for each in kept.get("causes", ()))
    return Confidence(**{**kept, "reasons": tuple(kept["reasons"]), "causes": causes})


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


def without_second_opinion(receipt: Receipt, error: Exception) -> Receipt:
    """The receipt with one more reason for its confidence: nobody else could be asked."""
    assert receipt.confidence is not None
    return replace(receipt, confidence=receipt.confidence.and_also(Cause("no_second_opinion"), str(error)))


# Of metadata that may have been imported from elsewhere: what is not as we write it is not there


def places_in(metadata: dict[str, Any]) -> list[tuple[object, object, object]]:
    """The passages that it names."""
    sources = metadata.get("sources")
    told = [source for source in sources if isinstance(source, dict)] if isinstance(sources, list) else []
    return [(source.get("document_id"), source.get("start"), source.get("end")) for source in told]


def completion_in(metadata: dict[str, Any]) -> int:
    """The tokens that were computed for the answer."""
    tokens = metadata.get("tokens")
    completion = tokens.get("completion") if isinstance(tokens, dict) else None
    return completion if isinstance(completion, int) else 0


def thoughts_in(metadata: dict[str, Any]) -> str:
    """What the model thought before it answered."""
    thoughts = metadata.get("thoughts")
    return thoughts if isinstance(thoughts, str) else ""
