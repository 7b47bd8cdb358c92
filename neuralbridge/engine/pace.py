"""How many threads a step gets and how many prompt tokens it takes on. Pure: times are given to it.

More threads are not always faster: one row of a small model is over before a second thread has woken up, and beside a
busy neighbour two threads that wait for each other are slower than one. So threads are measured, not assumed.
"""

from collections.abc import Callable
from statistics import median

STEP_SECONDS = 0.08  # what a step aims at while others wait for their next token; 0.1 s is where a pause is felt
ALONE_SECONDS = 0.25  # ... while nobody does: larger chunks are cheaper, but a stop still has to feel immediate
SMALLEST_CHUNK = 16
CLEARLY_FASTER = 0.9  # of the time that fewer threads take; a smaller gain is not worth a core


class Pace:
    """Thread counts by number of rows, from `measure`, and the cost of a prompt token, from the steps themselves."""

    def __init__(self, cores: int, max_chunk: int) -> None:
        self._cores = cores
        self._max_chunk = max_chunk
        self._threads = [(1, cores)]  # (from this many rows, threads), ascending
        self._seconds_per_token: float | None = None

    def measure(self, time_step: Callable[[int, int], float], rows: list[int], enough: float = 0.1) -> None:
        """Choose threads for each of `rows` by timing steps: `time_step(rows, threads)` -> seconds.

        A step of one row that takes longer than `enough` seconds belongs to a large model, which wants every core.
        """
        chosen = []
        for amount in rows:
            timed: dict[int, float] = {}
            for threads in self._candidates():
                times = [time_step(amount, threads) for _ in range(2)]
                if min(times) > enough:
                    break
                times += [time_step(amount, threads) for _ in range(3)]
                timed[threads] = median(times)
            chosen.append((amount, self._fewest(timed)))
            if timed:
                self.observe(amount, min(timed.values()))
        self._threads = chosen

    def threads(self, rows: int) -> int:
        return max((amount, threads) for amount, threads in self._threads if amount <= rows or amount == 1)[1]

    def chunk(self, decoding: int) -> int:
        """Prompt tokens for the next step beside `decoding` running rows."""
        if self._seconds_per_token is None:
            return min(SMALLEST_CHUNK, self._max_chunk)
        seconds = STEP_SECONDS if decoding else ALONE_SECONDS
        return min(max(int(seconds / self._seconds_per_token) - decoding, SMALLEST_CHUNK), self._max_chunk)

    def observe(self, rows: int, seconds: float) -> None:
        """Learn from a finished step. Steps of few rows say little about the cost of a prompt token."""
        if rows >= SMALLEST_CHUNK:
            cost = seconds / rows
            known = self._seconds_per_token
            self._seconds_per_token = cost if known is None else 0.7 * known + 0.3 * cost

    def _candidates(self) -> list[int]:
        """1, 2, 4 ... and every core."""
        powers = [1 << bit for bit in range(self._cores.bit_length()) if 1 << bit < self._cores]
        return [*powers, self._cores]

    def _fewest(self, timed: dict[int, float]) -> int:
        """The fewest threads that no larger number clearly beats."""
        for threads in sorted(timed):
            if all(timed[more] > timed[threads] * CLEARLY_FASTER for more in timed if more > threads):
                return threads
        return self._cores
