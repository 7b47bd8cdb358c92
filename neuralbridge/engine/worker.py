"""What runs on the engine thread: obey the inbox, compute a step, say what came of it, again.

`inbox` is the way in, from any thread; `deliver` is the way out, called once per step with all its events. It is called
when the next step begins to compute and not before: the loop then has the GIL to itself, and a token does not wait in
Python for the one before it to be sent.
"""

import logging
import math
import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from neuralbridge.engine.batch import Batch, Edit, Share, Trim
from neuralbridge.engine.pace import Pace
from neuralbridge.engine.runner import DecodeFailed, Runner, Sampler, Stuck
from neuralbridge.engine.scheduler import Scheduler
from neuralbridge.engine.sequence import Sequence
from neuralbridge.errors import BridgeError, EngineFailed, ModelUnusable
from neuralbridge.types import Chosen, Finish, Piece, Reading, Sampling

logger = logging.getLogger(__name__)

Event = Piece | Reading | Finish | EngineFailed


@dataclass(frozen=True, slots=True)
class Submit:
    sequence: Sequence


@dataclass(frozen=True, slots=True)
class Cancel:
    """With `quiet` nobody listens any more and no event is wanted."""

    id: int
    quiet: bool


@dataclass(frozen=True, slots=True)
class Forget:
    """Let go of all that is kept for an owner."""

    owner: str


@dataclass(frozen=True, slots=True)
class Shutdown:
    pass


