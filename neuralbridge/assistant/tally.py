"""What became of the questions since the start, as sums."""

from collections import Counter

from neuralbridge.assistant.events import Receipt


class Tally:
    """Counts ends of questions."""

    def __init__(self) -> None:
        self.sources: Counter[str] = Counter()  # of answers
        self.reasons: Counter[str] = Counter()  # for which answers ended
        self.failures: Counter[str] = Counter()  # by the names of their classes
        self.milliseconds: Counter[str] = Counter()  # by source
        self.prompt_tokens = 0
        self.cached_tokens = 0
        self.completion_tokens = 0

    def answered(self, receipt: Receipt) -> None:
        """An answer came to its end. What it cost when it was first made is not counted again."""
        self.sources[receipt.source] += 1
        self.reasons[receipt.finish_reason] += 1
        self.milliseconds[receipt.source] += receipt.processing_time_ms
        if receipt.source != "cache":
            self.prompt_tokens += receipt.tokens.prompt
            self.cached_tokens += receipt.tokens.cached
            self.completion_tokens += receipt.tokens.completion

    def failed(self, kind: str) -> None:
        """A question got no answer, or only a part of one, for an error of this class."""
        self.failures[kind] += 1
