"""OpenAI's HTTP API as types: what clients send, what they get. The field names and values are OpenAI's.

Unknown fields are ignored, as clients send many; those of OpenAI's that have no meaning here are named in a warning.
"""

import json
import re
from collections.abc import Iterator
from reprlib import Repr
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
    model_validator,
)
from pydantic.config import JsonDict
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError

from neuralbridge.errors import InvalidParams
from neuralbridge.types import Params, Retrieval

MAX_CHOICES = 8
MAX_MESSAGES = 2_000
MAX_TOOLS = 128
LONGEST_ID = 1_000  # characters: some servers put more than a number into the id of a call
MAX_INPUTS = 2_048  # texts of one embeddings request, as OpenAI has it
MAX_PARTS = 2_000  # of one message
MAX_BIASES = 1_024
MAX_DEPTH = 64  # of a schema: everything that reads it goes down into it
ANY = ("seed", "max_tokens", "max_completion_tokens", "top_k")
UNSUPPORTED = (  # fields of OpenAI's API that would change the answer there, and do not here
    *("audio", "best_of", "function_call", "functions", "modalities", "moderation", "prediction", "reasoning_effort"),
    *("service_tier", "store", "verbosity", "web_search_options"),
)
NO_TEXTS = (
    "input holds token ids, which only the model that made them can read. Send texts instead: in LangChain, "
    "OpenAIEmbeddings(check_embedding_ctx_length=False)."
)
Received = TypeVar("Received", bound="Body")
Text = Annotated[str, Field(max_length=4 * 1024 * 1024)]


def readable(schema: dict[str, Any]) -> dict[str, Any]:
    """Raises ValueError for what is nested too deeply, or holds half a character: pydantic looks at neither."""
    for value in within(schema):
        if isinstance(value, str) and HALF.search(value):
            raise ValueError("of texts of whole characters")
    return schema


def shallow(arguments: str) -> str:
    """Raises ValueError for JSON that is nested too deeply. Other texts pass: models write what they write."""
    try:
        value = json.loads(arguments)
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    except ValueError:
        return arguments
    for _ in within(value):
        pass
    return arguments


def within(value: object) -> Iterator[object]:
    """A JSON value and everything in it. Raises ValueError for what is nested too deeply."""
    left = [(value, 1)]
    while left:
        value, depth = left.pop()
        if depth > MAX_DEPTH:
            raise ValueError(TOO_DEEP)
        yield value
        if isinstance(value, dict):
            left += [(each, depth + 1) for pair in value.items() for each in pair]
        elif isinstance(value, list):
            left += [(each, depth + 1) for each in value]


HALF = re.compile("[\ud800-\udfff]")  # a character, without its other half
TOO_DEEP = f"nested at most {MAX_DEPTH} levels deep"
Schema = Annotated[dict[str, Any], AfterValidator(readable)]
Arguments = Annotated[Text, AfterValidator(shallow)]


NULL, LESS_THAN_NONE = {"type": "null"}, {"const": -1}
NOT_EMPTY: JsonDict = {"minLength": 1, "minItems": 1}  # said to clients here, and found where it is read


def few(biases: object) -> object:
    """Looks at the number before anybody looks at each: pydantic would complain of every one of a million."""
    if isinstance(biases, dict) and len(biases) > MAX_BIASES:
        raise PydanticCustomError("too_many", "too many")
    return biases


Bias = Annotated[float, Field(ge=-100, le=100)]
Biases = Annotated[dict[str, Bias], BeforeValidator(few)]


class Body(BaseModel):
    """A request's body. A field that is null counts as absent."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def null_is_absent(cls, value: object) -> object:
        return {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The document has what counts as absent, too."""
        told = handler(core)
        schema = handler.resolve_ref_schema(told)
        for name in schema["properties"].keys() - schema.get("required", ()):
            field = schema["properties"][name]
            absent = [NULL, LESS_THAN_NONE] if name in ANY else [NULL]
            schema["properties"][name] = {
                "anyOf": [field, *(each for each in absent if each not in field.get("anyOf", ()))]
            }
        return told


class TextPart(Body):
    type: Literal["text"]
    text: Text


class ImagePart(Body):
    type: Literal["image_url", "input_audio", "file"]


Part = Annotated[TextPart | ImagePart, Field(discriminator="type")]


class CalledFunction(Body):
    name: str = Field(min_length=1, max_length=200)
    arguments: Arguments = "{}"  # JSON, as the model wrote it


class ToolCall(Body):
    """A call that the assistant made earlier."""

    id: str = Field("", max_length=LONGEST_ID)
    type: Literal["function"] = "function"
    function: CalledFunction