class Worker:
    """The engine thread. `loaded` is called with the runner, or with why there is none; then `deliver` with events.

    `clock` tells monotonic seconds, `answer_seconds` of which a sequence may take from its first step on.
    """

    def __init__(
        self,
        open_runner: Callable[[], Runner],
        loaded: Callable[[Runner | Exception], None],
        deliver: Callable[[list[tuple[int, Event]]], None],
        cores: int | None = None,
        answer_seconds: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.inbox: queue.SimpleQueue[Submit | Cancel | Forget | Shutdown] = queue.SimpleQueue()
        self.computing_since: float | None = None  # perf_counter, for whoever asks from another thread
        self._open_runner = open_runner
        self._loaded = loaded
        self._deliver = deliver
        self._cores = cores or available_cores()
        self._answer_seconds = answer_seconds
        self._clock = clock
        self._begun: dict[int, float] = {}  # sequences and the times of their first steps, the earliest first
        self._samplers: dict[int, Sampler] = {}
        self._said: list[tuple[int, Event]] = []  # not delivered yet
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        """Wait for the end that a Shutdown in the inbox asked for."""
        self._thread.join()

    def _run(self) -> None:
        try:
            self._load()
        except BridgeError as error:
            self._loaded(error)
            return
        except Exception as error:  # whatever it is, whoever waits for the model must learn of it
            logger.exception("the model could not be loaded")
            self._loaded(ModelUnusable(f"The model could not be loaded: {error}."))
            return
        self._loaded(self._runner)
        working = True
        while working:
            try:
                working = self._obey()
                if working:
                    self._cut()
                    self._step()
            except Exception:  # a mistake of ours must not end the thread: those it hit fail, the next question works
                logger.exception("the engine made a mistake")
                self._start_over()
        for sampler in self._samplers.values():
            sampler.close()
        self._runner.close()

    def _load(self) -> None:
        self._runner = self._open_runner()
        self._scheduler = self._new_scheduler()
        self._pace = Pace(self._cores, self._runner.max_rows - self._runner.slots)
        self._time_step(1, 1)  # the first step of all allocates
        self._pace.measure(self._time_step)

    def _new_scheduler(self) -> Scheduler:
        runner = self._runner
        return Scheduler(runner.slots, runner.cells, runner.can_trim, runner.parking)

    def _obey(self) -> bool:
        """Take what is in the inbox; wait for it when there is nothing to compute. False means the end."""
        block = self._scheduler.idle
        if block:
            self._tell()
        while block or not self.inbox.empty():
            order = self.inbox.get()
            block = False
            match order:
                case Submit(sequence):
                    self._scheduler.submit(sequence)
                    self._samplers[sequence.id] = self._runner.sampler(sequence.sampling)
                case Cancel(id, quiet):
                    ended = self._end(id)
                    if ended is not None and not quiet:
                        self._say(id, *ended.cut("cancelled"))
                case Forget(owner):
                    self._scheduler.forget(owner)
                    self._edit(self._scheduler.edits())  # now: the next step may be hours away
                case Shutdown():
                    return False
        return True

    def _say(self, id: int, *events: Event) -> None:
        self._said += [(id, event) for event in events]

    def _tell(self) -> None:
        if self._said:
            self._deliver(self._said)
            self._said = []

    def _cut(self) -> None:
        """End what has taken as long as an answer may, with the text there is of it."""
        now = self._clock()
        while self._begun:
            id, begun = next(iter(self._begun.items()))
            if now - begun < self._answer_seconds:
                return
            sequence = self._end(id)
            assert sequence is not None, "what has ended is not in the book of times"
            self._say(id, *sequence.cut("length"))

    def _edit(self, edits: list[Edit]) -> None:
        for edit in edits:
            self._runner.edit(edit)

    def _step(self) -> None:
        batch = self._scheduler.plan(self._pace.chunk(self._scheduler.decoding))
        if batch is None:
            return
        self._edit(batch.edits)
        try:
            self._compute(batch.shares)
        except DecodeFailed as failure:
            logger.warning("a step failed, trying its sequences one by one", extra={"why": str(failure)})
            self._one_by_one(batch)

    def _compute(self, shares: list[Share]) -> None:
        rows = sum(len(share.tokens) for share in shares)
        threads = self._pace.threads(rows)
        self._tell()
        now = self._clock()
        for share in shares:
            self._begun.setdefault(share.sequence.id, now)
        started = self.computing_since = time.perf_counter()
        try:
            self._runner.decode(shares, threads)
        finally:
            self.computing_since = None
        self._pace.observe(rows, threads, time.perf_counter() - started)
        for share in shares:
            if not share.sampled:
                self._say(share.sequence.id, *share.sequence.reading(share.position + len(share.tokens)))
        sampled = [share.sequence for share in shares if share.sampled]
        if sampled:
            chosen = self._runner.choose([self._samplers[sequence.id] for sequence in sampled])
            for sequence, token in zip(sampled, chosen, strict=True):
                self._advance(sequence, token)

    def _advance(self, sequence: Sequence, chosen: Chosen | Stuck) -> None:
        if isinstance(chosen, Stuck):
            self._fail(sequence, chosen.why)
            return
        if not math.isfinite(chosen.logprob):
            self._fail(sequence, "the model's output is not a number")
            return
        vocabulary = self._runner.vocabulary
        events = sequence.append(chosen, None if vocabulary.is_end(chosen.token) else vocabulary.piece(chosen.token))
        if isinstance(events[-1], Finish):
            self._end(sequence.id)
        self._say(sequence.id, *events)

    def _one_by_one(self, batch: Batch) -> None:
        """A failed step says nothing about who is to blame; alone, only the culprit fails."""
        for share in batch.shares:
            try:
                self._compute([share])
            except DecodeFailed as failure:
                self._scheduler.unwind(share)
                self._fail(share.sequence, str(failure))

    def _fail(self, sequence: Sequence, why: str) -> None:
        logger.error("a sequence failed", extra={"sequence": sequence.id, "why": why})
        self._end(sequence.id, forget=True)
        self._say(sequence.id, EngineFailed(f"The model could not go on with this answer: {why}."))

    def _start_over(self) -> None:
        """Fail everything under way and begin again with an empty cache."""
        for sequence in self._scheduler.sequences:
            self._say(sequence.id, EngineFailed("The engine made a mistake."))
        for sampler in self._samplers.values():
            sampler.close()
        self._samplers.clear()
        self._begun.clear()
        self._runner.reset()
        self._scheduler = self._new_scheduler()

    def _end(self, id: int, forget: bool = False) -> Sequence | None:
        sequence = self._scheduler.remove(id, forget)
        if sequence is not None:
            self._samplers.pop(id).close()
            self._begun.pop(id, None)
        return sequence

    def _time_step(self, rows: int, threads: int) -> float:
        """Seconds that a step of `rows` tokens takes. Before the first sequence only: it uses slot 0 and empties it."""
        tokens = [0] * rows
        share = Share(Sequence(0, tokens, Sampling()), slot=0, position=0, tokens=tokens, sampled=True)
        started = time.perf_counter()
        self._runner.decode([share], threads)
        taken = time.perf_counter() - started
        self._runner.edit(Trim(0, 0))
        return taken


def available_cores() -> int:
    """Cores this process may run on, which containers and taskset limit."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
