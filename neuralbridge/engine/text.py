"""Turns token bytes into text that is safe to show. Pure.

Half a UTF-8 character and the beginning of a possible stop string are held back until the next token decides.
"""

import codecs


class TextStream:
    """The text of one answer, as it grows."""

    def __init__(self, stops: tuple[str, ...] = ()) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._stops = stops
        self._held = ""
        self.stopped = False

    def feed(self, piece: bytes) -> str:
        """The text that `piece` makes certain. After a stop string `stopped` is set and nothing follows."""
        return self._release(self._decoder.decode(piece))

    def flush(self) -> str:
        """What was held back, when no more tokens come; a cut character becomes U+FFFD."""
        text = self._release(self._decoder.decode(b"", final=True)) + self._held
        self._held = ""
        return text

    def _release(self, text: str) -> str:
        if self.stopped:
            return ""
        text = self._held + text
        # The stop string that is complete first, wherever the pieces were cut; of equals the one that began first
        found = min(((at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0), default=None)
        if found is not None:
            self.stopped = True
            self._held = ""
            return text[: found[1]]
        keep = undecided(text, self._stops)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


def undecided(text: str, marks: tuple[str, ...]) -> int:
    """Length of the longest end of `text` that may be the beginning of one of these marks."""
    longest = max(map(len, marks), default=0)
    for length in range(min(longest - 1, len(text)), 0, -1):
        if any(mark.startswith(text[-length:]) for mark in marks):
            return length
    return 0
