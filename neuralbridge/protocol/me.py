"""What a user is told of everything of theirs. The models are the documentation: docs/http.md."""

from typing import Literal

from pydantic import BaseModel, Field

ELSEWHERE = "What `neuralbridge backup` wrote lies where it was put, and still has everything."


class Forgotten(BaseModel):
    """`DELETE /api/me`: what there was and is no more."""

    success: Literal[True] = True
    user: str
    conversations: int
    messages: int
    feedback: int
    cached_answers: int
    documents: int
    passages: int
    jobs: int
    uploads: int = Field(description="files that were waiting to be read")
    scrubbed: bool = Field(description="whether nothing of it is left in the files in use; else that is tried again")
    backups: list[str] = Field(description="files and folders in the data folder that still have copies")
    note: str = ELSEWHERE
