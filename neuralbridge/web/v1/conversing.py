"""A chat request with the header x-neuralbridge-session.

Its last message is a question in a conversation of ours, which is stored, and the same as on the channel.
"""

import asyncio
from typing import Literal

from aiohttp import web

from neuralbridge.assistant.answers import Answer
from neuralbridge.assistant.events import Answered, AnswerEvent, Failed, Question, Queued, Receipt, Text, Thought
from neuralbridge.errors import InvalidParams
from neuralbridge.protocol import openai_replies as replies
from neuralbridge.protocol.openai import HALF, ChatRequest
from neuralbridge.protocol.requests import LONGEST_QUERY, LONGEST_SESSION_ID
from neuralbridge.store.conversations import Conversation
from neuralbridge.web.identity import user_of
from neuralbridge.web.keys import SERVICES
from neuralbridge.web.v1.doors import model_headers, told
from neuralbridge.web.v1.parts import as_told, closing_part, confidence_of, usage
from neuralbridge.web.v1.streaming import Heading, streaming

SESSION = "x-neuralbridge-session"
ALONE = ("tools", "response_format", "n", "logprobs", "logit_bias")  # not in a conversation of ours


class Hearer:
    """Takes down an answer's events for a request that waits for them."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[AnswerEvent] = asyncio.Queue()  # bounded by the answer's length

    def hear(self, answer: Answer, seq: int | None, event: AnswerEvent) -> None:  # noqa: ARG002  # as Listener has it
        self.events.put_nowait(event)

    def hear_branch(self, message: str) -> None:
        """It waits for one answer, wherever that stands."""


async def converse(request: web.Request, wanted: ChatRequest, headers: dict[str, str]) -> web.StreamResponse:
    """Ask in the conversation. A client that hangs up stops its answer. Raises InvalidRequest, Overloaded and what
    answering raises.
    """
    services = request.app[SERVICES]
    question = question_of(wanted, user_of(request).name, request.headers[SESSION])
    target = services.names.resolve(wanted.model)
    heading = Heading("chatcmpl", "chat.completion", target.echo)
    if wanted.stream:
        headers |= model_headers(target, target.model)
        return await stream(request, wanted, question, heading, headers)
    answered = await services.answers.whole(question)
    headers |= model_headers(target, answered.receipt.model_used)
    return told(whole(answered, heading), headers=headers)


def question_of(wanted: ChatRequest, owner: str, session: str) -> Question:
    """Raises InvalidParams."""
    if not 1 <= len(session) <= LONGEST_SESSION_ID:
        raise InvalidParams(f"{SESSION} must have 1 to {LONGEST_SESSION_ID} characters.", SESSION)
    if HALF.search(session):  # how aiohttp shows the bytes of a header that are no text
        raise InvalidParams(f"{SESSION} must be UTF-8.", SESSION)
    for name in ALONE:
        if getattr(wanted, name) != ChatRequest.model_fields[name].default:
            raise InvalidParams(f"{name} must not be given together with {SESSION}.", name)
    query = wanted.messages[-1].text
    if wanted.messages[-1].role != "user" or not query.strip() or len(query) > LONGEST_QUERY:
        raise InvalidParams(
            f"messages must end with a question of the user's, of 1 to {LONGEST_QUERY:,} characters.", "messages"
        )
    return Question(
        Conversation(owner, session),
        query,
        wanted.model or None,
        wanted.params,
        {"via": "/v1"},
        wanted.stream,
        wanted.retrieval,
        revisable=not wanted.stream,
    )


def whole(answered: Answered, heading: Heading) -> replies.ChatCompletion:
    receipt = answered.receipt
    answer = replies.ChatAnswer(
        content=answered.text,
        reasoning_content=receipt.thoughts or None,
        citations=as_told(receipt.citations) or None,
    )
    return replies.ChatCompletion(
        **heading.fields,
        choices=[replies.ChatChoice(index=0, message=answer, finish_reason=reason_of(receipt))],
        usage=usage(receipt.tokens),
        sources=as_told(receipt.sources) or None,
        confidence=confidence_of(receipt),
    )


async def stream(
    request: web.Request, wanted: ChatRequest, question: Question, heading: Heading, headers: dict[str, str]
) -> web.StreamResponse:
    """A question that is refused before it begins gets a status; one that fails later, an error in the stream."""
    answers, hearer = request.app[SERVICES].answers, Hearer()
    answers.await_closing(hearer, question.conversation)  # so that nobody else's leaving ends this
    try:
        answer = answers.ask(question, hearer)
        try:
            return await pass_on(request, wanted, hearer, heading, headers)
        finally:
            if not answer.done:
                answers.stop(question.conversation, answer.id)
    finally:
        answers.drop(hearer, question.conversation)


async def pass_on(
    request: web.Request, wanted: ChatRequest, hearer: Hearer, heading: Heading, headers: dict[str, str]
) -> web.StreamResponse:
    first = await hearer.events.get()
    while isinstance(first, Queued):
        first = await hearer.events.get()
    if isinstance(first, Failed):
        raise first.error
    chunks = heading.chunks("chat.completion.chunk")
    async with streaming(request, headers) as events:
        await events.send(chunks.choice(0, delta={"role": "assistant", "content": ""}))
        while True:
            match await hearer.events.get():
                case Thought(text):
                    delta = {"reasoning_content": text}
                    await events.send(chunks.choice(0, delta=delta, logprobs=None))
                case Text(text):
                    await events.send(chunks.text(0, text))
                case Answered(_, receipt):
                    await events.send(chunks.part(**closing_part(receipt, 0, reason_of(receipt))))
                    if wanted.stream_options.include_usage:
                        await events.send(chunks.part(choices=[], usage=usage(receipt.tokens).model_dump()))
                    break
                case Failed(error):
                    raise error
                case _:  # has no words in OpenAI's streams
                    pass
    return events.response


def reason_of(receipt: Receipt) -> Literal["stop", "length"]:
    return "length" if receipt.finish_reason == "length" else "stop"
