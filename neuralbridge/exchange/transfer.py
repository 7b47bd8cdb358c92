"""Conversations out of the database and into it, for the server and the command line alike."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Literal

from neuralbridge.database import Database
from neuralbridge.errors import InvalidParams, InvalidRequest, NotFound
from neuralbridge.exchange.jsonl import line_of
from neuralbridge.exchange.markdown import BETWEEN, markdown_of
from neuralbridge.exchange.reading import Refused, conversations_in
from neuralbridge.protocol.exchange import ImportReport, NotTaken
from neuralbridge.store import archive
from neuralbridge.store.archive import Kept, Whole
from neuralbridge.store.conversations import Conversation

REFUSALS_TOLD = 100
MOST_REFUSALS = 10_000  # then it is no file for us, however long it goes on

Format = Literal["markdown", "jsonl"]
FORMS: dict[Format, Callable[[Whole], str]] = {
    "markdown": markdown_of,
    "jsonl": lambda conversation: line_of(conversation) + "\n",
}
BETWEEN_THEM: dict[Format, str] = {"markdown": BETWEEN, "jsonl": ""}


def exported(connection: sqlite3.Connection, conversation: Conversation, form: Format) -> str:
    """One conversation as text. Raises NotFound."""
    whole = archive.whole(connection, conversation)
    if whole is None:
        raise NotFound(f"There is no conversation {conversation.session_id[:80]!r}.")
    return FORMS[form](whole)


def all_exported(connection: sqlite3.Connection, owner: str, form: Format) -> Iterator[str]:
    """All of an owner's conversations as pieces of one text, the oldest first."""
    for number, session_id in enumerate(archive.session_ids(connection, owner)):
        yield BETWEEN_THEM[form] * bool(number) + exported(connection, Conversation(owner, session_id), form)


class Transfer:
    """The same while a server uses the database, and the way in."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def exported(self, conversation: Conversation, form: Format) -> str:
        """One conversation as text. Raises NotFound."""
        return await self._database.read(partial(exported, conversation=conversation, form=form))

    async def all_exported(self, owner: str, form: Format) -> AsyncIterator[str]:
        """All of an owner's conversations as pieces of one text; what is deleted meanwhile is left out."""
        between = ""
        for session_id in await self._database.read(lambda connection: archive.session_ids(connection, owner)):
            try:
                text = await self.exported(Conversation(owner, session_id), form)
            except NotFound:
                continue
            yield between + text
            between = BETWEEN_THEM[form]

    async def take_in(self, owner: str, content: bytes | bytearray) -> ImportReport:
        """Take in all conversations of a file, one after the other. What is here already stays as it is, so doing it
        again adds nothing, and goes on where it was broken off.

        Raises InvalidParams for a file of no kind that we know, or with hardly a conversation in it.
        """
        report = ImportReport()
        found = conversations_in(content)
        reader = ThreadPoolExecutor(1, "import")
        try:
            while (each := await asyncio.get_running_loop().run_in_executor(reader, next, found, None)) is not None:
                refused = each if isinstance(each, Refused) else await self._take_one(owner, each, report)
                if refused is not None:
                    report.refused += 1
                    if report.refused <= REFUSALS_TOLD:
                        report.refusals.append(NotTaken(where=refused.where, reason=refused.reason))
                    if report.refused > MOST_REFUSALS:
                        raise InvalidParams(f"More than {MOST_REFUSALS:,} entries of the file are no conversations.")
        finally:
            reader.shutdown(wait=False)
        return report

    async def _take_one(self, owner: str, taken: Whole, report: ImportReport) -> Refused | None:
        try:
            kept = await self._keep(owner, taken)
        except InvalidRequest as error:
            return Refused(taken.session_id, str(error))
        report.messages += kept.messages
        if kept.new:
            report.imported += 1
        elif kept.messages:
            report.extended += 1
        else:
            report.unchanged += 1
        return None

    async def _keep(self, owner: str, taken: Whole) -> Kept:
        """Part by part: whoever else writes has a turn between them. Raises InvalidRequest."""
        kept = await self._database.write(partial(archive.keep, owner=owner, taken=taken))
        while kept.seen < len(taken.messages):
            more = await self._database.write(partial(archive.keep, owner=owner, taken=taken, seen=kept.seen))
            kept = Kept(kept.new, kept.messages + more.messages, more.seen)
        return kept
