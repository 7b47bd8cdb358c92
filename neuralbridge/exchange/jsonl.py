"""Our own form: a line of JSON for each conversation, with all its branches. Pure."""

import json
from dataclasses import fields

from neuralbridge.protocol.exchange import ConversationLine, checked
from neuralbridge.store.archive import Whole
from neuralbridge.store.conversations import Message


def line_of(conversation: Whole) -> str:
    """Without the end of the line."""
    kept = {
        "type": "conversation",
        "version": 1,
        "session_id": conversation.session_id,
        "title": conversation.title,
        "pinned": conversation.pinned,
        "created_at": conversation.created_at,
        "updated_at": conversation.updated_at,
        "leaf": conversation.leaf,
        "messages": [told(message) for message in conversation.messages],
    }
    line = json.dumps(kept, ensure_ascii=False)
    # What clients put in the metadata of a question may hold half a character, which no file can
    return line if line.isascii() or encodable(line) else json.dumps(kept)


def told(message: Message) -> dict[str, object]:
    kept = {field.name: getattr(message, field.name) for field in fields(message)}  # as it is, however deep
    del kept["position"]
    return {"id": kept.pop("uid"), **kept}


def encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def whole_of(given: object) -> Whole:
    """What a line says. Raises InvalidRequest naming what is wrong in it."""
    line = checked(ConversationLine, given)
    positions: dict[str | None, int] = {None: 0}
    messages = []
    for each in line.messages:
        positions[each.id] = positions[each.parent] + 1
        context = [passage.model_dump() for passage in each.context]
        messages.append(
            Message(
                each.id,
                each.parent,
                positions[each.id],
                each.role,
                each.content,
                each.status,
                each.metadata,
                each.created_at,
                context,
            )
        )
    return Whole(line.session_id, line.title, line.pinned, line.created_at, line.updated_at, line.leaf, tuple(messages))
