"""Every part of a stream is one event that any reader of lines understands, and their deltas join to what was said."""

import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from neuralbridge.protocol.openai_replies import (
    DONE,
    IMPOSSIBLE,
    Alternative,
    ChatAnswer,
    ChatChoice,
    ChatCompletion,
    Chunks,
    ErrorBody,
    ErrorReply,
    ModelCard,
    PromptDetails,
    TokenLogprob,
    ToldCall,
    ToldFunction,
    Usage,
    failure,
)

HEAD = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 1_750_000_000,
    "model": "gpt-4",
    "system_fingerprint": "neuralbridge-1",
}
USAGE = Usage(
    prompt_tokens=3, completion_tokens=2, total_tokens=5, prompt_tokens_details=PromptDetails(cached_tokens=1)
)
LINE_ENDS = "\n\r\v\f\x1c\x85\u2028\u2029"
whole = st.text() | st.text(st.sampled_from(LINE_ENDS + '"\\\t\0é€💥{}[]'), max_size=20)
anything = whole | whole.map(lambda text: text + "\ud800")  # half a character


def chunks(model: str = "gpt-4") -> Chunks:
    return Chunks("chatcmpl-1", "chat.completion.chunk", 1_750_000_000, model, "neuralbridge-1")


def refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def event(raw: bytes) -> Any:
    """The one event that these bytes are, whichever characters the reader takes for the end of a line."""
    line, *rest = raw.decode("ascii").splitlines()
    assert rest == [""] and raw.endswith(b"\n\n")
    assert line.startswith("data: ")
    return json.loads(line.removeprefix("data: "), parse_constant=refuse_constant)


# Streams


@given(st.lists(anything), st.integers(0, 7))
def test_the_texts_of_a_stream_join_to_what_was_said(said: list[str], index: int) -> None:
    told = [event(chunks().text(index, text)) for text in said]
    assert "".join(each["choices"][0]["delta"]["content"] for each in told) == "".join(said)


def test_a_text_has_everything_that_a_part_has() -> None:
    choice = {"index": 3, "delta": {"content": "é"}, "logprobs": None, "finish_reason": None}
    assert event(chunks().text(3, "é")) == {**HEAD, "choices": [choice]}


@given(anything)
def test_the_short_way_to_write_a_text_says_what_the_long_one_does(text: str) -> None:
    assert event(chunks().text(0, text)) == event(chunks().choice(0, delta={"content": text}, logprobs=None))


@given(anything)
def test_a_model_may_have_any_name(name: str) -> None:
    assert event(chunks(name).text(0, ""))["model"] == name


@pytest.mark.parametrize("reason", [None, "stop", "length", "tool_calls"])
def test_a_choice_says_why_it_ended_or_that_it_has_not(reason: str | None) -> None:
    told = event(chunks().choice(1, reason, delta={}, logprobs=None))
    assert told == {**HEAD, "choices": [{"index": 1, "delta": {}, "logprobs": None, "finish_reason": reason}]}


@given(st.dictionaries(anything, anything), st.lists(anything))
def test_a_part_carries_any_fields(fields: dict[str, str], arguments: list[str]) -> None:
    told = event(chunks().part(choices=arguments, citations=[fields]))
    assert told == {**HEAD, "choices": arguments, "citations": [fields]}


def test_usage_comes_in_a_part_without_choices() -> None:
    told = event(chunks().part(choices=[], usage=USAGE.model_dump()))
    assert told["choices"] == []
    assert told["usage"] == {
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "total_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 1},
    }


@given(whole, st.none() | whole)
def test_an_error_in_a_stream_is_an_event_of_its_own(message: str, param: str | None) -> None:
    error = ErrorBody(message=message, type="server_error", param=param, code="processing_failed")
    assert event(failure(ErrorReply(error=error))) == {"error": error.model_dump()}


def test_the_end_of_a_stream_is_what_clients_wait_for() -> None:
    assert DONE == b"data: [DONE]\n\n"


# Logprobs


@given(st.floats())
@example(-math.inf)
@example(math.nan)
@example(IMPOSSIBLE)
@example(0.0)
def test_a_logprob_is_always_a_number(logprob: float) -> None:
    if logprob == math.inf:
        return  # of no token
    other = Alternative(token="a", bytes=[97], logprob=logprob)
    told = TokenLogprob(token="a", bytes=[97], logprob=logprob, top_logprobs=[other])
    expected = max(IMPOSSIBLE, logprob)
    for written in (event(chunks().choice(0, logprobs=told.model_dump()))["choices"][0]["logprobs"], told.model_dump()):
        assert (written["logprob"], written["top_logprobs"][0]["logprob"]) == (expected, expected)


# Answers at once


def test_a_call_is_told_without_the_index_that_streams_need() -> None:
    call = ToldCall(id="call_1", function=ToldFunction(name="f", arguments="{}"))
    answer = ChatAnswer(content=None, tool_calls=[call])
    assert json.loads(answer.model_dump_json(exclude_none=True)) == {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    }
    assert call.model_copy(update={"index": 0}).model_dump()["index"] == 0


def test_a_whole_answer_has_the_fields_of_openai() -> None:
    choice = ChatChoice(index=0, message=ChatAnswer(content="Hi"), finish_reason="stop")
    head = {key: value for key, value in HEAD.items() if key != "object"}
    told = ChatCompletion(choices=[choice], usage=USAGE, **head).model_dump(exclude_none=True)  # type: ignore[arg-type]
    assert told == {
        **head,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
        "usage": USAGE.model_dump(),
    }


def test_nothing_is_told_that_is_not_known() -> None:
    with pytest.raises(ValidationError):
        ModelCard(id="a", created=1, served="b", path="/somewhere")  # type: ignore[call-arg]
