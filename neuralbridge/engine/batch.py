"""What one step is, as values: edits of the cache to make in order, then the rows to compute. Pure."""

from dataclasses import dataclass

from neuralbridge.engine.sequence import Sequence


@dataclass(frozen=True, slots=True)
class Trim:
    """Keep the first `length` tokens of a slot."""

    slot: int
    length: int


@dataclass(frozen=True, slots=True)
class Copy:
    """Let `target`, which is empty, begin with the first `length` tokens of `source`."""

    source: int
    target: int
    length: int


@dataclass(frozen=True, slots=True)
class Park:
    """Copy what a slot holds to memory, under a key."""

    slot: int
    key: int


@dataclass(frozen=True, slots=True)
class Unpark:
    """Fill a slot, which is empty, with what was parked."""

    key: int
    slot: int


@dataclass(frozen=True, slots=True)
class Discard:
    """Let go of what was parked."""

    key: int


Edit = Trim | Copy | Park | Unpark | Discard


@dataclass(frozen=True, slots=True)
class Share:
    """One sequence's part of a batch: tokens from `position` on. With `sampled` its next token is chosen afterwards."""

    sequence: Sequence
    slot: int
    position: int
    tokens: list[int]
    sampled: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """One step: cache edits to make in order, then the rows to compute."""

    edits: list[Edit]
    shares: list[Share]
