"""The answers under way. An answer belongs to its conversation: listeners come and go, and it goes on.

Everything here happens on the event loop without awaiting between a look and a change, so what a listener has been
told and what it will be told next always meet without gap or repeat.
"""

import asyncio
import logging
import uuid
from bisect import bisect_left
from collections import OrderedDict, deque
from contextlib import aclosing
from typing import Literal, Protocol

from neuralbridge.assistant.assistant import Assistant
from neuralbridge.assistant.events import (
    Answered,
    AnswerEvent,
    Asked,
    Cited,
    Failed,
    Question,
    Queued,
    Sources,
    Started,
    Superseded,
    Text,
    Thought,
)
from neuralbridge.assistant.metrics import Metrics, Timing
from neuralbridge.errors import BridgeError, Overloaded
from neuralbridge.sections import Limits
from neuralbridge.store.conversations import Conversation
from neuralbridge.types import Cancellation, Reading

logger = logging.getLogger(__name__)

KEPT = 256  # finished answers kept for `resume`, at the most
BUSY_RETRY_MS = 5_000
OF_STREAMS = Started | Sources | Reading | Thought | Text | Cited | Superseded  # who waits for the whole hears none
UNFORESEEN = "An internal error ended the answer; the log has the details."


class Listener(Protocol):
    """Somebody who is told of an answer's events. Must not block and must not raise."""

    def hear(self, answer: "Answer", seq: int | None, event: AnswerEvent) -> None: ...

    def hear_branch(self, message: str) -> None:
        """Another branch of the conversation is the active one now, that through this message."""


class Patient:
    """A listener that waits for the end, and then looks at the answer."""

    def hear(self, answer: "Answer", seq: int | None, event: AnswerEvent) -> None:
        """What comes before the end is of no interest, and the end is waited for."""

    def hear_branch(self, message: str) -> None:
        """The answer waited for stands where it stands."""


class Answer:
    """One question on its way: its numbered events so far, and who listens."""

    def __init__(self, question: Question) -> None:
        self.id = uuid.uuid4().hex
        self.question = question
        self.cancellation = Cancellation()
        self.owner: Listener | None = None  # who asked, or took the answer over after a lost connection
        self.listeners: dict[Listener, bool] = {}  # True: hears everything; False: the closing event only
        self.done = False
        self.ended = asyncio.Event()
        self._log: list[AnswerEvent] = []  # event n of the answer at n - 1
        self._superseded: list[int] = []  # the numbers of the events that end a stream but not the answer

    @property
    def told(self) -> int:
        """The number of the last event."""
        return len(self._log)

    @property
    def last(self) -> AnswerEvent | None:
        return self._log[-1] if self._log else None

    def stream_id(self, seq: int | None) -> str:
        """The name of the stream that event `seq` is of: the answer's own, or of one that took its place."""
        before = bisect_left(self._superseded, seq or 0)
        return f"{self.id}-{before + 1}" if before else self.id

    def publish(self, event: AnswerEvent) -> None:
        if isinstance(event, OF_STREAMS) and not self.question.streamed:
            return
        if isinstance(event, Reading):  # where it stands now; nobody asks where it stood
            self._tell(None, event)
            return
        self._log.append(event)
        if isinstance(event, Superseded):
            self._superseded.append(self.told)
        self.done = isinstance(event, Answered | Failed)
        self._tell(self.told, event)
        if self.done:
            self.ended.set()

    def _tell(self, seq: int | None, event: AnswerEvent) -> None:
        for listener, everything in [*self.listeners.items()]:
            if everything or self.done:
                listener.hear(self, seq, event)

    def replay(self, listener: Listener, after: int = 0) -> None:
        for seq, event in enumerate(self._log[after:], after + 1):
            listener.hear(self, seq, event)


class Line:
    """One conversation's questions: the one being answered, those behind it, and who is subscribed to them."""

    def __init__(self) -> None:
        self.running: Answer | None = None
        self.waiting: deque[Answer] = deque()
        self.subscribers: dict[Listener, bool] = {}  # True: follows, so it hears also what others ask
        self.giving_up: asyncio.TimerHandle | None = None  # while nobody is subscribed

    @property
    def answers(self) -> list[Answer]:
        return [*([self.running] if self.running else []), *self.waiting]


