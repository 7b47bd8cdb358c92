"""What happens to a question, as values. Pure; the wire has its own words for these."""

from dataclasses import dataclass, field, replace
from typing import Any

from neuralbridge.assistant.citations import Citation
from neuralbridge.assistant.confidence import Confidence
from neuralbridge.assistant.context import Source
from neuralbridge.store.branches import Errand
from neuralbridge.store.conversations import Conversation
from neuralbridge.types import Params, Reading, Retrieval


@dataclass(frozen=True, slots=True)
class Question:
    """A valid question. `streamed`: the asker wants the text as it comes, not only the whole.

    `errand`: it does not simply follow what was said last. One that makes no question of its own has no `query` yet.
    `revisable`: another answer may take the place of the first. `tag` is the asker's own and comes back with every
    event.
    """

    conversation: Conversation
    query: str
    model: str | None = None
    params: Params = field(default_factory=Params)
    metadata: dict[str, Any] = field(default_factory=dict)
    streamed: bool = False
    retrieval: Retrieval | None = None
    cache: bool = True
    revisable: bool = True
    tag: Any = None
    errand: Errand | None = None


@dataclass(frozen=True, slots=True)
class Tokens:
    """`cached` of the `prompt` tokens were found computed; `completion` counts the end token too."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """An answer that another one took the place of, in the record of the message."""

    text: str
    source: str
    model_used: str
    finish_reason: str
    confidence_score: float
    citations: tuple[Citation, ...] = ()


@dataclass(frozen=True, slots=True)
class Repeated:
    """Of an answer that was given before: when it was made, and how long ago that is."""

    answered_at: str
    age_seconds: float


@dataclass(frozen=True, slots=True)
class Receipt:
    """How an answer came about. Its fields are the keys of `metadata` on the wire and in the store.

    `rag_context_used` counts the passages in the prompt, `sources` are those that fit this question, and
    `sources_omitted` those that fit it too and found no room. `confidence_score` is the probability that the answer is
    right, `confidence` says why; 0 and None for an answer that was stopped before it began. `thoughts` are what the
    model thought aloud before it.
    """

    model_used: str
    model_requested: str
    finish_reason: str
    tokens: Tokens = Tokens()
    confidence_score: float = 0.0
    processing_time_ms: int = 0
    messages_omitted: int = 0
    source: str = "llm"
    rag_context_used: int = 0
    sources: tuple[Source, ...] = ()
    sources_omitted: tuple[Source, ...] = ()
    citations: tuple[Citation, ...] = ()
    confidence: Confidence | None = None
    attempts: tuple[Attempt, ...] = ()
    cache: Repeated | None = None
    thoughts: str = ""
    message_id: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody asked; for those who follow the conversation. Not numbered."""


@dataclass(frozen=True, slots=True)
class Queued:
    """The question waits; `place` 1 is next."""

    place: int


@dataclass(frozen=True, slots=True)
class Started:
    """The question is stored and being answered: its text, and the messages that it and its answer are."""

    query: str = ""
    question_id: str | None = None
    message_id: str | None = None


@dataclass(frozen=True, slots=True)
class Sources:
    """The passages that the answer draws on."""

    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Thought:
    """The model thinks aloud; no part of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """The answer goes on with this."""

    text: str


@dataclass(frozen=True, slots=True)
class Cited:
    """Which sentences of the answer its passages bear out."""

    citations: tuple[Citation, ...]


@dataclass(frozen=True, slots=True)
class Superseded:
    """The text so far has ended, and another answer takes its place: it begins with the next Started."""

    text: str
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer has ended and is stored. `earlier`: so many of its tokens were computed before it went on."""

    text: str
    receipt: Receipt
    earlier: int = 0

    @property
    def cost(self) -> Receipt:
        """The receipt with what was computed this time."""
        tokens = self.receipt.tokens
        return replace(self.receipt, tokens=replace(tokens, completion=tokens.completion - self.earlier))


@dataclass(frozen=True, slots=True)
class Failed:
    """There is no answer, or only a part of one."""

    error: Exception


# Reading is not numbered either
AskEvent = Started | Sources | Reading | Thought | Text | Cited | Superseded | Answered
AnswerEvent = Asked | Queued | AskEvent | Failed
