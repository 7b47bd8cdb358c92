"""Passages as the model is shown them, in the turn of the question that fetched them. Pure.

They stay in that turn, in the order of the document, so that a conversation's prompt only ever grows at its end.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from neuralbridge.retrieval.search import Found
from neuralbridge.store.conversations import Message

INSTRUCTION = (
    "Answer the question below in one or two short sentences, with the facts from the passages above.\nQuestion: "
)


@dataclass(frozen=True, slots=True)
class Source:
    """A passage in a conversation. `n` is its number there; it is `text[start:end]` of the document as extracted."""

    n: int
    document_id: str
    source_document: str
    page: int | None
    heading: str
    start: int
    end: int
    score: float
    text: str
    version: str = ""  # of the document; none in turns from before there were citations

    @property
    def place(self) -> tuple[str, int, int]:
        """What makes it the same passage."""
        return self.document_id, self.start, self.end

    def covers(self, other: "Source") -> bool:
        return self.document_id == other.document_id and self.start <= other.start and other.end <= self.end

    @property
    def shown(self) -> str:
        """As it stands in the prompt."""
        where = [
            self.source_document,
            *([f"page {self.page}"] if self.page else []),
            *([self.heading] * bool(self.heading)),
        ]
        return f"[{self.n}] {', '.join(where)}\n{self.text}"


def source_of(found: Found) -> Source:
    """Not numbered yet."""
    passage = found.passage
    return Source(
        0,
        passage.document,
        passage.source,
        passage.page,
        passage.heading,
        passage.start,
        passage.end,
        found.score,
        passage.text,
        passage.version,
    )


def turn(query: str, sources: Sequence[Source]) -> str:
    """What the user is made to say: the passages, then the question."""
    if not sources:
        return query
    return "\n\n".join([*(source.shown for source in sources), INSTRUCTION + query])


def stored(sources: Sequence[Source]) -> list[dict[str, Any]]:
    return [asdict(source) for source in sources]


def restored(context: list[dict[str, Any]]) -> tuple[Source, ...]:
    return tuple(Source(**source) for source in context)


def shown_with(question: Message, answer: Message) -> tuple[Source, ...]:
    """The passages in the turn of a question: an answer that is not its first may have come with others."""
    return restored(answer.context or question.context)
