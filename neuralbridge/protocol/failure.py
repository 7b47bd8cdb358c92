"""The one table from what went wrong to what the wire says."""

from dataclasses import dataclass

from neuralbridge.errors import (
    BridgeError,
    DocumentsUnavailable,
    EngineFailed,
    InvalidParams,
    InvalidQuery,
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    PromptTooLong,
    StartRefused,
)

CODES: dict[type[BridgeError], str] = {
    InvalidRequest: "invalid_request",
    InvalidQuery: "invalid_query",
    InvalidParams: "invalid_params",
    ModelNotFound: "model_not_found",
    PromptTooLong: "context_length_exceeded",
    Overloaded: "server_busy",
    EngineFailed: "processing_failed",
    DocumentsUnavailable: "documents_unavailable",
    StartRefused: "unavailable",
    BridgeError: "processing_failed",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """`code` for programs, `message` for people."""

    code: str
    message: str


def describe(error: Exception) -> Failure:
    """The nearest class of the table; what we did not foresee keeps its text to itself and the log."""
    for kind in type(error).__mro__:
        if kind in CODES:
            return Failure(CODES[kind], str(error))
    return Failure("processing_failed", "An internal error ended this; the log has the details.")
