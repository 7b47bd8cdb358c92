"""What OpenAI's API answers, as types, and the parts of a stream.

Beside OpenAI's own fields stand `citations`, `sources` and `confidence` of ours; clients ignore what they do not know.
"""

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

COMPACT = (",", ":")
FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]
IMPOSSIBLE = -9999.0


class Told(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PromptDetails(Told):
    cached_tokens: int


class Usage(Told):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails


class ToldFunction(Told):
    name: str
    arguments: str


class ToldCall(Told):
    index: int | None = None  # in streams only
    id: str
    type: Literal["function"] = "function"
    function: ToldFunction


def finite(logprob: float) -> float:
    """JSON has no infinity; OpenAI says -9999.0 of a token that is all but impossible."""
    return max(IMPOSSIBLE, logprob)


class Alternative(Told):
    token: str
    bytes: list[int] | None
    logprob: Annotated[float, AfterValidator(finite)]


class TokenLogprob(Alternative):
    top_logprobs: list[Alternative]


class Logprobs(Told):
    content: list[TokenLogprob]


class TextLogprobs(Told):
    """Of a text completion, in the older shape."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


class ChatAnswer(Told):
    role: Literal["assistant"] = "assistant"
    content: str | None
    reasoning_content: str | None = None
    tool_calls: list[ToldCall] | None = None
    citations: list[dict[str, Any]] | None = None

    @model_serializer(mode="wrap")
    def content_stays(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What is absent is left out, but for the content, which is null beside calls."""
        told: dict[str, Any] = serialize(self)
        return {"role": self.role, "content": self.content, **{k: v for k, v in told.items() if v is not None}}


class ChatChoice(Told):
    index: int
    message: ChatAnswer
    logprobs: Logprobs | None = None
    finish_reason: FinishReason


class Confidence(Told):
    score: float
    level: str
    reasons: list[str]


class ChatCompletion(Told):
    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage
    system_fingerprint: str
    sources: list[dict[str, Any]] | None = None
    confidence: Confidence | None = None


class TextChoice(Told):
    index: int
    text: str
    logprobs: TextLogprobs | None = None
    finish_reason: FinishReason


class TextCompletion(Told):
    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[TextChoice]
    usage: Usage
    system_fingerprint: str


class Embedding(Told):
    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str  # base64 of little-endian float32


class EmbeddingUsage(Told):
    prompt_tokens: int
    total_tokens: int


class Embeddings(Told):
    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage


class ModelCard(Told):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["neuralbridge"] = "neuralbridge"
    served: str  # the local model that answers
    context: int | None = None  # tokens


class ModelList(Told):
    object: Literal["list"] = "list"
    data: list[ModelCard]


class Resolved(Told):
    """Where a name leads, by which rule, and what was tried before."""

    requested: str
    served: str
    kind: Literal["chat", "embedding"]
    rule: str
    tried: list[str]
    params: dict[str, Any]
    drop_params: list[str]
    force_params: dict[str, Any]
    system_prompt: str | None
    retrieval: str
    cache: bool
    fallbacks: list[str]
    context_window_fallbacks: list[str]
    echo: str
    loaded: bool | None = None  # null for the embedder, which comes when it is needed


class ErrorBody(Told):
    message: str
    type: str
    param: str | None
    code: str


class ErrorReply(Told):
    error: ErrorBody


class Chunks:
    """Writes the parts of one stream. What is the same in all of them is written once: there are many.

    They are ASCII: some clients take other characters than line feeds for the end of a line, as U+2028.
    """

    def __init__(self, id: str, kind: str, created: int, model: str, fingerprint: str) -> None:
        head = {"id": id, "object": kind, "created": created, "model": model, "system_fingerprint": fingerprint}
        self._head = json.dumps(head, separators=COMPACT)[:-1]

    def text(self, index: int, text: str) -> bytes:
        """A part of a chat answer: the one there are most of."""
        delta = f'"choices":[{{"index":{index},"delta":{{"content":{json.dumps(text)}}}'
        return f'data: {self._head},{delta},"logprobs":null,"finish_reason":null}}]}}\n\n'.encode()

    def choice(self, index: int, finish_reason: str | None = None, **fields: Any) -> bytes:
        """A choice with the fields given."""
        return self.part(choices=[{"index": index, **fields, "finish_reason": finish_reason}])

    def part(self, **fields: Any) -> bytes:
        return f"data: {self._head},{json.dumps(fields, separators=COMPACT)[1:]}\n\n".encode()


def failure(error: ErrorReply) -> bytes:
    """An error in the middle of a stream."""
    return f"data: {json.dumps(error.model_dump())}\n\n".encode()


DONE = b"data: [DONE]\n\n"
