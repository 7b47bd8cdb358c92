"""What an operator watches, in Prometheus' words."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from neuralbridge.assistant.events import Receipt
from neuralbridge.assistant.tally import Tally

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
RATES = (1, 2, 5, 10, 20, 50, 100, 200, 500)  # tokens a second
LAGS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)
LAG_SECONDS = 1.0  # between two looks at the event loop


class Timing:
    """When a question was asked, and when the first of its answer came."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.first: float | None = None

    def spoke(self) -> None:
        """Text has come."""
        if self.first is None:
            self.first = time.monotonic()


class Metrics:
    """Counts and times. A registry of its own: nothing of the process that is not said here."""

    def __init__(self) -> None:
        self.tally = Tally()
        self._registry = CollectorRegistry()
        counter = partial(Counter, registry=self._registry, namespace="neuralbridge")
        times = partial(Histogram, registry=self._registry, namespace="neuralbridge", buckets=SECONDS)
        self._questions = counter("questions", "Questions that ended, by what answered and how.", ["source", "status"])
        self._tokens = counter("tokens", "Tokens computed, or found computed.", ["kind"])
        self._first = times("first_token_seconds", "From the question to the first text.")
        self._whole = times("answer_seconds", "From the question to the end of its answer.")
        self._search = times("retrieval_seconds", "To look documents through for a question.")
        self._rate = times("tokens_per_second", "Of one answer, after its first token.", buckets=RATES)
        self._lag = times("event_loop_lag_seconds", "How late the event loop comes to its work.", buckets=LAGS)

    def watch(self, name: str, what: str, read: Callable[[], float]) -> None:
        """A gauge that is read when somebody asks."""
        Gauge(name, what, registry=self._registry, namespace="neuralbridge").set_function(read)

    def answered(self, receipt: Receipt, timing: Timing) -> None:
        """An answer came to its end."""
        self.tally.answered(receipt)
        now = time.monotonic()
        self._questions.labels(receipt.source, receipt.finish_reason).inc()
        self._whole.observe(now - timing.began)
        tokens = receipt.tokens
        if receipt.source != "cache":
            self._tokens.labels("prompt").inc(tokens.prompt - tokens.cached)
            self._tokens.labels("cached").inc(tokens.cached)
            self._tokens.labels("completion").inc(tokens.completion)
        if timing.first is not None:
            self._first.observe(timing.first - timing.began)
            if receipt.source == "llm" and tokens.completion > 1 and now > timing.first:
                self._rate.observe((tokens.completion - 1) / (now - timing.first))

    def failed(self, kind: str) -> None:
        """A question got an error of this class."""
        self.tally.failed(kind)
        self._questions.labels("none", kind).inc()

    @contextmanager
    def searching(self) -> Iterator[None]:
        with self._search.time():
            yield

    async def watch_loop(self) -> None:
        """Measure how late the event loop is, until cancelled."""
        while True:
            due = time.monotonic() + LAG_SECONDS
            await asyncio.sleep(LAG_SECONDS)
            self._lag.observe(max(0.0, time.monotonic() - due))

    def text(self) -> bytes:
        """As Prometheus reads it."""
        return generate_latest(self._registry)
