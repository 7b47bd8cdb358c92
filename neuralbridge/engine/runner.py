"""What the engine needs of a model. `llama.py` has the real one, `tests/fakes.py` a scripted one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from neuralbridge.engine.batch import Edit, Share
from neuralbridge.types import Chosen, Sampling


class DecodeFailed(Exception):
    """The step was not computed; the cache is as it was before it."""


@dataclass(frozen=True, slots=True)
class Stuck:
    """A sequence for which no next token can be chosen, and why. The others are not affected."""

    why: str


class Sampler(Protocol):
    """The sampling state of one sequence: random numbers, tokens its penalties have seen, the place in its grammar."""

    def close(self) -> None: ...


class Vocabulary(Protocol):
    """Text to token ids and back. Safe to use from any thread."""

    size: int  # token ids are smaller
    first: int | None  # the token every prompt begins with, for models that want one

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Ids of `text`; control tokens are recognised in it only with `special`."""
        ...

    def piece(self, token: int) -> bytes:
        """The bytes a token stands for; a control token stands for none."""
        ...

    def is_end(self, token: int) -> bool: ...


class Runner(Protocol):
    """A loaded model with its cache. Used by the engine thread alone, except for `vocabulary`."""

    vocabulary: Vocabulary
    chat_template: str | None
    template_tokens: dict[str, str]  # bos_token and eos_token, by the names templates know them
    slots: int
    cells: int
    max_rows: int
    can_trim: bool
    parking: int  # tokens there is memory for outside the cache

    def edit(self, edit: Edit) -> None: ...

    def reset(self) -> None:
        """Empty the cache and forget what was parked."""
        ...

    def decode(self, shares: list[Share], threads: int) -> None:
        """Compute the rows of one step. Raises DecodeFailed."""
        ...

    def choose(self, samplers: list[Sampler]) -> Sequence[Chosen | Stuck]:
        """The next token for each sampled share of the last `decode`, in order."""
        ...

    def sampler(self, sampling: Sampling) -> Sampler: ...

    def close(self) -> None: ...
