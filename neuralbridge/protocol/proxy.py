"""The HTTP API of the original: a question at once, health and figures. See docs/http.md."""

from typing import Any, Literal

from pydantic import BaseModel, Field, field_validator

from neuralbridge.errors import BridgeError, InvalidParams, InvalidQuery, Overloaded, PromptTooLong
from neuralbridge.protocol.answers import CacheStats
from neuralbridge.protocol.frames import Json
from neuralbridge.protocol.pushes import Metadata
from neuralbridge.protocol.requests import LONGEST_SESSION_ID, QueryRequest, check_query, parse


class ProxyQuery(QueryRequest):
    """`POST /api/proxy/query`. A field that is null counts as absent."""

    session_id: str | None = Field(
        None,
        min_length=1,
        max_length=LONGEST_SESSION_ID,
        description=f"a text of 1 to {LONGEST_SESSION_ID} characters without the character 0",
    )
    user_id: str | None = Field(None, max_length=255, description="a label for the user of up to 255 characters")

    @field_validator("session_id")
    @classmethod
    def no_null(cls, value: str | None) -> str | None:
        if value is not None and "\0" in value:
            raise ValueError("it has the character 0")
        return value

    @property
    def labelled(self) -> dict[str, Any]:
        """What is kept with the question."""
        return {**({"user_id": self.user_id} if self.user_id else {}), **(self.metadata or {})}


class QueryAnswered(BaseModel):
    """The whole answer. `session_id` continues the conversation, here and on the channel."""

    success: Literal[True] = True
    session_id: str
    response: str
    metadata: Metadata
    timestamp: str


class Refused(BaseModel):
    """What goes wrong with `/api/proxy` and `/api/conversations`."""

    success: Literal[False] = False
    error: str = Field(description="the code")
    message: str = Field(description="a sentence for a person")
    details: dict[str, Any] = Field(description="what a program can use: param, tokens and limit, retry_after_ms")


class Component(BaseModel):
    """A part of the server. `reason` says why it is not well, `waiting` what waits for it."""

    status: Literal["ok", "loading", "off", "unavailable", "failed", "stalled"]
    reason: str | None = None
    waiting: int | None = None


class Components(BaseModel):
    models: Component
    documents: Component
    database: Component
    cache: Component


class ConfigState(BaseModel):
    """Of the configuration's file as it is now."""

    error: str | None = Field(description="what is wrong with it, with line and column")
    pending: list[str] = Field(description="the settings in it that wait for a restart")


class Health(BaseModel):
    """`GET /api/proxy/health`."""

    status: Literal["ok", "loading", "degraded"]
    version: str
    uptime_seconds: float
    models: list[str]
    answers_under_way: int
    sockets: int
    outgoing_connections: int = Field(description="attempts to leave this machine, since the start")
    config: ConfigState
    components: Components


class QuestionCounts(BaseModel):
    total: int
    by_source: dict[str, int] = Field(description="of answers: llm, rag, cache")
    by_status: dict[str, int] = Field(description="finish_reason of answers, the code of failures")


class MeanTimes(BaseModel):
    answer_ms: float | None = Field(description="from question to answer, null before the first")
    by_source: dict[str, float]


class TokenSums(BaseModel):
    prompt: int
    cached: int = Field(description="of the prompts, found computed from earlier")
    completion: int


class Stats(BaseModel):
    """`GET /api/proxy/stats`: questions since the start, and what there is."""

    success: Literal[True] = True
    uptime_seconds: float
    questions: QuestionCounts | None = Field(description="of everybody, so null for who is no admin; and the next two")
    mean: MeanTimes | None
    tokens: TokenSums | None
    conversations: int
    messages: int
    documents: int
    cache: CacheStats


def parse_proxy_query(payload: Json) -> ProxyQuery:
    """Raises InvalidQuery for the text, InvalidParams naming the first wrong field and its range."""
    return parse(ProxyQuery, check_query(payload))


def details_of(error: BridgeError) -> dict[str, Any]:
    match error:
        case InvalidParams(param=str(param)):
            return {"param": param}
        case InvalidQuery():
            return {"param": "query"}
        case PromptTooLong():
            return {"tokens": error.tokens, "limit": error.limit}
        case Overloaded():
            return {"retry_after_ms": error.retry_after_ms}
        case _:
            return {}
