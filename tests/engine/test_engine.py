"""The engine with its real thread and scheduler over a scripted model."""

import asyncio
import math
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from neuralbridge.engine.batch import Share
from neuralbridge.engine.engine import Engine, Generation
from neuralbridge.engine.grammar import Compiler
from neuralbridge.engine.runner import Sampler, Stuck
from neuralbridge.engine.sequence import Sequence
from neuralbridge.errors import EngineFailed, InvalidParams, ModelUnusable, Overloaded, PromptTooLong, SchemaRefused
from neuralbridge.types import Chosen, Finish, Piece, Reading, Sampling
from tests.fakes import LOGPROB, START, FakeRunner


def prompt(question: str, runner: FakeRunner) -> list[int]:
    text = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
    return runner.vocabulary.tokenize(text, special=True)


async def all_of(generation: Generation) -> tuple[str, list[Chosen], Finish]:
    pieces: list[Piece] = []
    async with aclosing(generation):
        async for event in generation:
            if isinstance(event, Finish):
                return "".join(piece.text for piece in pieces), [t for piece in pieces for t in piece.tokens], event
            if isinstance(event, Piece):
                pieces.append(event)
    raise AssertionError("a generation ends with a Finish")


@pytest.fixture
def runner() -> FakeRunner:
    return FakeRunner(slots=3, cells=1200)


@pytest.fixture
async def engine(runner: FakeRunner) -> AsyncIterator[Engine]:
    engine = Engine(lambda: runner, max_waiting=2, cores=2)
    engine.start()
    await engine.ready()
    yield engine
    runner.release()
    await engine.stop()


async def test_an_answer_comes_with_its_tokens_and_their_probabilities(engine: Engine, runner: FakeRunner) -> None:
    asked = prompt("why?", runner)
    text, tokens, finish = await all_of(engine.generate(asked, Sampling()))
    assert text == "You asked: why?"
    assert [token.logprob for token in tokens] == [LOGPROB] * (len(text) + 1)  # the end token's too
    assert finish == Finish("stop", len(asked), 0, len(text) + 1)


async def test_answers_at_the_same_time_do_not_mix(engine: Engine, runner: FakeRunner) -> None:
    questions = ["one", "two with more words", "três", "four", "five"]
    answers = await asyncio.gather(*(all_of(engine.generate(prompt(q, runner), Sampling())) for q in questions))
    assert [text for text, _, _ in answers] == [f"You asked: {question}" for question in questions]


async def test_max_tokens_ends_an_answer_with_length(engine: Engine, runner: FakeRunner) -> None:
    text, _, finish = await all_of(engine.generate(prompt("why?", runner), Sampling(max_tokens=3)))
    assert (text, finish.reason, finish.completion_tokens) == ("You", "length", 3)


async def test_an_answer_ends_where_the_context_does(engine: Engine, runner: FakeRunner) -> None:
    runner.reply = lambda question: "x" * 2000
    asked = prompt("why?", runner)
    _, _, finish = await all_of(engine.generate(asked, Sampling(max_tokens=5000)))
    assert (finish.reason, len(asked) + finish.completion_tokens) == ("length", runner.cells)


async def test_a_stop_string_ends_an_answer_and_is_not_shown(engine: Engine, runner: FakeRunner) -> None:
    text, _, finish = await all_of(engine.generate(prompt("why?", runner), Sampling(stop=("asked",))))
    assert (text, finish.reason) == ("You ", "stop")


async def test_cancelling_while_the_prompt_is_read_ends_within_a_step(engine: Engine, runner: FakeRunner) -> None:
    runner.hold()
    generation = engine.generate(prompt("x" * 900, runner), Sampling())
    runner.step()  # one chunk of many
    generation.cancel()
    runner.step()
    _, tokens, finish = await all_of(generation)
    assert (tokens, finish.reason) == ([], "cancelled")
    assert runner.decoded < 900


async def readings(generation: Generation) -> list[Reading]:
    async with aclosing(generation):
        return [event async for event in generation if isinstance(event, Reading)]


