"""Decides what the next step computes. Pure: it keeps the book of slots and cells and returns values.

Running sequences come first, one token each; what the step has left goes to prompts. When cells run out, prefixes of
finished sequences are given up first (least recently used first), then the youngest running sequence is paused: it goes
back to the queue with its tokens and is computed again when there is room. The oldest sequence is never paused, and any
single sequence fits, so every admitted sequence comes to its end.

Sequences have owners. Who gets the next slot is for `fair_queue.py` to say; an owner with nothing running has another
one's third or second sequence paused; and each owner with prompts to read gets an equal share of a step. What was
computed for one owner serves no other, but for the tokens at the beginning of a prompt that are nobody's own.

Every step looks at every used cell, also at those of prefixes that are only kept: a few thousand of them cost a tenth
of the speed. So short prefixes are parked in memory outside the cache, and come back when a prompt begins with them.
"""

from bisect import insort
from collections import Counter
from dataclasses import dataclass
from itertools import count

from neuralbridge.engine.batch import Batch, Copy, Discard, Edit, Park, Share, Trim, Unpark
from neuralbridge.engine.cells import Cells, Slot
from neuralbridge.engine.fair_queue import FairQueue, level
from neuralbridge.engine.sequence import Sequence

PARKED_SHARE = 4  # of the parking space one prefix may take; longer ones stay in their cells
GROWTH_CELLS = 32  # kept free per running sequence at admission, so that a newcomer is not paused at once


@dataclass(slots=True)
class Running:
    """A sequence in its slot."""

    sequence: Sequence
    slot: Slot

    @property
    def owner(self) -> str:
        return self.sequence.owner

    @property
    def pending(self) -> int:
        """Tokens known and not yet computed; 1 while decoding."""
        return len(self.sequence.tokens) - len(self.slot.tokens)


def age(running: Running) -> int:
    return running.sequence.id


@dataclass(frozen=True, slots=True)
class Parked:
    """A prefix outside the cache, and the user whom it was computed for."""

    owner: str
    tokens: list[int]


