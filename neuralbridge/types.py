"""The nouns every layer shares: what is asked, how words are chosen, what an engine says."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length", "cancelled", "error"]
Status = Literal["complete", "streaming", "cancelled", "interrupted", "error"]  # of a stored message


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message as the model is shown it."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen. The values 1.0 and 0.0 of the penalties switch them off."""

    temperature: float = 0.7
    top_p: float = 0.95
    top_k: int = 40
    min_p: float = 0.05
    repeat_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    max_tokens: int = 1024


@dataclass(frozen=True, slots=True)
class Chosen:
    """A token the model chose. `logprob` is its natural logarithm under the raw softmax, before any sampling rule."""

    token: int
    logprob: float


@dataclass(frozen=True, slots=True)
class Piece:
    """Text that can be shown now, and the tokens behind it; either may be empty while the other is held back."""

    text: str
    tokens: tuple[Chosen, ...]


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
