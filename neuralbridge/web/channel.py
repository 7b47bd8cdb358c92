"""One joined channel `proxy:<session_id>`: carries out what its client asks, and tells it what it hears."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

from neuralbridge.access.users import User
from neuralbridge.assistant.answers import Answer, Answers
from neuralbridge.assistant.events import (
    Answered,
    AnswerEvent,
    Asked,
    Cited,
    Failed,
    Question,
    Queued,
    Receipt,
    Sources,
    Started,
    Superseded,
    Text,
    Thought,
)
from neuralbridge.errors import BridgeError
from neuralbridge.protocol import pushes
from neuralbridge.protocol.frames import Json
from neuralbridge.protocol.requests import (
    ContinueRequest,
    FeedbackRequest,
    HistoryRequest,
    JoinRequest,
    RegenerateRequest,
    SelectRequest,
    StopRequest,
    parse,
    parse_query,
    parse_resume,
)
from neuralbridge.protocol.session import Received
from neuralbridge.store.branches import Errand
from neuralbridge.store.conversations import Conversation, Conversations, Message, timestamp
from neuralbridge.store.feedback import Feedback
from neuralbridge.types import Reading

logger = logging.getLogger(__name__)

EVENTS_QUEUED = 1_000  # of a client that sends faster than it is served; then its socket is not read on

WITH_A_REPLY = ("get_history", "select", "feedback")  # what the store is asked for: nobody would hear of it

HISTORY_BYTES = 2 * 1024 * 1024  # of a part of the history, which is encoded in one go

RATINGS: dict[int, Literal["up", "down"]] = {1: "up", -1: "down"}

Push = Callable[[str, dict[str, Any]], None]


class ProxyChannel:
    """`push` sends an event to the client; `crashed` is told when a mistake of ours ends the channel."""

    def __init__(
        self,
        user: User,
        conversation: Conversation,
        answers: Answers,
        conversations: Conversations,
        feedback: Feedback,
        push: Push,
        crashed: Callable[[], None],
    ) -> None:
        self.user = user
        self._conversation = conversation
        self._answers = answers
        self._conversations = conversations
        self._feedback = feedback
        self._push = push
        self._crashed = crashed
        self._label: str | None = None
        self._received: asyncio.Queue[Received] = asyncio.Queue(EVENTS_QUEUED)
        self._worker: asyncio.Task[None] | None = None

    # Coming and going, called by the connection

    def join(self, request: JoinRequest, user_id: str | None, accept: Callable[[dict[str, Any]], None]) -> None:
        """Answer the join, then tell what was missed. Synchronous: nothing can happen in between."""
        wanted = request.user_id
        self._label = str(wanted) if isinstance(wanted, str | int) and wanted != "" else user_id
        point = parse_resume(request)
        answer = self._answers.find(self._conversation, point.stream_id, point.seq) if point else None
        response = {
            "status": "connected",
            "session_id": self._conversation.session_id,
            "running": self._answers.running(self._conversation),
        }
        if request.resume is not None:
            response["resume"] = "ok" if answer else "gone"
        accept(response)
        if answer is not None and point is not None:
            self._answers.resume(self, answer, point.seq)
        if request.follow is True:
            self._answers.follow(self, self._conversation)
        self._answers.await_closing(self, self._conversation)
        self._worker = asyncio.create_task(self._work())

    def leave(self) -> None:
        """The client left: what it asked ends."""
        self._end_work()
        self._answers.leave(self, self._conversation)

    def drop(self) -> None:
        """The client is gone, or has joined anew: what it asked goes on, also what had not had its turn yet."""
        for received in self._end_work():
            if received.event not in WITH_A_REPLY:
                self._act(received)
        self._answers.drop(self, self._conversation)

    async def receive(self, received: Received) -> None:
        await self._received.put(received)

    def _end_work(self) -> list[Received]:
        """Stop the worker; what it did not get to. Whoever waits to add to that is let go."""
        if self._worker is not None and self._worker is not asyncio.current_task():
            self._worker.cancel()
        return [self._received.get_nowait() for _ in range(self._received.qsize())]

    # What the client asks

    async def _work(self) -> None:
        try:
            while True:
                received = await self._received.get()
                if received.event == "get_history":
                    await self._tell_history(received.ref, received.payload)
                elif received.event == "select":
                    await self._select(received.ref, received.payload)
                elif received.event == "feedback":
                    await self._take_feedback(received.ref, received.payload)
                else:
                    self._act(received)
        except Exception:
            logger.exception("a channel crashed", extra={"session_id": self._conversation.session_id})
            self._end_work()
            self._answers.drop(self, self._conversation)
            self._crashed()

    def _act(self, received: Received) -> None:
        """Do what needs no waiting."""
        ref, payload = received.ref, received.payload
        match received.event:
            case "ping":
                self._push("pong", pushes.Pong(timestamp=timestamp()).payload())
            case "query" | "stream_query" if not isinstance(payload, bytes):
                self._ask(ref, payload, self._question, streamed=received.event == "stream_query")
            case "regenerate":
                self._ask(ref, payload, self._regeneration)
            case "continue":
                self._ask(ref, payload, self._continuation)
            case "stop":
                self._stop(ref, payload)
            case "access_token":
                pass  # Supabase's client sends it with every token refresh; an error would reach the application
            case _:
                self._push("error", pushes.unknown_event(received.event, ref).payload())

    def _ask(self, ref: Json, payload: Json, read: Callable[[Json], Question], streamed: bool = True) -> None:
        try:
            self._answers.ask(replace(read(payload), streamed=streamed, tag=ref), self)
        except BridgeError as error:
            self._push(*failed(error, streamed, ref=ref))

    def _question(self, payload: Json) -> Question:
        request = parse_query(payload)
        metadata = {"user_id": self._label, **(request.metadata or {})} if self._label else request.metadata or {}
        return Question(
            self._conversation,
            request.query,
            request.model,
            request.params,
            metadata,
            retrieval=request.retrieval,
            cache=request.cache is not False,
            errand=Errand("edits", request.edits) if request.edits is not None else None,
        )

    def _regeneration(self, payload: Json) -> Question:
        request = parse(RegenerateRequest, payload)
        errand = Errand("regenerates", request.message_id)
        return Question(
            self._conversation,
            "",
            request.model,
            request.params,
            retrieval=request.retrieval,
            cache=False,
            errand=errand,
        )

    def _continuation(self, payload: Json) -> Question:
        errand = Errand("continues", parse(ContinueRequest, payload).message_id)
        return Question(self._conversation, "", errand=errand)

    async def _tell_history(self, ref: Json, payload: Json) -> None:
        try:
            wanted = parse(HistoryRequest, payload)
        except BridgeError as error:
            self._push("error", pushes.error_push(error, ref=ref).payload())
            return
        history = await history_of(self._conversations, self._conversation, wanted.limit, wanted.before)
        self._push("history", await asyncio.to_thread(history.payload))

    async def _select(self, ref: Json, payload: Json) -> None:
        try:
            message = parse(SelectRequest, payload).message_id
            await self._answers.select(self._conversation, message, self)
        except BridgeError as error:
            self._push("error", pushes.error_push(error, ref=ref).payload())

    def _stop(self, ref: Json, payload: Json) -> None:
        try:
            self._answers.stop(self._conversation, parse(StopRequest, payload).stream_id)
        except BridgeError as error:
            self._push("error", pushes.error_push(error, ref=ref).payload())

    async def _take_feedback(self, ref: Json, payload: Json) -> None:
        try:
            said = parse(FeedbackRequest, payload)
            await self._feedback.put(self._conversation.owner, said.message_id, said.value, said.comment)
        except BridgeError as error:
            self._push("error", pushes.error_push(error, ref=ref).payload())
            return
        rated = pushes.Feedback(message_id=said.message_id, rating=said.rating, comment=said.comment)
        self._push("feedback", rated.payload())

    # What it is told

    def hear(self, answer: Answer, seq: int | None, event: AnswerEvent) -> None:
        self._push(*told(answer, seq, event))

    def hear_branch(self, message: str) -> None:
        self._push("branch", pushes.Branch(message_id=message).payload())


def told(answer: Answer, seq: int | None, event: AnswerEvent) -> tuple[str, dict[str, Any]]:
    """An answer's event in the words of the wire."""
    streamed = answer.question.streamed
    of = {"stream_id": answer.stream_id(seq), "ref": answer.question.tag, "seq": seq}
    match event:
        case Text(text):
            return "stream_token", {"token": text, **of}  # a StreamToken, without the time that building one takes
        case Thought(text):
            return "stream_thought", {"token": text, **of}
        case Reading(read, total):
            now = answer.stream_id(answer.told + 1)
            return "progress", pushes.Progress(stream_id=now, ref=of["ref"], read=read, total=total).payload()
        case Started(query, question_id, message_id):
            start = pushes.StreamStart(
                query=query, timestamp=timestamp(), question_id=question_id, message_id=message_id, **of
            )
            before = answer.stream_id((seq or 1) - 1)
            if before != of["stream_id"]:
                start.replaces = before
            return "stream_start", start.payload()
        case Sources(sources):
            passages = [pushes.SourcePassage.model_validate(source) for source in sources]
            return "sources", pushes.Sources(sources=passages, **of).payload()
        case Cited(citations):
            told_citations = [pushes.Citation.model_validate(each) for each in citations]
            return "citations", pushes.Citations(citations=told_citations, **of).payload()
        case Superseded(text, receipt):
            by = answer.stream_id((seq or 0) + 1)
            ended = pushes.StreamComplete(response=text, metadata=metadata(receipt, by), timestamp=timestamp(), **of)
            return "stream_complete", ended.payload()
        case Answered(text, receipt):
            name, model = ("stream_complete", pushes.StreamComplete) if streamed else ("response", pushes.Response)
            return name, model(response=text, metadata=metadata(receipt), timestamp=timestamp(), **of).payload()
        case Failed(error):
            return failed(error, streamed, **of)
        case Queued(place):
            return "queued", pushes.Queued(place=place, **of).payload()
        case Asked():
            question = answer.question
            asked = pushes.QuestionAsked(stream_id=answer.id, query=question.query, timestamp=timestamp())
            if question.errand is not None:
                setattr(asked, question.errand.kind, question.errand.message)
            return "question", asked.payload()