async def test_a_long_prompt_tells_after_each_step_how_far_it_is_read(engine: Engine, runner: FakeRunner) -> None:
    asked = prompt("x" * 1100, runner)
    steps: list[int] = []
    decode = runner.decode

    def noting(shares: list[Share], threads: int) -> None:
        decode(shares, threads)
        steps.append(len(shares[0].tokens))

    runner.decode = noting  # type: ignore[method-assign]
    told = await readings(engine.generate(asked, Sampling(max_tokens=1)))
    assert len(told) > 1
    assert told == [Reading(sum(steps[: at + 1]), len(asked)) for at in range(len(steps) - 1)]


async def test_what_was_found_computed_counts_as_read(engine: Engine, runner: FakeRunner) -> None:
    await all_of(engine.generate(prompt("x" * 500, runner), Sampling(max_tokens=1)))
    told = await readings(engine.generate(prompt("x" * 1100, runner), Sampling(max_tokens=1)))
    assert told[0].read > 500 + 500  # a step of the fake takes about as many


async def test_a_prompt_that_is_read_in_one_step_says_nothing_of_it(engine: Engine, runner: FakeRunner) -> None:
    assert await readings(engine.generate(prompt("why?", runner), Sampling())) == []


async def test_prompts_that_are_read_together_each_tell_their_own(engine: Engine, runner: FakeRunner) -> None:
    runner.hold()
    lengths = (300, 330, 360)
    asked = [prompt(letter * length, runner) for letter, length in zip("abc", lengths, strict=True)]
    generations = [engine.generate(each, Sampling(max_tokens=1)) for each in asked]
    runner.release()
    for tokens, told in zip(asked, await asyncio.gather(*map(readings, generations)), strict=True):
        read = [each.read for each in told]
        assert read == sorted({*read})
        assert all(0 < each.read < each.total == len(tokens) for each in told)


def test_an_answer_that_is_paused_does_not_tell_that_it_is_read_again() -> None:
    sequence = Sequence(1, [1] * 100, Sampling())
    assert sequence.reading(60) == [Reading(60, 100)]
    sequence.append(Chosen(65, LOGPROB), b"A")
    assert sequence.reading(60) == []


async def test_a_closed_generation_frees_its_slot(engine: Engine, runner: FakeRunner) -> None:
    runner.reply = lambda question: "x" * 1000
    async with aclosing(engine.generate(prompt("why?", runner), Sampling())) as generation:
        await anext(generation)
    runner.reply = lambda question: "short"
    await all_of(engine.generate(prompt("next", runner), Sampling()))
    assert engine.busy == 0
    assert all(sampler.closed for sampler in runner.samplers)


async def test_the_queue_is_bounded_and_says_when_to_try_again(engine: Engine, runner: FakeRunner) -> None:
    runner.hold()
    generations = [engine.generate(prompt(f"{n}", runner), Sampling()) for n in range(5)]  # three slots, two wait
    with pytest.raises(Overloaded, match="2 questions are waiting already; the queue holds 2") as refused:
        engine.generate(prompt("one more", runner), Sampling())
    runner.release()
    await asyncio.gather(*map(all_of, generations))
    assert refused.value.retry_after_ms > 0
    assert (await all_of(engine.generate(prompt("again", runner), Sampling())))[0] == "You asked: again"


async def test_a_prompt_without_tokens_is_refused_and_holds_nobody_up(engine: Engine, runner: FakeRunner) -> None:
    with pytest.raises(InvalidParams, match="must not be empty"):
        engine.generate([], Sampling())
    assert (await all_of(engine.generate(prompt("why?", runner), Sampling())))[0] == "You asked: why?"


async def test_a_prompt_that_fills_the_context_is_refused_with_both_numbers(engine: Engine) -> None:
    with pytest.raises(PromptTooLong, match=r"1,200 tokens; the context holds 1,200"):
        engine.generate([1] * 1200, Sampling())


async def test_a_failure_hits_only_the_sequence_that_caused_it(engine: Engine, runner: FakeRunner) -> None:
    bad = prompt("bad", runner)
    runner.fails = lambda share: share.sequence.tokens[: len(bad)] == bad and share.sequence.completion_tokens > 2
    questions = ["good", "bad", "fine"]
    results = await asyncio.gather(
        *(all_of(engine.generate(prompt(q, runner), Sampling())) for q in questions), return_exceptions=True
    )
    assert [type(result) for result in results] == [tuple, EngineFailed, tuple]
    assert [result[0] for result in results if isinstance(result, tuple)] == ["You asked: good", "You asked: fine"]
    runner.fails = lambda share: False
    assert (await all_of(engine.generate(bad, Sampling())))[0] == "You asked: bad"


