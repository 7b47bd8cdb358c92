"""Models that think aloud put their thoughts between two marks before the answer. Pure.

Thoughts are kept apart from the answer: out of its text, its history, its citations and its confidence.
"""

from neuralbridge.engine.text import undecided

OPENING, CLOSING = "<think>", "</think>"


class Thinking:
    """Divides one answer as it grows. `begun`: the prompt has opened the thoughts already; `none`: it can have none."""

    def __init__(self, begun: bool = False, none: bool = False) -> None:
        self._state = "answering" if none else "thinking" if begun else "beginning"
        self._held = ""

    @property
    def inside(self) -> bool:
        """Whether what comes next may be a thought."""
        return self._state != "answering"

    def feed(self, text: str) -> tuple[str, str]:
        """What of it, and of what was held back, is a thought, and what is answer."""
        text = self._held + text
        self._held = ""
        if self._state == "beginning":
            bare = text.lstrip()
            if len(bare) < len(OPENING) and OPENING.startswith(bare):
                self._held = text
                return "", ""
            self._state = "thinking" if bare.startswith(OPENING) else "answering"
            text = bare.removeprefix(OPENING) if self._state == "thinking" else text
        if self._state == "thinking":
            thought, mark, rest = text.partition(CLOSING)
            if not mark:
                keep = undecided(text, (CLOSING,))
                self._held = text[len(text) - keep :]
                return text[: len(text) - keep], ""
            self._state = "blank"
            return thought, self._after(rest)
        if self._state == "blank":
            return "", self._after(text)
        return "", text

    def flush(self) -> tuple[str, str]:
        """What was held back, when nothing more comes."""
        held, self._held = self._held, ""
        return (held, "") if self._state == "thinking" else ("", held)

    def _after(self, text: str) -> str:
        """The answer begins with the first character that is no blank."""
        text = text.lstrip()
        if text:
            self._state = "answering"
        return text
