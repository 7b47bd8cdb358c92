"""POST /v1/chat/completions and /v1/completions, at once or as a stream."""

from contextlib import aclosing, suppress
from typing import Any

from aiohttp import web

from neuralbridge.access.users import LOCAL
from neuralbridge.assistant.completions import Reply, Wish
from neuralbridge.assistant.events import Receipt
from neuralbridge.assistant.tools import NO_TOOLS, Tools
from neuralbridge.errors import EngineFailed, InvalidParams
from neuralbridge.protocol import openai_replies as replies
from neuralbridge.protocol.openai import ChatRequest, Choosing, CompletionRequest, Message, NamedTool
from neuralbridge.types import Call, ChatMessage, Piece
from neuralbridge.web.identity import user_of
from neuralbridge.web.keys import SERVICES
from neuralbridge.web.v1.conversing import SESSION, converse
from neuralbridge.web.v1.doors import asked, model_headers, told
from neuralbridge.web.v1.parts import as_told, called, closing_part, confidence_of, logprobs_of, text_logprobs, usage_of
from neuralbridge.web.v1.streaming import Heading, interleaved, streaming

MAX_TEXTS = 32  # of one request


async def chat(request: web.Request) -> web.StreamResponse:
    wanted, headers = await asked(request, ChatRequest)
    refuse_images(wanted)
    if SESSION in request.headers:
        return await converse(request, wanted, headers)
    completions = request.app[SERVICES].completions
    messages = [as_message(message) for message in wanted.messages]
    wish, tools = wish_of_chat(wanted), tools_of(wanted)
    owner = user_of(request).name
    refuse_too_many(request, owner, wanted.n)
    # Whatever happens, also that the client hangs up: closed, nothing goes on for it
    async with aclosing(
        await completions.chat(wanted.model, messages, wish, tools, wanted.retrieval, owner=owner)
    ) as reply:
        heading = Heading("chatcmpl", "chat.completion", reply.target.echo)
        if wanted.stream:
            headers |= model_headers(reply.target, reply.receipt.model_used)
            return await stream_chat(request, wanted, reply, heading, headers)
        completion, receipt = await whole_chat(request, wanted, reply, heading)
        second = await completions.second_opinion(reply, receipt)
        if second is not None:
            async with aclosing(second):
                with suppress(EngineFailed):  # then the first stands
                    completion, receipt = await whole_chat(request, wanted, second, heading)
        return told(completion, headers={**headers, **model_headers(reply.target, receipt.model_used)})


async def text(request: web.Request) -> web.StreamResponse:
    wanted, headers = await asked(request, CompletionRequest)
    if wanted.suffix:
        raise InvalidParams("suffix must not be given: no model here fills in what is between.", "suffix")
    prompts = [wanted.prompt] if isinstance(wanted.prompt, str) else wanted.prompt
    if not prompts or len(prompts) * wanted.n > MAX_TEXTS:
        raise InvalidParams(f"prompt and n must ask for 1 to {MAX_TEXTS} texts together.", "prompt")
    completions, owner = request.app[SERVICES].completions, user_of(request).name
    refuse_too_many(request, owner, len(prompts) * wanted.n)
    async with aclosing(await completions.text(wanted.model, prompts, wish_of_text(wanted), owner=owner)) as reply:
        headers |= model_headers(reply.target, reply.receipt.model_used)
        heading = Heading("cmpl", "text_completion", reply.target.echo)
        before = [prompt if wanted.echo else "" for prompt in prompts for _ in range(wanted.n)]
        if wanted.stream:
            return await stream_text(request, wanted, reply, heading, headers, before)
        return told(await whole_text(request, wanted, reply, heading, before), headers=headers)


# What is asked


def refuse_too_many(request: web.Request, owner: str, texts: int) -> None:
    """More than a user may ever have at once is no use trying again. Raises InvalidParams."""
    most = request.app[SERVICES].config.limits.answers_per_user
    if texts > most and owner != LOCAL.name:
        raise InvalidParams(f"n asks for {texts} texts; a user may have {most} at once.", "n")


