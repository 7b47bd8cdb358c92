"""Conversations as a list: named, pinned, searched, deleted. What is said in them is in conversations.py."""

import json
import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace

from neuralbridge.database import Database, snapshot
from neuralbridge.errors import NotFound
from neuralbridge.store import message_text
from neuralbridge.store.conversations import Conversation, find
from neuralbridge.types import Speaker
from neuralbridge.words import words

LONGEST_TITLE = 80  # characters of a first question
LOOKED = 10_000  # of the messages found the newest are weighed: all that have a common word would take seconds
HITS = 2_000  # ... and of these the best
BEGINNING = 3  # letters that a word not yet whole must have: with one or two it could be any
SHOWN = 3  # messages of a conversation that are shown of a search
SNIPPET_WORDS = 24
MARKS = "\ufdd0", "\ufdd1"  # around what was looked for: Unicode keeps them from texts for uses like this
PART = re.compile(r'"([^"]*)"|(\S+)')

LISTED = """
    SELECT c.id, c.session_id, c.title, c.pinned, c.created_at, c.updated_at,
        coalesce((SELECT depth FROM messages WHERE id = c.leaf), 0),
        (SELECT substr(content, 1, 1000) FROM messages WHERE conversation = c.id AND parent IS NULL ORDER BY id LIMIT 1)
    FROM conversations c
"""


@dataclass(frozen=True, slots=True)
class Match:
    """A message that was found. `marks` are the places in `snippet` of what was looked for, start and end."""

    message: str
    role: Speaker
    snippet: str
    marks: tuple[tuple[int, int], ...]
    created_at: str


