"""The nouns every layer shares: what is asked, how words are chosen, what an engine says."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, field_validator

Role = Literal["system", "user", "assistant", "tool"]
Speaker = Literal["user", "assistant"]  # whose messages are kept
Retrieval = Literal["auto", "off", "strict"]  # whether documents are asked: as they fit, never, nothing else
FinishReason = Literal["stop", "length", "cancelled", "error"]
Status = Literal["complete", "streaming", "cancelled", "interrupted", "error"]  # of a stored message

LOCAL_OWNER = "local"  # whose everything is where nobody has to say who they are; else the owner of this machine


@dataclass(frozen=True, slots=True)
class Call:
    """A model's call of a function that it was offered. `arguments` is JSON."""

    name: str
    arguments: str
    id: str


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message as the model is shown it. `calls` are those of an assistant, `answers` the id of the call that a tool
    answers.
    """

    role: Role
    content: str
    calls: tuple["Call", ...] = ()
    answers: str | None = None


class Grammar(Protocol):
    """What an answer has to conform to, made ready by the engine of one model and good for that one alone."""

    schema: str  # JSON Schema


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen. The values 1.0 and 0.0 of the penalties switch them off.

    The last three say more than people write in Params: token ids and grammars are those of one model.
    """

    temperature: float = 0.3
    top_p: float = 0.95
    top_k: int = 40
    min_p: float = 0.05
    repeat_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    max_tokens: int = 1024
    logit_bias: tuple[tuple[int, float], ...] = ()  # token ids, and what is added to their logits
    top_logprobs: int = 0  # of the likeliest tokens that are told with each
    grammar: Grammar | None = None  # of Engine.grammar


Stop = Annotated[str, Field(min_length=1, max_length=64)]


class Params(BaseModel):
    """Sampling parameters as people write them; None leaves the value to the next wider place."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    temperature: float | None = Field(None, ge=0, le=2, description="a number from 0 to 2")
    top_p: float | None = Field(None, gt=0, le=1, description="a number above 0, up to 1")
    top_k: int | None = Field(None, ge=0, le=1_000_000, description="a whole number from 0 (no limit) to 1,000,000")
    min_p: float | None = Field(None, ge=0, le=1, description="a number from 0 to 1")
    repeat_penalty: float | None = Field(None, gt=0, le=2, description="a number above 0, up to 2")
    frequency_penalty: float | None = Field(None, ge=-2, le=2, description="a number from -2 to 2")
    presence_penalty: float | None = Field(None, ge=-2, le=2, description="a number from -2 to 2")
    # 2**32 - 1 means "any" to llama.cpp
    seed: int | None = Field(None, ge=0, le=2**32 - 2, description="a whole number from 0 to 4,294,967,294")
    stop: Annotated[tuple[Stop, ...], Field(fail_fast=True)] | None = Field(
        None, max_length=8, description="a text, or a list of up to 8 texts, of 1 to 64 characters each"
    )
    max_tokens: int | None = Field(None, ge=1, le=1_000_000, description="a whole number from 1 to 1,000,000")

    @field_validator(
        "stop", mode="before", json_schema_input_type=Stop | Annotated[list[Stop], Field(max_length=8)] | None
    )
    @classmethod
    def one_or_many(cls, value: object) -> object:
        if isinstance(value, str):
            return (value,)
        return tuple(value) if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class Chosen:
    """A token the model chose. `logprob` is its natural logarithm under the raw softmax, before any sampling rule.

    `top` has the likeliest tokens and theirs, best first. The chosen one need not be among them.
    """

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """Text that can be shown now, and the tokens behind it; either may be empty while the other is held back.

    `thought` is what the model only thinks aloud.
    """

    text: str
    tokens: tuple[Chosen, ...]
    thought: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """`read` of the `total` tokens of a prompt are computed, those found computed before included."""

    read: int
    total: int


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of one generation: why, and what it cost in tokens."""

    reason: FinishReason
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int


class Cancellation:
    """Asks one answer to end early. Whoever is at work on it registers how; a later request finds the latest."""

    def __init__(self) -> None:
        self.requested = False
        self.outcome: Status = "cancelled"
        self._act: Callable[[], None] | None = None

    def request(self, outcome: Status = "cancelled") -> None:
        """Ask now; asking twice is asking once. `outcome` is what the answer is to be stored as."""
        if not self.requested:
            self.requested = True
            self.outcome = outcome
            if self._act is not None:
                self._act()

    def on_request(self, act: Callable[[], None]) -> None:
        """Call `act` when asked, at once if that has happened already."""
        self._act = act
        if self.requested:
            act()
