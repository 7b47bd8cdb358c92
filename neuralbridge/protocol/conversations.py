"""What clients ask about conversations over HTTP, and are told. The models are the documentation: docs/http.md."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from neuralbridge.protocol.exchange import LONGEST_GIVEN_TITLE

LONGEST_SEARCH = 1_000


class Asked(BaseModel):
    """In a query string: a number stands there as text and is read as one."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ListRequest(Asked):
    """`GET /api/conversations`: all, or those in which all words of `q` were said."""

    limit: int = Field(50, ge=1, le=500, description="a whole number from 1 to 500")
    offset: int = Field(0, ge=0, le=10**9, description="a whole number, not negative")
    q: str = Field("", max_length=LONGEST_SEARCH, description=f"a text of up to {LONGEST_SEARCH:,} characters")


class HistoryPage(Asked):
    """`GET /api/conversations/{session_id}/history`: the last messages, or those before one of them."""

    limit: int = Field(50, ge=1, le=500, description="a whole number from 1 to 500")
    before: str | None = Field(None, max_length=64, description="the id of a message")


class ExportRequest(Asked):
    """`GET …/export`."""

    format: Literal["markdown", "jsonl"] = Field("jsonl", description='"markdown" or "jsonl"')


class ConversationEdit(BaseModel):
    """`PATCH /api/conversations/{session_id}`: what is left out stays as it is."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    title: str | None = Field(
        None,
        max_length=LONGEST_GIVEN_TITLE,
        description=f"a text of 1 to {LONGEST_GIVEN_TITLE} characters that is not blank, or null: its first question",
    )
    pinned: bool | None = Field(None, description="true or false")

    @field_validator("title")
    @classmethod
    def not_blank(cls, value: str | None) -> str | None:
        if value is not None and not value.strip():
            raise ValueError("it is blank")
        return value


class Told(BaseModel):
    model_config = ConfigDict(from_attributes=True, extra="forbid")


class MatchedMessage(Told):
    """A message in which all words were said."""

    message_id: str
    role: Literal["user", "assistant"]
    snippet: str = Field(description="a part of it")
    marks: list[Annotated[list[int], Field(min_length=2, max_length=2)]] = Field(
        description="where in the snippet the words are, start and end"
    )
    timestamp: str


class ConversationEntry(Told):
    session_id: str
    title: str = Field(description="its first question, shortened, unless it was renamed")
    pinned: bool
    messages: int = Field(description="on its active branch")
    created_at: str
    updated_at: str = Field(description="when something was asked last")
    matches: list[MatchedMessage] = Field(description="of a search, up to three, the best first")


class ConversationList(Told):
    conversations: list[ConversationEntry]
    total: int