@dataclass(frozen=True, slots=True)
class Listed:
    """A conversation. `title`: its first question, shortened, unless it was given one; `messages` of its branch."""

    session_id: str
    title: str
    pinned: bool
    created_at: str
    updated_at: str
    messages: int
    matches: tuple[Match, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list, and how many there are in all."""

    conversations: list[Listed]
    total: int


@dataclass(frozen=True, slots=True)
class Counts:
    conversations: int
    messages: int


class History:
    """Reads and changes the list of an owner's conversations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def listed(self, owner: str, limit: int, offset: int = 0) -> Page:
        """Pinned ones first, then those in which something was asked last."""

        def query(connection: sqlite3.Connection) -> Page:
            rows = connection.execute(
                f"{LISTED} WHERE c.owner = ? ORDER BY c.pinned DESC, c.updated_at DESC, c.id DESC LIMIT ? OFFSET ?",
                (owner, limit, offset),
            )
            (total,) = connection.execute("SELECT count(*) FROM conversations WHERE owner = ?", (owner,)).fetchone()
            return Page([listed(row) for row in rows], total)

        return await self._database.read(query)

    async def found(self, owner: str, typed: str, limit: int, offset: int = 0) -> Page:
        """Conversations with all words of `typed` in one message, or in the name they were given; the best first."""

        def query(connection: sqlite3.Connection) -> Page:
            with snapshot(connection):
                return search(connection, owner, typed, limit, offset)

        return await self._database.read(query)

    async def get(self, conversation: Conversation) -> Listed:
        """Raises NotFound."""

        def query(connection: sqlite3.Connection) -> Listed:
            (id,) = demand(connection, conversation)
            return listed(connection.execute(f"{LISTED} WHERE c.id = ?", (id,)).fetchone())

        return await self._database.read(query)

    async def rename(self, conversation: Conversation, title: str | None) -> None:
        """None: its first question names it again. Raises NotFound."""
        await self._set(conversation, "title", title)

    async def pin(self, conversation: Conversation, pinned: bool) -> None:
        """Raises NotFound."""
        await self._set(conversation, "pinned", int(pinned))

    async def remove(self, conversation: Conversation) -> None:
        """Delete it with all its messages, what was said of them, and the answers kept from it. Raises NotFound."""

        def change(connection: sqlite3.Connection) -> None:
            row = demand(connection, conversation)
            connection.execute(
                "DELETE FROM cached_answers WHERE message IN (SELECT uid FROM messages WHERE conversation = ?)", row
            )
            message_text.take_out(connection, row[0])
            connection.execute("DELETE FROM conversations WHERE id = ?", row)

        await self._database.write(change)

    async def counts(self, owner: str) -> Counts:
        return await self._database.read(lambda connection: count(connection, owner))

    async def readable(self) -> bool:
        """Whether the database can be read."""

        def query(connection: sqlite3.Connection) -> bool:
            try:
                connection.execute("SELECT 1 FROM conversations LIMIT 1").fetchall()
            except sqlite3.Error:
                return False
            return True

        return await self._database.read(query)

    async def _set(self, conversation: Conversation, column: str, value: object) -> None:
        def change(connection: sqlite3.Connection) -> None:
            (id,) = demand(connection, conversation)
            connection.execute(f"UPDATE conversations SET {column} = ? WHERE id = ?", (value, id))  # noqa: S608

        await self._database.write(change)


def listed(row: tuple[int, str, str | None, int, str, str, int, str | None]) -> Listed:
    _, session_id, title, pinned, created_at, updated_at, messages, question = row
    name = shortened(question or "") if title is None else title
    return Listed(session_id, name, bool(pinned), created_at, updated_at, messages)


def shortened(text: str) -> str:
    """A text as one line of `LONGEST_TITLE` characters at most, cut between words."""
    line = " ".join(text.split())
    if len(line) <= LONGEST_TITLE:
        return line
    whole = line[:LONGEST_TITLE].rpartition(" ")[0]
    return (whole if len(whole) > LONGEST_TITLE // 2 else line[: LONGEST_TITLE - 1]) + "…"


def count(connection: sqlite3.Connection, owner: str) -> Counts:
    return Counts(
        *connection.execute(
            """
            SELECT (SELECT count(*) FROM conversations WHERE owner = :owner),
                (SELECT count(*) FROM messages m JOIN conversations c ON c.id = m.conversation WHERE c.owner = :owner)
            """,
            {"owner": owner},
        ).fetchone()
    )


def demand(connection: sqlite3.Connection, conversation: Conversation) -> tuple[int]:
    """The row id of a conversation. Raises NotFound."""
    found = find(connection, conversation)
    if found is None:
        raise NotFound(f"There is no conversation {conversation.session_id[:80]!r}.")
    return (found[0],)


# Search


def match_of(typed: str) -> str:
    """What was typed, as FTS5 wants it: "words in quotes" one after the other, the last word perhaps not yet whole.

    Empty where nothing in it is a word.
    """
    parts = [found for found in PART.finditer(typed.replace("\0", " ")) if words(found[0])]
    phrases = ['"' + (part[1] or part[0]).replace('"', '""') + '"' for part in parts]
    if parts and parts[-1][1] is None and (len(parts[-1][0]) >= BEGINNING or not parts[-1][0].isascii()):
        phrases[-1] += "*"
    return " ".join(phrases)


def search(connection: sqlite3.Connection, owner: str, typed: str, limit: int, offset: int) -> Page:
    wanted = match_of(typed)
    best = hits(connection, owner, wanted) if wanted else {}
    order = [*dict.fromkeys([*named(connection, owner, typed), *best])]
    part = order[offset : offset + limit]
    shown = {conversation: best.get(conversation, [])[:SHOWN] for conversation in part}
    snippets = snipped(connection, wanted, [id for ids in shown.values() for id in ids])
    rows = connection.execute(
        f"{LISTED} WHERE c.id IN (SELECT value FROM json_each(?))",  # noqa: S608
        (json.dumps(part),),
    )
    entries = {row[0]: listed(row) for row in rows}
    found = [replace(entries[id], matches=tuple(snippets[message] for message in shown[id])) for id in part]
    return Page(found, len(order))


def hits(connection: sqlite3.Connection, owner: str, wanted: str) -> dict[int, list[int]]:
    """Conversations with messages that match, both the best first."""
    # CROSS: full text first, whatever SQLite thinks of it
    beyond = connection.execute(
        """
        SELECT messages_text.rowid FROM messages_text
        CROSS JOIN messages m ON m.id = messages_text.rowid CROSS JOIN conversations c ON c.id = m.conversation
        WHERE messages_text MATCH ? AND c.owner = ? ORDER BY messages_text.rowid DESC LIMIT 1 OFFSET ?
        """,
        (wanted, owner, LOOKED),
    ).fetchone()
    rows = connection.execute(
        """
        SELECT m.conversation, m.id FROM messages_text
        CROSS JOIN messages m ON m.id = messages_text.rowid CROSS JOIN conversations c ON c.id = m.conversation
        WHERE messages_text MATCH ? AND messages_text.rowid > ? AND c.owner = ?
        ORDER BY bm25(messages_text), m.id DESC LIMIT ?
        """,
        (wanted, beyond[0] if beyond else 0, owner, HITS),
    )
    found: dict[int, list[int]] = {}
    for conversation, message in rows:
        found.setdefault(conversation, []).append(message)
    return found


def named(connection: sqlite3.Connection, owner: str, typed: str) -> list[int]:
    """Conversations that were given a name with all these words in it, those used last first."""
    wanted = {*words(typed)}
    rows = connection.execute(
        "SELECT id, title FROM conversations WHERE owner = ? AND title IS NOT NULL ORDER BY updated_at DESC, id DESC",
        (owner,),
    )
    return [id for id, title in rows if wanted and wanted <= {*words(title)}]


def snipped(connection: sqlite3.Connection, wanted: str, ids: Sequence[int]) -> dict[int, Match]:
    """What these messages have of what was looked for."""
    if not ids:
        return {}
    # The + keeps SQLite from searching anew for each of them
    rows = connection.execute(
        """
        SELECT m.id, m.uid, m.role, snippet(messages_text, 0, ?, ?, '…', ?), m.created_at
        FROM messages_text CROSS JOIN messages m ON m.id = messages_text.rowid
        WHERE messages_text MATCH ? AND messages_text.rowid BETWEEN ? AND ?
            AND +messages_text.rowid IN (SELECT value FROM json_each(?))
        """,
        (*MARKS, SNIPPET_WORDS, wanted, min(ids), max(ids), json.dumps(ids)),
    )
    return {id: Match(uid, role, *unmarked(snippet), created_at) for id, uid, role, snippet, created_at in rows}


def unmarked(snippet: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    """A snippet without its marks, and where they stood."""
    text, places = "", []
    for piece in re.split(f"({'|'.join(MARKS)})", snippet):
        if piece in MARKS:
            places.append(len(text))
        else:
            text += piece
    return text, tuple(zip(places[::2], places[1::2], strict=False))