async def test_an_output_that_is_no_number_fails_its_sequence(engine: Engine, runner: FakeRunner) -> None:
    choose = runner.choose
    runner.choose = lambda samplers: [Chosen(each.token, math.nan) for each in choose(samplers)]  # type: ignore[method-assign]
    with pytest.raises(EngineFailed, match="not a number"):
        await all_of(engine.generate(prompt("why?", runner), Sampling()))


async def test_a_sequence_for_which_there_is_no_next_token_fails_alone(engine: Engine, runner: FakeRunner) -> None:
    choose = runner.choose

    def stuck(samplers: list[Sampler]) -> list[Chosen | Stuck]:
        chosen: list[Chosen | Stuck] = [*choose(samplers)]
        return [
            Stuck("no way on") if sampler is runner.samplers[1] else each
            for sampler, each in zip(samplers, chosen, strict=True)
        ]

    runner.choose = stuck  # type: ignore[assignment,method-assign]
    questions = ["good", "bad", "fine"]
    results = await asyncio.gather(
        *(all_of(engine.generate(prompt(q, runner), Sampling())) for q in questions), return_exceptions=True
    )
    assert [type(result) for result in results] == [tuple, EngineFailed, tuple]
    assert str(results[1]) == "The model could not go on with this answer: no way on."


async def test_the_likeliest_tokens_come_with_each(engine: Engine, runner: FakeRunner) -> None:
    _, tokens, _ = await all_of(engine.generate(prompt("why?", runner), Sampling(top_logprobs=3)))
    assert [len(token.top) for token in tokens] == [3] * len(tokens)
    assert tokens[0].top[0] == (ord("Y"), LOGPROB)


@pytest.mark.parametrize("token", [-1, 258])
async def test_a_bias_for_a_token_that_the_model_does_not_have_is_refused(engine: Engine, token: int) -> None:
    with pytest.raises(
        InvalidParams, match=r"logit_bias: this model has no token .*; its ids go from 0 to 257"
    ) as refused:
        engine.generate([1], Sampling(logit_bias=((0, 1.0), (token, 1.0))))
    assert refused.value.param == "logit_bias"
    assert engine.busy == 0


async def test_a_grammar_is_made_for_the_vocabulary_of_the_model(engine: Engine, runner: FakeRunner) -> None:
    grammar = await engine.grammar({"type": "boolean"})
    await engine.ready()
    assert (await engine.grammar(True))._tokens is grammar._tokens  # which take long to make
    await all_of(engine.generate(prompt("why?", runner), Sampling(grammar=grammar)))
    assert runner.samplers[-1].sampling.grammar is grammar
    assert grammar.vocabulary is runner.vocabulary


async def test_a_grammar_of_another_model_is_a_mistake(engine: Engine) -> None:
    other = FakeRunner()
    grammar = Compiler(other.vocabulary).compile(None)
    with pytest.raises(AssertionError, match="another model's"):
        engine.generate([1], Sampling(grammar=grammar))


async def test_the_model_outlives_the_grammar_that_is_being_made_of_its_vocabulary() -> None:
    runner, begun, go_on = FakeRunner(), threading.Event(), threading.Event()

    def slow_piece(token: int) -> bytes:
        begun.set()
        assert go_on.wait(30)
        assert not runner.closed
        return bytes([token % 256])

    engine = Engine(lambda: runner, max_waiting=1)
    engine.start()
    await engine.ready()
    runner.vocabulary.piece = slow_piece  # type: ignore[method-assign]
    making = asyncio.ensure_future(engine.grammar(None))
    await asyncio.to_thread(begun.wait)
    stopping = asyncio.ensure_future(engine.stop())
    asyncio.get_running_loop().call_later(0.1, go_on.set)  # time enough to close a model that nobody waits for
    await stopping
    assert (await making).schema == '{"type": "object"}'
    assert runner.closed


async def test_a_schema_is_refused_to_whoever_gave_it(engine: Engine) -> None:
    with pytest.raises(SchemaRefused, match="uniqueItems"):
        await engine.grammar({"uniqueItems": True})


