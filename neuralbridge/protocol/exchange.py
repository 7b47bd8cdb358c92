"""What conversations look like in files: our own JSON Lines, and ChatGPT's export. See docs/http.md."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from neuralbridge.errors import InvalidRequest
from neuralbridge.protocol.requests import LONGEST_SESSION_ID, Kept
from neuralbridge.types import Speaker, Status

LONGEST_MESSAGE = 1_000_000  # characters
LONGEST_GIVEN_TITLE = 200
MOST_MESSAGES = 100_000  # of one conversation
TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$"

Name = Annotated[str, Field(min_length=1, max_length=64)]
Time = Annotated[str, Field(pattern=TIME)]
Model = TypeVar("Model", bound=BaseModel)


class Read(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)


class PassageLine(Read):
    """A passage that the model was shown with a question."""

    model_config = ConfigDict(extra="forbid")

    n: int
    document_id: str
    source_document: str
    page: int | None
    heading: str
    start: int
    end: int
    score: float
    text: str
    version: str = ""


class MessageLine(Read):
    id: Name
    parent: Name | None = None
    role: Speaker
    content: str = Field(max_length=LONGEST_MESSAGE)
    status: Status = "complete"
    metadata: Kept = Field(default_factory=dict)
    created_at: Time
    context: list[PassageLine] = Field(default_factory=list)

    @field_validator("metadata")
    @classmethod
    def readable(cls, value: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(value.get("confidence"), dict | None):
            raise ValueError("metadata.confidence must be an object")
        return value


class ConversationLine(Read):
    """A line of our JSON Lines: a conversation with all its branches. Each message stands after its parent."""

    type: Literal["conversation"]
    version: Literal[1]
    session_id: str = Field(min_length=1, max_length=LONGEST_SESSION_ID)
    title: str | None = Field(None, min_length=1, max_length=LONGEST_GIVEN_TITLE)
    pinned: bool = False
    created_at: Time
    updated_at: Time
    leaf: Name | None = Field(None, description="the last message of the active branch")
    messages: list[MessageLine] = Field(max_length=MOST_MESSAGES)

    @field_validator("session_id")
    @classmethod
    def no_null(cls, value: str) -> str:
        if "\0" in value:
            raise ValueError("it must not contain the character 0")
        return value

    @model_validator(mode="after")
    def hangs_together(self) -> "ConversationLine":
        seen: set[str] = set()
        for message in self.messages:
            if message.id in seen:
                raise ValueError(f"message {message.id} is there twice")
            if message.parent is not None and message.parent not in seen:
                raise ValueError(f"the parent of message {message.id} does not stand before it")
            seen.add(message.id)
        if (self.leaf is None) != (not self.messages) or (self.leaf is not None and self.leaf not in seen):
            raise ValueError("leaf must be the id of one of its messages")
        return self


class ChatGptAuthor(Read):
    role: str


class ChatGptContent(Read):
    content_type: str
    parts: list[Any] | None = None


class ChatGptMessage(Read):
    author: ChatGptAuthor
    content: ChatGptContent
    create_time: float | None = None
    recipient: str | None = None
    metadata: dict[str, Any] | None = None


class ChatGptNode(Read):
    message: ChatGptMessage | None = None
    parent: str | None = None


class ChatGptConversation(Read):
    """A conversation of ChatGPT's `conversations.json`: nodes by their ids, which make a tree."""

    mapping: dict[str, ChatGptNode] = Field(max_length=2 * MOST_MESSAGES)
    conversation_id: str | None = Field(None, max_length=200)
    id: str | None = Field(None, max_length=200)
    title: Any = None
    create_time: float | None = None
    update_time: float | None = None
    current_node: str | None = None

    @property
    def name(self) -> str | None:
        return self.conversation_id or self.id


class NotTaken(BaseModel):
    """What could not be imported."""

    where: str = Field(description="its name, or its place in the file")
    reason: str = Field(description="a sentence for a person")


class ImportReport(BaseModel):
    """`POST /api/conversations/import`."""

    success: Literal[True] = True
    imported: int = Field(0, description="conversations that are new here")
    extended: int = Field(0, description="conversations that were here and got messages")
    unchanged: int = Field(0, description="conversations that were here whole")
    messages: int = Field(0, description="messages that are new here")
    refused: int = Field(0, description="what could not be imported")
    refusals: list[NotTaken] = Field(default_factory=list, description="the first 100 of these")


def checked(model: type[Model], given: object) -> Model:
    """Raises InvalidRequest naming the first wrong place."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        says = first["msg"].removeprefix("Value error, ")
        raise InvalidRequest(f"{place[:100]}: {says}." if place else f"{says}.") from error
