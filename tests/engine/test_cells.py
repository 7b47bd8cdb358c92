"""The book of the KV cache against the plainest model of it: sets of owners."""

from hypothesis import given
from hypothesis import strategies as st

from neuralbridge.engine.cells import Cells, Slot

steps = st.lists(
    st.one_of(
        st.tuples(st.just("extend"), st.integers(0, 2), st.integers(0, 10)),
        st.tuples(st.just("trim"), st.integers(0, 2), st.integers(0, 12)),
        st.tuples(st.just("copy"), st.integers(0, 2), st.integers(0, 2), st.integers(0, 12)),
    ),
    max_size=40,
)


@given(steps)
def test_a_cell_is_free_exactly_when_no_slot_owns_it(script: list[tuple[object, ...]]) -> None:
    cells = Cells(40)
    slots = [Slot(id, cells) for id in range(3)]
    owned: list[list[int]] = [[], [], []]  # cells by number, as a plain model has them
    fresh = iter(range(10_000))
    for step in script:
        match step:
            case ("extend", int(at), int(amount)):
                amount = min(amount, cells.free)
                slots[at].extend([7] * amount)
                owned[at] += [next(fresh) for _ in range(amount)]
            case ("trim", int(at), int(length)):
                slots[at].trim(length)
                del owned[at][length:]
            case ("copy", int(source), int(target), int(length)) if source != target:
                slots[target].trim(0)
                owned[target] = owned[source][:length]
                slots[target].copy_from(slots[source], length)
        assert cells.free == 40 - len({cell for cells_of in owned for cell in cells_of})
        for at, slot in enumerate(slots):
            others = {cell for other, cells_of in enumerate(owned) if other != at for cell in cells_of}
            assert slot.reclaimable() == len(set(owned[at]) - others)
