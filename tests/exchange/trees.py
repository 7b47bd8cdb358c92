"""Conversations with branches, made up by hypothesis."""

from typing import Any

from hypothesis import strategies as st

from neuralbridge.store.archive import Whole
from neuralbridge.store.conversations import Message

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=9)
times = st.datetimes().map(lambda moment: f"{max(1000, moment.year):04}-{moment:%m-%dT%H:%M:%S}.{moment:%f}Z")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=4,
)
passages = st.fixed_dictionaries(
    {
        **{name: st.integers(0, 2**40) for name in ("n", "start", "end")},
        **dict.fromkeys(("document_id", "source_document", "heading", "text", "version"), texts),
        "page": st.none() | st.integers(0, 9),
        "score": st.floats(0, 1),
    }
)


@st.composite
def wholes(draw: st.DrawFn, session_ids: st.SearchStrategy[str] = names) -> Whole:
    """A conversation as it may be in a database: nothing of it is still growing."""
    session = draw(session_ids)
    messages: list[Message] = []
    for number in range(draw(st.integers(0, 6))):
        parent = draw(st.sampled_from([None, *messages]))
        messages.append(message(draw, f"{session}-{number}"[-64:], parent))
    leaf = draw(st.sampled_from(messages)).uid if messages else None
    title = draw(st.none() | texts.filter(bool))
    return Whole(session, title, draw(st.booleans()), draw(times), draw(times), leaf, tuple(messages))


def message(draw: st.DrawFn, uid: str, parent: Message | None) -> Message:
    metadata: dict[str, Any] = draw(
        st.dictionaries(texts.filter(lambda name: name != "confidence"), json_values, max_size=2)
    )
    return Message(
        uid,
        parent.uid if parent else None,
        parent.position + 1 if parent else 1,
        draw(st.sampled_from(["user", "assistant"])),
        draw(texts),
        draw(st.sampled_from(["complete", "cancelled", "interrupted", "error"])),
        metadata,
        draw(times),
        draw(st.lists(passages, max_size=2)),
    )
