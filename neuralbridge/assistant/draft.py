"""An answer in the making: its text, and its row in the store."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from types import TracebackType
from typing import Self

from neuralbridge.assistant.context import Source, stored
from neuralbridge.assistant.events import Question, Receipt, Started
from neuralbridge.assistant.receipts import thoughts_in
from neuralbridge.store.conversations import Conversations, Place, Turn
from neuralbridge.types import Piece, Status

SAVE_TOKENS = 16  # with one save under way at the most, a crash loses at most twice this
SAVE_SECONDS = 1.0


class Draft:
    """Entering stores the question and an empty answer; leaving without `finish` stores how far it came and why.

    An answer that stands at its place already goes on: `text` begins with what there is of it.
    """

    def __init__(
        self,
        conversations: Conversations,
        question: Question,
        receipt: Receipt,
        added: Sequence[Source] = (),
        place: Place | None = None,
    ) -> None:
        self.text = place.answer.content if place and place.answer else ""
        self._place = place
        self._thoughts = thoughts_in(place.answer.metadata) if place and place.answer else ""
        self._conversations = conversations
        self._question = question
        self._receipt = receipt
        self._added = added  # passages that go into the prompt with the question
        self._unsaved = 0
        self._saved_at = time.monotonic()
        self._saving: asyncio.Future[None] | None = None
        self._ending: tuple[Status, Receipt] | None = None
        self._standing: tuple[str, Receipt] | None = None  # a whole answer that another one is taking the place of
        self._stored = False

    async def __aenter__(self) -> Self:
        asked = self._question
        self._turn: Turn = await self._conversations.begin(
            asked.conversation, asked.query, asked.metadata, asdict(self._receipt), stored(self._added), self._place
        )
        self._receipt = replace(self._receipt, message_id=self._turn.answer)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._stored and self._standing is not None:
            self.text, receipt = self._standing
            await self._store("complete", receipt)
        elif not self._stored:
            failed = isinstance(error, Exception)  # the others are cancellation and shutdown
            receipt = replace(self._receipt, finish_reason="error", thoughts=self._thoughts)
            await self._store(*(self._ending or ("error" if failed else "interrupted", receipt)))

    async def add(self, piece: Piece) -> None:
        """Take the next piece; now and then what there is of the text is saved behind its back."""
        self.text += piece.text
        self._thoughts += piece.thought
        self._unsaved += len(piece.tokens)
        now = time.monotonic()
        if self._standing is not None:  # that one is what a crash should leave
            return
        if self._unsaved >= SAVE_TOKENS or now - self._saved_at >= SAVE_SECONDS:
            await self._saved()
            self._unsaved, self._saved_at = 0, now
            self._saving = asyncio.ensure_future(self._conversations.save_text(self._turn, self.text))

    def say(self, text: str) -> None:
        """Take a text that no model wrote."""
        self.text += text

    @property
    def started(self) -> Started:
        return Started(self._question.query, self._turn.question, self._turn.answer)

    @property
    def before(self) -> str:
        """The message id of the question: what precedes it is the conversation it was asked in."""
        return self._turn.question

    async def supersede(self, receipt: Receipt) -> Receipt:
        """Begin anew. The text so far stays the answer until another one is finished; its receipt comes back whole."""
        receipt = replace(receipt, message_id=self._turn.answer)
        if self._standing is None:
            await self._saved()
            await self._conversations.save_text(self._turn, self.text)
            self._standing = self.text, receipt
        self.text = ""
        return receipt

    async def finish(self, status: Status, receipt: Receipt) -> Receipt:
        """Store the whole answer; the receipt comes back with the message's id."""
        receipt = replace(receipt, message_id=self._turn.answer)
        self._ending = (status, receipt)
        await self._store(status, receipt)
        return receipt

    async def _store(self, status: Status, receipt: Receipt) -> None:
        await self._saved()
        await self._conversations.finish(self._turn, self.text, status, asdict(receipt))
        self._stored = True

    async def _saved(self) -> None:
        saving, self._saving = self._saving, None
        if saving is not None:
            await asyncio.shield(saving)  # whoever cancels us means the answer, not the saving of what there is of it
