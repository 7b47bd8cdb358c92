"""What clients ask on the channel, parsed once into types. Unknown keys are ignored: clients send many."""

import json
import math
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo

from neuralbridge.errors import InvalidParams, InvalidQuery, QueryTooLong
from neuralbridge.protocol.frames import MAX_DEPTH, Json, has_lone_surrogate
from neuralbridge.types import Params, Retrieval

LONGEST_QUERY = 32_000  # characters
LONGEST_SESSION_ID = 255  # characters, as the original's database had it
METADATA_BYTES = 64 * 1024  # of a question; the history tells them again with every page
Request = TypeVar("Request", bound=BaseModel)


def writable(metadata: dict[str, Any]) -> dict[str, Any]:
    """Raises ValueError for what could be read and not be written as JSON again."""
    left: list[tuple[object, int]] = [(metadata, 1)]
    while left:
        value, level = left.pop()
        if level > MAX_DEPTH:
            raise ValueError(f"it has more than {MAX_DEPTH} levels")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError("it has a number that JSON does not know")
        if isinstance(value, dict | list):
            left += [(inner, level + 1) for inner in (value.values() if isinstance(value, dict) else value)]
    return metadata


Kept = Annotated[dict[str, Any], AfterValidator(writable)]


def no_longer_than(limit: int) -> AfterValidator:
    """A check of what is kept and told again: whoever is told would have to bear any size."""

    def check(metadata: dict[str, Any] | None, info: ValidationInfo) -> dict[str, Any] | None:
        """Raises InvalidParams: the size says more than the beginning of what was sent."""
        size = len(json.dumps(metadata, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        if metadata is not None and size > limit:
            name = info.field_name
            raise InvalidParams(f"{name} has {size:,} bytes as JSON; at most {limit:,} are allowed.", name)
        return metadata

    return AfterValidator(check)


class Wanted(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)


def whole_characters(text: str) -> str:
    """Raises ValueError."""
    if has_lone_surrogate(text):
        raise ValueError("it has half of a surrogate pair")
    return text


MessageId = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(whole_characters)]


class Parametrised(Params):
    model_config = ConfigDict(extra="ignore")

    @property
    def params(self) -> Params:
        return Params.model_construct(**{name: getattr(self, name) for name in Params.model_fields})


class QueryRequest(Parametrised):
    """`query` and `stream_query`. A parameter that is null counts as absent."""

    query: str = Field(description=f"a text of 1 to {LONGEST_QUERY:,} characters")
    model: str | None = Field(None, min_length=1, max_length=200, description="a model name of 1 to 200 characters")
    metadata: Annotated[Kept | None, no_longer_than(METADATA_BYTES)] = Field(
        None,
        description=f"an object of up to {MAX_DEPTH} levels and {METADATA_BYTES:,} bytes, without infinite numbers",
    )
    retrieval: Retrieval | None = Field(None, description='"auto", "off" or "strict"')
    cache: bool | None = Field(None, description="true or false")
    edits: MessageId | None = Field(None, description="the id of a question, in the place of which this one is asked")


class RegenerateRequest(Parametrised):
    """`regenerate`: another answer to the same question. A parameter that is null counts as absent."""

    message_id: MessageId = Field(description="the id of an answer")
    model: str | None = Field(None, min_length=1, max_length=200, description="a model name of 1 to 200 characters")
    retrieval: Retrieval | None = Field(None, description='"auto", "off" or "strict"')


class ContinueRequest(Wanted):
    """`continue`: an answer that ended before its end goes on."""

    message_id: MessageId = Field(description="the id of an answer")


class SelectRequest(Wanted):
    """`select`: the branch that goes through this message becomes the active one."""

    message_id: MessageId = Field(description="the id of a message")


class HistoryRequest(Wanted):
    """`get_history`: the last messages, or those before one of them."""

    limit: int = Field(50, ge=1, le=500, description="a whole number from 1 to 500")
    before: str | None = Field(None, description="the id of a message")


class StopRequest(Wanted):
    """`stop`: the running answer, or the one named."""

    stream_id: str | None = Field(None, description="a stream_id")


class FeedbackRequest(Wanted):
    """`feedback`, and POST /api/feedback: what somebody thinks of an answer. The last word counts."""

    message_id: str = Field(min_length=1, max_length=64, description="the id of an answer")
    rating: Literal["up", "down"] | None = Field(None, description='"up", "down", or null to take it back')
    comment: str = Field("", max_length=4_000, description="a text of up to 4,000 characters")

    @property
    def value(self) -> int:
        """1, -1, or 0 for none."""
        return {"up": 1, "down": -1, None: 0}[self.rating]


class ResumePoint(Wanted):
    """Where a client's connection broke: the last event it got of an answer."""

    stream_id: str = Field(description="a stream_id")
    seq: int = Field(ge=0, description="the seq of the last event received")


class JoinRequest(Wanted):
    """The payload of `phx_join`. What is not understood is not held against the client."""

    user_id: Any = Field(None, description="a label for the user")
    auth_token: Any = Field(None, description="the token, where the server asks for one and the socket had none")
    resume: Any = Field(None, description="{stream_id, seq}: go on after this event")
    follow: Any = Field(None, description="true: hear also what other devices of this conversation ask and get")


def parse_query(payload: Json) -> QueryRequest:
    """Raises InvalidQuery for the text, InvalidParams naming the first wrong field and its range."""
    return parse(QueryRequest, check_query(payload))


def check_query(payload: Json) -> Json:
    """A payload with a text to ask. Raises InvalidQuery."""
    if not isinstance(payload, dict):
        raise InvalidQuery("The payload must be an object with a query.")
    query = payload.get("query")
    if not isinstance(query, str) or not query.strip():
        raise InvalidQuery("The query must be a text that is not blank.")
    if has_lone_surrogate(query):
        raise InvalidQuery("The query must be a text of whole characters, without half of a surrogate pair.")
    if len(query) > LONGEST_QUERY:
        raise QueryTooLong(f"The query has {len(query):,} characters; at most {LONGEST_QUERY:,} are allowed.")
    return payload


def parse(model: type[Request], payload: Json) -> Request:
    """A request of the given kind. Raises InvalidParams naming the first wrong field, its value and its range."""
    try:
        return model.model_validate(payload if isinstance(payload, dict) else {})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        value = repr(payload[name]) if isinstance(payload, dict) and name in payload else "missing"
        shown = value if len(value) <= 60 else value[:57] + "..."
        raise InvalidParams(f"{name} must be {model.model_fields[name].description}, not {shown}.", name) from error


def parse_resume(join: JoinRequest) -> ResumePoint | None:
    """Where to resume; None when the client did not say, or said nothing that can be understood."""
    try:
        return ResumePoint.model_validate(join.resume)
    except ValidationError:
        return None
