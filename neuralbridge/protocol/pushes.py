"""What the server says on the channel. The models are the documentation: docs/wire.md is generated from them."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from neuralbridge.errors import Overloaded, QueryTooLong
from neuralbridge.protocol.failure import describe


class Push(BaseModel):
    model_config = ConfigDict(extra="forbid")

    def payload(self) -> dict[str, Any]:
        return self.model_dump(exclude_unset=True)


class OfQuestion(Push):
    """Carried by every event of a question."""

    stream_id: str = Field(description="the question's name, for `stop` and `resume`")
    ref: Any = Field(description="the ref of the push that asked")
    seq: int = Field(description="number of this event within the question, from 1")


class TokenCounts(BaseModel):
    prompt: int
    cached: int = Field(description="of the prompt, found computed from earlier")
    completion: int = Field(description="computed for the answer, its end token included")


class SourcePassage(BaseModel):
    """A passage of a document: `text` is the extracted text from `start` to `end`."""

    model_config = ConfigDict(from_attributes=True)

    n: int = Field(description="its number in this conversation")
    document_id: str
    source_document: str = Field(description="the document's name")
    page: int | None
    heading: str = Field(description='the headings above it, " > " between')
    start: int
    end: int
    score: float = Field(ge=0, le=1, description="how well it fits the question")
    text: str


class Citation(BaseModel):
    """What the documents say to a sentence of the answer. `text` is that version's extracted text from start to end."""

    model_config = ConfigDict(from_attributes=True)

    sentence: list[int] = Field(min_length=2, max_length=2, description="start and end in the answer")
    verdict: Literal["supported", "partial", "unsupported", "contradicted"]
    score: float = Field(ge=0, le=1)
    document_id: str | None = Field(description="null where no passage bears on the sentence")
    version: str | None = Field(description="sha256 of the document's bytes")
    source_document: str | None
    span: list[int] | None = Field(description="start and end in the extracted document")
    text: str | None
    source_gone: bool = Field(description="the document was removed or changed meanwhile")


class Cause(BaseModel):
    """A reason for a confidence, for programs."""

    model_config = ConfigDict(from_attributes=True)

    code: str
    value: float | None = Field(None, ge=0, le=1, description="the share that the sentence names, if it names one")


