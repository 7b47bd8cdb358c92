"""What a model thinks aloud is kept apart from its answer, and changes nothing that is said of the answer."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import pytest

from neuralbridge.assistant.attempt import Attempt
from neuralbridge.assistant.citations import Citation, Citations
from neuralbridge.assistant.context import Source
from neuralbridge.assistant.events import Receipt
from neuralbridge.assistant.models import LocalModel
from neuralbridge.assistant.prompt import Prompt
from neuralbridge.engine.engine import Engine
from neuralbridge.engine.runner import Sampler
from neuralbridge.retrieval.arrays import Matrix
from neuralbridge.types import Cancellation, Chosen, Piece, Sampling
from tests.fakes import END, START, FakeRunner

PASSAGE = Source(1, "d", "towns.txt", None, "", 0, 34, 0.9, "The capital of Norway is Oslo now.")
ANSWER = "The capital of Norway is Oslo. It has 700,000 people."
STARTED = Receipt("small", "gpt-4", "cancelled")


class Doubting(FakeRunner):
    """Is unsure of its thoughts, and sure of its answer."""

    def choose(self, samplers: list[Sampler]) -> list[Chosen]:
        said = [
            bytes(t for t in self._cache[slot] if t < START).rpartition(b"assistant\n")[2] for slot in self._outputs
        ]
        unsure = [b"think" in self.reply("").encode() and b"</think>" not in text for text in said]
        chosen = super().choose(samplers)
        return [Chosen(each.token, -5.0 if doubt else -0.1) for each, doubt in zip(chosen, unsure, strict=True)]


@dataclass
class Outcome:
    pieces: list[Piece]
    attempt: Attempt
    receipt: Receipt

    @property
    def thoughts(self) -> str:
        return "".join(piece.thought for piece in self.pieces)

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)


async def no_vectors(texts: Any) -> Matrix | None:
    return None


async def at_once(work: Callable[[], Citation]) -> Citation:
    return work()


@asynccontextmanager
async def model(reply: str) -> AsyncIterator[LocalModel]:
    runner = Doubting(reply=lambda question: reply)
    engine = Engine(lambda: runner, max_waiting=1)
    engine.start()
    await engine.ready()
    yield cast("LocalModel", SimpleNamespace(name="small", engine=engine))
    await engine.stop()


async def attempted(reply: str, thinking: bool = False, max_tokens: int = 500) -> Outcome:
    tokens = [START, *b"user\n?", END, *b"\n", START, *b"assistant\n"]
    prompt = Prompt(tokens, 0, thinking=thinking, context=(PASSAGE,))
    async with model(reply) as small:
        citations = Citations([PASSAGE], no_vectors, at_once)
        sampling = Sampling(max_tokens=max_tokens)
        attempt = Attempt(small, prompt, sampling, citations, 0.9, Cancellation(), "ana")
        try:
            pieces = [piece async for piece in attempt.pieces()]
            return Outcome(pieces, attempt, await attempt.receipt(STARTED))
        finally:
            await attempt.aclose()


@pytest.mark.parametrize(
    ("reply", "thinking", "thoughts", "text"),
    [
        (ANSWER, False, "", ANSWER),
        (f"<think>\nHm. Rome?\n</think>\n\n{ANSWER}", False, "\nHm. Rome?\n", ANSWER),
        (f"Hm. Rome?\n</think>\n\n{ANSWER}", True, "Hm. Rome?\n", ANSWER),
        (f"<think></think>{ANSWER}", False, "", ANSWER),
        ("<think>Hm. Rome?", False, "Hm. Rome?", ""),
        ("Hm. Rome?", True, "Hm. Rome?", ""),
        ("Hm. Rome?</thi", True, "Hm. Rome?</thi", ""),
        ("<thi", False, "", "<thi"),
        ("Hé <think> é", False, "", "Hé <think> é"),
        ("", False, "", ""),
        ("", True, "", ""),
    ],
)
async def test_thoughts_and_answer_are_told_apart(reply: str, thinking: bool, thoughts: str, text: str) -> None:
    outcome = await attempted(reply, thinking)
    assert (outcome.thoughts, outcome.text) == (thoughts, text)
    assert (outcome.attempt.thoughts, outcome.attempt.text) == (thoughts, text)
    assert outcome.attempt.finish.reason == outcome.receipt.finish_reason == "stop"


@pytest.mark.parametrize(
    "thoughts", ["<think>\nThe capital of Norway is Rome. Is it?\n</think>\n\n", "<think></think>"]
)
async def test_thoughts_change_nothing_that_is_said_of_the_answer(thoughts: str) -> None:
    bare, thought = await attempted(ANSWER), await attempted(thoughts + ANSWER)
    assert bare.receipt.citations[0].verdict == "supported"
    assert thought.receipt.citations == bare.receipt.citations
    assert thought.receipt.confidence == bare.receipt.confidence


async def test_every_token_is_told_and_paid_for_also_those_of_thoughts() -> None:
    reply = f"<think>Hm.</think>{ANSWER}"
    outcome = await attempted(reply)
    told = bytes(token.token for piece in outcome.pieces for token in piece.tokens if token.token < START)
    assert told == reply.encode()
    assert outcome.receipt.tokens.completion in (len(told), len(told) + 1)  # with the end


@pytest.mark.parametrize("room", [1, 5, 9, 12])
async def test_an_answer_that_is_cut_while_it_thinks_says_nothing(room: int) -> None:
    outcome = await attempted(f"<think>Hm. Hm.</think>{ANSWER}", max_tokens=room)
    assert outcome.receipt.finish_reason == "length"
    assert outcome.thoughts + outcome.text == "<think>Hm. Hm."[:room].removeprefix("<think>")
    assert outcome.text == ("<think>"[:room] if room < 7 else "")
    assert outcome.receipt.citations == () or room < 7