def refuse_images(wanted: ChatRequest) -> None:
    for place, message in enumerate(wanted.messages):
        if message.foreign is not None:
            name = wanted.model or "the default model"
            raise InvalidParams(
                f"messages[{place}].content must be text: {name} cannot read parts of the type {message.foreign}.",
                f"messages[{place}].content",
            )


def as_message(message: Message) -> ChatMessage:
    role = "system" if message.role == "developer" else message.role
    calls = tuple(Call(call.function.name, call.function.arguments, call.id) for call in message.tool_calls)
    return ChatMessage(role, message.text, calls, message.tool_call_id if role == "tool" else None)


def wish_of_chat(wanted: ChatRequest) -> Wish:
    if wanted.top_logprobs and not wanted.logprobs:
        raise InvalidParams("top_logprobs must come with logprobs: true.", "top_logprobs")
    form = wanted.response_format
    schema = form.json_schema.schema_ if form.json_schema is not None and form.type == "json_schema" else None
    return wish_of(wanted, top_logprobs=wanted.top_logprobs, structured=form.type != "text", schema=schema)


def wish_of_text(wanted: CompletionRequest) -> Wish:
    return wish_of(wanted, top_logprobs=wanted.logprobs or 0)


def wish_of(wanted: Choosing, **more: Any) -> Wish:
    return Wish(wanted.params, wanted.n, wanted.biases, **more)


def tools_of(wanted: ChatRequest) -> Tools:
    choice = wanted.tool_choice.function.name if isinstance(wanted.tool_choice, NamedTool) else wanted.tool_choice
    functions = tuple(tool.function.model_dump() for tool in wanted.tools)
    names = [function["name"] for function in functions]
    if not functions and choice in ("none", "auto"):
        return NO_TOOLS
    if choice not in ("none", "auto", "required", *names) or not functions:
        raise InvalidParams(f"tool_choice must be a function of tools, not {choice[:60]!r}.", "tool_choice")
    return Tools(functions, choice, wanted.parallel_tool_calls)


# At once


async def whole_chat(
    request: web.Request, wanted: ChatRequest, reply: Reply, heading: Heading
) -> tuple[replies.ChatCompletion, Receipt]:
    """The answer, and the receipt of its first choice."""
    if reply.refusal is not None:
        said = replies.ChatAnswer(content=reply.refusal, citations=[])
        choices = [replies.ChatChoice(index=0, message=said, finish_reason="stop")]
        return whole(heading, choices, reply, reply.receipt), reply.receipt
    completions = request.app[SERVICES].completions
    choices, receipts = [], []
    for index, choice in enumerate(reply.choices):
        tokens = [token async for piece in choice.pieces() for token in piece.tokens]
        receipts.append(await completions.receipt(reply, choice))
        answer = replies.ChatAnswer(
            content=choice.text if choice.text or not choice.calls else None,
            reasoning_content=choice.attempt.thoughts or None,
            tool_calls=[called(call) for call in choice.calls] or None,
            citations=as_told(receipts[-1].citations) or None,
        )
        logprobs = replies.Logprobs(content=logprobs_of(reply, tokens)) if wanted.logprobs else None
        choices.append(
            replies.ChatChoice(index=index, message=answer, logprobs=logprobs, finish_reason=choice.finish_reason)
        )
    return whole(heading, choices, reply, receipts[0]), receipts[0]


def whole(
    heading: Heading, choices: list[replies.ChatChoice], reply: Reply, receipt: Receipt
) -> replies.ChatCompletion:
    return replies.ChatCompletion(
        **heading.fields,
        choices=choices,
        usage=usage_of(reply.choices),
        sources=as_told(receipt.sources) or None,
        confidence=confidence_of(receipt),
    )


