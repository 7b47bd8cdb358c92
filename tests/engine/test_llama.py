"""The default model itself: what the scheduler promises must hold for llama.cpp too."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralbridge.engine.conformance import violation
from neuralbridge.engine.engine import Engine
from neuralbridge.engine.llama import LlamaRunner, likeliest, log_total
from neuralbridge.errors import EngineFailed, ModelUnusable
from neuralbridge.types import Chosen, Finish, Piece, Sampling

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
    text, chosen, finish = await answer_with_tokens(engine, tokens, sampling)
    return text, [token.logprob for token in chosen], finish


async def answer_with_tokens(engine: Engine, tokens: list[int], sampling: Sampling) -> tuple[str, list[Chosen], Finish]:
    text, tokens_chosen, finish = "", [], None
    async with aclosing(engine.generate(tokens, sampling)) as events:
        async for event in events:
            match event:
                case Piece(more, chosen):
                    text += more
                    tokens_chosen += chosen
                case Finish():
                    finish = event
    assert finish is not None
    return text, tokens_chosen, finish


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


async def answers_alone(prompts: list[list[int]]) -> list[str]:
    """The text of each, by a model that has answered nothing before."""
    texts = []
    for tokens in prompts:
        fresh = await started(exact=True)
        texts.append((await answer(fresh, tokens))[0])
        await fresh.stop()
    return texts


async def test_batched_answers_equal_those_given_alone() -> None:
    engine = await started(exact=True)
    prompts = [await prompt(engine, question) for question in QUESTIONS]
    alone = await answers_alone(prompts)
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


STRING: dict[str, Any] = {"type": "string", "maxLength": 20}
SHAPES: list[Any] = [
    {"enum": ["red", "green", 3]},
    {"const": {"a": [1, "two"]}},
    {"type": "object", "properties": {"name": STRING, "age": {"type": "integer"}}, "required": ["name", "age"]},
    {"type": "object", "properties": {"a": {"type": "object", "properties": {"b": STRING}, "required": ["b"]}}},
    {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{4}$"},
    {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 9}, {"type": "null"}]},
    {"type": "integer", "minimum": 10, "maximum": 20},
    {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
    {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 2, "maxItems": 4},
    {"type": "array", "prefixItems": [STRING, {"type": "boolean"}], "items": False, "minItems": 2},
    {"$defs": {"n": STRING}, "type": "object", "properties": {"x": {"$ref": "#/$defs/n"}}, "required": ["x"]},
    {"type": "string", "format": "date"},
    {"type": "object", "additionalProperties": {"type": "boolean"}, "maxProperties": 3},
]


@pytest.mark.parametrize("heat", [0.0, 1.5])
async def test_a_grammar_makes_json_that_conforms(engine: Engine, heat: float) -> None:
    tokens = await prompt(engine, "Give me an example.")

    async def fault(schema: Any) -> str | None:
        sampling = Sampling(temperature=heat, top_k=0, seed=1, max_tokens=120, grammar=await engine.grammar(schema))
        text, _, finish = await answer(engine, tokens, sampling)
        return violation(schema, text) if finish.reason == "stop" else f"{finish.reason}: {text}"

    assert await asyncio.gather(*map(fault, SHAPES)) == [None] * len(SHAPES)


async def test_any_object_will_do_where_no_schema_is_given(engine: Engine) -> None:
    sampling = Sampling(temperature=0, max_tokens=200, grammar=await engine.grammar(None))
    text, _, finish = await answer(engine, await prompt(engine, 'Answer with {"capital": "Paris"}.'), sampling)
    assert finish.reason == "stop"
    assert isinstance(json.loads(text), dict)


async def test_an_answer_under_a_grammar_leaves_its_neighbours_as_they_are() -> None:
    engine = await started(exact=True, slots=8, cells=2048)
    free = [await prompt(engine, question) for question in QUESTIONS]
    held = [await prompt(engine, f"Describe a {person}.") for person in ("cook", "pilot", "nurse", "baker")]
    alone = await answers_alone(free)
    sampling = Sampling(temperature=0, max_tokens=60, grammar=await engine.grammar(SHAPES[2]))
    together = await asyncio.gather(
        *(answer(engine, tokens) for tokens in free), *(answer(engine, tokens, sampling) for tokens in held)
    )
    await engine.stop()
    assert [text for text, _, _ in together[:4]] == alone
    assert [violation(SHAPES[2], text) for text, _, _ in together[4:]] == [None] * 4


async def test_answers_under_grammars_are_paused_and_go_on_where_they_were() -> None:
    engine = await started(cells=256, slots=3)
    schema = {"type": "array", "items": {"enum": ["red", "green", "blue"]}, "minItems": 40, "maxItems": 40}
    sampling = Sampling(temperature=0, max_tokens=200, grammar=await engine.grammar(schema))
    tokens = await prompt(engine, "Name colours.")
    together = await asyncio.gather(*(answer(engine, tokens, sampling) for _ in range(3)))
    await engine.stop()
    assert [violation(schema, text) for text, _, _ in together] == [None] * 3


async def test_a_grammar_that_fails_fails_its_sequence_alone(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = await prompt(engine, QUESTIONS[0])
    grammar = await engine.grammar(SHAPES[2])
    broken = grammar.begin()
    broken._matcher.consume_token(tokens[0])  # which it does not allow
    monkeypatch.setattr(grammar, "begin", lambda: broken)
    held, free = await asyncio.gather(
        answer(engine, tokens, Sampling(grammar=grammar)), answer(engine, tokens), return_exceptions=True
    )
    assert isinstance(held, EngineFailed)
    assert "its grammar failed" in str(held)
    assert not isinstance(free, BaseException)
    assert "Paris" in free[0]


async def test_under_a_grammar_probabilities_are_still_those_of_all_tokens(engine: Engine) -> None:
    tokens = await prompt(engine, QUESTIONS[0])
    sampling = Sampling(temperature=0, top_logprobs=2, grammar=await engine.grammar({"type": "object"}))
    _, (first, *_), _ = await answer_with_tokens(engine, tokens, replace(sampling, max_tokens=1))
    assert first.logprob < first.top[1][1] <= first.top[0][1]  # left alone, it would begin with a word


async def test_a_bias_forbids_a_token_or_enforces_it(engine: Engine) -> None:
    tokens = await prompt(engine, QUESTIONS[0])
    sampling = Sampling(temperature=0, max_tokens=5)
    _, (plain, *_), _ = await answer_with_tokens(engine, tokens, sampling)
    _, without, _ = await answer_with_tokens(engine, tokens, replace(sampling, logit_bias=((plain.token, -100.0),)))
    assert plain.token not in {each.token for each in without}
    ((wanted,),) = await engine.tokenize([(" sea", False)])
    _, only, _ = await answer_with_tokens(engine, tokens, replace(sampling, logit_bias=((wanted, 100.0),)))
    assert {each.token for each in only} == {wanted}
    assert only[0].logprob < -1  # the bias is no part of the model's opinion


async def test_a_bias_and_a_grammar_go_together(engine: Engine) -> None:
    grammar = await engine.grammar({"enum": ["red", "blue"]})
    tokens = await prompt(engine, "Name a colour.")
    (quoted,) = await engine.tokenize([('"blue"', False)])
    sampling = Sampling(temperature=0, grammar=grammar, logit_bias=tuple((each, 50.0) for each in quoted[1:2]))
    text, _, finish = await answer(engine, tokens, sampling)
    assert (text, finish.reason) == ('"blue"', "stop")


async def test_the_likeliest_tokens_are_told_best_first(engine: Engine) -> None:
    tokens = await prompt(engine, QUESTIONS[0])
    _, chosen, _ = await answer_with_tokens(engine, tokens, replace(GREEDY, top_logprobs=5))
    for each in chosen:
        assert each.top[0] == (each.token, each.logprob)
        assert [logprob for _, logprob in each.top] == sorted((logprob for _, logprob in each.top), reverse=True)
        assert len({token for token, _ in each.top}) == 5
        assert sum(np.exp([logprob for _, logprob in each.top])) <= 1 + 1e-5


async def test_what_is_asked_besides_changes_nothing_of_a_seeded_answer(engine: Engine) -> None:
    tokens = await prompt(engine, QUESTIONS[3])
    seeded = Sampling(temperature=1.0, seed=3, max_tokens=24)
    plain = (await answer(engine, tokens, seeded))[0]
    assert (await answer(engine, tokens, replace(seeded, top_logprobs=3)))[0] == plain
    assert (await answer(engine, tokens, replace(seeded, logit_bias=((5, 0.0),))))[0] == plain


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"GGUF" + b"\0" * 100)
    with pytest.raises(ModelUnusable, match=r"x\.gguf"):
        LlamaRunner(tmp_path / "x.gguf", slots=1, cells=256)


def test_a_log_probability_is_that_of_the_softmax() -> None:
    logits = np.array([1.0, 2.0, 3.0, 1000.0], dtype=np.float32)
    assert logits[3] - log_total(logits) == pytest.approx(0.0)
    assert log_total(logits[:3]) == pytest.approx(np.log(np.exp([1.0, 2.0, 3.0]).sum()), rel=1e-6)


LOGITS = st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=40)


@given(LOGITS, st.data())
def test_the_likeliest_are_those_of_the_whole_sorted(values: list[float], data: st.DataObject) -> None:
    logits = np.array(values, dtype=np.float32)
    amount = data.draw(st.integers(1, len(values)))
    found = likeliest(logits, amount, log_total(logits))
    assert [values[token] for token, _ in found] == sorted(values, reverse=True)[:amount]
    assert all(logprob <= 1e-5 for _, logprob in found)