async def test_the_bytes_of_a_token_can_be_asked_for(engine: Engine) -> None:
    assert engine.piece(ord("a")) == b"a"
    assert engine.piece(257) == b""


async def test_a_mistake_of_ours_fails_what_it_hits_and_the_next_question_works(
    engine: Engine, runner: FakeRunner
) -> None:
    def mistaken(question: str) -> str:
        raise KeyError(question)

    runner.reply = mistaken
    with pytest.raises(EngineFailed, match="made a mistake"):
        await all_of(engine.generate(prompt("why?", runner), Sampling()))
    runner.reply = lambda question: "fine"
    assert (await all_of(engine.generate(prompt("again", runner), Sampling())))[0] == "fine"


async def test_a_model_that_cannot_be_loaded_is_told_to_whoever_waits() -> None:
    def refuse() -> FakeRunner:
        raise ModelUnusable("no such model")

    engine = Engine(refuse, max_waiting=1)
    engine.start()
    with pytest.raises(ModelUnusable, match="no such model"):
        await engine.ready()
    assert not engine.loaded
    await engine.stop()


async def test_stopping_in_mid_answer_closes_the_model() -> None:
    runner = FakeRunner(reply=lambda question: "x" * 1000)
    engine = Engine(lambda: runner, max_waiting=1)
    engine.start()
    await engine.ready()
    async with aclosing(engine.generate(prompt("why?", runner), Sampling())) as generation:
        await anext(generation)
        await engine.stop()
    assert runner.closed
    assert all(sampler.closed for sampler in runner.samplers)


async def test_a_model_whose_first_step_fails_is_told_to_whoever_waits() -> None:
    runner = FakeRunner()
    runner.fails = lambda share: True
    engine = Engine(lambda: runner, max_waiting=1)
    engine.start()
    with pytest.raises(ModelUnusable, match="could not be loaded: the fake was told to fail"):
        await engine.ready()
    await engine.stop()


async def test_a_sequence_that_gets_no_sampler_fails_and_the_next_question_works(
    engine: Engine, runner: FakeRunner
) -> None:
    sampler = runner.sampler

    def broken(sampling: Sampling) -> Sampler:
        runner.sampler = sampler  # type: ignore[method-assign]
        raise MemoryError

    runner.sampler = broken  # type: ignore[method-assign]
    with pytest.raises(EngineFailed):
        await all_of(engine.generate(prompt("why?", runner), Sampling()))
    assert (await all_of(engine.generate(prompt("again", runner), Sampling())))[0] == "You asked: again"


# Owners, and how long an answer may take


@asynccontextmanager
async def opened(runner: FakeRunner, **settings: Any) -> AsyncIterator[Engine]:
    engine = Engine(lambda: runner, max_waiting=64, cores=2, **settings)
    engine.start()
    await engine.ready()
    yield engine
    runner.release()
    await engine.stop()


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


async def test_what_was_computed_for_one_owner_serves_another_as_far_as_it_is_shared(
    engine: Engine, runner: FakeRunner
) -> None:
    asked = prompt("why?", runner)
    cached = [
        (await all_of(engine.generate(asked, Sampling(), owner, shared)))[2].cached_tokens
        for owner, shared in [("ana", 6), ("ana", 6), ("rui", 0), ("eva", 6)]
    ]
    assert cached == [0, len(asked) - 1, 0, 6]


async def test_an_owner_has_so_many_answers_under_way_and_others_are_not_in_the_way() -> None:
    runner = FakeRunner(slots=1)
    async with opened(runner, max_per_owner=2) as engine:
        runner.hold()
        generations = [engine.generate(prompt(f"{n}", runner), Sampling(), "ana") for n in range(2)]
        with pytest.raises(
            Overloaded, match="2 of your answers are under way already; each user may have 2"
        ) as refused:
            engine.generate(prompt("one more", runner), Sampling(), "ana")
        assert refused.value.retry_after_ms > 0
        generations += [
            engine.generate(prompt(f"{n}", runner), Sampling(), owner) for n in range(3) for owner in ("local", "")
        ]
        generations.append(engine.generate(prompt("mine", runner), Sampling(), "rui"))
        runner.release()
        await asyncio.gather(*map(all_of, generations))
        assert (await all_of(engine.generate(prompt("again", runner), Sampling(), "ana")))[0] == "You asked: again"


