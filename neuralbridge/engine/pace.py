"""How many threads a step gets and how many prompt tokens it takes on. Pure: times are given to it.

More threads are not always faster: a row of a small model is over before a second thread has woken up, and beside a
busy neighbour two threads that wait for each other are slower than one. Neighbours come and go, so threads are measured
when the model loads and ever after: now and then a step tries the next smaller or larger number.
"""

from collections.abc import Callable

STEP_SECONDS = 0.08  # what a step aims at while others wait for their next token; 0.1 s is where a pause is felt
ALONE_SECONDS = 0.25  # ... while nobody does: larger chunks are cheaper, but a stop still has to feel immediate
SMALLEST_CHUNK = 16
CLEARLY_FASTER = 0.9  # of the time that fewer threads take; a smaller gain is not worth a core
TRY_EVERY = 64  # steps of a size between two trials, every other of which finds no number to try on two cores
PROMPT_ROWS = 16  # a larger step reads a prompt; what is known of small steps says nothing about its threads
TRY_PROMPT_EVERY = 16  # there are few such steps, and with the wrong number of threads each takes twice as long
MEASURED_ROWS = (1, 8)  # sizes timed when the model loads, several times each
MEASURED_TIMES = 3
WEIGHT = 0.25  # of the newest time in the running mean
TRIAL_WEIGHT = 0.75  # ... of a number of threads that is only tried: what was known of it is old
STUMBLE = 4.0  # times the mean; a step that takes longer was held up by something else, and counts as this


class Pace:
    """Running means of seconds per row, by size of step and number of threads. Sizes are powers of two."""

    def __init__(self, cores: int, max_chunk: int) -> None:
        powers = [1 << bit for bit in range(cores.bit_length()) if 1 << bit < cores]
        self._candidates = [*powers, cores]
        self._max_chunk = max_chunk
        self._means: dict[int, dict[int, float]] = {}  # size -> threads -> seconds per row
        self._steps: dict[int, int] = {}  # size -> steps so far

    def measure(self, time_step: Callable[[int, int], float], enough: float = 0.1) -> None:
        """Time steps when the model loads: `time_step(rows, threads)` -> seconds.

        A row that takes more than `enough` seconds belongs to a large model, which wants every core: no need to wait
        for fewer.
        """
        for rows in MEASURED_ROWS:
            for threads in reversed(self._candidates):
                times = [time_step(rows, threads) for _ in range(MEASURED_TIMES)]
                self._means.setdefault(size(rows), {})[threads] = min(times) / rows
                if min(times) > enough * rows:
                    return

    def threads(self, rows: int) -> int:
        """For the next step, which may be a trial."""
        best = self._best(rows)
        every = TRY_EVERY if rows < PROMPT_ROWS else TRY_PROMPT_EVERY
        trial, turn = divmod(self._steps.get(size(rows), 0), every)
        if turn != every - 1:
            return best
        at = self._candidates.index(best) + (1 if trial % 2 else -1)
        return self._candidates[min(max(at, 0), len(self._candidates) - 1)]

    def observe(self, rows: int, threads: int, seconds: float) -> None:
        """Learn from a finished step."""
        self._steps[size(rows)] = self._steps.get(size(rows), 0) + 1
        weight = WEIGHT if threads == self._best(rows) else TRIAL_WEIGHT
        means = self._means.setdefault(size(rows), {})
        known = means.get(threads, seconds / rows)
        means[threads] = known + (min(seconds / rows, known * STUMBLE) - known) * weight

    def chunk(self, decoding: int) -> int:
        """Prompt tokens for the next step beside `decoding` running rows."""
        means = self._nearest(self._max_chunk)
        if not means:
            return min(SMALLEST_CHUNK, self._max_chunk)
        seconds = STEP_SECONDS if decoding else ALONE_SECONDS
        affordable = int(seconds / min(means.values())) - decoding
        return min(max(affordable, SMALLEST_CHUNK), self._max_chunk)

    def _best(self, rows: int) -> int:
        """The fewest threads that no larger number clearly beats; every core while nothing is known."""
        means = self._nearest(rows)
        if rows >= PROMPT_ROWS and not any(timed >= size(PROMPT_ROWS) for timed in self._means):
            return self._candidates[-1]
        for threads in sorted(means):
            if all(means[more] > means[threads] * CLEARLY_FASTER for more in means if more > threads):
                return threads
        return self._candidates[-1]

    def _nearest(self, rows: int) -> dict[int, float]:
        """The means of this size of step, or of the nearest size that has been timed; the larger one of two."""
        if not self._means:
            return {}
        wanted = size(rows)
        return self._means[min(self._means, key=lambda timed: (abs(timed - wanted), -timed))]


def size(rows: int) -> int:
    """The number of binary digits: steps of 4 to 7 rows are of one size."""
    return rows.bit_length()
