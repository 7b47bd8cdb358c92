"""Which questions are the same, and whether the answer from before still holds.

An answer holds as long as the passages that fit its question are the same. The database counts every change of a
document; where the count has moved since an answer was last found to hold, its passages are looked for again.
"""

import json
import re
import unicodedata
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import numpy as np

from neuralbridge.assistant.context import INSTRUCTION, Source
from neuralbridge.assistant.events import Question, Receipt
from neuralbridge.grounding.verdicts import same_facts
from neuralbridge.retrieval.arrays import Matrix
from neuralbridge.sections import Cache as Settings
from neuralbridge.store.cached_answers import CachedAnswers, Entry, NewEntry
from neuralbridge.store.conversations import Before, Conversations, timestamp

PROMPT_VERSION = 1  # of how prompts are built; another one makes other answers
STATE_MESSAGES = 100_000  # of a conversation: all of it, as the prompt may hold all of it
REPHRASED = 0.93  # cosine of two questions that ask for the same; docs/evaluation.md has how it was chosen
WORDS_OF_A_TOKEN = 3  # said at once when an answer is repeated

Embed = Callable[[Sequence[str]], Awaitable[tuple[Matrix, str] | None]]  # vectors, and the model they are of


@dataclass(frozen=True, slots=True)
class Key:
    """`scope` is everything that an answer depends on but the words of its question."""

    scope: bytes
    owner: str
    question: str
    asked: str  # as it was typed


@dataclass(frozen=True, slots=True)
class Found:
    """What there is for a question. `generation` is the library's, now; `holds`: it need not be looked at again;
    `exact`: the same question was asked, not one that means the same.
    """

    entry: Entry | None
    generation: int
    holds: bool = False
    exact: bool = False


class Cache:
    """The answers from before."""

    def __init__(self, answers: CachedAnswers, conversations: Conversations, settings: Settings, embed: Embed) -> None:
        self.answers = answers
        self._conversations = conversations
        self._settings = settings
        self._embed = embed

    async def key(
        self, question: Question, digests: Sequence[str | None], ways: list[object], before: Before = None
    ) -> Key | None:
        """What makes another question the same one; None while a model's digest is not known.

        `ways` is all else that decides how it is answered, as JSON can write it; `before`, where it is asked.
        """
        if None in digests:
            return None
        said = await self._conversations.branch(question.conversation, STATE_MESSAGES, before)
        state = [(message.position, message.role, message.content, message.context) for message in said]
        owner = question.conversation.owner
        depends_on = [PROMPT_VERSION, INSTRUCTION, owner, list(digests), ways, state]
        return Key(sha256(json.dumps(depends_on).encode()).digest(), owner, normalised(question.query), question.query)

    async def find(self, key: Key | None) -> Found:
        """The answer to this question, or to one that means the same where that is wanted."""
        if key is None:
            return Found(None, 0)
        entry, generation = await self.answers.find(key.scope, key.question)
        exact = entry is not None
        if entry is None and self._settings.rephrased:
            entry = await self._rephrased(key)
        holds = entry is not None and (entry.evidence is None or entry.generation == generation)
        return Found(entry, generation, holds, exact)

    async def confirm(self, found: Found, passages: Sequence[Source] | None) -> bool:
        """Whether an answer holds although documents have changed: `passages` fit the question now.

        If not, it goes, unless it answered other words, of which that says nothing.
        """
        assert found.entry is not None
        if found.holds or fingerprint(passages) == found.entry.evidence:
            return True
        if found.exact:
            await self.answers.drop([found.entry.id])
        return False

    async def keep(
        self,
        key: Key,
        generation: int,
        passages: Sequence[Source] | None,
        text: str,
        receipt: Receipt,
        context: list[dict[str, Any]],
    ) -> None:
        """Keep an answer. `passages` fitted its question, None: no document was asked."""
        embedded = await self._embed([key.asked]) if self._settings.rephrased else None
        await self.answers.put(
            NewEntry(
                key.owner,
                key.scope,
                key.question,
                key.asked,
                receipt.message_id or "",
                text,
                asdict(receipt),
                context,
                fingerprint(passages),
                generation,
                frozenset(passage.document_id for passage in passages or ()),
                embedded[0][0].tobytes() if embedded else None,
                embedded[1] if embedded else None,
            )
        )

    async def _rephrased(self, key: Key) -> Entry | None:
        """The answer to the question nearest in meaning, if that is near and has the same numbers, names, negations."""
        embedded = await self._embed([key.asked])
        if embedded is None:
            return None
        vectors, model = embedded
        near = [
            (float(np.dot(vectors[0], np.frombuffer(entry.vector, np.float32))), entry)
            for entry in await self.answers.in_scope(key.scope, model)
            if entry.vector is not None
        ]
        alike = [found for found in near if found[0] >= REPHRASED and same_facts(key.asked, found[1].asked)]
        return max(alike, key=lambda found: found[0])[1] if alike else None


def normalised(query: str) -> str:
    """Blanks, capitals and the mark at the end make no other question."""
    text = unicodedata.normalize("NFC", query).casefold()
    return re.sub(r"[\s.?!…？！。]+$", "", " ".join(text.split()))  # noqa: RUF001


def fingerprint(passages: Sequence[Source] | None) -> bytes | None:
    if passages is None:
        return None
    seen = [(p.document_id, p.version, p.source_document, p.start, p.end) for p in passages]
    return sha256(json.dumps(seen).encode()).digest()


def pieces(text: str) -> list[str]:
    """A text in parts, as a model would say it; together they are the text."""
    return re.findall(rf"\s*(?:\S+\s*){{1,{WORDS_OF_A_TOKEN}}}", text) or [text]


def age_seconds(entry: Entry) -> float:
    """How long ago an answer was made."""
    now, then = (datetime.fromisoformat(moment) for moment in (timestamp(), entry.created_at))
    return max(0.0, (now - then).total_seconds())
