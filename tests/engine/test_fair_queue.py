"""The fair queue by its promises, without slots or cells: whoever is next is served whole."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from neuralbridge.engine.fair_queue import FairQueue, level
from neuralbridge.engine.sequence import Sequence
from neuralbridge.types import Sampling

NOBODY = Counter[str]()


def put(queue: FairQueue, id: int, owner: str, active: set[str] | None = None) -> None:
    queue.enter(owner, {each.owner for each in queue} if active is None else active)
    queue.put(Sequence(id, [0], Sampling(), owner))


def serve(queue: FairQueue, tokens: int) -> str:
    sequence = queue.next(NOBODY)
    queue.remove(sequence.id)
    queue.charge(sequence.owner, tokens)
    return sequence.owner


@given(st.lists(st.integers(1, 50), min_size=2, max_size=60), st.integers(2, 5))
def test_owners_who_always_wait_get_the_same_but_for_one_sequence_each(costs: list[int], owners: int) -> None:
    queue, served = FairQueue(), Counter[str]()
    names = [f"owner {n}" for n in range(owners)]
    for id, name in enumerate(names * len(costs)):  # one after the other, so that none is alone at first
        put(queue, id, name)
    for cost in costs:
        served[serve(queue, cost)] += cost
        assert max(served.values()) - min(served[name] for name in names) <= 2 * max(costs)  # theorem 1 of Goyal et al.


turns = st.lists(st.tuples(st.sampled_from("abcde"), st.integers(1, 20)), min_size=1, max_size=40)


@given(turns, turns)
def test_whoever_waits_sees_each_other_owner_pass_once_at_most(
    before: list[tuple[str, int]], after: list[tuple[str, int]]
) -> None:
    queue = FairQueue()
    for id, (owner, cost) in enumerate(before):
        put(queue, id, owner)
        put(queue, len(before) + id, owner)  # two for one that is served, so that many wait
        serve(queue, cost)
    put(queue, 1_000, "waits")
    passed: list[str] = []
    for id, (owner, cost) in enumerate(after * 5, 1_001):
        put(queue, id, owner)
        passed.append(serve(queue, cost))
        if passed[-1] == "waits":
            break
    assert len(passed) == len({*passed})
    assert passed[-1] == "waits"


def test_of_one_owner_the_oldest_is_next() -> None:
    queue = FairQueue()
    for id in (3, 1, 2):
        put(queue, id, "a")
    assert [queue.next(NOBODY).id, queue.remove(1) is None, queue.next(NOBODY).id] == [1, False, 2]


def test_whoever_has_nothing_running_comes_first() -> None:
    queue = FairQueue()
    for id, owner in enumerate("aab"):
        put(queue, id, owner)
    queue.charge("b", 100)
    assert queue.next(Counter("a")).owner == "b"
    assert queue.next(Counter("ab")).owner == "a"


def test_idle_time_is_not_saved_up() -> None:
    queue = FairQueue()
    put(queue, 1, "a")
    queue.charge("a", 500)
    put(queue, 2, "b")
    assert queue.time("b") == 500


def test_coming_and_going_earns_nothing() -> None:
    queue = FairQueue()
    put(queue, 1, "a")
    put(queue, 2, "b")
    queue.charge("b", 300)
    queue.remove(2)
    put(queue, 3, "b")
    assert (queue.time("a"), queue.time("b")) == (0, 300)


def test_when_all_have_left_nothing_is_remembered_and_no_memory_grows() -> None:
    queue = FairQueue()
    for id in range(1_000):
        put(queue, id, f"owner {id}", active={f"owner {id - 1}"} if id % 100 else set())
        queue.charge(f"owner {id}", 1)
    put(queue, 1_000, "new", active=set())
    assert (queue.time("new"), len(queue._times)) == (0, 1)


@given(st.integers(0, 300), st.lists(st.integers(1, 100), max_size=12))
def test_level_shares_spend_the_budget_and_take_from_nobody_for_somebody_who_has_more(
    budget: int, wanted: list[int]
) -> None:
    parts = level(budget, wanted)
    assert sum(parts) == min(budget, sum(wanted))
    for part, want in zip(parts, wanted, strict=True):
        assert 0 <= part <= want
        assert part == want or max(parts) <= part + 1


def test_of_tokens_too_few_for_all_the_first_get_one() -> None:
    assert level(2, [5, 5, 5]) == [1, 1, 0]
    assert level(7, [1, 9, 9]) == [1, 3, 3]
    assert level(8, [9, 9, 1]) == [4, 3, 1]
