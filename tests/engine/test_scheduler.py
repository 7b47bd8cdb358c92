"""The scheduler by its promises. `Machine` stands for the engine and a model whose next token depends on all before it,
so any mistake about slots, positions, prefixes or pauses changes an answer."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralbridge.engine.batch import Batch, Copy, Discard, Edit, Park, Trim, Unpark
from neuralbridge.engine.scheduler import Scheduler, common_prefix, divide
from neuralbridge.engine.sequence import Sequence
from neuralbridge.types import Chosen, Finish, Sampling


def next_token(tokens: list[int]) -> int:
    return hash(tuple(tokens)) % 50


def alone(prompt: list[int], amount: int) -> list[int]:
    """The answer to a prompt that has the machine to itself and nothing cached."""
    tokens = list(prompt)
    for _ in range(amount):
        tokens.append(next_token(tokens))
    return tokens[len(prompt) :]


class Machine:
    """Carries out batches on a cache that checks what llama.cpp would abort on."""

    def __init__(self, slots: int, cells: int, can_trim: bool = True, parking: int = 0) -> None:
        self.scheduler = Scheduler(slots, cells, can_trim, parking)
        self.parking = parking
        self.parked: dict[int, list[int]] = {}
        self.cells = cells
        self.can_trim = can_trim
        self.cache: dict[int, list[int]] = {slot: [] for slot in range(slots)}
        self.finished: dict[int, Sequence] = {}
        self.batches: list[Batch] = []

    def submit(self, id: int, prompt: list[int], max_tokens: int, owner: str = "", shared: int = 0) -> Sequence:
        sequence = Sequence(id, prompt, Sampling(max_tokens=max_tokens), owner, shared)
        self.scheduler.submit(sequence)
        return sequence

    def step(self, chunk: int = 8) -> Batch | None:
        batch = self.scheduler.plan(chunk)
        if batch is None:
            return None
        self.batches.append(batch)
        for edit in batch.edits:
            self.edit(edit)
        self.check(batch)
        for share in batch.shares:
            assert share.tokens
            assert share.position == len(self.cache[share.slot])
            self.cache[share.slot] += share.tokens
        for share in batch.shares:
            if share.sampled:
                token = next_token(self.cache[share.slot])
                events = share.sequence.append(Chosen(token, -1.0), b"x")
                if isinstance(events[-1], Finish):
                    self.scheduler.remove(share.sequence.id)
                    self.finished[share.sequence.id] = share.sequence
        return batch

    def edit(self, edit: Edit) -> None:
        match edit:
            case Trim(slot, length):
                assert length == 0 or self.can_trim
                del self.cache[slot][length:]
            case Copy(source, target, length):
                assert not self.cache[target]
                assert self.can_trim or length == len(self.cache[source])
                self.cache[target] = self.cache[source][:length]
            case Park(slot, key):
                self.parked[key] = list(self.cache[slot])
                assert sum(map(len, self.parked.values())) <= self.parking
            case Unpark(key, slot):
                assert not self.cache[slot]
                self.cache[slot] = list(self.parked[key])
            case Discard(key):
                del self.parked[key]
        assert len({id(cells) for cells in self.cache.values()}) == len(self.cache)

    def check(self, batch: Batch) -> None:
        """Before the batch is computed."""

    def run(self, chunk: int = 8, steps: int = 5_000) -> None:
        for _ in range(steps):
            if self.scheduler.idle:
                return
            self.step(chunk)
        raise AssertionError("it does not come to an end")


prompts = st.lists(st.integers(0, 2), min_size=1, max_size=30)  # few different tokens, so that prefixes meet


@given(
    st.lists(st.tuples(prompts, st.integers(1, 12), st.integers(0, 3)), min_size=1, max_size=12),
    st.integers(1, 4),
    st.integers(42, 120),
    st.integers(1, 16),
    st.booleans(),
    st.sampled_from([0, 20, 100, 400]),
)
def test_every_answer_is_what_it_would_be_alone(
    script: list[tuple[list[int], int, int]], slots: int, cells: int, chunk: int, can_trim: bool, parking: int
) -> None:
    machine = Machine(slots, cells, can_trim, parking)
    for id, (prompt, max_tokens, pause) in enumerate(script):
        machine.submit(id, prompt, max_tokens)
        for _ in range(pause):
            machine.step(chunk)
    machine.run(chunk)
    for id, (prompt, max_tokens, _) in enumerate(script):
        assert machine.finished[id].tokens[len(prompt) :] == alone(prompt, max_tokens)


@given(st.lists(st.tuples(prompts, st.integers(1, 12)), min_size=2, max_size=10), st.randoms(use_true_random=False))
def test_cancelled_sequences_leave_no_cell_and_no_trace_behind(
    script: list[tuple[list[int], int]], chance: random.Random
) -> None:
    machine = Machine(slots=3, cells=60, parking=chance.choice([0, 80]))
    for id, (prompt, max_tokens) in enumerate(script):
        machine.submit(id, prompt, max_tokens)
    cancelled: set[int] = set()
    while not machine.scheduler.idle:
        machine.step(4)
        id = chance.randrange(len(script))
        if chance.random() < 0.2 and machine.scheduler.remove(id, forget=chance.random() < 0.5):
            cancelled.add(id)
    for id, (prompt, max_tokens) in enumerate(script):
        if id not in cancelled:
            assert machine.finished[id].tokens[len(prompt) :] == alone(prompt, max_tokens)
    owned = sum(len(slot.tokens) for slot in machine.scheduler._slots)
    assert machine.scheduler.free_cells >= machine.cells - owned


def test_a_step_decodes_every_running_sequence_and_no_more_of_prompts_than_allowed() -> None:
    machine = Machine(slots=4, cells=400)
    for id in range(3):
        machine.submit(id, [id] * 3, 50)
    while machine.scheduler.decoding < 3:
        machine.step()
    machine.submit(9, [9] * 100, 5)
    batch = machine.step(chunk=16)
    assert batch is not None
    assert sorted(len(share.tokens) for share in batch.shares) == [1, 1, 1, 16]


def test_a_short_prompt_overtakes_a_long_one() -> None:
    machine = Machine(slots=2, cells=400)
    machine.submit(1, list(range(300)), 5)
    machine.step(chunk=10)
    short = machine.submit(2, [900, 901, 902], 5)
    machine.step(chunk=10)
    assert short.completion_tokens == 1


def test_a_finished_conversation_is_continued_where_it_is() -> None:
    machine = Machine(slots=3, cells=200)
    first = machine.submit(1, list(range(20)), 5)
    machine.run()
    second = machine.submit(2, [*first.tokens, 1, 2], 5)
    machine.run()
    assert second.finish("stop").cached_tokens == len(first.tokens) - 1  # the last token was chosen, never computed
    assert [edit for batch in machine.batches for edit in batch.edits] == []


def test_a_prefix_of_a_running_sequence_is_shared_without_costing_cells() -> None:
    machine = Machine(slots=3, cells=200)
    system = list(range(50))
    machine.submit(1, [*system, 100], 40)
    machine.step(chunk=100)
    free = machine.scheduler.free_cells
    second = machine.submit(2, [*system, 200, 201], 5)
    machine.step(chunk=100)
    assert second.finish("stop").cached_tokens == 50
    assert free - machine.scheduler.free_cells == 3  # two new prompt tokens, one decoded


def test_another_conversation_is_kept_while_there_is_an_empty_slot() -> None:
    machine = Machine(slots=3, cells=400)
    long = machine.submit(1, list(range(100)), 5)
    machine.run()
    machine.submit(2, [0, 1, 2, 500], 5)  # shares a little with the long one
    machine.run()
    again = machine.submit(3, [*long.tokens, 7], 5)
    machine.run()
    assert again.finish("stop").cached_tokens == len(long.tokens) - 1


def test_idle_prefixes_go_before_a_running_sequence_is_paused() -> None:
    machine = Machine(slots=3, cells=100)
    machine.submit(1, list(range(40)), 2)
    machine.run()
    running = machine.submit(2, list(range(1000, 1050)), 50)
    machine.run()
    assert len(machine.finished[2].tokens) == 100
    assert running.finish("stop").completion_tokens == 50


def test_when_cells_run_out_the_youngest_is_paused_and_finishes_later() -> None:
    machine = Machine(slots=2, cells=110)
    machine.submit(1, list(range(10)), 90)
    machine.submit(2, list(range(1000, 1010)), 90)
    paused = False
    while not machine.scheduler.idle:
        machine.step()
        paused = paused or (machine.scheduler.waiting == 1 and machine.scheduler.running == 1)
    assert paused
    assert machine.finished[1].completion_tokens == machine.finished[2].completion_tokens == 90
    assert [*machine.finished] == [1, 2]


def test_a_single_sequence_may_use_every_cell() -> None:
    machine = Machine(slots=4, cells=64)
    machine.submit(1, list(range(32)), 32)
    machine.run()
    assert machine.finished[1].tokens[32:] == alone(list(range(32)), 32)


def test_a_share_that_could_not_be_computed_is_taken_back() -> None:
    scheduler = Scheduler(slots=1, cells=20)
    sequence = Sequence(1, [1, 2, 3], Sampling())
    scheduler.submit(sequence)
    first = scheduler.plan(10)
    assert first is not None
    scheduler.unwind(first.shares[0])
    again = scheduler.plan(10)
    assert again is not None
    assert again.shares[0].tokens == [1, 2, 3]


def test_a_short_conversation_is_parked_and_comes_back_whole() -> None:
    machine = Machine(slots=2, cells=300, parking=200)
    first = machine.submit(1, list(range(30)), 5)
    machine.run()
    for other in (2, 3, 4):
        machine.submit(other, [100 * other + n for n in range(20)], 5)
        machine.run()
    again = machine.submit(9, [*first.tokens, 7], 5)
    machine.step()
    assert machine.scheduler.free_cells >= 300 - len(again.tokens)  # nothing but this one is in the cache
    machine.run()
    assert again.finish("stop").cached_tokens == len(first.tokens) - 1


def test_a_system_prompt_is_found_in_what_is_parked_and_stays_there_for_the_next() -> None:
    machine = Machine(slots=2, cells=300, parking=200)
    system = list(range(15))
    machine.submit(1, [*system, *range(100, 130)], 5)
    machine.run()
    second = machine.submit(2, [*system, 200, 201], 5)
    third = machine.submit(3, [*system, 300, 301], 5)
    machine.run()
    assert second.finish("stop").cached_tokens == third.finish("stop").cached_tokens == 15


@given(st.integers(0, 200), st.lists(st.integers(1, 100), max_size=10))
def test_division_spends_the_budget_and_gives_nobody_more_than_they_have(budget: int, pending: list[int]) -> None:
    parts = divide(budget, pending)
    assert sum(parts) == min(budget, sum(pending))
    assert all(0 <= part <= each for part, each in zip(parts, pending, strict=True))
    if pending and budget:
        assert parts[0] >= min(pending[0], budget - budget // 2)


@pytest.mark.parametrize("when", [lambda machine: None, lambda machine: machine.step(), lambda machine: machine.run()])
def test_removing_what_is_not_there_is_nothing(when: Callable[[Machine], None]) -> None:
    machine = Machine(slots=1, cells=50)
    machine.submit(1, [1, 2], 2)
    when(machine)
    assert machine.scheduler.remove(99) is None


def test_the_common_prefix_ends_at_the_first_difference() -> None:
    lengths = {tuple(tokens): common_prefix([1, 2, 3], tokens) for tokens in ([], [9], [1, 2], [1, 2, 3, 4], [1, 9, 3])}
    assert lengths == {(): 0, (9,): 0, (1, 2): 2, (1, 2, 3, 4): 3, (1, 9, 3): 1}


class Watched(Machine):
    """Remembers for whom each token was computed. The first `shared` of every prompt are nobody's own."""

    def __init__(self, slots: int, cells: int, can_trim: bool = True, parking: int = 0, shared: int = 0) -> None:
        super().__init__(slots, cells, can_trim, parking)
        self.shared = shared
        self.whose: dict[int, list[str]] = {slot: [] for slot in range(slots)}
        self.parked_whose: dict[int, list[str]] = {}

    def edit(self, edit: Edit) -> None:
        super().edit(edit)
        match edit:
            case Trim(slot, length):
                del self.whose[slot][length:]
            case Copy(source, target, length):
                self.whose[target] = self.whose[source][:length]
            case Park(slot, key):
                self.parked_whose[key] = list(self.whose[slot])
            case Unpark(key, slot):
                self.whose[slot] = list(self.parked_whose[key])
            case Discard(key):
                del self.parked_whose[key]

    def check(self, batch: Batch) -> None:
        for share in batch.shares:
            owner, whose = share.sequence.owner, self.whose[share.slot]
            assert len(whose) == share.position
            assert {*whose[self.shared :]} <= {owner}, "another owner's words serve this one"
            whose += [owner] * len(share.tokens)

    def ask(self, id: int, prompt: list[int], max_tokens: int, owner: str) -> Sequence:
        return self.submit(id, prompt, max_tokens, owner, self.shared)

    def usable(self, prompt: list[int], owner: str) -> int:
        """The most tokens of a prompt that anything kept may serve, looked for the slow way."""
        for edit in self.scheduler.edits():
            self.edit(edit)
        kept = [(self.cache[slot], self.whose[slot]) for slot in self.cache]
        kept += [(self.parked[key], self.parked_whose[key]) for key in self.parked]
        most = 0
        for tokens, whose in kept:
            length = 0
            while (
                length < min(len(tokens), len(prompt) - 1)
                and tokens[length] == prompt[length]
                and (length < self.shared or owner == whose[length])
            ):
                length += 1
            most = max(most, length if self.can_trim or length == len(tokens) else 0)
        return most