class Confidence(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    level: Literal["high", "medium", "low"]
    reasons: list[str] = Field(description="sentences for a person")
    causes: list[Cause] = Field(
        [], description="the same for programs, one for each; none with what is older than they"
    )


class FromCache(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    answered_at: str
    age_seconds: float


class Metadata(BaseModel):
    """How an answer came about."""

    source: str = Field(
        description='"llm": a model; "rag": the documents, in their own words; "cache": given before, and still good'
    )
    confidence_score: float = Field(ge=0, le=1, description="the probability that the answer is right; calibrated")
    confidence: Confidence | None = Field(
        description="null when the answer was stopped before it began, or went on with nothing to add"
    )
    citations: list[Citation] = Field(description="one for each sentence, where passages stood in the prompt")
    cache: FromCache | None = Field(description="of an answer that was given before")
    superseded_by: str | None = Field(None, description="the stream_id of the answer that takes this one's place")
    processing_time_ms: int
    rag_context_used: int = Field(description="passages in the prompt")
    sources: list[SourcePassage] = Field(description="the passages that fit the question and stand in the prompt")
    sources_omitted: list[SourcePassage] = Field(description="those that fit it too and found no room")
    model_used: str = Field(description="the local model that answered")
    model_requested: str = Field(description="the name asked for, or the default's")
    tokens: TokenCounts
    finish_reason: Literal["stop", "length", "cancelled", "error", "no_evidence"]
    messages_omitted: int = Field(description="messages of the conversation that did not fit the prompt")
    thoughts: str = Field("", description="what a model thought aloud before the answer; no part of it")
    message_id: str | None = Field(description="the answer's id in the history")


class Queued(OfQuestion):
    """`queued`: another question of this conversation is being answered. Said again when the place changes."""

    place: int = Field(description="1 is next")


class StreamStart(OfQuestion):
    query: str
    timestamp: str
    question_id: str | None = Field(description="the question's id in the history")
    message_id: str | None = Field(description="the answer's id in the history")
    replaces: str | None = Field(None, description="the stream_id of the answer that this one takes the place of")


class Sources(OfQuestion):
    """`sources`: what the answer will draw on, before its first token. Not sent when there is nothing."""

    sources: list[SourcePassage]


class Citations(OfQuestion):
    """`citations`: the answer's sentences, checked, before its closing event. Not sent where no passages were used."""

    citations: list[Citation]


class Progress(Push):
    """`progress`, of a stream: how far its prompt is read. Not numbered, not repeated by `resume`."""

    stream_id: str
    ref: Any = Field(description="the ref of the push that asked")
    read: int = Field(description="tokens of the prompt that are computed, those found computed included")
    total: int = Field(description="tokens of the prompt")


class StreamThought(OfQuestion):
    """`stream_thought`: a model thinks aloud, before its answer."""

    token: str = Field(description="append it as it is; all together are `metadata.thoughts`, exactly")


class StreamToken(OfQuestion):
    token: str = Field(description="append it as it is; all together are the answer, exactly")


class StreamComplete(OfQuestion):
    response: str
    metadata: Metadata
    timestamp: str


class Response(StreamComplete):
    """`response`: the whole answer to a `query`."""


class StreamError(Push):
    """`stream_error`, for a stream: refused (then without stream_id and seq), or ended by a failure."""

    error: str = Field(description="a sentence for a person")
    code: str
    message: str
    reason: str | None = None
    retry_after_ms: int | None = None
    stream_id: str | None = None
    ref: Any = None
    seq: int | None = None


class Error(Push):
    """`error`, for everything else."""

    error: str = Field(description="the code")
    message: str = Field(description="a sentence for a person")
    reason: str | None = None
    event: Any = Field(None, description="the event that is not known")
    retry_after_ms: int | None = None
    stream_id: str | None = None
    ref: Any = None
    seq: int | None = None


class QuestionAsked(Push):
    """`question`, to followers: another device asked. One that regenerates or continues has no `query` of its own."""

    stream_id: str
    query: str
    timestamp: str
    edits: str | None = Field(None, description="the id of the question in the place of which this one is asked")
    regenerates: str | None = Field(None, description="the id of the answer whose question is answered again")
    continues: str | None = Field(None, description="the id of the answer that goes on")


class HistoryMessage(BaseModel):
    id: str
    parent: str | None
    role: Literal["user", "assistant"]
    content: str
    status: Literal["complete", "streaming", "cancelled", "interrupted", "error"]
    metadata: dict[str, Any] = Field(description="of an answer: as in `response`; of a question: what its client sent")
    timestamp: str
    siblings: list[str] = Field(
        description="ids of the messages with the same parent and role, itself among them, the oldest first"
    )
    rating: Literal["up", "down"] | None = Field(description="what somebody said of the answer")


class History(Push):
    messages: list[HistoryMessage] = Field(description="oldest first")
    total_messages: int
    before: str | None = Field(description="as asked for: which part of the history this is")


class Branch(Push):
    """`branch`: the one through this message is the active one now. The history is another."""

    message_id: str


class Feedback(Push):
    """`feedback`: it is stored."""

    message_id: str
    rating: Literal["up", "down"] | None
    comment: str


class Pong(Push):
    timestamp: str


def error_push(error: Exception, **more: Any) -> Error:
    failure = describe(error)
    said = {"error": failure.code, "message": failure.message, "reason": reason(error)}
    return Error.model_validate({**said, **retry(error), **more})


def stream_error_push(error: Exception, **more: Any) -> StreamError:
    failure = describe(error)
    said = {"error": failure.message, "code": failure.code, "message": failure.message, "reason": reason(error)}
    return StreamError.model_validate({**said, **retry(error), **more})


def unknown_event(event: Any, ref: Any) -> Error:
    shown = str(event)[:80]
    return Error(error="unknown_event", message=f"There is no event {shown!r} on this channel.", event=event, ref=ref)


def reason(error: Exception) -> str:
    """The original wrote its reasons as Elixir atoms; the one its clients may know keeps its name."""
    return ":query_too_long" if isinstance(error, QueryTooLong) else f":{describe(error).code}"


def retry(error: Exception) -> dict[str, int]:
    return {"retry_after_ms": error.retry_after_ms} if isinstance(error, Overloaded) else {}


PUSHES: dict[str, type[Push]] = {
    "response": Response,
    "stream_start": StreamStart,
    "sources": Sources,
    "citations": Citations,
    "progress": Progress,
    "stream_thought": StreamThought,
    "stream_token": StreamToken,
    "stream_complete": StreamComplete,
    "stream_error": StreamError,
    "queued": Queued,
    "question": QuestionAsked,
    "history": History,
    "branch": Branch,
    "feedback": Feedback,
    "pong": Pong,
    "error": Error,
}
