"""The engine: one thread computes, the event loop submits and listens.

Two crossings and no locks. What the loop wants goes into `_inbox`; what a step made goes back in one
`call_soon_threadsafe`, however many sequences it was for.
"""

import asyncio
import logging
import math
import os
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import count

from neuralbridge.engine.pace import Pace
from neuralbridge.engine.runner import DecodeFailed, Runner, Sampler
from neuralbridge.engine.scheduler import Batch, Scheduler, Share, Trim
from neuralbridge.engine.sequence import Sequence
from neuralbridge.errors import EngineFailed, Overloaded, PromptTooLong
from neuralbridge.types import Chosen, Finish, Piece, Sampling

logger = logging.getLogger(__name__)

MEASURED_ROWS = [1, 4, 16]  # numbers of rows that threads are measured for
WAIT_PER_ANSWER_MS = 4_000  # assumed for the first estimates, until answers have been timed

Event = Piece | Finish | EngineFailed


@dataclass(frozen=True, slots=True)
class Submit:
    sequence: Sequence


@dataclass(frozen=True, slots=True)
class Cancel:
    """With `quiet` nobody listens any more and no event is wanted."""

    id: int
    quiet: bool


@dataclass(frozen=True, slots=True)
class Shutdown:
    pass


class Generation:
    """The events of one sequence, in order, to its Finish. Close it early to give up the sequence."""

    def __init__(self, engine: "Engine", sequence: Sequence) -> None:
        self._engine = engine
        self._id = sequence.id
        self.mailbox: asyncio.Queue[Event] = asyncio.Queue()  # bounded by max_tokens; touched on the loop only
        self._ended = False
        self._begun = time.monotonic()

    def __aiter__(self) -> "Generation":
        return self

    async def __anext__(self) -> Piece | Finish:
        if self._ended:
            raise StopAsyncIteration
        event = await self.mailbox.get()
        if isinstance(event, Finish | EngineFailed):
            self._engine.note_duration(time.monotonic() - self._begun)
            await self.aclose()
        if isinstance(event, EngineFailed):
            raise event
        return event

    def cancel(self) -> None:
        """Ask for an early end: the Finish comes within one step, with reason "cancelled"."""
        self._engine.cancel(self._id, quiet=False)

    async def aclose(self) -> None:
        if not self._ended:
            self._ended = True
            self._engine.forget(self._id)