async def whole_text(
    request: web.Request, wanted: CompletionRequest, reply: Reply, heading: Heading, before: list[str]
) -> replies.TextCompletion:
    completions = request.app[SERVICES].completions
    choices = []
    for index, choice in enumerate(reply.choices):
        pieces = [piece async for piece in choice.pieces()]
        await completions.receipt(reply, choice)
        logprobs = text_logprobs(reply, pieces) if wanted.logprobs is not None else None
        said, reason = before[index] + choice.text, choice.finish_reason
        choices.append(replies.TextChoice(index=index, text=said, logprobs=logprobs, finish_reason=reason))
    return replies.TextCompletion(**heading.fields, choices=choices, usage=usage_of(reply.choices, wanted.n))


# As a stream


async def stream_chat(
    request: web.Request, wanted: ChatRequest, reply: Reply, heading: Heading, headers: dict[str, str]
) -> web.StreamResponse:
    completions = request.app[SERVICES].completions
    chunks = heading.chunks("chat.completion.chunk")
    async with streaming(request, headers) as stream:
        for index in range(len(reply.choices) or 1):
            await stream.send(chunks.choice(index, delta={"role": "assistant", "content": ""}))
        if reply.refusal is not None:
            await stream.send(chunks.text(0, reply.refusal))
            await stream.send(chunks.part(**closing_part(reply.receipt, 0, "stop")))
        async for index, piece in interleaved(reply.choices):
            if piece is not None:
                for chunk in parts_of(chunks, index, piece, reply, wanted.logprobs):
                    await stream.send(chunk)
                continue
            choice = reply.choices[index]
            for place, call in enumerate(choice.calls):
                delta = {"tool_calls": [called(call, place).model_dump()]}
                await stream.send(chunks.choice(index, delta=delta, logprobs=None))
            receipt = await completions.receipt(reply, choice)
            await stream.send(chunks.part(**closing_part(receipt, index, choice.finish_reason)))
        if wanted.stream_options.include_usage:
            await stream.send(chunks.part(choices=[], usage=usage_of(reply.choices).model_dump()))
    return stream.response


def parts_of(chunks: replies.Chunks, index: int, piece: Piece, reply: Reply, logprobs: bool) -> list[bytes]:
    """The chunks of a piece: none while its text is held back, unless its tokens are wanted."""
    parts = []
    if piece.thought:
        parts.append(chunks.choice(index, delta={"reasoning_content": piece.thought}, logprobs=None))
    if logprobs and piece.tokens:
        content = [token.model_dump() for token in logprobs_of(reply, piece.tokens)]
        parts.append(chunks.choice(index, delta={"content": piece.text}, logprobs={"content": content}))
    elif piece.text:
        parts.append(chunks.text(index, piece.text))
    return parts


async def stream_text(
    request: web.Request,
    wanted: CompletionRequest,
    reply: Reply,
    heading: Heading,
    headers: dict[str, str],
    before: list[str],
) -> web.StreamResponse:
    completions = request.app[SERVICES].completions
    chunks = heading.chunks("text_completion")
    async with streaming(request, headers) as stream:
        for index, prompt in enumerate(before):
            if prompt:
                await stream.send(chunks.choice(index, text=prompt, logprobs=None))
        async for index, piece in interleaved(reply.choices):
            if piece is None:
                await completions.receipt(reply, reply.choices[index])
                reason = reply.choices[index].finish_reason
                await stream.send(chunks.choice(index, reason, text="", logprobs=None))
            elif piece.text or wanted.logprobs is not None:
                logprobs = text_logprobs(reply, [piece]).model_dump() if wanted.logprobs is not None else None
                await stream.send(chunks.choice(index, text=piece.text, logprobs=logprobs))
        if wanted.stream_options.include_usage:
            await stream.send(chunks.part(choices=[], usage=usage_of(reply.choices, wanted.n).model_dump()))
    return stream.response
