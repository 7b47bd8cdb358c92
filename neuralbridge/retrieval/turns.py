"""A queue in which owners take turns, so that nobody stands behind everything that somebody else brought."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Turns(asyncio.Queue[T]):
    """What one owner put in comes out in that order; whoever had the last turn is behind all others that wait."""

    def __init__(self, owner_of: Callable[[T], str]) -> None:
        self._owner_of = owner_of
        super().__init__()

    def qsize(self) -> int:
        return sum(len(each) for each in self._queue.values())

    # What asyncio.Queue leaves to its kinds; it asks `_queue` only whether that is empty

    def _init(self, maxsize: int) -> None:  # noqa: ARG002  # theirs; the queue keeps it itself
        self._queue: dict[str, deque[T]] = {}  # whose turn is next first; nobody without anything

    def _put(self, item: T) -> None:
        self._queue.setdefault(self._owner_of(item), deque()).append(item)

    def _get(self) -> T:
        owner, waiting = next(iter(self._queue.items()))
        item = waiting.popleft()
        del self._queue[owner]
        if waiting:
            self._queue[owner] = waiting
        return item