class Message(Body):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Text | Annotated[list[Part], Field(max_length=MAX_PARTS, fail_fast=True)] = Field(
        "", description="a text, or a list of parts with a type"
    )
    tool_calls: list[ToolCall] = Field([], max_length=MAX_TOOLS, fail_fast=True)
    tool_call_id: str | None = Field(None, max_length=LONGEST_ID)

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content if isinstance(part, TextPart))

    @property
    def foreign(self) -> str | None:
        """The type of the first part that is no text."""
        parts = self.content if isinstance(self.content, list) else []
        return next((part.type for part in parts if isinstance(part, ImagePart)), None)


class Function(Body):
    name: str = Field(pattern=r"^[a-zA-Z0-9_.-]{1,64}$")
    description: str = Field("", max_length=32_768)
    parameters: Schema = {"type": "object", "properties": {}}


class Tool(Body):
    type: Literal["function"]
    function: Function


class NamedTool(Body):
    type: Literal["function"]
    function: CalledFunction


class JsonSchema(Body):
    name: str = ""
    schema_: Schema = Field({}, alias="schema")
    strict: bool = False


class ResponseFormat(Body):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None

    @model_validator(mode="after")
    def has_its_schema(self) -> "ResponseFormat":
        if self.type == "json_schema" and self.json_schema is None:
            place = "response_format.json_schema"
            raise InvalidParams(f"{place} must be given with the type json_schema, not missing.", place)
        return self


class StreamOptions(Body):
    include_usage: bool = False


class Choosing(Params, Body):
    """What chat and text completions have in common: which model, how its words are chosen, and in what form."""

    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def less_than_none_is_absent(cls, value: object) -> object:
        """Clients of llama.cpp write -1 for "as you like"."""
        if not isinstance(value, dict):
            return value
        return {k: v for k, v in value.items() if k not in ANY or v != -1 or isinstance(v, bool | float)}

    model: str | None = Field(None, max_length=10_000, description="a model name")
    stream: bool = Field(False, description="true or false")
    stream_options: StreamOptions = Field(StreamOptions(), description="an object such as {include_usage: true}")
    n: int = Field(1, ge=1, le=MAX_CHOICES, description=f"a whole number from 1 to {MAX_CHOICES}")
    logit_bias: Biases = Field(
        {}, description=f"an object of up to {MAX_BIASES:,} token ids with numbers from -100 to 100"
    )
    retrieval: Retrieval | None = Field(None, description='"auto", "off" or "strict"')

    @property
    def params(self) -> Params:
        return Params.model_construct(**{name: getattr(self, name) for name in Params.model_fields})

    @property
    def biases(self) -> tuple[tuple[int, float], ...]:
        """Raises InvalidParams for what is no token id."""
        for token in self.logit_bias:
            if not token.isascii() or not token.isdecimal() or len(token) > 9:
                raise InvalidParams(f"logit_bias must have token ids for keys, not {token[:40]!r}.", "logit_bias")
        return tuple((int(token), bias) for token, bias in self.logit_bias.items())


class ChatRequest(Choosing):
    """POST /v1/chat/completions."""

    messages: list[Message] = Field(
        min_length=1,
        max_length=MAX_MESSAGES,
        fail_fast=True,
        description=f"a list of 1 to {MAX_MESSAGES:,} messages with role and content",
    )
    max_completion_tokens: int | None = Field(
        None, ge=1, le=1_000_000, description="a whole number from 1 to 1,000,000"
    )
    logprobs: bool = Field(False, description="true or false")
    top_logprobs: int = Field(0, ge=0, le=20, description="a whole number from 0 to 20")
    response_format: ResponseFormat = Field(
        ResponseFormat(type="text"), description="an object with the type text, json_object or json_schema"
    )
    tools: list[Tool] = Field(
        [], max_length=MAX_TOOLS, fail_fast=True, description=f"a list of up to {MAX_TOOLS} functions"
    )
    tool_choice: Literal["none", "auto", "required"] | NamedTool = Field(
        "auto", description='"none", "auto", "required" or a function of tools'
    )
    parallel_tool_calls: bool = Field(True, description="true or false")

    @property
    def params(self) -> Params:
        params = super().params
        return params.model_copy(update={"max_tokens": self.max_completion_tokens or params.max_tokens})


class CompletionRequest(Choosing):
    """POST /v1/completions: the prompt goes to the model as it stands, special tokens included."""

    prompt: Text | Annotated[list[Text], Field(max_length=MAX_INPUTS, fail_fast=True)] = Field(
        description="a text, or a list of texts", json_schema_extra=NOT_EMPTY
    )
    logprobs: int | None = Field(None, ge=0, le=20, description="a whole number from 0 to 20")
    echo: bool = Field(False, description="true or false")
    suffix: str | None = Field(None, description="a text")