owned = st.tuples(prompts, st.integers(1, 12), st.sampled_from("abc"), st.integers(0, 3))


@given(
    st.lists(owned, min_size=1, max_size=16),
    st.integers(1, 4),
    st.integers(42, 160),
    st.integers(1, 16),
    st.booleans(),
    st.sampled_from([0, 20, 100, 400]),
    st.integers(0, 12),
    st.randoms(use_true_random=False),
)
def test_no_owners_words_serve_another_and_every_answer_is_what_it_would_be_alone(
    script: list[tuple[list[int], int, str, int]],
    slots: int,
    cells: int,
    chunk: int,
    can_trim: bool,
    parking: int,
    shared: int,
    chance: random.Random,
) -> None:
    machine = Watched(slots, cells, can_trim, parking, shared)
    removed: set[int] = set()
    for id, (prompt, max_tokens, owner, pause) in enumerate(script):
        machine.ask(id, prompt, max_tokens, owner)
        for _ in range(pause):
            machine.step(chunk)
        if chance.random() < 0.1:
            machine.scheduler.forget(chance.choice("abc"))
        if chance.random() < 0.1 and machine.scheduler.remove(id, forget=chance.random() < 0.5):
            removed.add(id)
    machine.run(chunk)
    for id, (prompt, max_tokens, *_) in enumerate(script):
        assert id in removed or machine.finished[id].tokens[len(prompt) :] == alone(prompt, max_tokens)


