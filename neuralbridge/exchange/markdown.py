"""A conversation as people read it: its active branch in Markdown. Cannot be taken in again. Pure."""

from neuralbridge.store.archive import Whole
from neuralbridge.store.conversations import Message
from neuralbridge.store.history import shortened

BETWEEN = "\n---\n\n"  # two conversations


def markdown_of(conversation: Whole) -> str:
    branch = conversation.branch
    title = shortened(conversation.title or (branch[0].content if branch else "")) or conversation.session_id
    head = f"# {title}\n\n*Conversation `{conversation.session_id}`, begun {conversation.created_at}*\n"
    return "\n".join([head, *(part(message) for message in branch)])


def part(message: Message) -> str:
    """Who said it, when, and what; under an answer the passages it drew on."""
    who = "You" if message.role == "user" else str(message.metadata.get("model_used") or "Assistant")
    ended = "" if message.status == "complete" else f" ({message.status})"
    lines = [f"**{who}**, {message.created_at}{ended}\n", f"{message.content}\n"]
    sources = message.metadata.get("sources")
    if message.role == "assistant" and isinstance(sources, list) and sources:
        lines.append("".join(source(each) for each in sources if isinstance(each, dict)))
    return "\n".join(lines)


def source(passage: dict[str, object]) -> str:
    page = "" if passage.get("page") is None else f", page {passage['page']}"
    return f"- [{passage.get('n')}] {passage.get('source_document')}{page}\n"
