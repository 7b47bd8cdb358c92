"""Of ChatGPT's export comes what was shown: questions and answers in turn, with all branches, under lasting names."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralbridge.errors import InvalidRequest
from neuralbridge.exchange.chatgpt import UNDATED, whole_of_chatgpt
from neuralbridge.exchange.jsonl import line_of, whole_of
from neuralbridge.protocol.exchange import LONGEST_MESSAGE
from neuralbridge.store.archive import Whole

SEA, PHOTO, EMPTY = json.loads((Path(__file__).parents[1] / "data" / "chatgpt.json").read_text("utf-8"))


def node(role: str, text: str, parent: str | None = None, **more: Any) -> dict[str, Any]:
    content = {"content_type": "text", "parts": [text]}
    return {"message": {"author": {"role": role}, "content": content, **more}, "parent": parent}


def talk(mapping: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "x", "mapping": mapping, **more}


def said(conversation: Whole) -> list[tuple[str, str]]:
    """The active branch."""
    return [(message.role, message.content) for message in conversation.branch]


# A real one


def test_the_active_branch_is_what_was_shown_last_without_tools_and_thoughts() -> None:
    conversation = whole_of_chatgpt(SEA)
    assert said(conversation) == [
        ("user", "Why is the sea salty?"),
        ("assistant", "Rivers carry salt into it."),
        ("user", "How salty is it today?"),
        ("assistant", "Let me look.\n\nAbout 3.5 % - 35 g in each kilogram."),
    ]
    assert (conversation.session_id, conversation.title, conversation.pinned) == (
        "chatgpt-6665e0f4-0000-8000-9d3c-1f7a11f7a001",
        "Salt in the sea",
        False,
    )
    assert (conversation.created_at, conversation.updated_at) == (
        "2024-06-10T06:13:20.500Z",
        "2024-06-10T06:18:20.750Z",
    )


def test_other_branches_and_other_answers_are_there_too() -> None:
    conversation = whole_of_chatgpt(SEA)
    ends = {message.uid for message in conversation.messages} - {message.parent for message in conversation.messages}
    assert {message.content for message in conversation.messages if message.uid in ends} == {
        "Most lakes drain.",
        "Let me look.\n\nAbout 3.5 % - 35 g in each kilogram.",
        "Let me look.\n\nAbout 35 g/kg.",
    }
    assert len(conversation.messages) == 7


def test_an_answer_keeps_its_time_and_the_name_of_its_model() -> None:
    answer = whole_of_chatgpt(SEA).branch[-1]
    assert answer.metadata == {"imported_from": "chatgpt", "model_used": "o3"}
    assert (answer.created_at, answer.status) == ("2024-06-10T06:15:05.500Z", "complete")


def test_an_image_is_said_to_have_been_there_and_what_has_no_date_gets_the_conversations() -> None:
    conversation = whole_of_chatgpt(PHOTO)
    assert said(conversation) == [("user", "[image]\n\nO que é isto? Olhão ☀"), ("assistant", "Um barco.")]
    assert {message.created_at for message in conversation.messages} == {conversation.created_at}
    assert (conversation.title, conversation.updated_at) == (None, conversation.created_at)
    assert conversation.messages[1].metadata == {"imported_from": "chatgpt"}


def test_one_without_a_message_that_was_shown_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="no messages"):
        whole_of_chatgpt(EMPTY)


@pytest.mark.parametrize("given", [SEA, PHOTO], ids=["sea", "photo"])
def test_what_comes_out_is_the_same_each_time_and_can_be_written_as_ours(given: dict[str, Any]) -> None:
    assert whole_of_chatgpt(given) == whole_of_chatgpt(given) == whole_of(json.loads(line_of(whole_of_chatgpt(given))))


# Strange ones


def test_names_of_nodes_are_those_of_one_conversation() -> None:
    mapping = {"q": node("user", "why?")}
    (one,), (other,) = (whole_of_chatgpt({"id": id, "mapping": mapping}).messages for id in "xy")
    assert one.uid != other.uid


def test_a_conversation_without_a_name_gets_one_that_lasts() -> None:
    mapping = {"q": node("user", "why?")}
    first, second = (whole_of_chatgpt({"mapping": mapping}) for _ in range(2))
    assert first == second
    assert first.session_id != whole_of_chatgpt({"mapping": {"r": node("user", "why?")}}).session_id


def test_without_a_known_end_the_branch_of_the_last_message_is_active() -> None:
    mapping = {"q": node("user", "why?"), "a": node("assistant", "so", "q"), "b": node("assistant", "else", "q")}
    assert said(whole_of_chatgpt(talk(mapping, current_node="gone")))[-1] == ("assistant", "else")


def test_a_node_whose_parent_is_missing_begins_the_conversation() -> None:
    mapping = {"a": node("assistant", "so", "q"), "q": node("user", "why?", "gone")}
    assert said(whole_of_chatgpt(talk(mapping))) == [("user", "why?"), ("assistant", "so")]


def test_a_circle_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="circle"):
        whole_of_chatgpt(talk({"q": node("user", "why?", "a"), "a": node("assistant", "so", "q")}))


@pytest.mark.parametrize("seconds", [None, 1e300, -1e300, 0])
def test_a_time_that_is_none_is_no_reason_to_refuse(seconds: float | None) -> None:
    conversation = whole_of_chatgpt(talk({"q": node("user", "why?", create_time=seconds)}, create_time=seconds))
    assert (conversation.created_at, conversation.messages[0].created_at) == (UNDATED, UNDATED)


@pytest.mark.parametrize(
    ("title", "expected"),
    [(" x ", "x"), ("", None), (7, None), ("y" * 300, "y" * 200), ("cut \ud83d", "cut \ufffd")],
)
def test_a_title_is_a_text_that_can_be_kept(title: object, expected: str | None) -> None:
    assert whole_of_chatgpt(talk({"q": node("user", "why?")}, title=title)).title == expected


def test_half_a_character_is_replaced() -> None:
    assert said(whole_of_chatgpt(talk({"q": node("user", "cut \ud83d")}))) == [("user", "cut \ufffd")]


@pytest.mark.parametrize(
    "hidden",
    [
        node("system", "x"),
        node("tool", "x"),
        node("assistant", "x", recipient="python"),
        node("user", "x", metadata={"is_visually_hidden_from_conversation": True}),
        node("user", " \n"),
        {"message": None, "parent": None},
    ],
)
def test_what_is_never_shown_is_left_out_and_what_follows_it_moves_up(hidden: dict[str, Any]) -> None:
    mapping = {"q": node("user", "why?"), "h": {**hidden, "parent": "q"}, "a": node("assistant", "so", "h")}
    assert said(whole_of_chatgpt(talk(mapping))) == [("user", "why?"), ("assistant", "so")]


@pytest.mark.parametrize("length", [LONGEST_MESSAGE, LONGEST_MESSAGE + 1])
def test_a_message_may_be_as_long_as_the_limit(length: int) -> None:
    given = talk({"q": node("user", "x" * length)})
    if length > LONGEST_MESSAGE:
        with pytest.raises(InvalidRequest, match="1,000,001"):
            whole_of_chatgpt(given)
    else:
        assert len(whole_of_chatgpt(given).messages) == 1


@pytest.mark.parametrize("role", ["user", "assistant"])
def test_a_long_row_of_the_same_speaker_is_one_message(role: str) -> None:
    mapping = {str(place): node(role, "x", str(place - 1)) for place in range(3_000)}
    (message,) = whole_of_chatgpt(talk(mapping)).messages
    assert message.content.split() == ["x"] * 3_000


def test_a_long_answer_with_a_thousand_ways_on_is_refused_before_it_is_there_a_thousand_times() -> None:
    ways = {f"w{place}": node("assistant", "x", "a") for place in range(1_000)}
    with pytest.raises(InvalidRequest, match="cannot be joined"):
        whole_of_chatgpt(talk({"a": node("assistant", "x" * 100_000), **ways}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"mapping": []},
        {"mapping": {"q": 7}},
        {"mapping": {"q": {"message": {"author": {}}}}},
        {"mapping": {}, "id": 7},
        {"mapping": {}, "id": "x" * 201},
        {"mapping": {}, "create_time": "now"},
    ],
    ids=str,
)
def test_what_is_no_export_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        whole_of_chatgpt(wrong)


roles = st.sampled_from(["user", "assistant", "system", "tool"])


@given(st.lists(st.tuples(roles, st.integers(0, 20)), min_size=1, max_size=15), st.integers(0, 14))
def test_of_any_tree_speakers_take_turns_and_nothing_shown_is_lost(nodes: list[tuple[str, int]], current: int) -> None:
    mapping = {
        str(place): node(role, f"text {place}.", str(above % place) if place and above < 19 else None)
        for place, (role, above) in enumerate(nodes)
    }
    shown = {f"text {place}." for place, (role, _) in enumerate(nodes) if role in ("user", "assistant")}
    given = talk(mapping, current_node=str(current))
    if not shown:
        with pytest.raises(InvalidRequest):
            whole_of_chatgpt(given)
        return
    conversation = whole_of_chatgpt(given)
    by_name = {message.uid: message for message in conversation.messages}
    for message in conversation.messages:
        if message.parent:
            assert by_name[message.parent].role != message.role
    assert {text for message in conversation.messages for text in message.content.split("\n\n")} == shown
    assert whole_of(json.loads(line_of(conversation))) == conversation
    if f"text {current}." in shown:
        assert conversation.branch[-1].content.endswith(f"text {current}.")
