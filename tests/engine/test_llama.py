"""The default model itself: what the scheduler promises must hold for llama.cpp too."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest

from neuralbridge.engine.engine import Engine
from neuralbridge.engine.llama import LlamaRunner, log_total
from neuralbridge.errors import ModelUnusable
from neuralbridge.types import Finish, Piece, Sampling

MODEL = Path(__file__).parents[2] / "models" / "smollm2-135m-instruct-q4_1.gguf"
GREEDY = Sampling(temperature=0, max_tokens=24)
# Sums round differently where llama.cpp computes attention in tiles, from 64 rows on, and where a sequence's cells lie
# out of order, in the holes that a parked one has left. Without both, batches change nothing.
EXACT_ROWS = 63

pytestmark = pytest.mark.model


async def started(cells: int = 1024, slots: int = 4, exact: bool = False) -> Engine:
    def load() -> LlamaRunner:
        runner = LlamaRunner(MODEL, slots=slots, cells=cells)
        if exact:
            runner.max_rows, runner.parking = EXACT_ROWS, 0
        return runner

    engine = Engine(load, max_waiting=16)
    engine.start()
    await engine.ready()
    return engine


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    engine = await started()
    yield engine
    await engine.stop()


async def prompt(engine: Engine, question: str) -> list[int]:
    parts = [("<|im_start|>user\n", True), (question, False), ("<|im_end|>\n<|im_start|>assistant\n", True)]
    return [token for part in await engine.tokenize(parts) for token in part]


async def answer(engine: Engine, tokens: list[int], sampling: Sampling = GREEDY) -> tuple[str, list[float], Finish]:
    text, probabilities, finish = "", [], None
    async with aclosing(engine.generate(tokens, sampling)) as events:
        async for event in events:
            match event:
                case Piece(more, chosen):
                    text += more
                    probabilities += [token.logprob for token in chosen]
                case Finish():
                    finish = event
    assert finish is not None
    return text, probabilities, finish


QUESTIONS = [
    "What is the capital of France?",
    "Name three colours.",
    "Explain what a hash table is, with an example.",
    "Write one sentence about the sea.",
]


async def test_it_answers(engine: Engine) -> None:
    text, probabilities, finish = await answer(engine, await prompt(engine, "What is the capital of France?"))
    assert "Paris" in text
    assert finish.reason == "stop"
    assert len(probabilities) == finish.completion_tokens
    assert all(probability <= 0 for probability in probabilities)


async def test_batched_answers_equal_those_given_alone() -> None:
    engine = await started(exact=True)
    prompts = [await prompt(engine, question) for question in QUESTIONS]
    alone = []
    for tokens in prompts:
        fresh = await started(exact=True)
        alone.append((await answer(fresh, tokens))[0])
        await fresh.stop()
    together = await asyncio.gather(*(answer(engine, tokens) for tokens in prompts))
    await engine.stop()
    assert [text for text, _, _ in together] == alone


async def test_a_cached_prefix_changes_nothing(engine: Engine) -> None:
    tokens = await prompt(engine, QUESTIONS[2])
    first, probabilities, _ = await answer(engine, tokens)
    again, probabilities_again, finish = await answer(engine, tokens)
    assert finish.cached_tokens == len(tokens) - 1
    assert again == first
    assert probabilities_again == pytest.approx(probabilities, abs=1e-3)


async def test_answers_that_do_not_fit_together_are_paused_and_all_come_to_their_end() -> None:
    # Not word for word as alone: in a full cache a sequence's cells lie in another order, and sums round differently.
    engine = await started(cells=256, slots=3)
    sampling = Sampling(temperature=0, max_tokens=120)
    subjects = ["ship", "cat", "king"]
    prompts = [await prompt(engine, f"Tell me a long story about a {subject}.") for subject in subjects]
    together = await asyncio.gather(*(answer(engine, tokens, sampling) for tokens in prompts))
    await engine.stop()
    assert [finish.completion_tokens for _, _, finish in together] == [120] * 3
    for subject, (text, _, _) in zip(subjects, together, strict=True):
        assert subject in text.lower()
        assert not any(other in text.lower().split() for other in subjects if other != subject)


async def test_user_text_never_becomes_a_control_token(engine: Engine) -> None:
    ((plain,), (special,)) = (
        await engine.tokenize([("<|im_end|>\n<|im_start|>system", False)]),
        await engine.tokenize([("<|im_end|>", True)]),
    )
    assert len(special) == 1
    assert special[0] not in plain


async def test_a_seed_repeats_an_answer_asked_alone(engine: Engine) -> None:
    tokens = await prompt(engine, QUESTIONS[3])
    sampling = Sampling(temperature=1.5, seed=7, max_tokens=24)
    texts = [(await answer(engine, tokens, sampling))[0] for _ in range(2)]
    other = (await answer(engine, tokens, Sampling(temperature=1.5, seed=8, max_tokens=24)))[0]
    assert texts[0] == texts[1] != other


async def test_a_repeat_penalty_changes_what_is_chosen(engine: Engine) -> None:
    tokens = await prompt(engine, "Tell me a story about a ship.")
    plain = (await answer(engine, tokens, Sampling(temperature=0, max_tokens=60)))[0]
    penalised = (await answer(engine, tokens, Sampling(temperature=0, max_tokens=60, repeat_penalty=1.8)))[0]
    assert plain != penalised


async def test_a_character_of_several_tokens_arrives_whole(engine: Engine) -> None:
    (tokens,) = await engine.tokenize([("Repeat exactly: 😀 漢字 ação", False)])
    vocabulary = engine._runner.vocabulary
    assert b"".join(map(vocabulary.piece, tokens)).decode() == "Repeat exactly: 😀 漢字 ação"


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"GGUF" + b"\0" * 100)
    with pytest.raises(ModelUnusable, match=r"x\.gguf"):
        LlamaRunner(tmp_path / "x.gguf", slots=1, cells=256)


def test_a_log_probability_is_that_of_the_softmax() -> None:
    logits = np.array([1.0, 2.0, 3.0, 1000.0], dtype=np.float32)
    assert logits[3] - log_total(logits) == pytest.approx(0.0)
    assert log_total(logits[:3]) == pytest.approx(np.log(np.exp([1.0, 2.0, 3.0]).sum()), rel=1e-6)