class Engine:
    """A model that answers many at once.

    `open_runner` loads the model, on the engine thread; `max_waiting` bounds the sequences without a slot.
    """

    def __init__(self, open_runner: Callable[[], Runner], max_waiting: int, cores: int | None = None) -> None:
        self._open_runner = open_runner
        self._max_waiting = max_waiting
        self._cores = cores or available_cores()
        self._inbox: queue.SimpleQueue[Submit | Cancel | Shutdown] = queue.SimpleQueue()
        self._generations: dict[int, Generation] = {}
        self._ids = count(1)
        self._answer_ms = float(WAIT_PER_ANSWER_MS)
        self._tokenizer = ThreadPoolExecutor(1, "tokenizer")
        self._thread: threading.Thread | None = None

    # On the loop

    def start(self) -> None:
        """Begin to load the model on the engine thread; `ready` tells how that went."""
        self._loop = asyncio.get_running_loop()
        self._loaded: asyncio.Future[Runner] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    async def ready(self) -> None:
        """Wait until the model is loaded. Raises ModelUnusable."""
        self._runner = await asyncio.shield(self._loaded)

    @property
    def loaded(self) -> bool:
        return self._loaded.done() and self._loaded.exception() is None

    async def stop(self) -> None:
        """End the thread after its current step and free the model."""
        if self._thread is not None:
            self._inbox.put(Shutdown())
            await asyncio.to_thread(self._thread.join)
            self._thread = None
        self._tokenizer.shutdown()

    @property
    def context(self) -> int:
        """The most tokens that a prompt and its answer may have together."""
        return self._runner.cells

    @property
    def chat_template(self) -> str | None:
        return self._runner.chat_template

    @property
    def first_token(self) -> int | None:
        """The token every prompt of this model begins with, if it has one."""
        return self._runner.vocabulary.first

    @property
    def template_tokens(self) -> dict[str, str]:
        return self._runner.template_tokens

    @property
    def busy(self) -> int:
        """Generations running or waiting."""
        return len(self._generations)

    async def tokenize(self, texts: list[tuple[str, bool]]) -> list[list[int]]:
        """Ids of each (text, special); control tokens are recognised only in special texts.

        Off the loop: a long text takes a while.
        """
        vocabulary = self._runner.vocabulary
        return await self._loop.run_in_executor(
            self._tokenizer, lambda: [vocabulary.tokenize(text, special=special) for text, special in texts]
        )

    def generate(self, prompt: list[int], sampling: Sampling) -> Generation:
        """Submit a prompt (token ids). `max_tokens` is lowered to what the context has room for.

        Raises PromptTooLong and Overloaded, both before anything is computed.
        """
        room = self._runner.cells - len(prompt)
        if room < 1:
            raise PromptTooLong(len(prompt), self._runner.cells)
        waiting = len(self._generations) - self._runner.slots
        if waiting >= self._max_waiting:
            wait = int(self._answer_ms * (1 + waiting / self._runner.slots))
            raise Overloaded(f"{waiting} questions are waiting already; the queue holds {self._max_waiting}.", wait)
        sampling = replace(sampling, max_tokens=min(sampling.max_tokens, room))
        sequence = Sequence(next(self._ids), prompt, sampling)
        generation = self._generations[sequence.id] = Generation(self, sequence)
        self._inbox.put(Submit(sequence))
        return generation

    def cancel(self, id: int, quiet: bool) -> None:
        self._inbox.put(Cancel(id, quiet))

    def forget(self, id: int) -> None:
        """Nobody listens to this generation any more."""
        if self._generations.pop(id, None) is not None:
            self.cancel(id, quiet=True)  # nothing happens if it has finished

    def note_duration(self, seconds: float) -> None:
        """Keep the mean time of recent answers, from which waiting times are estimated."""
        self._answer_ms += (seconds * 1000 - self._answer_ms) * 0.2

    def _deliver(self, events: list[tuple[int, Event]]) -> None:
        for id, event in events:
            generation = self._generations.get(id)
            if generation is not None:
                generation.mailbox.put_nowait(event)

    # On the engine thread

    def _run(self) -> None:
        try:
            runner = self._open_runner()
        except Exception as error:  # noqa: BLE001  # whatever it is, whoever awaits ready() must learn of it
            self._post(self._settle, error)
            return
        self._samplers: dict[int, Sampler] = {}
        self._scheduler = Scheduler(runner.slots, runner.cells, runner.can_trim)
        self._pace = Pace(self._cores, runner.max_rows - runner.slots)
        self._computing = runner
        self._time_step(1, 1)  # the first step of all allocates
        self._pace.measure(self._time_step, [rows for rows in MEASURED_ROWS if rows < runner.max_rows])
        self._post(self._settle, runner)
        while self._obey():
            try:
                events = self._step()
            except Exception:  # a mistake of ours must not end the thread: those it hit fail, the next question works
                logger.exception("the engine made a mistake")
                events = self._start_over()
            if events:
                self._post(self._deliver, events)
        for sampler in self._samplers.values():
            sampler.close()
        runner.close()

    def _settle(self, outcome: Runner | Exception) -> None:
        if isinstance(outcome, Exception):
            self._loaded.set_exception(outcome)
        else:
            self._loaded.set_result(outcome)

    def _post(self, call: Callable[..., None], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *args)
        except RuntimeError:  # the loop has closed: nobody is left to hear
            logger.info("the event loop closed before the engine did")

    def _obey(self) -> bool:
        """Take what is in the inbox; wait for it when there is nothing to compute. False means the end."""
        block = self._scheduler.idle
        while True:
            try:
                order = self._inbox.get(block)
            except queue.Empty:
                return True
            block = False
            match order:
                case Submit(sequence):
                    self._scheduler.submit(sequence)
                    self._samplers[sequence.id] = self._computing.sampler(sequence.sampling)
                case Cancel(id, quiet):
                    ended = self._end(id)
                    if ended is not None and not quiet:
                        self._post(self._deliver, [(id, event) for event in ended.cancel()])
                case Shutdown():
                    return False

    def _step(self) -> list[tuple[int, Event]]:
        batch = self._scheduler.plan(self._pace.chunk(self._scheduler.decoding))
        if batch is None:
            return []
        for edit in batch.edits:
            self._computing.edit(edit)
        started = time.perf_counter()
        try:
            events = self._compute(batch.shares)
        except DecodeFailed as failure:
            logger.warning("a step failed, trying its sequences one by one", extra={"why": str(failure)})
            return self._one_by_one(batch)
        self._pace.observe(batch.rows, time.perf_counter() - started)
        return events

    def _compute(self, shares: list[Share]) -> list[tuple[int, Event]]:
        rows = sum(len(share.tokens) for share in shares)
        self._computing.decode(shares, self._pace.threads(rows))
        sampled = [share.sequence for share in shares if share.sampled]
        if not sampled:
            return []
        chosen = self._computing.choose([self._samplers[sequence.id] for sequence in sampled])
        return [
            (sequence.id, event)
            for sequence, token in zip(sampled, chosen, strict=True)
            for event in self._advance(sequence, token)
        ]

    def _advance(self, sequence: Sequence, chosen: Chosen) -> list[Event]:
        if not math.isfinite(chosen.logprob):
            return [self._fail(sequence, "the model's output is not a number")]
        vocabulary = self._computing.vocabulary
        events = sequence.append(chosen, None if vocabulary.is_end(chosen.token) else vocabulary.piece(chosen.token))
        if isinstance(events[-1], Finish):
            self._end(sequence.id)
        return [*events]

    def _one_by_one(self, batch: Batch) -> list[tuple[int, Event]]:
        """A failed step says nothing about who is to blame; alone, only the culprit fails."""
        events: list[tuple[int, Event]] = []
        for share in batch.shares:
            try:
                events += self._compute([share])
            except DecodeFailed as failure:
                self._scheduler.unwind(share)
                events.append((share.sequence.id, self._fail(share.sequence, str(failure))))
        return events

    def _fail(self, sequence: Sequence, why: str) -> EngineFailed:
        logger.error("a sequence failed", extra={"sequence": sequence.id, "why": why})
        self._end(sequence.id, forget=True)
        return EngineFailed(f"The model could not go on with this answer: {why}.")

    def _start_over(self) -> list[tuple[int, Event]]:
        """Fail everything under way and begin again with an empty cache."""
        failed: list[tuple[int, Event]] = [(id, EngineFailed("The engine made a mistake.")) for id in self._samplers]
        for sampler in self._samplers.values():
            sampler.close()
        self._samplers.clear()
        runner = self._computing
        for slot in range(runner.slots):
            runner.edit(Trim(slot, 0))
        self._scheduler = Scheduler(runner.slots, runner.cells, runner.can_trim)
        return failed

    def _end(self, id: int, forget: bool = False) -> Sequence | None:
        sequence = self._scheduler.remove(id, forget)
        if sequence is not None:
            self._samplers.pop(id).close()
        return sequence

    def _time_step(self, rows: int, threads: int) -> float:
        """Seconds that a step of `rows` tokens takes. Before the first sequence only: it uses slot 0 and empties it."""
        tokens = [0] * rows
        share = Share(Sequence(0, tokens, Sampling()), slot=0, position=0, tokens=tokens, sampled=True)
        started = time.perf_counter()
        self._computing.decode([share], threads)
        taken = time.perf_counter() - started
        self._computing.edit(Trim(0, 0))
        return taken


def available_cores() -> int:
    """Cores this process may run on, which containers and taskset limit."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
