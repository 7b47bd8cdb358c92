"""A conversation reads as it was: who, when, what, and what an answer drew on."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from neuralbridge.exchange.markdown import markdown_of
from neuralbridge.store.archive import Whole
from neuralbridge.store.conversations import Message
from tests.exchange.trees import wholes

AT = "2024-05-31T12:00:00.000Z"
QUESTION = Message("q", None, 1, "user", "Why is the\nsea salty?", "complete", {}, AT)
ANSWER = Message("a", "q", 2, "assistant", "Rivers.", "complete", {"model_used": "small"}, AT)
OTHER = replace(ANSWER, uid="b", content="Nobody knows.")
TALK = Whole("s", None, False, AT, AT, "a", (QUESTION, ANSWER, OTHER))


def test_the_active_branch_is_written_and_no_other() -> None:
    assert markdown_of(TALK) == (
        f"# Why is the sea salty?\n\n*Conversation `s`, begun {AT}*\n\n"
        f"**You**, {AT}\n\nWhy is the\nsea salty?\n\n**small**, {AT}\n\nRivers.\n"
    )


def test_a_given_name_stands_above_it() -> None:
    assert markdown_of(replace(TALK, title="Water")).startswith("# Water\n")


def test_without_anything_said_its_session_names_it() -> None:
    assert markdown_of(Whole("s", None, False, AT, AT, None, ())).startswith("# s\n")


def test_an_answer_that_was_stopped_says_so() -> None:
    stopped = replace(TALK, messages=(QUESTION, replace(ANSWER, status="cancelled")))
    assert f"**small**, {AT} (cancelled)\n" in markdown_of(stopped)


@pytest.mark.parametrize(
    ("sources", "shown"),
    [
        ([{"n": 2, "source_document": "sea.pdf", "page": 7}], "Rivers.\n\n- [2] sea.pdf, page 7\n"),
        ([{"n": 2, "source_document": "sea.md", "page": None}], "Rivers.\n\n- [2] sea.md\n"),
        ([], "Rivers.\n"),
        ("none", "Rivers.\n"),
        (["?"], "Rivers.\n\n"),
    ],
)
def test_an_answers_passages_stand_below_it(sources: Any, shown: str) -> None:
    answer = replace(ANSWER, metadata={"model_used": "small", "sources": sources})
    assert markdown_of(replace(TALK, messages=(QUESTION, answer))).endswith(shown)


@given(wholes())
def test_everything_on_the_branch_is_there(conversation: Whole) -> None:
    text = markdown_of(conversation)
    assert all(message.content in text for message in conversation.branch)
