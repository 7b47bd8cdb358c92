"""Sequences that wait for a slot, and how much has been computed for each owner. Pure.

Start-time fair queueing (Goyal, Vin, Cheng, SIGCOMM 1996), counted in tokens as for language models (Sheng et al.,
"Fairness in Serving Large Language Models", OSDI 2024): an owner's virtual time grows by one with every token computed
for it, of prompts and of answers, and whoever is furthest behind is next. An owner that comes back begins where the one
furthest behind is, or where it was if that is later: idle time is not saved up, and coming and going earns nothing.
"""

from bisect import insort
from collections import Counter
from collections.abc import Iterator

from neuralbridge.engine.sequence import Sequence, age


class FairQueue:
    """What waits, and the virtual times, in tokens, of the owners that are there or ahead of all who are."""

    def __init__(self) -> None:
        self._waiting: list[Sequence] = []  # oldest first
        self._times: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Sequence]:
        return iter(self._waiting)

    def enter(self, owner: str, active: set[str]) -> None:
        """A sequence of this owner is about to come; `active` are the owners of all that have not ended."""
        if owner not in active:
            now = min((self._times[each] for each in active), default=0)
            self._times = {each: time for each, time in self._times.items() if active and time >= now}
            self._times.setdefault(owner, now)

    def put(self, sequence: Sequence) -> None:
        insort(self._waiting, sequence, key=age)

    def remove(self, id: int) -> Sequence | None:
        for sequence in self._waiting:
            if sequence.id == id:
                self._waiting.remove(sequence)
                return sequence
        return None

    def next(self, running: Counter[str]) -> Sequence:
        """The oldest of the owner furthest behind. `running` counts each owner's; those without any come first."""
        return min(
            self._waiting,
            key=lambda each: (running[each.owner] > 0, self._times[each.owner], running[each.owner], each.id),
        )

    def charge(self, owner: str, tokens: int) -> None:
        """So many tokens are computed for this owner."""
        self._times[owner] += tokens

    def time(self, owner: str) -> int:
        return self._times[owner]


def level(budget: int, wanted: list[int]) -> list[int]:
    """Max-min fair shares: equal ones, and what some do not need goes to the others; the first get the odd tokens."""
    parts = [0] * len(wanted)
    while budget and (short := [at for at in range(len(wanted)) if parts[at] < wanted[at]]):
        equal = max(budget // len(short), 1)
        for at in short:
            more = min(equal, wanted[at] - parts[at], budget)
            parts[at] += more
            budget -= more
    return parts
