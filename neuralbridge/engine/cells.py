"""The book of the KV cache: which slot holds which tokens in how many cells. Pure; llama.cpp does the same in earnest.

A unified cache has one pool of cells. A cell holds one token and may belong to several slots at once, which is how a
common prefix is shared (llama_memory_seq_cp costs no cells).
"""

from itertools import count


class Cells:
    """The pool. A cell is known by a handle; handles are never used again."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.free = total
        self._handles = count()
        self._more_slots: dict[int, int] = {}  # slots beside the first; only cells of more than one are listed

    def take(self, amount: int) -> list[int]:
        assert amount <= self.free, "the scheduler makes room before it plans"
        self.free -= amount
        return [next(self._handles) for _ in range(amount)]

    def share(self, handles: list[int]) -> list[int]:
        for handle in handles:
            self._more_slots[handle] = self._more_slots.get(handle, 0) + 1
        return list(handles)

    def give_back(self, handles: list[int]) -> None:
        for handle in handles:
            more = self._more_slots.pop(handle, 0)
            if more == 0:
                self.free += 1
            elif more > 1:
                self._more_slots[handle] = more - 1

    def sole(self, handles: list[int]) -> int:
        """How many of these would become free if their slot gave them back."""
        return sum(handle not in self._more_slots for handle in handles)


class Slot:
    """One llama.cpp sequence id and the tokens computed in it; position i holds `tokens[i]`.

    `owner` is the user whom they were computed for.
    """

    def __init__(self, id: int, cells: Cells) -> None:
        self.id = id
        self.owner = ""
        self.tokens: list[int] = []
        self.last_used = 0
        self._cells = cells
        self._handles: list[int] = []

    def extend(self, tokens: list[int]) -> None:
        self._handles += self._cells.take(len(tokens))
        self.tokens += tokens

    def trim(self, length: int) -> None:
        """Keep the first `length` tokens."""
        self._cells.give_back(self._handles[length:])
        del self._handles[length:], self.tokens[length:]

    def copy_from(self, other: "Slot", length: int) -> None:
        """Begin with the first `length` tokens of another slot; this one must be empty."""
        assert not self.tokens
        self._handles = self._cells.share(other._handles[:length])
        self.tokens = other.tokens[:length]

    def reclaimable(self) -> int:
        """Cells that emptying this slot would free."""
        return self._cells.sole(self._handles)
