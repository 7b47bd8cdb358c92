"""ChatGPT's export: a tree of nodes in which much is never shown. Pure.

Taken are what the user wrote and what the assistant answered. System prompts, tools, calls of tools, thoughts and
hidden messages are left out, and what hangs below them moves up. What then stands below its like is one message with
it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from neuralbridge.errors import InvalidRequest
from neuralbridge.protocol.exchange import (
    LONGEST_GIVEN_TITLE,
    LONGEST_MESSAGE,
    ChatGptConversation,
    ChatGptMessage,
    ChatGptNode,
    checked,
)
from neuralbridge.store.archive import Whole
from neuralbridge.store.conversations import Message
from neuralbridge.types import Speaker

MOST_COPIED = 20_000_000  # characters, while messages are joined: each may be the beginning of thousands
SHOWN = ("text", "multimodal_text")
HALVES = re.compile("[\ud800-\udfff]")  # of characters that were cut in two
UNDATED = "1970-01-01T00:00:00.000Z"


@dataclass(frozen=True, slots=True)
class Said:
    """What is taken of a node: `parent` is the node that its message hangs below."""

    role: Speaker
    text: str
    parent: str | None
    created_at: str
    model: str | None


def whole_of_chatgpt(given: object) -> Whole:
    """A conversation of the export. The same one comes out under the same names each time.

    Raises InvalidRequest naming what is wrong with it.
    """
    talk = checked(ChatGptConversation, given)
    name = talk.name or digest("nameless", *sorted(talk.mapping))
    began = moment(talk.create_time) or UNDATED
    said, leaf = taken(talk, began)
    if leaf is None:
        raise InvalidRequest("It has no messages that are shown.")
    uids = {node: digest(name, node) for node in said}
    messages: dict[str, Message] = {}
    for node, each in said.items():
        above = messages[each.parent].position if each.parent else 0
        metadata = {"imported_from": "chatgpt", **({"model_used": each.model} if each.model else {})}
        messages[node] = Message(
            uids[node],
            uids[each.parent] if each.parent else None,
            above + 1,
            each.role,
            each.text,
            "complete",
            metadata,
            each.created_at,
        )
    updated = moment(talk.update_time) or max(message.created_at for message in messages.values())
    title = " ".join(clean(talk.title).split())[:LONGEST_GIVEN_TITLE] if isinstance(talk.title, str) else ""
    session_id = "chatgpt-" + name.replace("\0", "")
    return Whole(session_id, title or None, False, began, updated, uids[leaf], tuple(messages.values()))


def taken(talk: ChatGptConversation, undated: str) -> tuple[dict[str, Said], str | None]:
    """What is said at which node, parents first, and the node at which the active branch ends."""
    said: dict[str, Said] = {}
    nearest: dict[str | None, str | None] = {None: None}  # of each node, itself or what is shown above it
    continued, parents = set(), set()
    copied = 0
    for id in downward(talk.mapping):
        node = talk.mapping[id]
        above = nearest.get(node.parent)
        shown = shown_of(node.message)
        nearest[id] = id if shown else above
        if shown is None:
            continue
        role, text = shown
        assert node.message is not None
        when = moment(node.message.create_time) or undated
        model = (node.message.metadata or {}).get("model_slug")
        if above is not None and said[above].role == role:
            continued.add(above)
            copied += len(said[above].text)
            if copied > MOST_COPIED:
                raise InvalidRequest("One side speaks so often without the other that its messages cannot be joined.")
            text = f"{said[above].text}\n\n{text}"
            above = said[above].parent
        if above is not None:
            parents.add(above)
        if len(text) > LONGEST_MESSAGE:
            raise InvalidRequest(f"A message has {len(text):,} characters; at most {LONGEST_MESSAGE:,} are taken.")
        said[id] = Said(role, text, above, when, model if isinstance(model, str) else None)
    leaf = nearest.get(talk.current_node) or next(reversed(said), None)
    for id in continued - parents - {leaf}:
        del said[id]  # its whole stands in what follows it
    return said, leaf


def downward(mapping: dict[str, ChatGptNode]) -> list[str]:
    """All nodes, each after its parent. Raises InvalidRequest where that cannot be."""
    below: dict[str | None, list[str]] = {}
    for id, node in mapping.items():
        below.setdefault(node.parent if node.parent in mapping else None, []).append(id)
    order = below.get(None, [])[:]
    for id in order:  # grows meanwhile
        order += below.get(id, [])
    if len(order) < len(mapping):
        raise InvalidRequest("Its messages hang below each other in a circle.")
    return order


def shown_of(message: ChatGptMessage | None) -> tuple[Speaker, str] | None:
    """Who is shown to have said what, None for what is not shown."""
    if message is None or message.recipient not in (None, "all") or message.content.content_type not in SHOWN:
        return None
    if (message.metadata or {}).get("is_visually_hidden_from_conversation"):
        return None
    text = clean("\n\n".join(texts(message.content.parts or [])))
    match message.author.role:
        case "user" | "assistant" as role if text.strip():
            return role, text
    return None


def texts(parts: Iterable[Any]) -> Iterable[str]:
    for part in parts:
        if isinstance(part, str):
            if part:
                yield part
        elif isinstance(part, dict):
            match part.get("content_type"):
                case "audio_transcription" if isinstance(part.get("text"), str):
                    yield part["text"]
                case "image_asset_pointer":
                    yield "[image]"
                case _:
                    pass


def moment(seconds: float | None) -> str | None:
    try:
        when = datetime.fromtimestamp(seconds or 0, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z") if seconds else None


def clean(text: str) -> str:
    return HALVES.sub("\ufffd", text)


def digest(*parts: str) -> str:
    return sha256("\0".join(("chatgpt", *parts)).encode()).hexdigest()[:32]
