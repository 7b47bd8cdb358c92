"""Threads are what a measurement says, and a step takes on as many prompt tokens as fit its time."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralbridge.engine.pace import ALONE_SECONDS, SMALLEST_CHUNK, STEP_SECONDS, Pace

Times = dict[int, float]  # threads -> milliseconds of a step


def measured(cores: int, steps: dict[int, Times]) -> Pace:
    """A pace for a machine whose steps of so many rows take so long."""
    pace = Pace(cores, max_chunk=496)
    pace.measure(lambda rows, threads: steps[rows][threads] / 1000, list(steps))
    return pace


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
    ("a large model", 4, {1: 101, 2: 60, 4: 40}, 4),
    ("a large model on one core", 1, {1: 5000}, 1),
]


@pytest.mark.parametrize(("cores", "times", "expected"), [case[1:] for case in ONE_ROW], ids=[c[0] for c in ONE_ROW])
def test_a_step_gets_the_fewest_threads_that_no_larger_number_clearly_beats(
    cores: int, times: Times, expected: int
) -> None:
    assert measured(cores, {1: times}).threads(1) == expected


@pytest.mark.parametrize(
    ("rows", "threads"), [(1, 1), (3, 1), (4, 2), (15, 2), (16, 4), (17, 4), (512, 4)], ids=lambda value: str(value)
)
def test_a_step_of_any_size_gets_the_threads_of_the_measured_one_below_it(rows: int, threads: int) -> None:
    steps = {1: {1: 5, 2: 6, 4: 7}, 4: {1: 20, 2: 11, 4: 10.5}, 16: {1: 80, 2: 44, 4: 25}}
    assert measured(4, steps).threads(rows) == threads


@pytest.mark.parametrize("rows", [1, 16, 512])
def test_every_core_is_used_before_the_measurement(rows: int) -> None:
    assert Pace(4, max_chunk=496).threads(rows) == 4


def stumbling(times: Times, at: int) -> Callable[[int, int], float]:
    """Steps of which one takes far longer than the others, as happens when something else wakes up."""
    taken = iter(range(1000))

    def time_step(rows: int, threads: int) -> float:
        return times[threads] / 1000 * (50 if next(taken) == at else 1)

    return time_step


@pytest.mark.parametrize("at", range(10))
def test_one_slow_step_decides_nothing(at: int) -> None:
    pace = Pace(2, max_chunk=496)
    pace.measure(stumbling({1: 7, 2: 7}, at), [1])
    assert pace.threads(1) == 1


def paced(cost_ms: float, max_chunk: int = 496) -> Pace:
    """A pace that has seen steps at that cost per prompt token."""
    pace = Pace(2, max_chunk)
    pace.observe(100, cost_ms / 10)
    return pace


@pytest.mark.parametrize(
    ("cost_ms", "decoding", "chunk"),
    [
        (1, 0, 250),
        (1, 1, 79),
        (1, 8, 72),
        (0.1, 0, 496),
        (0.1, 8, 496),
        (4, 1, 19),
        (40, 0, SMALLEST_CHUNK),
        (40, 8, SMALLEST_CHUNK),
    ],
)
def test_a_chunk_fills_the_time_of_a_step(cost_ms: float, decoding: int, chunk: int) -> None:
    assert paced(cost_ms).chunk(decoding) == chunk


@pytest.mark.parametrize("decoding", [0, 1, 16])
def test_the_first_chunk_is_the_smallest_because_nothing_is_known(decoding: int) -> None:
    assert Pace(2, max_chunk=496).chunk(decoding) == SMALLEST_CHUNK


@given(
    cost_ms=st.none() | st.floats(0.001, 1000),
    decoding=st.integers(0, 256),
    max_chunk=st.integers(1, 512),
)
def test_a_chunk_is_never_nothing_nor_more_than_a_step_holds(
    cost_ms: float | None, decoding: int, max_chunk: int
) -> None:
    pace = Pace(2, max_chunk) if cost_ms is None else paced(cost_ms, max_chunk)
    assert 1 <= pace.chunk(decoding) <= max_chunk


@given(cost_ms=st.floats(0.001, 10), decoding=st.integers(0, 64))
def test_a_step_stays_within_its_time_unless_its_chunk_is_the_smallest(cost_ms: float, decoding: int) -> None:
    pace = paced(cost_ms)
    chunk = pace.chunk(decoding)
    limit = STEP_SECONDS if decoding else ALONE_SECONDS
    assert chunk == SMALLEST_CHUNK or (chunk + decoding) * cost_ms / 1000 <= limit * 1.0001


def test_a_chunk_follows_when_the_machine_becomes_busy() -> None:
    pace = paced(1)
    for _ in range(10):
        pace.observe(100, 0.4)
    assert pace.chunk(1) in (SMALLEST_CHUNK, 19, 20)


def test_one_slow_step_does_not_spoil_the_next_chunks() -> None:
    pace = paced(1)
    pace.observe(100, 0.2)
    assert pace.chunk(0) > 150


def test_steps_of_few_rows_teach_nothing() -> None:
    pace = paced(1)
    pace.observe(SMALLEST_CHUNK - 1, 5)
    assert pace.chunk(0) == 250
