"""The one table from what went wrong to what the wire says."""

from dataclasses import dataclass

from neuralbridge.errors import (
    BodyTooSlow,
    BridgeError,
    DocumentRefused,
    DocumentsUnavailable,
    DocumentTooLarge,
    DuplicateDocument,
    EncodingRefused,
    EngineFailed,
    Forbidden,
    InvalidParams,
    InvalidQuery,
    InvalidRequest,
    ModelNotFound,
    NotAdmitted,
    NotFound,
    Overloaded,
    PromptTooLong,
    QuotaExceeded,
    RateLimited,
    StartRefused,
    StorageFailed,
    StorageFull,
    UnknownFormat,
)

# The code for programs, and the status over HTTP
CODES: dict[type[BridgeError], tuple[str, int]] = {
    InvalidRequest: ("invalid_request", 400),
    InvalidQuery: ("invalid_query", 400),
    InvalidParams: ("invalid_params", 400),
    ModelNotFound: ("model_not_found", 404),
    EncodingRefused: ("unsupported_encoding", 415),
    BodyTooSlow: ("body_too_slow", 408),
    PromptTooLong: ("context_length_exceeded", 400),
    NotFound: ("not_found", 404),
    DocumentRefused: ("document_refused", 422),
    DocumentTooLarge: ("document_too_large", 413),
    DuplicateDocument: ("duplicate_document", 409),
    QuotaExceeded: ("quota_exceeded", 413),
    UnknownFormat: ("unknown_format", 415),
    NotAdmitted: ("unauthorized", 401),
    Forbidden: ("forbidden", 403),
    StorageFull: ("storage_full", 503),
    StorageFailed: ("storage_failed", 503),
    Overloaded: ("server_busy", 429),
    RateLimited: ("rate_limited", 429),
    EngineFailed: ("processing_failed", 500),
    DocumentsUnavailable: ("documents_unavailable", 503),
    StartRefused: ("unavailable", 503),
    BridgeError: ("processing_failed", 500),
}
BY_NAME = {kind.__name__: kind for kind in CODES}
INTERNAL = "An internal error ended this; the log has the details."


@dataclass(frozen=True, slots=True)
class Failure:
    """`code` for programs, `message` for people, `status` for HTTP."""

    code: str
    message: str
    status: int = 500


def describe(error: Exception) -> Failure:
    """The nearest class of the table; what we did not foresee keeps its text to itself and the log."""
    for kind in type(error).__mro__:
        if kind in CODES:
            code, status = CODES[kind]
            return Failure(code, str(error), status)
    return Failure("processing_failed", INTERNAL)


def describe_named(name: str, message: str) -> Failure:
    """What was stored of an error: the name of its class, and what it said."""
    code, status = CODES[BY_NAME.get(name, BridgeError)]
    return Failure(code, message, status)