class Scheduler:
    """`can_trim` says whether the model's memory allows removing a part of a sequence (recurrent ones do not).

    `parking` is the number of tokens there is memory for outside the cache.
    """

    def __init__(self, slots: int, cells: int, can_trim: bool = True, parking: int = 0) -> None:
        self._cells = Cells(cells)
        self._slots = [Slot(id, self._cells) for id in range(slots)]
        self._can_trim = can_trim
        self._waiting = FairQueue()
        self._running: list[Running] = []  # oldest first
        self._edits: list[Edit] = []
        self._parking = parking
        self._parked: dict[int, Parked] = {}  # by key, least recently used first
        self._keys = count()
        self._clock = 0

    @property
    def idle(self) -> bool:
        return not self._waiting and not self._running

    @property
    def sequences(self) -> list[Sequence]:
        """All that have not come to their end."""
        return [*(running.sequence for running in self._running), *self._waiting]

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def decoding(self) -> int:
        return sum(each.pending == 1 for each in self._running)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def free_cells(self) -> int:
        return self._cells.free

    def submit(self, sequence: Sequence) -> None:
        self._waiting.enter(sequence.owner, {each.owner for each in self.sequences})
        self._waiting.put(sequence)

    def remove(self, id: int, forget: bool = False) -> Sequence | None:
        """End a sequence, running or waiting; its computed tokens stay as a prefix to reuse unless `forget`."""
        if (waiting := self._waiting.remove(id)) is not None:
            return waiting
        for running in self._running:
            if running.sequence.id == id:
                self._vacate(running)
                if forget:
                    self._empty(running.slot)
                else:
                    self._park(running.slot)
                return running.sequence
        return None

    def forget(self, owner: str) -> None:
        """Give up all that is kept for an owner and that nothing running needs."""
        for slot in self._idle():
            if slot.owner == owner:
                self._empty(slot)
        for key in [key for key, parked in self._parked.items() if parked.owner == owner]:
            self._discard(key)

    def edits(self) -> list[Edit]:
        """Hand out the edits of the cache that are due; they are to be made in order and before any later one."""
        edits, self._edits = self._edits, []
        return edits

    def plan(self, chunk: int) -> Batch | None:
        """The next step, with at most `chunk` tokens of prompts; None when there is nothing to compute."""
        self._admit()
        while True:
            decoding = [each for each in self._running if each.pending == 1]
            prefilling = [each for each in self._running if each.pending > 1]
            needed = len(decoding) + bool(prefilling)
            if self._cells.free >= needed or not self._make_room():
                break
        wanted = min(chunk, sum(each.pending for each in prefilling))
        while self._cells.free < len(decoding) + wanted and self._evict():
            pass
        shares = [self._take(each, 1) for each in decoding]
        parts = self._divided(min(wanted, self._cells.free), prefilling)
        shares += [self._take(each, part) for each, part in zip(prefilling, parts, strict=True) if part]
        if not shares:
            return None
        return Batch(self.edits(), shares)

    def unwind(self, share: Share) -> None:
        """A share could not be computed: its slot is as it was before."""
        for running in self._running:
            if running.sequence is share.sequence:
                running.slot.trim(share.position)
                self._waiting.charge(running.owner, -len(share.tokens))

    def _divided(self, budget: int, prefilling: list[Running]) -> list[int]:
        """Shares of `budget`: between owners, the one furthest behind first, and then between each one's prompts."""
        owners = sorted({each.owner for each in prefilling}, key=lambda owner: (self._waiting.time(owner), owner))
        theirs = [[each for each in prefilling if each.owner == owner] for owner in owners]
        budgets = level(budget, [sum(each.pending for each in prompts) for prompts in theirs])
        parts = {
            age(each): part
            for share, prompts in zip(budgets, theirs, strict=True)
            for each, part in zip(prompts, divide(share, [each.pending for each in prompts]), strict=True)
        }
        return [parts[age(each)] for each in prefilling]

    def _take(self, running: Running, amount: int) -> Share:
        position = len(running.slot.tokens)
        tokens = running.sequence.tokens[position : position + amount]
        sampled = amount == running.pending
        running.slot.extend(tokens)
        self._waiting.charge(running.owner, amount)
        return Share(running.sequence, running.slot.id, position, tokens, sampled)

    # Admission

    def _admit(self) -> None:
        while self._waiting:
            running = Counter(each.owner for each in self._running)
            sequence = self._waiting.next(running)
            if len(self._running) < len(self._slots) and self._begin(sequence):
                self._waiting.remove(sequence.id)
            elif running[sequence.owner] or not self._cede(running):
                return

    def _cede(self, running: Counter[str]) -> bool:
        """Pause a sequence of an owner that has two or more running; False when there is none."""
        if max(running.values(), default=0) < 2:
            return False
        paused = self._least_entitled()
        self._pause(paused)
        self._park(paused.slot)
        return True

    def _begin(self, sequence: Sequence) -> bool:
        """Give it an idle slot, of which there is one; False when there is no room for it."""
        idle = self._idle()
        donor, length = self._best_prefix(sequence)
        key, parked = self._best_parked(sequence)
        if parked > length:
            target, length = self._emptiest(idle, donor), parked
            admitted = self._has_room(len(sequence.tokens), idle) and self._unpark(key, target, parked, sequence.owner)
        else:
            # Continue in the donor itself when that gives up little of it: then it is the same conversation.
            little = len(donor.tokens) // 2 if donor.owner == sequence.owner else 0
            target = donor if donor in idle and len(donor.tokens) - length <= little else self._emptiest(idle, donor)
            admitted = self._has_room(len(sequence.tokens) - length, [slot for slot in idle if slot is not donor])
            if admitted:
                self._begin_with(donor, target, length)
        if admitted:
            target.owner = sequence.owner
            sequence.admitted(length)
            insort(self._running, Running(sequence, target), key=age)
        return admitted

    def _idle(self) -> list[Slot]:
        busy = {running.slot.id for running in self._running}
        return [slot for slot in self._slots if slot.id not in busy]

    def _begin_with(self, donor: Slot, target: Slot, length: int) -> None:
        """Let `target` hold the first `length` tokens of `donor`, which it may be itself."""
        if target is donor:
            self._trim(target, length)
            return
        self._empty(target)
        if length:
            target.copy_from(donor, length)
            self._edits.append(Copy(donor.id, target.id, length))

    def _best_prefix(self, sequence: Sequence) -> tuple[Slot, int]:
        """The slot that shares most with the sequence, and how much."""
        return max(
            ((slot, self._reusable(slot.tokens, slot.owner, sequence)) for slot in self._slots),
            key=lambda found: (found[1], -len(found[0].tokens)),
        )

    def _reusable(self, tokens: list[int], owner: str, sequence: Sequence) -> int:
        """How many leading tokens serve the sequence. Its last one is always computed: its logits are needed.

        Of another owner's, only those that are nobody's own: how soon an answer begins would tell what others asked.
        """
        usable = sequence.tokens[:-1]
        length = common_prefix(tokens, usable if owner == sequence.owner else usable[: sequence.shared])
        return length if self._can_trim or length == len(tokens) else 0

    def _emptiest(self, idle: list[Slot], donor: Slot) -> Slot:
        """The idle slot whose loss costs least: an empty one, or the least recently used; the donor last of all."""
        return min(idle, key=lambda slot: (slot is donor, bool(slot.tokens), slot.last_used))

    def _has_room(self, needed: int, reclaimable: list[Slot]) -> bool:
        """Whether a newcomer fits beside what the running ones still need. One that has the machine to itself does."""
        if not self._running:
            return True
        promised = sum(each.pending + GROWTH_CELLS for each in self._running)
        return needed + promised <= self._cells.free + sum(slot.reclaimable() for slot in reclaimable)

    # Parking

    def _best_parked(self, sequence: Sequence) -> tuple[int, int]:
        """The key of the parked prefix that shares most with the sequence, and how much; (-1, 0) without any."""
        found = ((key, self._reusable(parked.tokens, parked.owner, sequence)) for key, parked in self._parked.items())
        return max(found, key=lambda found: found[1], default=(-1, 0))

    def _park(self, slot: Slot) -> None:
        """Move a short prefix out of the cache; the least recently used ones make room for it."""
        if not 0 < len(slot.tokens) <= self._parking // PARKED_SHARE:
            return
        while sum(len(parked.tokens) for parked in self._parked.values()) + len(slot.tokens) > self._parking:
            self._discard(next(iter(self._parked)))
        key = next(self._keys)
        self._parked[key] = Parked(slot.owner, list(slot.tokens))
        self._edits.append(Park(slot.id, key))
        self._empty(slot)

    def _unpark(self, key: int, target: Slot, length: int, owner: str) -> bool:
        """Bring the first `length` tokens back; False when not even giving up other prefixes makes room for the whole.

        What is brought back for the larger part goes on there and is parked anew later; of the rest, and of what was
        another owner's, a copy stays.
        """
        self._empty(target)
        parked = self._parked.pop(key)
        self._parked[key] = parked  # the most recently used now
        tokens = parked.tokens
        while self._cells.free < len(tokens):
            if not self._evict():
                return False
        target.extend(tokens)
        self._edits.append(Unpark(key, target.id))
        self._trim(target, length)
        if parked.owner == owner and 2 * length >= len(tokens):
            self._discard(key)
        return True

    def _discard(self, key: int) -> None:
        del self._parked[key]
        self._edits.append(Discard(key))

    # Room

    def _make_room(self) -> bool:
        """Free some cells; False when only one sequence is left, which has all there is."""
        if self._evict():
            return True
        if len(self._running) < 2:
            return False
        self._pause(self._least_entitled())
        return True

    def _least_entitled(self) -> Running:
        """The youngest of the owner with the most running."""
        running = Counter(each.owner for each in self._running)
        return max(self._running, key=lambda each: (running[each.owner], age(each)))

    def _pause(self, running: Running) -> None:
        self._vacate(running)
        self._waiting.put(running.sequence)

    def _evict(self) -> bool:
        """Give up the least recently used prefix that no running sequence needs."""
        kept = [slot for slot in self._idle() if slot.tokens]
        if not kept:
            return False
        self._empty(min(kept, key=lambda slot: slot.last_used))
        return True

    def _vacate(self, running: Running) -> None:
        self._running.remove(running)
        self._clock += 1
        running.slot.last_used = self._clock

    def _trim(self, slot: Slot, length: int) -> None:
        if length < len(slot.tokens):
            slot.trim(length)
            self._edits.append(Trim(slot.id, length))

    def _empty(self, slot: Slot) -> None:
        self._trim(slot, 0)


def common_prefix(one: list[int], other: list[int]) -> int:
    """How many leading tokens are the same."""
    length = min(len(one), len(other))
    if one[:length] == other[:length]:
        return length
    return next(at for at in range(length) if one[at] != other[at])


def divide(budget: int, pending: list[int]) -> list[int]:
    """Shares of `budget` for prompts with `pending` tokens, oldest first.

    Half goes to the oldest, the rest to whoever is nearest to a first token: a short question overtakes a long
    document, and the long document still gets on.
    """
    parts = [0] * len(pending)
    if pending:
        parts[0] = min(pending[0], budget - budget // 2)
    for at in sorted(range(len(pending)), key=lambda at: pending[at]):
        parts[at] += min(pending[at] - parts[at], budget - sum(parts))
    return parts
