"""A conversation is one line, comes back from it whole, and a line that is wrong says where."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralbridge.errors import InvalidRequest
from neuralbridge.exchange.jsonl import line_of, whole_of
from neuralbridge.protocol.exchange import LONGEST_MESSAGE
from neuralbridge.store.archive import Whole
from neuralbridge.store.conversations import Message
from tests.exchange.trees import wholes

AT = "2024-05-31T12:00:00.000Z"
MESSAGE = {"id": "q", "role": "user", "content": "why?", "created_at": AT}
LINE = {
    "type": "conversation",
    "version": 1,
    "session_id": "s",
    "created_at": AT,
    "updated_at": AT,
    "leaf": "q",
    "messages": [MESSAGE],
}
PASSAGE = {
    "n": 1,
    "document_id": "d",
    "source_document": "f",
    "page": None,
    "heading": "",
    "start": 0,
    "end": 1,
    "score": 0.5,
    "text": "x",
}


@given(wholes())
def test_a_conversation_comes_back_from_its_line_whole(conversation: Whole) -> None:
    line = line_of(conversation)
    assert "\n" not in line
    assert whole_of(json.loads(line.encode())) == conversation


def test_text_stands_in_a_line_as_people_read_it() -> None:
    conversation = Whole(
        "s", None, False, AT, AT, "q", (Message("q", None, 1, "user", "Olhão 💥", "complete", {}, AT),)
    )
    assert "Olhão 💥" in line_of(conversation)


def test_half_a_character_in_what_a_client_sent_can_be_written_and_read() -> None:
    half = Message("q", None, 1, "user", "é", "complete", {"x": "\ud800"}, AT)
    conversation = Whole("s", None, False, AT, AT, "q", (half,))
    assert whole_of(json.loads(line_of(conversation).encode())) == conversation


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def test_what_an_earlier_version_kept_is_written_out_however_deep() -> None:
    message = Message("q", None, 1, "user", "why?", "complete", {"a": deep(600)}, AT)
    assert "[" * 600 + "1" in line_of(Whole("s", None, False, AT, AT, "q", (message,)))


@pytest.mark.parametrize("metadata", [{"a": deep(64)}, {"a": float("inf")}])
def test_metadata_that_could_not_be_written_out_again_is_refused(metadata: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="metadata"):
        whole_of({**LINE, "messages": [{**MESSAGE, "metadata": metadata}]})
    assert whole_of({**LINE, "messages": [{**MESSAGE, "metadata": {"a": deep(62)}}]})


def test_what_may_be_left_out_may_be() -> None:
    assert whole_of(LINE) == Whole(
        "s", None, False, AT, AT, "q", (Message("q", None, 1, "user", "why?", "complete", {}, AT),)
    )


def with_message(**changes: Any) -> dict[str, Any]:
    return {**LINE, "messages": [{**MESSAGE, **changes}]}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ([], "dictionary"),
        ("x", "dictionary"),
        ({}, "type"),
        ({**LINE, "type": "message"}, "type"),
        ({**LINE, "version": 2}, "version"),
        *(({**LINE, "session_id": value}, "session_id") for value in ("", "x" * 256, "a\0b", 7, None)),
        *(({**LINE, "title": value}, "title") for value in ("", "x" * 201, 7)),
        ({**LINE, "pinned": "yes"}, "pinned"),
        *(({**LINE, "created_at": value}, "created_at") for value in ("", "yesterday", 7, AT + "\n", "2024-05-31")),
        *(({**LINE, "leaf": value}, "leaf") for value in ("other", None)),
        ({**LINE, "messages": []}, "leaf"),
        ({**LINE, "messages": None}, "messages"),
        ({**LINE, "messages": [MESSAGE, MESSAGE]}, "twice"),
        (with_message(parent="later"), "parent"),
        (with_message(parent="q"), "parent"),
        (with_message(id=""), "messages.0.id"),
        (with_message(id="x" * 65), "messages.0.id"),
        (with_message(role="system"), "messages.0.role"),
        (with_message(content=None), "messages.0.content"),
        (with_message(content="\ud800"), "messages.0.content"),
        (with_message(content="x" * (LONGEST_MESSAGE + 1)), "messages.0.content"),
        (with_message(status="done"), "messages.0.status"),
        (with_message(metadata=[]), "messages.0.metadata"),
        (with_message(metadata={"confidence": "high"}), "confidence"),
        (with_message(context=[{}]), "messages.0.context.0.n"),
        (with_message(context=[{**PASSAGE, "more": 1}]), "messages.0.context.0.more"),
        (with_message(context=[{**PASSAGE, "score": "1"}]), "messages.0.context.0.score"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_wrong_line_says_where(line: object, says: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        whole_of(line)
    assert says in str(caught.value)


@given(
    st.recursive(
        st.none() | st.text() | st.integers() | st.floats(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_anything_else_is_refused(given: object) -> None:
    with pytest.raises(InvalidRequest):
        whole_of(given)
