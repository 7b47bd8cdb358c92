"""The engine as the event loop sees it: submit a prompt, listen to what comes of it.

Two crossings and no locks. What the loop wants goes into the worker's inbox; what a step made comes back in one
`call_soon_threadsafe`, however many sequences it was for.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from typing import Self, TypeVar

from neuralbridge.engine.grammar import Compiler, Grammar
from neuralbridge.engine.runner import Runner
from neuralbridge.engine.schema import Schema
from neuralbridge.engine.sequence import Sequence
from neuralbridge.engine.worker import Cancel, Event, Forget, Shutdown, Submit, Worker
from neuralbridge.errors import EngineFailed, InvalidParams, Overloaded, PromptTooLong
from neuralbridge.types import LOCAL_OWNER, Finish, Piece, Reading, Sampling

logger = logging.getLogger(__name__)
T = TypeVar("T")

STALLED_SECONDS = 10.0  # a step takes a fraction of a second
WAIT_PER_ANSWER_MS = 4_000  # assumed for the first estimates, until answers have been timed
UNLIMITED = frozenset({"", LOCAL_OWNER})  # owners that have the machine to themselves


class Generation:
    """The events of one sequence, in order, to its Finish. Close it early to give up the sequence."""

    def __init__(self, engine: "Engine", sequence: Sequence) -> None:
        self.owner = sequence.owner
        self._engine = engine
        self._id = sequence.id
        self.mailbox: asyncio.Queue[Event] = asyncio.Queue()  # bounded by prompt and answer; the loop's alone
        self._ended = False
        self._begun = time.monotonic()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Piece | Reading | Finish:
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

    `open_runner` loads the model, on the engine thread; `max_waiting` bounds the sequences without a slot,
    `max_per_owner` those that one owner has under way, `answer_seconds` how long one may take from its first step on.
    """

    def __init__(
        self,
        open_runner: Callable[[], Runner],
        max_waiting: int,
        cores: int | None = None,
        max_per_owner: int | None = None,
        answer_seconds: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open_runner = open_runner
        self._cores = cores
        self._answer_seconds = answer_seconds
        self._clock = clock
        self._worker = self._new_worker()
        self._max_waiting = max_waiting
        self._max_per_owner = max_per_owner
        self._generations: dict[int, Generation] = {}
        self._ids = count(1)
        self._answer_ms = float(WAIT_PER_ANSWER_MS)
        self._tokenizer = ThreadPoolExecutor(1, "tokenizer")
        self._compiling = ThreadPoolExecutor(1, "grammar")  # a schema may take seconds; texts do not wait for it
        self._started = False

    def _new_worker(self) -> Worker:
        settle, deliver = self._from_thread(self._settle), self._from_thread(self._deliver)
        return Worker(self._open_runner, settle, deliver, self._cores, self._answer_seconds, self._clock)

    def start(self) -> None:
        """Begin to load the model on the engine thread; `ready` tells how that went. Again only after a `failure`."""
        if self._started:
            assert self.failure is not None, "a model is loaded once"
            self._worker = self._new_worker()
        self._loop = asyncio.get_running_loop()
        self._loaded: asyncio.Future[Runner] = self._loop.create_future()
        self._started = True
        self._worker.start()

    @property
    def started(self) -> bool:
        """Whether the model is loaded, or being loaded."""
        return self._started

    async def ready(self) -> None:
        """Wait until the model is loaded. Raises ModelUnusable."""
        self._runner = await asyncio.shield(self._loaded)

    @property
    def loaded(self) -> bool:
        return self._loaded.done() and self._loaded.exception() is None

    @property
    def failure(self) -> str | None:
        """Why the model could not be loaded, in a sentence; None while that is not so, or not known yet."""
        error = self._loaded.exception() if self._started and self._loaded.done() else None
        return None if error is None else str(error)

    async def stop(self) -> None:
        """End the thread after its current step and free the model."""
        self._compiling.shutdown(wait=False, cancel_futures=True)
        if self._started:
            await self._loop.run_in_executor(self._tokenizer, self._compiling.shutdown)  # it reads the vocabulary
            self._worker.inbox.put(Shutdown())
            await self._loop.run_in_executor(self._tokenizer, self._worker.join)
            self._started = False
        self._tokenizer.shutdown()

    @property
    def stalled(self) -> bool:
        """Whether a step takes so long that something must be wrong: a disk, a driver, a mistake in native code."""
        since = self._worker.computing_since
        return since is not None and time.perf_counter() - since > STALLED_SECONDS

    @property
    def context(self) -> int:
        """The most tokens that a prompt and its answer may have together."""
        return self._runner.cells

    @property
    def slots(self) -> int:
        """Sequences computed at once."""
        return self._runner.slots

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

    def piece(self, token: int) -> bytes:
        """The bytes a token stands for, which may be a part of a character; a control token stands for none."""
        return self._runner.vocabulary.piece(token)

    async def grammar(self, schema: Schema | bool | None) -> Grammar:
        """What holds answers of this model to a JSON Schema; None stands for any JSON object. Raises SchemaRefused."""
        return await self._loop.run_in_executor(self._compiling, self._compiler.compile, schema)

    def generate(self, prompt: list[int], sampling: Sampling, owner: str = "", shared: int = 0) -> Generation:
        """Submit a prompt (token ids) of a user. `max_tokens` is lowered to what the context has room for.

        What is computed of its first `shared` tokens may serve any owner; of the rest, this one alone. Raises
        InvalidParams, PromptTooLong and Overloaded, all before anything is computed.
        """
        self._check(sampling)
        if not prompt:  # nothing could be computed, so nothing would ever be said
            raise InvalidParams("prompt must not be empty: this model has no token of its own to begin with.", "prompt")
        room = self._runner.cells - len(prompt)
        if room < 1:
            raise PromptTooLong(len(prompt), self._runner.cells)
        self._check_share(owner)
        waiting = len(self._generations) - self._runner.slots
        if waiting >= self._max_waiting:
            wait = int(self._answer_ms * (1 + waiting / self._runner.slots))
            raise Overloaded(f"{waiting} questions are waiting already; the queue holds {self._max_waiting}.", wait)
        sampling = replace(sampling, max_tokens=min(sampling.max_tokens, room))
        sequence = Sequence(next(self._ids), prompt, sampling, owner, shared)
        generation = self._generations[sequence.id] = Generation(self, sequence)
        self._worker.inbox.put(Submit(sequence))
        return generation

    def _check(self, sampling: Sampling) -> None:
        vocabulary = self._runner.vocabulary
        strange = [token for token, _ in sampling.logit_bias if not 0 <= token < vocabulary.size]
        if strange:
            raise InvalidParams(
                f"logit_bias: this model has no token {strange[0]:,}; its ids go from 0 to {vocabulary.size - 1:,}.",
                "logit_bias",
            )
        grammar = sampling.grammar
        assert grammar is None or (isinstance(grammar, Grammar) and grammar.vocabulary is vocabulary), "another model's"

    def _check_share(self, owner: str) -> None:
        """Raises Overloaded."""
        if self._max_per_owner is None or owner in UNLIMITED:
            return
        under_way = sum(generation.owner == owner for generation in self._generations.values())
        if under_way >= self._max_per_owner:
            raise Overloaded(
                f"{under_way} of your answers are under way already; each user may have {self._max_per_owner}.",
                int(self._answer_ms),
            )

    def forget_owner(self, owner: str) -> None:
        """Drop all that is kept of an owner's finished sequences, before anything that is submitted from now on.

        What still runs is kept again when it ends: whoever wants that gone closes it first.
        """
        self._worker.inbox.put(Forget(owner))

    def cancel(self, id: int, quiet: bool) -> None:
        self._worker.inbox.put(Cancel(id, quiet))

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

    def _settle(self, outcome: Runner | Exception) -> None:
        if isinstance(outcome, Exception):
            self._loaded.set_exception(outcome)
        else:
            self._compiler = Compiler(outcome.vocabulary)
            self._loaded.set_result(outcome)

    def _from_thread(self, call: Callable[[T], None]) -> Callable[[T], None]:
        """A way for the engine thread to make the loop call `call`."""

        def post(value: T) -> None:
            try:
                self._loop.call_soon_threadsafe(call, value)
            except RuntimeError:  # the loop has closed: nobody is left to hear
                logger.info("the event loop closed before the engine did")

        return post