@given(
    st.lists(st.tuples(st.lists(st.integers(0, 1), min_size=1, max_size=8), st.sampled_from("abc")), max_size=16),
    st.integers(0, 6),
    st.integers(1, 4),
    st.booleans(),
    st.sampled_from([0, 40, 200]),
)
def test_all_that_may_serve_a_prompt_does(
    script: list[tuple[list[int], str]], system: int, slots: int, can_trim: bool, parking: int
) -> None:
    machine = Watched(slots, 100, can_trim, parking, shared=system)
    for id, (words, owner) in enumerate(script):
        prompt = [9] * system + words
        usable = machine.usable(prompt, owner)
        sequence = machine.ask(id, prompt, 4, owner)
        machine.run()
        assert sequence.finish("stop").cached_tokens == usable


def test_another_owners_conversation_serves_as_far_as_it_is_the_system_prompts_and_stays_theirs() -> None:
    machine = Watched(slots=2, cells=200, shared=20)
    system = list(range(20))
    first = machine.ask(1, [*system, 50, 51], 5, "ana")
    machine.run()
    other = machine.ask(2, [*system, 50, 51], 5, "rui")
    machine.run()
    again = machine.ask(3, [*first.tokens, 7], 5, "ana")
    machine.run()
    assert other.finish("stop").cached_tokens == 20
    assert again.finish("stop").cached_tokens == len(first.tokens) - 1


