"""Threads are what measurements say, now and later, and a step takes on as many prompt tokens as fit its time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralbridge.engine.pace import ALONE_SECONDS, SMALLEST_CHUNK, STEP_SECONDS, TRY_EVERY, Pace

Times = dict[int, float]  # threads -> milliseconds of a row


def measured(times: Times, cores: int) -> Pace:
    """A pace for a machine whose rows take so long."""
    pace = Pace(cores, max_chunk=496)
    pace.measure(lambda rows, threads: rows * times[threads] / 1000)
    return pace


def work(pace: Pace, times: Times, steps: int, rows: int = 1) -> list[int]:
    """Run steps of so many rows; the threads each was given."""
    given_threads = []
    for _ in range(steps):
        threads = pace.threads(rows)
        given_threads.append(threads)
        pace.observe(rows, threads, rows * times[threads] / 1000)
    return given_threads


QUIET, NEIGHBOUR = {1: 10.7, 2: 7.1}, {1: 10.7, 2: 17.5}
ONE_ROW: list[tuple[str, int, Times, int]] = [
    ("one core", 1, {1: 7}, 1),
    ("no gain from the second", 2, {1: 7, 2: 6.8}, 1),
    ("a gain too small for a core", 2, {1: 10, 2: 9.1}, 1),
    ("a clear gain", 2, {1: 10, 2: 8.9}, 2),
    ("a neighbour has the second core", 2, {1: 7, 2: 18}, 1),
    ("best in the middle", 8, {1: 20, 2: 12, 4: 8, 8: 15}, 4),
    ("small gains that add up", 4, {1: 10, 2: 9.5, 4: 8.8}, 2),
    ("worse before it is better", 4, {1: 10, 2: 12, 4: 5}, 4),
    ("three cores", 3, {1: 10, 2: 8, 3: 6}, 3),
    ("a large model", 4, {1: 400, 2: 210, 4: 110}, 4),
    ("a large model on one core", 1, {1: 5000}, 1),
]


@pytest.mark.parametrize(("cores", "times", "expected"), [case[1:] for case in ONE_ROW], ids=[c[0] for c in ONE_ROW])
def test_a_step_gets_the_fewest_threads_that_no_larger_number_clearly_beats(
    cores: int, times: Times, expected: int
) -> None:
    assert measured(times, cores).threads(1) == expected


def test_sizes_are_told_apart() -> None:
    pace = Pace(2, max_chunk=496)
    pace.measure(lambda rows, threads: {1: {1: 7, 2: 8}, 8: {1: 60, 2: 30}}[rows][threads] / 1000)
    assert [pace.threads(rows) for rows in (1, 8, 15, 16, 400)] == [1, 2, 2, 2, 2]


@pytest.mark.parametrize("rows", [1, 16, 512])
def test_every_core_is_used_before_anything_is_known(rows: int) -> None:
    assert Pace(4, max_chunk=496).threads(rows) == 4


def test_a_large_model_is_not_timed_with_fewer_threads() -> None:
    timed = []

    def time_step(rows: int, threads: int) -> float:
        timed.append(threads)
        return 0.5 * rows

    Pace(4, max_chunk=496).measure(time_step)
    assert set(timed) == {4}


def test_a_neighbour_that_comes_is_noticed_within_a_few_steps() -> None:
    pace = measured(QUIET, cores=2)
    assert work(pace, QUIET, 100).count(2) > 95
    assert work(pace, NEIGHBOUR, 100).count(1) > 85


def test_a_neighbour_that_goes_is_noticed_too() -> None:
    pace = measured(NEIGHBOUR, cores=2)
    assert work(pace, NEIGHBOUR, 500).count(1) > 480
    work(pace, QUIET, 20 * TRY_EVERY)
    assert work(pace, QUIET, 100).count(2) > 95


def test_prompts_are_read_with_every_core_whatever_small_steps_say() -> None:
    pace = measured(NEIGHBOUR, cores=2)
    assert work(pace, QUIET, 15, rows=80) == [2] * 15


def test_a_neighbour_is_noticed_while_prompts_are_read_and_so_is_its_end() -> None:
    pace = measured(QUIET, cores=2)
    work(pace, QUIET, 40, rows=80)
    work(pace, NEIGHBOUR, 40, rows=80)
    assert work(pace, NEIGHBOUR, 32, rows=80).count(1) > 28
    work(pace, QUIET, 40, rows=80)
    assert work(pace, QUIET, 32, rows=80).count(2) > 28


def test_one_step_that_was_held_up_changes_nothing_for_long() -> None:
    pace = measured(QUIET, cores=2)
    work(pace, QUIET, 50)
    pace.observe(1, 2, 30.0)
    work(pace, QUIET, 20 * TRY_EVERY)
    assert work(pace, QUIET, 100).count(2) > 95


@pytest.mark.parametrize(("decoding", "seconds"), [(0, ALONE_SECONDS), (4, STEP_SECONDS)])
def test_a_step_takes_on_the_prompt_tokens_that_fit_its_time(decoding: int, seconds: float) -> None:
    pace = measured({1: 2.0}, cores=1)
    assert pace.chunk(decoding) == pytest.approx(seconds / 0.002 - decoding, abs=1)


@given(
    st.integers(1, 600),
    st.integers(0, 600),
    st.lists(st.tuples(st.integers(1, 512), st.floats(1e-6, 10)), max_size=30),
)
def test_a_chunk_is_never_more_than_a_runner_takes(
    max_chunk: int, decoding: int, steps: list[tuple[int, float]]
) -> None:
    pace = Pace(2, max_chunk)
    for rows, seconds in steps:
        pace.observe(rows, pace.threads(rows), seconds)
    assert min(SMALLEST_CHUNK, max_chunk) <= pace.chunk(decoding) <= max_chunk