def metadata(receipt: Receipt, superseded_by: str | None = None) -> pushes.Metadata:
    told = pushes.Metadata.model_validate(receipt, from_attributes=True)
    if superseded_by is not None:
        told.superseded_by = superseded_by
    return told


def failed(error: Exception, streamed: bool, **of: Any) -> tuple[str, dict[str, Any]]:
    if streamed:
        return "stream_error", pushes.stream_error_push(error, **of).payload()
    return "error", pushes.error_push(error, **of).payload()


async def history_of(
    conversations: Conversations, conversation: Conversation, limit: int, before: str | None
) -> pushes.History:
    """A part of the active branch, as clients are told it; those that want more ask for what is before it."""
    messages = await conversations.branch(conversation, limit, before, HISTORY_BYTES)
    siblings = await conversations.siblings(messages)
    return pushes.History(
        messages=[history_message(message, siblings[message.uid]) for message in messages],
        total_messages=await conversations.length(conversation),
        before=before,
    )


def history_message(message: Message, siblings: list[str]) -> pushes.HistoryMessage:
    return pushes.HistoryMessage(
        id=message.uid,
        parent=message.parent,
        role=message.role,
        content=message.content,
        status=message.status,
        metadata={"status": message.status, **message.metadata},
        timestamp=message.created_at,
        siblings=siblings,
        rating=RATINGS.get(message.rating),
    )