class Answers:
    """The registry: takes questions, answers those of one conversation in turn, and keeps what ended for a while."""

    def __init__(self, assistant: Assistant, limits: Limits, metrics: Metrics) -> None:
        self._assistant = assistant
        self._limits = limits
        self._metrics = metrics
        self._lines: dict[Conversation, Line] = {}
        self._kept: OrderedDict[str, Answer] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """Questions behind others of their conversations."""
        return sum(len(line.waiting) for line in self._lines.values())

    @property
    def under_way(self) -> int:
        return sum(len(line.answers) for line in self._lines.values())

    def running(self, conversation: Conversation) -> list[str]:
        """Stream ids of the conversation's unfinished answers, the one being answered first."""
        line = self._lines.get(conversation)
        return [answer.stream_id(answer.told + 1) for answer in line.answers] if line else []

    def ask(self, question: Question, asker: Listener) -> Answer:
        """Answer a question now or in its turn; the asker hears everything. Raises Overloaded."""
        line = self._lines.setdefault(question.conversation, Line())
        if len(line.waiting) >= self._limits.waiting_per_conversation:
            limit = self._limits.waiting_per_conversation
            raise Overloaded(
                f"{limit} questions of this conversation are waiting already, the most there may be.", BUSY_RETRY_MS
            )
        answer = Answer(question)
        answer.owner = asker
        followers = [subscriber for subscriber, follows in line.subscribers.items() if follows]
        answer.listeners = dict.fromkeys([*followers, asker], True)
        for follower in followers:
            if follower is not asker:
                follower.hear(answer, None, Asked())
        if line.running is None:
            self._run(line, answer)
        else:
            line.waiting.append(answer)
            answer.publish(Queued(len(line.waiting)))
        return answer

    async def select(self, conversation: Conversation, message: str, asker: Listener) -> None:
        """Make the branch through a message the active one; the asker and all followers hear of it.

        What is being answered goes on in its own branch. Raises InvalidParams.
        """
        await self._assistant.select(conversation, message)
        line = self._lines.get(conversation)
        followers = [subscriber for subscriber, follows in line.subscribers.items() if follows] if line else []
        for listener in dict.fromkeys([asker, *followers]):
            listener.hear_branch(message)

    async def whole(self, question: Question) -> Answered:
        """Ask, and wait for the end. Whoever does not wait any longer stops the answer.

        Raises Overloaded, and the BridgeError that the answer failed with.
        """
        asker, conversation = Patient(), question.conversation
        self.await_closing(asker, conversation)  # so that nobody else's leaving ends this
        try:
            answer = self.ask(question, asker)
            try:
                await answer.ended.wait()
            except asyncio.CancelledError:
                self.stop(conversation, answer.id)
                raise
        finally:
            self.drop(asker, conversation)
        match answer.last:
            case Failed(BridgeError() as error):
                raise error
            case Failed(error):
                raise BridgeError(UNFORESEEN) from error
            case Answered() as answered:
                return answered
            case event:
                raise AssertionError(f"an answer ended with {event}")

    def interrupt_waited(self) -> None:
        """The server goes: whoever waits for a whole answer gets what there is of it."""
        for line in [*self._lines.values()]:
            for answer in line.answers:
                if any(isinstance(listener, Patient) for listener in answer.listeners):
                    self._end(answer, "interrupted")

    async def end_all(self, conversation: Conversation) -> None:
        """Stop everything of a conversation, wait until that is stored, and keep nothing of it to be resumed."""
        while unfinished := [answer for answer in self._answers_of(conversation) if not answer.done]:
            for answer in unfinished:
                self._end(answer)
            await asyncio.gather(*(answer.ended.wait() for answer in unfinished))
        for id, answer in [*self._kept.items()]:
            if answer.question.conversation == conversation:
                del self._kept[id]

    async def end_all_of(self, owner: str) -> None:
        """`end_all` of every conversation of an owner."""
        while conversations := {
            answer.question.conversation
            for answer in [*self._kept.values(), *(each for line in self._lines.values() for each in line.answers)]
            if answer.question.conversation.owner == owner
        }:
            for conversation in conversations:
                await self.end_all(conversation)

    def stop(self, conversation: Conversation, id: str | None = None) -> None:
        """End the running answer, or the one named, running or waiting. With nothing to end, nothing happens."""
        line = self._lines.get(conversation)
        for answer in line.answers if line else []:
            if (id is None and line and answer is line.running) or (id is not None and answer.id == question_of(id)):
                self._end(answer)

    # Listeners

    def find(self, conversation: Conversation, id: str, seq: int) -> Answer | None:
        """The answer to resume after event `seq`; None when it is unknown, too old, or never told so much."""
        line = self._lines.get(conversation)
        unfinished = {answer.id: answer for answer in line.answers} if line else {}
        answer = unfinished.get(question_of(id)) or self._kept.get(question_of(id))
        if answer is None or answer.question.conversation != conversation or seq > answer.told:
            return None
        return answer

    def resume(self, listener: Listener, answer: Answer, seq: int) -> None:
        """Tell what was missed after event `seq`, then the rest."""
        if not answer.done:
            answer.owner = listener
            answer.listeners[listener] = True
        answer.replay(listener, seq)

    def await_closing(self, listener: Listener, conversation: Conversation) -> None:
        """Tell how the unfinished answers end, so that a client that lost its connection does not wait forever."""
        for answer in self._subscribe(listener, conversation, follows=False):
            answer.listeners[listener] = False

    def follow(self, listener: Listener, conversation: Conversation) -> None:
        """Tell everything of this conversation, whoever asks: first what is under way from its beginning."""
        for answer in self._subscribe(listener, conversation, follows=True):
            answer.listeners[listener] = True
            listener.hear(answer, None, Asked())
            answer.replay(listener)

    def drop(self, listener: Listener, conversation: Conversation) -> None:
        """The listener's connection is gone; its answers go on, for a while also when nobody else is subscribed."""
        line = self._lines.get(conversation)
        if line is None:
            return
        line.subscribers.pop(listener, None)
        for answer in line.answers:
            answer.listeners.pop(listener, None)
            if answer.owner is listener:
                answer.owner = None
        if not line.subscribers and line.giving_up is None:
            seconds = self._limits.unwatched_seconds
            line.giving_up = asyncio.get_running_loop().call_later(seconds, self._give_up, line)
        self._tidy(conversation)

    def leave(self, listener: Listener, conversation: Conversation) -> None:
        """The listener left on purpose: what it asked ends, and everything when it was the last subscriber."""
        line = self._lines.get(conversation)
        if line is None:
            return
        owned = [answer for answer in line.answers if answer.owner is listener]
        self.drop(listener, conversation)
        for answer in owned if line.subscribers else line.answers:
            self._end(answer)

    async def close(self) -> None:
        """Interrupt everything and wait until that is stored."""
        for line in self._lines.values():
            line.waiting.clear()
            stop_clock(line)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # An answer's life

    def _run(self, line: Line, answer: Answer) -> None:
        line.running = answer
        self._spawn(self._answer(answer, line))

    def _spawn(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, answer: Answer, line: Line | None = None) -> None:
        """Answer, then let the next in line have its turn."""
        timing = Timing()
        try:
            async with aclosing(self._assistant.ask(answer.question, answer.cancellation)) as events:
                async for event in events:
                    answer.publish(event)
                    if isinstance(event, Text | Thought):
                        timing.spoke()
                    elif isinstance(event, Answered):
                        self._metrics.answered(event.cost, timing)
        except BridgeError as error:
            self._fail(answer, error)
        except Exception as error:
            logger.exception("an answer failed", extra={"answer": answer.id})
            self._fail(answer, error)
        self._keep(answer)
        if line is not None:
            self._advance(answer.question.conversation, line)

    def _fail(self, answer: Answer, error: Exception) -> None:
        self._metrics.failed(type(error).__name__)
        answer.publish(Failed(error))

    def _advance(self, conversation: Conversation, line: Line) -> None:
        line.running = None
        if line.waiting:
            self._run(line, line.waiting.popleft())
            self._tell_places(line)
        self._tidy(conversation)

    def _end(self, answer: Answer, outcome: Literal["cancelled", "interrupted"] = "cancelled") -> None:
        """Cancel; a waiting question leaves the line and is closed at once."""
        answer.cancellation.request(outcome)
        line = self._lines.get(answer.question.conversation)
        if line is not None and answer in line.waiting:
            line.waiting.remove(answer)
            self._spawn(self._answer(answer))
            self._tell_places(line)

    def _tell_places(self, line: Line) -> None:
        for place, answer in enumerate(line.waiting, 1):
            if answer.last != Queued(place):
                answer.publish(Queued(place))

    def _give_up(self, line: Line) -> None:
        for answer in line.answers:
            logger.info("nobody came back for an answer", extra={"answer": answer.id})
            self._end(answer, "interrupted")

    def _subscribe(self, listener: Listener, conversation: Conversation, follows: bool) -> list[Answer]:
        """Note that somebody is there; the unfinished answers that are new to it."""
        line = self._lines.setdefault(conversation, Line())
        line.subscribers[listener] = follows or line.subscribers.get(listener, False)
        stop_clock(line)
        new = [answer for answer in line.answers if listener not in answer.listeners]
        for answer in new:
            answer.owner = answer.owner or listener
        return new

    def _keep(self, answer: Answer) -> None:
        """Remember a finished answer for `resume_seconds`, the newest `KEPT` of them."""
        answer.listeners.clear()
        answer.owner = None
        self._kept[answer.id] = answer
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        asyncio.get_running_loop().call_later(self._limits.resume_seconds, self._kept.pop, answer.id, None)

    def _answers_of(self, conversation: Conversation) -> list[Answer]:
        line = self._lines.get(conversation)
        return line.answers if line else []

    def _tidy(self, conversation: Conversation) -> None:
        line = self._lines.get(conversation)
        if line is not None and not line.answers and not line.subscribers:
            stop_clock(line)
            del self._lines[conversation]


def question_of(stream_id: str) -> str:
    """The answer that a stream belongs to: what takes the place of `x` is `x-2`, then `x-3`."""
    return stream_id.partition("-")[0]


def stop_clock(line: Line) -> None:
    """Do not give up: somebody is subscribed, or there is nothing to give up."""
    if line.giving_up is not None:
        line.giving_up.cancel()
        line.giving_up = None
