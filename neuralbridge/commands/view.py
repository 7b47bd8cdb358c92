"""How answers look: growing at a terminal with notes underneath, whole in a pipe, or as JSON."""

import json
import re
from collections.abc import Sequence
from typing import Protocol, TextIO

from rich.console import Console

from neuralbridge.commands.talk import Ended, Heard, Queued, Said, Started
from neuralbridge.protocol.pushes import Metadata, SourcePassage

# A terminal would obey them, and neither a model nor a document may tell it what to do
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
HOUR = 3600.0
ENDS = {"length": "; cut off at the limit of tokens", "cancelled": "; stopped"}


class View(Protocol):
    def hear(self, heard: Heard) -> None: ...


class Growing:
    """On a terminal: every piece as it comes, then sources and confidence on standard error."""

    def __init__(self, out: TextIO, notes: Console) -> None:
        self._out = out
        self._notes = notes

    def hear(self, heard: Heard) -> None:
        match heard:
            case Queued(place):
                note(self._notes, f"{place} of this conversation before it")
            case Said(text):
                self._out.write(printable(text))
                self._out.flush()
            case Started():
                pass
            case Ended(text, metadata):
                self._out.write("" if text.endswith("\n") else "\n")
                self._out.flush()
                for line in [doubts(metadata)] if heard.superseded else footnotes(metadata):
                    note(self._notes, line)


class Whole:
    """In a pipe: the answer that counts and nothing else, exactly as it is."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def hear(self, heard: Heard) -> None:
        if isinstance(heard, Ended) and not heard.superseded:
            self._out.write(heard.text if heard.text.endswith("\n") else f"{heard.text}\n")
            self._out.flush()


class Object:
    """One line of JSON with the answer and everything that is known of it."""

    def __init__(self, out: TextIO, conversation: str) -> None:
        self._out = out
        self._conversation = conversation

    def hear(self, heard: Heard) -> None:
        if isinstance(heard, Ended) and not heard.superseded:
            told = {
                "session_id": self._conversation,
                "response": heard.text,
                "metadata": heard.told,
                "timestamp": heard.timestamp,
            }
            self._out.write(f"{json.dumps(told, ensure_ascii=False)}\n")
            self._out.flush()


def view_for(out: TextIO) -> View:
    return Growing(out, notes()) if out.isatty() else Whole(out)


def notes() -> Console:
    """Standard error, for what is not the answer itself."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


def note(console: Console, line: str) -> None:
    """A line that stands back behind the answer, unless NO_COLOR wants all lines alike."""
    console.print(printable(line), style=None if console.no_color else "dim")


def printable(text: str) -> str:
    return CONTROLS.sub("", text)


def footnotes(metadata: Metadata) -> list[str]:
    """What stands under an answer: its sources, how sure it is and why, and where it comes from."""
    return [*map(place_of, metadata.sources), *sureness(metadata), origin(metadata)]


def place_of(source: SourcePassage) -> str:
    parts = [source.source_document, f"page {source.page}" if source.page else "", source.heading]
    return f"[{source.n}] {', '.join(part for part in parts if part)} ({source.score:.2f})"


def sureness(metadata: Metadata) -> list[str]:
    if metadata.confidence is None:
        return []
    reasons = " ".join(metadata.confidence.reasons)
    return [f"confidence {metadata.confidence_score:.2f}, {metadata.confidence.level}: {reasons}"]


def origin(metadata: Metadata) -> str:
    """Who answered, in what time, and how it ended where that was not by itself."""
    end = ENDS.get(metadata.finish_reason, "")
    return f"{author(metadata)}, {metadata.processing_time_ms / 1000:.1f} s{end}"


def author(metadata: Metadata) -> str:
    if metadata.cache is not None:
        return f"{metadata.model_used}, answered before ({age(metadata.cache.age_seconds)} ago)"
    if metadata.finish_reason == "no_evidence":
        return "your documents do not say; the nearest places are above"
    return "from your documents, word for word" if metadata.source == "rag" else metadata.model_used


def age(seconds: float) -> str:
    return f"{seconds / HOUR:.1f} hours" if seconds >= HOUR else f"{seconds / 60:.0f} minutes"


def doubts(metadata: Metadata) -> str:
    """What stands between an answer and the one that takes its place."""
    return f"not sure of that (confidence {metadata.confidence_score:.2f}); this takes its place:"


def passages(sources: Sequence[SourcePassage]) -> str:
    """The sources with the words that stand there."""
    return "\n\n".join(f"{place_of(source)}\n{source.text}" for source in sources)