async def test_an_answer_that_takes_too_long_ends_with_length_and_what_there_is_of_it() -> None:
    runner, clock = FakeRunner(reply=lambda question: "x" * 1000), Clock()
    async with opened(runner, answer_seconds=300.0, clock=clock) as engine:
        runner.hold()
        generation = engine.generate(prompt("why?", runner), Sampling())
        runner.step()
        assert isinstance(await anext(generation), Piece)
        clock.now = 299.9
        runner.step()
        assert isinstance(await anext(generation), Piece)  # the next step has begun
        clock.now = 300.0
        runner.step()
        text, _, finish = await all_of(generation)
        assert (text, finish.reason, finish.completion_tokens) == ("x", "length", 3)
        assert all(sampler.closed for sampler in runner.samplers)


async def test_the_reading_of_a_prompt_counts_too() -> None:
    runner, clock = FakeRunner(), Clock()
    async with opened(runner, answer_seconds=300.0, clock=clock) as engine:
        runner.hold()
        generation = engine.generate(prompt("x" * 2000, runner), Sampling())
        runner.step()
        assert isinstance(await anext(generation), Reading)
        clock.now = 300.0
        runner.release()
        text, _, finish = await all_of(generation)
        assert (text, finish.reason, finish.completion_tokens) == ("", "length", 0)


async def test_waiting_for_a_slot_does_not_count() -> None:
    runner, clock = FakeRunner(slots=1), Clock()
    async with opened(runner, answer_seconds=300.0, clock=clock) as engine:
        runner.hold()
        first, second = (engine.generate(prompt(f"{n}", runner), Sampling()) for n in range(2))
        runner.step()
        await anext(first)
        clock.now = 300.0
        runner.step()
        assert (await all_of(first))[2].reason == "length"
        runner.step()
        await anext(second)
        clock.now = 599.9
        runner.release()
        assert (await all_of(second))[2].reason == "stop"


async def test_an_answer_that_makes_room_for_another_owner_goes_on_where_it_was_and_its_time_runs() -> None:
    runner, clock = FakeRunner(slots=2, reply=lambda question: "x" * 50), Clock()
    async with opened(runner, answer_seconds=300.0, clock=clock) as engine:
        runner.hold()
        long, paused = (engine.generate(prompt(f"{n}", runner), Sampling(), "ana") for n in range(2))
        runner.step()
        await asyncio.gather(anext(long), anext(paused))
        clock.now = 100.0
        other = engine.generate(prompt("why?", runner), Sampling(), "rui")
        runner.step(2)
        await anext(other)
        assert paused.mailbox.qsize() <= 1  # of the step that had begun
        clock.now = 300.0
        runner.step()
        assert [(await all_of(each))[2].reason for each in (long, paused)] == ["length", "length"]
        runner.release()
        assert (await all_of(other))[0] == "x" * 49


async def test_paused_for_another_owner_an_answer_comes_to_its_whole_end() -> None:
    runner = FakeRunner(slots=2, reply=lambda question: question * 9)
    async with opened(runner) as engine:
        runner.hold()
        generations = [engine.generate(prompt(f"ana {n}", runner), Sampling(), "ana") for n in range(4)]
        runner.step(3)
        await anext(generations[0])
        generations.append(engine.generate(prompt("rui", runner), Sampling(), "rui"))
        runner.release()
        answers = [text for text, _, _ in await asyncio.gather(*map(all_of, generations[1:]))]
        assert answers == [*(f"ana {n}" * 9 for n in range(1, 4)), "rui" * 9]


@pytest.mark.parametrize("parking", [0, 600])
async def test_what_is_kept_for_an_owner_is_dropped_at_once(parking: int) -> None:
    runner = FakeRunner()
    runner.parking = parking
    async with opened(runner) as engine:
        for owner in ("ana", "rui"):
            await all_of(engine.generate(prompt(f"of {owner}", runner), Sampling(), owner))
        engine.forget_owner("ana")
    kept = [bytes(token for token in tokens if token < START) for tokens in runner.kept()]
    assert [b"rui" in each for each in kept] == [True]
