"""What clients are told over HTTP of answers, and of those that are kept. See docs/http.md."""

from typing import Literal

from pydantic import BaseModel, Field


class FeedbackTaken(BaseModel):
    """`POST /api/feedback`: it is stored."""

    message_id: str
    rating: Literal["up", "down"] | None
    comment: str


class CacheStats(BaseModel):
    """`GET /api/cache/stats`."""

    enabled: bool
    entries: int
    max_entries: int
    hours: float
    rephrased: bool
    characters: int = Field(description="of all answers kept")
    hits: int = Field(description="times an answer that is kept was given again")
    oldest: str | None
    newest: str | None


class Cleared(BaseModel):
    """`DELETE /api/cache`."""

    deleted: int
