"""The parts of what OpenAI's API answers, made of answers of ours."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from neuralbridge.assistant.completions import Choice, Reply
from neuralbridge.assistant.events import Receipt, Tokens
from neuralbridge.protocol import openai_replies as replies
from neuralbridge.types import Call, Chosen, Piece

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def called(call: Call, index: int | None = None) -> replies.ToldCall:
    return replies.ToldCall(
        index=index, id=call.id, function=replies.ToldFunction(name=call.name, arguments=call.arguments)
    )


def usage_of(choices: Sequence[Choice], of_one_prompt: int | None = None) -> replies.Usage:
    """Tokens of all choices; a prompt that several choices go on from counts once."""
    step = of_one_prompt or len(choices) or 1
    asked_once = [choice.attempt.finish for choice in choices[::step]]
    prompt, cached = sum(each.prompt_tokens for each in asked_once), sum(each.cached_tokens for each in asked_once)
    return usage(Tokens(prompt, cached, sum(choice.attempt.finish.completion_tokens for choice in choices)))


def usage(tokens: Tokens) -> replies.Usage:
    return replies.Usage(
        prompt_tokens=tokens.prompt,
        completion_tokens=tokens.completion,
        total_tokens=tokens.prompt + tokens.completion,
        prompt_tokens_details=replies.PromptDetails(cached_tokens=tokens.cached),
    )


def confidence_of(receipt: Receipt) -> replies.Confidence | None:
    found = receipt.confidence
    return None if found is None else replies.Confidence(score=found.score, level=found.level, reasons=[*found.reasons])


def as_told(parts: "Sequence[DataclassInstance]") -> list[dict[str, Any]]:
    return [{name: value for name, value in asdict(part).items() if value is not None} for part in parts]


def logprobs_of(reply: Reply, tokens: Sequence[Chosen]) -> list[replies.TokenLogprob]:
    """Of the tokens that stand for text."""
    piece = reply.model.engine.piece
    return [
        replies.TokenLogprob(
            **alternative(piece(chosen.token), chosen.logprob),
            top_logprobs=[replies.Alternative(**alternative(piece(token), logprob)) for token, logprob in chosen.top],
        )
        for chosen in tokens
        if piece(chosen.token)
    ]


def alternative(raw: bytes, logprob: float) -> dict[str, Any]:
    return {"token": raw.decode("utf-8", "replace"), "bytes": [*raw], "logprob": logprob}


def text_logprobs(reply: Reply, pieces: Sequence[Piece]) -> replies.TextLogprobs:
    told = logprobs_of(reply, [token for piece in pieces for token in piece.tokens])
    offsets = [0, *accumulate(len(each.token) for each in told)]
    return replies.TextLogprobs(
        tokens=[each.token for each in told],
        token_logprobs=[each.logprob for each in told],
        top_logprobs=[{other.token: other.logprob for other in each.top_logprobs} for each in told],
        text_offset=offsets[: len(told)],
    )


def closing_part(receipt: Receipt, index: int, reason: str) -> dict[str, Any]:
    """What the last chunk of a choice says: why it ended, and what it rests on."""
    confidence = confidence_of(receipt)
    return {
        "choices": [{"index": index, "delta": {}, "logprobs": None, "finish_reason": reason}],
        **({"sources": as_told(receipt.sources)} if receipt.sources else {}),
        **({"citations": as_told(receipt.citations)} if receipt.citations else {}),
        **({"confidence": confidence.model_dump()} if confidence else {}),
    }
