"""However an answer is cut into pieces, its thoughts and its text are the same, and nothing of it is lost."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from neuralbridge.assistant.thinking import CLOSING, OPENING, Thinking

fragments = st.lists(
    st.sampled_from([OPENING, CLOSING, "<", "<thi", "nk>", "</", "</think", ">", "think", " ", "\n\n", "é", "a"]),
    max_size=8,
).map("".join)
places = st.lists(st.integers(0, 80), max_size=10)


def cut(text: str, places: list[int]) -> list[str]:
    ends = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in pairwise(ends)]


def divided(pieces: list[str], begun: bool = False) -> tuple[str, str]:
    thinking = Thinking(begun)
    told = [*(thinking.feed(piece) for piece in pieces), thinking.flush()]
    return "".join(thought for thought, _ in told), "".join(said for _, said in told)


def expected(text: str, begun: bool) -> tuple[str, str]:
    """What all of it at once is."""
    if not begun:
        if not text.lstrip().startswith(OPENING):
            return "", text
        text = text.lstrip()[len(OPENING) :]
    thought, mark, said = text.partition(CLOSING)
    return thought, said.lstrip() if mark else ""


@given(fragments, places, st.booleans())
@example(" <think>a</think>\n\nb", [*range(20)], False)
@example("a</think>\n\nb", [*range(20)], True)
@example("<think", [3], False)
@example("</think", [3], True)
@example("<think></think>", [], False)
@example("</think>", [], True)
@example("  \n", [1], False)
def test_any_cutting_of_an_answer_gives_the_same_thoughts_and_text(text: str, places: list[int], begun: bool) -> None:
    assert divided(cut(text, places), begun) == expected(text, begun)
    assert divided([*text], begun) == expected(text, begun)


@given(fragments, places)
def test_an_answer_without_thoughts_is_shown_to_the_letter(text: str, places: list[int]) -> None:
    if not text.lstrip().startswith(OPENING):
        assert divided(cut(text, places)) == ("", text)


@given(fragments, places, st.booleans())
def test_only_what_may_be_a_mark_is_held_back(text: str, places: list[int], begun: bool) -> None:
    thinking = Thinking(begun)
    fed = told = ""
    for piece in cut(text, places):
        thought, said = thinking.feed(piece)
        fed, told = fed + piece, told + thought + said
        shown = "".join(expected(fed, begun))
        held = shown[len(told) :]
        assert shown.startswith(told)
        assert held == "" or CLOSING.startswith(held) or OPENING.startswith(held.lstrip())


@pytest.mark.parametrize("begun", [False, True])
@given(text=fragments, places=places)
def test_the_answer_comes_after_the_thoughts_and_never_between_them(begun: bool, text: str, places: list[int]) -> None:
    thinking, answering = Thinking(begun), False
    for piece in cut(text, places):
        thought, said = thinking.feed(piece)
        assert not (answering and thought)
        answering = answering or bool(said)
        assert not (answering and thinking.inside)


@pytest.mark.parametrize(
    ("begun", "pieces", "told", "inside"),
    [
        (False, ["Hello"], [("", "Hello"), ("", "")], False),
        (False, [" ", "Hello"], [("", ""), ("", " Hello"), ("", "")], False),
        (False, ["<", "b>"], [("", ""), ("", "<b>"), ("", "")], False),
        (False, ["<", "think", ">", "so"], [("", ""), ("", ""), ("", ""), ("so", ""), ("", "")], True),
        (False, ["<think>a</think>b"], [("a", "b"), ("", "")], False),
        (False, ["<think>a</think>", "\n", "\nb"], [("a", ""), ("", ""), ("", "b"), ("", "")], False),
        (False, ["<think>a</", "b"], [("a", ""), ("</b", ""), ("", "")], True),
        (False, ["<think>a</thi"], [("a", ""), ("</thi", "")], True),
        (False, ["<thi"], [("", ""), ("", "<thi")], True),
        (False, ["a<think>b</think>"], [("", "a<think>b</think>"), ("", "")], False),
        (False, ["<think>a</think>b<think>c</think>"], [("a", "b<think>c</think>"), ("", "")], False),
        (True, ["a", "</think>", "b"], [("a", ""), ("", ""), ("", "b"), ("", "")], False),
        (True, ["a"], [("a", ""), ("", "")], True),
        (True, [], [("", "")], True),
        (False, [], [("", "")], True),
    ],
)
def test_each_piece_tells_what_it_makes_certain(
    begun: bool, pieces: list[str], told: list[tuple[str, str]], inside: bool
) -> None:
    thinking = Thinking(begun)
    assert [*(thinking.feed(piece) for piece in pieces), thinking.flush()] == told
    assert thinking.inside == inside
    assert thinking.flush() == ("", "")
