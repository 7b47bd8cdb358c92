"""What clients ask about documents over HTTP, and are told. The models are the documentation: docs/http.md."""

import re
import unicodedata
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from neuralbridge.errors import InvalidParams, Reason
from neuralbridge.protocol.frames import MAX_DEPTH
from neuralbridge.protocol.requests import Kept, no_longer_than

LONGEST_NAME = 255  # characters
LONGEST_SEARCH = 8_000
LONGEST_NAME_SEARCH = 1_000
MOST_READERS = 1_000  # of a document, by name
METADATA_BYTES = 16 * 1024  # of a document: no quota counts them, and every list for every reader has them
T = TypeVar("T", bound=BaseModel)


class Wanted(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class IngestRequest(Wanted):
    """`POST /api/knowledge/ingest` with a text. The same `source_document` again replaces the document."""

    content: str = Field(min_length=1, description="a text that is not blank")
    source_document: str = Field(min_length=1, max_length=4096, description="a name of 1 to 4,096 characters")
    metadata: Annotated[Kept | None, no_longer_than(METADATA_BYTES)] = Field(
        None,
        description=f"an object of up to {MAX_DEPTH} levels and {METADATA_BYTES:,} bytes, without infinite numbers",
    )

    @field_validator("content", "source_document")
    @classmethod
    def not_blank(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("it is blank")
        return value


class EditRequest(Wanted):
    """`PATCH /api/knowledge/documents/{id}`: what is left out stays as it is."""

    source_document: str | None = Field(None, min_length=1, max_length=LONGEST_NAME, description="a name, not empty")
    pinned: bool | None = Field(None, description="true or false")
    shared_with: list[Annotated[str, Field(min_length=1, max_length=64)]] | None = Field(
        None, max_length=MOST_READERS, description=f'a list of up to {MOST_READERS:,} names of users, or ["*"]'
    )


class SearchRequest(BaseModel):
    """`GET /api/knowledge/search`. `filter` is of the same kind as in `q`: file:"…" +word -word before: after:"""

    model_config = ConfigDict(frozen=True, extra="ignore")

    q: str = Field(max_length=LONGEST_SEARCH, description=f"a text of up to {LONGEST_SEARCH:,} characters")
    filter: str = Field("", max_length=LONGEST_SEARCH, description=f"filters of up to {LONGEST_SEARCH:,} characters")
    limit: int = Field(10, ge=1, le=100, description="a whole number from 1 to 100")


class ListRequest(BaseModel):
    """`GET /api/knowledge/documents`: all, or those with all words of `q` in their names or titles."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    q: str = Field("", max_length=LONGEST_NAME_SEARCH, description=f"a text of up to {LONGEST_NAME_SEARCH} characters")
    limit: int = Field(100, ge=1, le=1000, description="a whole number from 1 to 1,000")
    offset: int = Field(0, ge=0, le=10**9, description="a whole number, not negative")


class PartRequest(BaseModel):
    """`GET /api/knowledge/documents/{id}`: with the whole text, or with that from `start` to `end`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    start: int | None = Field(None, ge=0, le=10**9, description="a whole number, not negative")
    end: int | None = Field(None, ge=0, le=10**9, description="a whole number, not negative")


class ExplainRequest(Wanted):
    """`POST /api/knowledge/explain`: why is this not found?"""

    query: str = Field(min_length=1, max_length=LONGEST_SEARCH, description="what is looked for")
    expect: str = Field(
        min_length=1, max_length=LONGEST_SEARCH, description="a document's id or name, or a piece of its text"
    )


class Told(BaseModel):
    model_config = ConfigDict(from_attributes=True, extra="forbid")


class Ingested(Told):
    success: Literal[True] = True
    chunks_created: int
    document_id: str
    processing_job_id: str


class AcceptedJob(Told):
    processing_job_id: str
    source_document: str


class Accepted(Told):
    """`refused` says of each file without a job why, in a sentence, and `refusals` whatever else is known."""

    success: bool
    jobs: list[AcceptedJob]
    refused: list[str]
    refusals: list["RefusedFile"]


class JobState(Told):
    processing_job_id: str
    source_document: str
    state: Literal["queued", "reading", "embedding", "done", "failed"]
    progress: float = Field(ge=0, le=1)
    passages: int
    document_id: str | None
    code: str | None
    error: str | None = Field(description="a sentence for a person")
    reason: Reason | None = Field(description="why it was refused, for programs; null where that is not known")
    created_at: str
    updated_at: str


class JobList(Told):
    """`GET /api/knowledge/jobs`."""

    jobs: list[JobState] = Field(description="the newest first")


class UnreadFile(Told):
    """A file of a followed folder that could not be read."""

    file: str
    reason: str = Field(description="a sentence for a person")


class FolderState(Told):
    """A folder that is followed, as it is now."""

    folder: str
    state: str = Field(description="in words")
    code: Literal["looking", "reading", "up_to_date", "failed"]
    count: int | None = Field(description="files being read; null where none is")
    problems: list[UnreadFile]


class FolderList(Told):
    """`GET /api/knowledge/folders`."""

    folders: list[FolderState]


class DocumentEntry(Told):
    document_id: str
    source_document: str
    title: str | None
    kind: str
    chunks: int
    size: int = Field(description="bytes of the original")
    characters: int = Field(description="of the extracted text")
    version: str = Field(description="sha256 of the original")
    pinned: bool
    folder: str | None = Field(description="the watched folder it lies in; only its owner is told")
    owner: str
    mine: bool
    shared_with: list[str] | None = Field(description="who else sees it, * for everybody; only its owner is told")
    metadata: dict[str, Any]
    modified_at: str = Field(description="the document's own date")
    created_at: str
    updated_at: str


class DocumentText(DocumentEntry):
    """A document with its text, or where a part was asked for, with that part."""

    text: str
    start: int = Field(0, description="of the part of the text, in code points; only where one was asked for")
    end: int = Field(0, description="where it ends")


class DocumentList(Told):
    documents: list[DocumentEntry]
    total: int


class RankPair(Told):
    vector: int | None
    text: int | None


class Result(Told):
    document_id: str
    source_document: str
    text: str = Field(description="the extracted text from `start` to `end`")
    start: int
    end: int
    page: int | None
    heading: str
    score: float = Field(ge=0, le=1, description="how well it fits")
    ranks: RankPair = Field(description="its places by meaning and by words; null where it is not in the list")


class Results(Told):
    results: list[Result]


class Stage(Told):
    """`kept` went on to the next stage, `lost` did not; each with its scores, the best first."""

    stage: Literal["vector", "full_text", "fusion", "threshold", "budget"]
    says: str
    kept: list[dict[str, Any]]
    lost: list[dict[str, Any]]


class Explanation(Told):
    query: str
    terms: list[str] = Field(description="the words that full text looked for")
    filters: dict[str, Any]
    stages: list[Stage]
    expected: str = Field(description="where the expected passage was lost, or that it was not")


class Refusal(Told):
    error: str = Field(description="the code")
    message: str = Field(description="a sentence for a person")
    reason: Reason | None = Field(None, description="why a document is refused, for programs")


class RefusedFile(Refusal):
    source_document: str


def parse(model: type[T], given: object) -> T:
    """A request of that kind. Raises InvalidParams naming the first wrong field, its value and its range."""
    if not isinstance(given, dict):
        raise InvalidParams("The request must be a JSON object.")
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        value = repr(given.get(name))
        shown = "left out" if name not in given else value if len(value) <= 60 else value[:57] + "..."
        raise InvalidParams(f"{name} must be {model.model_fields[name].description}, not {shown}.", name) from error


def shown_name(name: str) -> str:
    """A file's name as it may be shown: no controls, no way up or to the root, not longer than `LONGEST_NAME`."""
    text = unicodedata.normalize("NFC", name.replace("\\", "/"))
    text = "".join(letter for letter in text if unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Co", "Cn"))
    parts = [part.strip() for part in re.split("/+", text)]
    kept = "/".join(part for part in parts if part not in ("", ".", ".."))
    return kept[-LONGEST_NAME:].lstrip("/") or "unnamed"
