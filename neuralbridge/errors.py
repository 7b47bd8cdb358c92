"""Everything that can go wrong, named for what went wrong. Knows nothing of the wire.

BridgeError
├── InvalidRequest          the question itself is wrong
│   ├── InvalidQuery        ... its text
│   │   └── QueryTooLong
│   ├── InvalidParams       ... one of its parameters
│   │   └── SchemaRefused   ... the JSON Schema that the answer is to conform to
│   ├── ModelNotFound       ... the model it names
│   ├── EncodingRefused     ... its body comes compressed
│   ├── BodyTooSlow         ... its body does not come
│   ├── PromptTooLong       ... it does not fit the model's context
│   ├── NotFound            ... there is no such document or job
│   └── DocumentRefused     ... a document cannot be read: empty, broken, encrypted
│       ├── DocumentTooLarge
│       ├── DuplicateDocument
│       ├── QuotaExceeded   ... its owner has no room for it
│       └── UnknownFormat   ... by its content it is of no kind that we read
├── NotAdmitted             nobody knows who asks: a token is missing, or good no longer
├── Forbidden               somebody known may not do this
├── StorageFailed           what was to be written could not be
│   └── StorageFull         ... because the disk is full
├── Overloaded              the waiting queue is full
│   └── RateLimited         ... somebody asks more often than is allowed
├── EngineFailed            the model failed during an answer
├── DocumentsUnavailable    documents are not set up on this machine, or switched off
├── ServerUnusable          no server answers, or it failed
├── AnswerFailed            the server refuses a question of the command line, or its answer failed
├── BackupRefused           a backup cannot be made, or is not whole
└── StartRefused            the server cannot start; the message says how to mend it
    ├── ConfigInvalid       ... config.yaml or a command-line value
    ├── ModelUnusable       ... a model file is missing, cut short or not a model
    └── DataUnusable        ... the data folder or the database in it
        └── DataInUse       ... another process has it
"""

from typing import ClassVar, Literal

# Why a document is refused; the wire has these words too
Reason = Literal[
    "empty",
    "no_text",
    "encrypted",
    "broken",
    "too_large",
    "too_slow",
    "too_much_memory",
    "duplicate",
    "quota",
    "unknown_format",
    "too_many_passages",
    "unreadable",
]


class BridgeError(Exception):
    """Base of every failure we raise on purpose; `str(error)` is a sentence for a person."""


class InvalidRequest(BridgeError):
    """The client's fault; asking the same again fails the same."""


class InvalidQuery(InvalidRequest):
    """The question's text is missing, blank, not text, or too long."""


class QueryTooLong(InvalidQuery):
    """The question has more characters than are allowed."""


class InvalidParams(InvalidRequest):
    """A parameter of the question is of the wrong type or out of range; `param` names it where that is known."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class SchemaRefused(InvalidParams):
    """No answer can be held to this JSON Schema: it is wrong, too large, or uses keywords that are not supported."""


class ModelNotFound(InvalidRequest):
    """No model answers to the requested name, and the configuration wants that refused."""


class EncodingRefused(InvalidRequest):
    """The body is compressed; we take it as it is."""


class BodyTooSlow(InvalidRequest, TimeoutError):
    """The body of a request stands still, or comes slower than the configuration asks for.

    A TimeoutError as well: aiohttp reads the rest of a body that nobody wanted, and gives up in silence at one.
    """


class PromptTooLong(InvalidRequest):
    """System prompt and question alone do not fit the model's context."""

    def __init__(self, tokens: int, limit: int) -> None:
        super().__init__(f"The prompt has {tokens:,} tokens; the context holds {limit:,}.")
        self.tokens = tokens
        self.limit = limit


class NotFound(InvalidRequest):
    """What is asked for by its id is not there, or is somebody else's."""


class DocumentRefused(InvalidRequest):
    """A document is empty, broken, encrypted, or passes a limit while it is read; the message names which.

    `reason` says the same in a word, None where it is not known.
    """

    usual: ClassVar[Reason | None] = None

    def __init__(self, message: str, reason: Reason | None = None) -> None:
        super().__init__(message)
        self.reason = reason or self.usual


class DocumentTooLarge(DocumentRefused):
    """The document has more bytes than the configuration allows."""

    usual = "too_large"


class DuplicateDocument(DocumentRefused):
    """Another document has the same content."""

    usual = "duplicate"


class QuotaExceeded(DocumentRefused):
    """An owner's documents would have more bytes together than one user's may have."""

    usual = "quota"


class UnknownFormat(DocumentRefused):
    """The document's content is of no kind that we read, or is not what its name says."""

    usual = "unknown_format"


class DocumentsUnavailable(BridgeError):
    """What documents need is not installed, or switched off; the message says what mends it."""


class ServerUnusable(BridgeError):
    """A command needs a running server, and there is none, or it answers with an error of its own."""


class AnswerFailed(BridgeError):
    """A server refused the command line's question, or its answer ended in a failure; in the server's own words."""


class BackupRefused(BridgeError):
    """A backup cannot be written, or what is to be restored is no whole backup; nothing was replaced."""


class NotAdmitted(BridgeError):
    """Nobody comes in without a token that is good, and this server asks for one."""


class Forbidden(BridgeError):
    """Who asks is known, and may not do this."""


class StorageFailed(BridgeError):
    """Something could not be written to the disk, and is as it was; the message says what mends it."""


class StorageFull(StorageFailed):
    """There is no room left for what was to be written."""


class Overloaded(BridgeError):
    """A bounded queue is full; worth another try after `retry_after_ms` milliseconds."""

    def __init__(self, message: str, retry_after_ms: int) -> None:
        super().__init__(message)
        self.retry_after_ms = retry_after_ms


class RateLimited(Overloaded):
    """Somebody asks more often than is allowed; the message names the rate."""


class EngineFailed(BridgeError):
    """The model could not go on with this answer; other answers are not affected."""


class StartRefused(BridgeError):
    """The server cannot start. One line: the file, the place in it, what is wrong, what mends it."""


class ConfigInvalid(StartRefused):
    """A setting is unknown, of the wrong type or out of range."""


class ModelUnusable(StartRefused):
    """A model file is missing, incomplete or not a model."""


class DataUnusable(StartRefused):
    """The data folder cannot be used: in use by another server, read-only, or its database is damaged."""


class DataInUse(DataUnusable):
    """Another process, mostly a server, has the data folder."""
