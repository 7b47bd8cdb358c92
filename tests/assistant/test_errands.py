"""What a question becomes once it is known where it stands."""

from dataclasses import replace

import pytest

from neuralbridge.assistant.errands import in_full
from neuralbridge.assistant.events import Question
from neuralbridge.catalog.names import Names
from neuralbridge.config import Config
from neuralbridge.store.conversations import Conversation, Message, Place

HERE = Conversation("local", "s")
ASKED = Message("q", None, 1, "user", "why?", "complete", {}, "")
CONFIG = Config.model_validate(
    {
        "version": 1,
        "models": {"small": {"path": "small.gguf"}},
        "model_list": [{"model_name": "gpt-4", "use": "small"}],
        "routing": {"default": "gpt-4", "unknown_model": "error"},
    }
)


def answer(model: object) -> Message:
    return Message("a", "q", 2, "assistant", "half", "cancelled", {"model_requested": model}, "")


def test_a_question_of_its_own_stays_as_it_is() -> None:
    question = Question(HERE, "why?", "small")
    assert in_full(question, Place("above"), Names(CONFIG)) is question


def test_a_question_that_is_answered_again_is_the_one_that_was_asked() -> None:
    question = Question(HERE, "", "small", retrieval="strict", cache=False)
    assert in_full(question, Place(None, ASKED), Names(CONFIG)) == replace(question, query="why?")


@pytest.mark.parametrize(
    ("model", "asked"), [("small", "small"), ("gpt-4", "gpt-4"), ("gone", None), (None, None), (7, None)]
)
def test_an_answer_goes_on_with_the_model_that_it_was_asked_of_unless_that_is_gone(
    model: object, asked: str | None
) -> None:
    question = in_full(Question(HERE, ""), Place(None, ASKED, answer(model)), Names(CONFIG))
    assert question == Question(HERE, "why?", asked, retrieval="off", cache=False, revisable=False)