def test_a_slot_that_was_taken_over_is_its_new_owners() -> None:
    machine = Machine(slots=1, cells=200)
    system = list(range(20))
    machine.submit(1, [*system, 50], 5, "ana", shared=20)
    machine.run()
    second = machine.submit(2, [*system, 60], 5, "rui", shared=20)
    machine.run()
    third = machine.submit(3, [*second.tokens, 7], 5, "rui", shared=0)
    machine.run()
    fourth = machine.submit(4, [*third.tokens, 7], 5, "ana", shared=0)
    machine.run()
    cached = [each.finish("stop").cached_tokens for each in (second, third, fourth)]
    assert cached == [20, len(second.tokens) - 1, 0]


def test_no_answer_is_shared_however_much_of_its_prompt_is() -> None:
    machine = Machine(slots=2, cells=200)
    first = machine.submit(1, [1, 2, 3], 10, "ana", shared=100)
    machine.run()
    other = machine.submit(2, first.tokens[:-1], 2, "rui", shared=3)
    machine.run()
    assert other.finish("stop").cached_tokens == 3


@pytest.mark.parametrize("parking", [0, 400])
def test_what_is_forgotten_of_an_owner_serves_nobody_and_others_keep_theirs(parking: int) -> None:
    machine = Watched(slots=4, cells=300, parking=parking)
    for id, owner in enumerate(["ana", "rui", "ana"]):
        machine.submit(id, [100 * id + n for n in range(30)], 5, owner)
        machine.run()
    machine.scheduler.forget("ana")
    for edit in machine.scheduler.edits():
        machine.edit(edit)
    left = [*machine.cache.values(), *machine.parked.values()]
    assert [tokens[0] for tokens in left if tokens] == [100]
    again = machine.submit(9, list(range(31)), 5, "ana")
    theirs = machine.submit(10, [100 + n for n in range(31)], 5, "rui")
    machine.run()
    assert (again.finish("stop").cached_tokens, theirs.finish("stop").cached_tokens) == (0, 30)