class EmbeddingsRequest(Body):
    """POST /v1/embeddings."""

    model: str | None = Field(None, max_length=10_000, description="a model name")
    input: Text | Annotated[list[Text], Field(max_length=MAX_INPUTS, fail_fast=True)] = Field(
        description=f"a text, or a list of up to {MAX_INPUTS:,} texts", json_schema_extra=NOT_EMPTY
    )
    encoding_format: Literal["float", "base64"] = Field("float", description='"float" or "base64"')
    dimensions: int | None = Field(None, ge=1, le=65_536, description="a whole number from 1")

    @model_validator(mode="before")
    @classmethod
    def are_texts(cls, value: object) -> object:
        given = value.get("input") if isinstance(value, dict) else None
        if isinstance(given, list) and given and isinstance(given[0], int | list):
            raise InvalidParams(NO_TEXTS, "input")
        return value


class ResolveRequest(Body):
    """GET /v1/models/resolve."""

    model: str = Field(min_length=1, max_length=10_000, description="a name to resolve")
    kind: Literal["chat", "embedding"] = Field("chat", description='"chat" or "embedding"')


def read(model: type[Received], body: object) -> Received:
    """A request of that kind. Raises InvalidParams naming the first wrong field, its value and what it may be."""
    if not isinstance(body, dict):
        raise InvalidParams("The body must be an object.")
    try:
        return model.model_validate(body)
    except ValidationError as failed:
        error, place, value = gravest(failed.errors(include_url=False, include_input=False), body)
        shown = "missing" if value is MISSING else shorten(SHORT.repr(value))
        what = named(place)
        raise InvalidParams(f"{what} must be {expectation(model, error, place)}, not {shown}.", what) from None


def gravest(errors: list[ErrorDetails], body: dict[str, Any]) -> tuple[ErrorDetails, list[str | int], Any]:
    """The first error with its place and value. Of the kinds of value that a place may have, what came closest says
    most.
    """
    placed = [(error, *found(body, error["loc"])) for error in errors]
    first = placed[0][1]
    return max((each for each in placed if each[1][: len(first)] == first), key=lambda each: len(each[1]))


def found(body: Any, place: tuple[str | int, ...]) -> tuple[list[str | int], Any]:
    """The parts of a pydantic place that are in the body (others name the types it tried), and what stands there."""
    real: list[str | int] = []
    for part in place:
        if isinstance(body, dict) and (part in body or part in FIELDS):
            body = body.get(part, MISSING)
        elif isinstance(body, list) and isinstance(part, int) and part < len(body):
            body = body[part]
        else:
            continue
        real.append(part)
    return real, body


def unsupported(body: dict[str, Any]) -> list[str]:
    """The fields of a body that OpenAI knows, and that change nothing here."""
    return [name for name in UNSUPPORTED if body.get(name) not in (None, False, "auto")]


def named(place: list[str | int]) -> str:
    """A place in the body as OpenAI writes it: `messages[0].role`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{shorten(part)}" for part in place)
    return text.removeprefix(".") or "the body"


def shorten(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def expectation(model: type[Body], error: ErrorDetails, place: list[str | int]) -> str:
    """What follows "must be": as the field's description says it, or else pydantic."""
    described = description(model, place)
    if described and error["type"] != "value_error":
        return described
    if error["type"] in EXPECTED:
        return EXPECTED[error["type"]]
    text = re.sub(r"^(Value error, |Input should be )", "", error["msg"])
    text = re.sub(r"^(\w+) should have ", r"a \1 with ", text[:1].lower() + text[1:])
    return re.sub(r"^(\w+) should match pattern ", r"a \1 of the pattern ", text)


def description(model: type[Body], place: list[str | int]) -> str | None:
    """What the field may be, where that is said: of the request, or of a message in it."""
    match place:
        case [str(name)]:
            field = model.model_fields.get(name)
        case ["messages", int(), str(name)]:
            field = Message.model_fields.get(name)
        case _:
            field = None
    return field.description if field else None


EXPECTED = {  # by pydantic's kinds of error, in other words than its own
    "missing": "given",
    "string_type": "a text",
    "string_unicode": "a text of whole characters",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "union_tag_not_found": "an object with a type",
    "union_tag_invalid": "an object with the type text, image_url, input_audio or file",
}
SHORT = Repr()
SHORT.maxstring = SHORT.maxlong = 60
MISSING = object()
KINDS: tuple[type[Body], ...] = (
    *(ChatRequest, CompletionRequest, EmbeddingsRequest, Message, ToolCall, CalledFunction, Tool, Function, NamedTool),
    *(TextPart, ResponseFormat, StreamOptions),
)
FIELDS = {name for kind in KINDS for name in kind.model_fields} | {"schema"}
