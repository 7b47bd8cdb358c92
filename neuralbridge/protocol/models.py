"""What clients are told over HTTP of the models on this machine. See docs/http.md."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Told(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LocalModelState(Told):
    """A model of the configuration, as it is now."""

    name: str
    default: bool = Field(description="it answers when no model is asked for")
    where: Literal["local"] = "local"
    file_bytes: int | None = Field(description="null where the file is missing")
    context: int | None = Field(description="tokens of a prompt and its answer together; null while it is not loaded")
    parallel: int = Field(description="answers computed at once")
    loaded: bool
    loading: bool
    failure: str | None = Field(description="why it could not be loaded: a sentence for a person")
    answers: int = Field(description="being made by it, or waiting for it")
    names: list[str] = Field(description="those of `names` that lead to it")


class AskableName(Told):
    """A name that clients may ask for."""

    name: str
    model: str = Field(description="that it leads to")
    default: bool = Field(description="it is taken when no model is asked for")


class MemoryState(Told):
    """In bytes; null where the system does not say."""

    process_bytes: int | None = Field(description="of the server's own process, with what it maps of model files")
    available_bytes: int | None
    total_bytes: int | None


class LocalModels(Told):
    """`GET /api/models`."""

    models: list[LocalModelState]
    names: list[AskableName]
    memory: MemoryState