def test_what_runs_goes_on_when_its_owner_is_forgotten() -> None:
    machine = Watched(slots=2, cells=100)
    running = machine.submit(1, [1, 2, 3], 10, "ana")
    machine.step()
    machine.scheduler.forget("ana")
    machine.run()
    assert running.tokens[3:] == alone([1, 2, 3], 10)


# Between owners

lengths = st.integers(1, 60)


@given(st.lists(lengths, min_size=1, max_size=10), lengths, st.integers(2, 6), st.integers(2, 24), st.integers(0, 30))
def test_a_question_among_ten_of_anothers_has_its_first_token_when_half_of_each_step_has_read_it(
    others: list[int], length: int, slots: int, chunk: int, head_start: int
) -> None:
    machine = Machine(slots, cells=2_000, parking=400)
    for id, other in enumerate(others):
        machine.submit(id, [id] * other, 40, "ana")
    for _ in range(head_start):
        machine.step(chunk)
    question = machine.submit(99, [99] * length, 3, "rui")
    for _ in range(-(-length // (chunk // 2))):
        machine.step(chunk)
    assert question.completion_tokens >= 1


@given(st.integers(2, 5), lengths, st.integers(8, 24))
def test_the_fair_share_is_of_as_many_owners_as_there_are(owners: int, length: int, chunk: int) -> None:
    machine = Machine(slots=6, cells=2_000)
    for id in range(20):
        machine.submit(id, [id] * 50, 20, f"owner {id % (owners - 1)}")
    machine.step(chunk)
    question = machine.submit(99, [99] * length, 3, "rui")
    for _ in range(-(-length // (chunk // owners))):
        machine.step(chunk)
    assert question.completion_tokens >= 1


class Strict(Machine):
    """With cells enough for all: no slot stays empty and no token of a step unused while anybody waits for one."""

    chunk = 0

    def check(self, batch: Batch) -> None:
        assert self.scheduler.running == min(len(self.cache), len(self.scheduler.sequences))
        pending = {
            each.sequence.id: len(each.sequence.tokens) - len(self.cache[each.slot.id])
            for each in self.scheduler._running
        }
        given = {share.sequence.id: len(share.tokens) for share in batch.shares}
        assert all(given[id] == 1 for id, left in pending.items() if left == 1)
        prompts = [id for id, left in pending.items() if left > 1]
        assert sum(given.get(id, 0) for id in prompts) == min(self.chunk, sum(pending[id] for id in prompts))


@given(
    st.lists(st.tuples(prompts, st.integers(1, 12), st.sampled_from("abcd"), st.integers(0, 3)), max_size=14),
    st.integers(1, 4),
    st.integers(1, 16),
)
def test_no_slot_and_no_token_of_a_step_is_left_unused_while_anybody_waits(
    script: list[tuple[list[int], int, str, int]], slots: int, chunk: int
) -> None:
    machine = Strict(slots, cells=1_000)
    machine.chunk = chunk
    for id, (prompt, max_tokens, owner, pause) in enumerate(script):
        machine.submit(id, prompt, max_tokens, owner)
        for _ in range(pause):
            machine.step(chunk)
    machine.run(chunk)


@given(st.lists(st.tuples(prompts, st.integers(1, 12)), min_size=1, max_size=3), st.integers(1, 3), st.booleans())
def test_nobody_starves_beside_those_who_never_stop_asking(
    script: list[tuple[list[int], int]], slots: int, many: bool
) -> None:
    """The others have six questions under way at any time, of one owner or of many who come and go."""
    machine = Machine(slots, cells=70, parking=80)
    ids = iter(range(100_000))

    def crowd() -> None:
        while sum(each.owner != "rui" for each in machine.scheduler.sequences) < 6:
            id = next(ids)
            machine.submit(id, [id % 3] * 20, 10, f"owner {id % 20}" if many else "ana")

    crowd()
    for prompt, max_tokens in script:
        machine.step()
        crowd()
        mine = machine.submit(next(ids), prompt, max_tokens, "rui")
        for _ in range(600):
            if mine.id in machine.finished:
                break
            machine.step()
            crowd()
        assert machine.finished[mine.id].tokens[len(prompt) :] == alone(prompt, max_tokens)


def test_an_owner_with_nothing_running_gets_a_slot_of_one_who_has_two() -> None:
    machine = Machine(slots=2, cells=400, parking=400)
    for id in range(3):
        machine.submit(id, [id] * 5, 30, "ana")
    machine.step()
    machine.step()
    said = {id: list(each.tokens) for id, each in enumerate(machine.scheduler.sequences)}
    machine.submit(9, [9] * 5, 30, "rui")
    batch = machine.step()
    assert batch is not None
    assert [share.sequence.id for share in batch.shares] == [0, 9]
    machine.submit(10, [10] * 5, 30, "eva")  # nobody has two: she waits
    machine.step()
    assert machine.scheduler.waiting == 3
    machine.run()
    assert machine.finished[1].tokens[: len(said[1])] == said[1]  # what it had said stays said
    assert all(each.tokens[5:] == alone([id] * 5, 30) for id, each in machine.finished.items())


def test_an_owner_with_nothing_running_gets_the_cells_of_one_who_has_two() -> None:
    machine = Machine(slots=4, cells=200)
    for id in range(2):
        machine.submit(id, [id] * 60, 30, "ana")
    machine.step(chunk=200)
    question = machine.submit(9, [9] * 20, 5, "rui")
    machine.step(chunk=200)
    assert question.completion_tokens == 1
    machine.run()
    assert all(machine.finished[id].tokens[60:] == alone([id] * 60, 30) for id in range(2))


def test_cells_run_out_for_whoever_has_the_most_running() -> None:
    machine = Machine(slots=3, cells=130)
    for id in range(2):
        machine.submit(id, [id] * 5, 60, "ana")
    question = machine.submit(2, [2] * 5, 60, "rui")
    machine.step(chunk=20)
    while machine.scheduler.waiting == 0:
        machine.step()
    assert [each.id for each in machine.scheduler.sequences] == [0, 2, 1]
    machine.run()
    assert question.tokens[5:] == alone([2] * 5, 60)
