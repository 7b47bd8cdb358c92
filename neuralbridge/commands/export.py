"""`neuralbridge export`: conversations, and rated answers as JSON Lines in the chat format that fine-tuning takes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from neuralbridge.database import reading
from neuralbridge.exchange.transfer import Format, all_exported
from neuralbridge.exchange.transfer import exported as exported_one
from neuralbridge.store.conversations import Conversation
from neuralbridge.store.feedback import Rated, rated

RATINGS = {1: "up", -1: "down", 0: None}


def conversation_texts(data: Path, owner: str, session_id: str | None, form: Format) -> Iterator[str]:
    """The conversation of that name, or all of them, as pieces of one text; a running server is not disturbed.

    Raises NotFound and DataUnusable.
    """
    with reading(data / "neuralbridge.db") as connection:
        if session_id is None:
            yield from all_exported(connection, owner, form)
        else:
            yield exported_one(connection, Conversation(owner, session_id), form)


def feedback_lines(data: Path) -> Iterator[str]:
    """A line for each rated or commented answer, the oldest first; a running server is not disturbed.

    Raises DataUnusable.
    """
    with reading(data / "neuralbridge.db") as connection:
        for each in rated(connection):
            if each.rating.rating or each.rating.comment:
                yield json.dumps(exported(each), ensure_ascii=False)


def exported(each: Rated) -> dict[str, Any]:
    """`messages` up to the rated answer, which is the last; `features` are what its confidence was made from."""
    confidence = each.metadata.get("confidence") or {}
    return {
        "messages": [{"role": role, "content": content} for role, content in each.turns],
        "rating": RATINGS[each.rating.rating],
        "comment": each.rating.comment,
        "message_id": each.rating.message,
        "rated_at": each.rating.updated_at,
        "source": each.metadata.get("source"),
        "model_used": each.metadata.get("model_used"),
        "confidence_score": each.metadata.get("confidence_score"),
        "features": confidence.get("features", {}),
    }
