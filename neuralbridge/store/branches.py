"""The branches of conversations: where the next turn stands, and which branch is the active one."""

import sqlite3
from dataclasses import dataclass
from typing import Literal

from neuralbridge.database import Database, snapshot
from neuralbridge.errors import InvalidParams
from neuralbridge.store.archive import is_below
from neuralbridge.store.conversations import Conversation, Message, Place, demand_row, find, message
from neuralbridge.types import Speaker

MESSAGE = """
    SELECT m.uid, p.uid, m.depth, m.role, m.content, m.status, m.metadata, m.created_at, m.context
    FROM messages m LEFT JOIN messages p ON p.id = m.parent WHERE m.uid = ? AND m.conversation = ?
"""
NEWEST_BENEATH = """
    WITH RECURSIVE newest (id) AS (
        SELECT ?
        UNION ALL
        SELECT (SELECT max(m.id) FROM messages m WHERE m.parent = n.id) FROM newest n WHERE n.id IS NOT NULL
    )
    SELECT max(id) FROM newest
"""  # a message is always older than those beneath it


@dataclass(frozen=True, slots=True)
class Errand:
    """What a turn does instead of following the last one, with the message of that id.

    It edits a question, regenerates an answer beneath the same question, or continues an answer.
    """

    kind: Literal["edits", "regenerates", "continues"]
    message: str


class Branches:
    """Finds places in the trees of conversations, and moves their active branches."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def place(self, conversation: Conversation, errand: Errand | None) -> Place:
        """Where a turn stands that begins now. Raises InvalidParams where its errand cannot be run."""

        def query(connection: sqlite3.Connection) -> Place:
            with snapshot(connection):
                return place(connection, conversation, errand)

        return await self._database.read(query)

    async def select(self, conversation: Conversation, uid: str) -> None:
        """Make the branch through a message active, down to the newest message beneath it. Raises InvalidParams."""

        def change(connection: sqlite3.Connection) -> None:
            row, leaf = find(connection, conversation) or (None, None)
            if row is None or connection.execute(MESSAGE, (uid, row)).fetchone() is None:
                raise InvalidParams(f"message_id must be the id of a message of this conversation, not {uid!r}.")
            chosen = demand_row(connection, row, uid)
            if leaf is None or not is_below(connection, leaf, chosen):
                connection.execute(f"UPDATE conversations SET leaf = ({NEWEST_BENEATH}) WHERE id = ?", (chosen, row))  # noqa: S608

        await self._database.write(change)


def place(connection: sqlite3.Connection, conversation: Conversation, errand: Errand | None) -> Place:
    row, leaf = find(connection, conversation) or (None, None)
    last = connection.execute("SELECT uid FROM messages WHERE id = ?", (leaf,)).fetchone()
    if errand is None:
        return Place(last[0] if last else None)
    if errand.kind == "edits":
        return Place(demand(connection, row, errand.message, "user", "edits").parent)
    answer = demand(connection, row, errand.message, "assistant", "message_id")
    question = question_of(connection, row, answer)
    if errand.kind == "regenerates":
        return Place(question.parent, question)
    refuse_ended(answer, last[0])
    return Place(question.parent, question, answer)


def demand(connection: sqlite3.Connection, conversation: int | None, uid: str, role: Speaker, param: str) -> Message:
    """A message of the conversation. Raises InvalidParams naming `param`."""
    row = connection.execute(MESSAGE, (uid, conversation)).fetchone()
    found = message(row) if row else None
    if found is None or found.role != role:
        wanted = "a question" if role == "user" else "an answer"
        raise InvalidParams(f"{param} must be the id of {wanted} of this conversation, not {uid!r}.", param)
    return found


def question_of(connection: sqlite3.Connection, conversation: int | None, answer: Message) -> Message:
    """What an answer answers. Raises InvalidParams: an imported one may answer nothing."""
    row = connection.execute(MESSAGE, (answer.parent, conversation)).fetchone()
    question = message(row) if row else None
    if question is None or question.role != "user":
        raise InvalidParams(f"The answer {answer.uid!r} has no question above it.", "message_id")
    return question


def refuse_ended(answer: Message, last: str) -> None:
    """Raises InvalidParams with the reason why an answer cannot go on."""
    if answer.status == "streaming":
        raise InvalidParams("The answer is still being written.", "message_id")
    if answer.status == "complete" and answer.metadata.get("finish_reason") != "length":
        raise InvalidParams("The answer is complete: it came to its own end.", "message_id")
    if not answer.content:
        raise InvalidParams("The answer has no text to go on with; it can be made anew.", "message_id")
    if answer.uid != last:
        raise InvalidParams(
            "Only the last answer of the active branch can go on; select its branch first.", "message_id"
        )
