"""However tokens cut a text into bytes, the text that is shown is the same, and ends before the first stop string."""

from itertools import pairwise

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from neuralbridge.engine.text import TextStream, undecided


def shown(pieces: list[bytes], stops: tuple[str, ...] = ()) -> list[str]:
    """What each piece shows, and what the end does."""
    stream = TextStream(stops)
    return [*(stream.feed(piece) for piece in pieces), stream.flush()]


def cut(raw: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({0, len(raw), *(place % (len(raw) + 1) for place in places)})
    return [raw[start:end] for start, end in pairwise(ends)]


def until_stop(text: str, stops: tuple[str, ...]) -> str:
    """The text before the stop string that is complete first; of those complete together, the longest."""
    for end in range(1, len(text) + 1):
        starts = [end - len(stop) for stop in stops if text[:end].endswith(stop)]
        if starts:
            return text[: min(starts)]
    return text


places = st.lists(st.integers(0, 200), max_size=12)
few_letters = st.text(st.sampled_from("abé€💥"), max_size=30)
some_stops = st.lists(st.text(st.sampled_from("abé€💥"), min_size=1, max_size=4), max_size=4).map(tuple)


@given(st.text(), places)
def test_any_cutting_of_a_text_gives_that_text(text: str, places: list[int]) -> None:
    assert "".join(shown(cut(text.encode(), places))) == text


@given(st.binary(max_size=40), places)
@example(b"\xf0\x9f\x92", [])
@example(b"\xe2\x82a", [1, 2])
@example(b"\xed\xa0\x80\xf8\xc0\xaf", [1, 2, 3, 4, 5])
def test_any_cutting_of_any_bytes_gives_what_all_of_them_give(raw: bytes, places: list[int]) -> None:
    assert "".join(shown(cut(raw, places))) == raw.decode("utf-8", "replace")


@given(few_letters, some_stops, places)
@example("abc", ("abc", "b"), [])
@example("abc", ("abc", "b"), [1, 2])
@example("aab", ("ab", "aab"), [2])
@example("xababc", ("ababx", "abc"), [3])
def test_any_cutting_stops_at_the_same_place(text: str, stops: tuple[str, ...], places: list[int]) -> None:
    assert "".join(shown(cut(text.encode(), places), stops)) == until_stop(text, stops)


@given(few_letters, some_stops, places)
def test_only_what_may_begin_a_stop_string_is_held_back(text: str, stops: tuple[str, ...], places: list[int]) -> None:
    stream = TextStream(stops)
    told, fed = "", b""
    for piece in cut(text.encode(), places):
        told += stream.feed(piece)
        fed += piece
        held = fed.decode("utf-8", "ignore")[len(told) :]
        assert stream.stopped or held == "" or any(stop.startswith(held) for stop in stops)


@given(few_letters, some_stops, places, st.binary(max_size=8))
def test_nothing_follows_a_stop(text: str, stops: tuple[str, ...], places: list[int], more: bytes) -> None:
    stream = TextStream(stops)
    for piece in cut(text.encode(), places):
        stream.feed(piece)
        if stream.stopped:
            assert [stream.feed(more), stream.feed(b"a"), stream.flush(), stream.stopped] == ["", "", "", True]
            return


@pytest.mark.parametrize(
    ("pieces", "stops", "expected"),
    [
        ([b"plain"], (), ["plain", ""]),
        ([b"plain"], ("x",), ["plain", ""]),
        ([b"", b"a", b""], ("b",), ["", "a", "", ""]),
        ([b"\xe2", b"\x82", b"\xac."], (), ["", "", "€.", ""]),
        ([b"a\xe2\x82"], (), ["a", "\ufffd"]),
        ([b"one<", b"|e", b"nd|> two"], ("<|end|>",), ["one", "", "", ""]),
        ([b"one<", b"|e", b"nx"], ("<|end|>",), ["one", "", "<|enx", ""]),
        ([b"one<|en"], ("<|end|>",), ["one", "<|en"]),
        ([b"a\xe2\x82", b"\xacb"], ("€",), ["a", "", ""]),
        ([b"a\xe2\x82", b"\xadb"], ("€",), ["a", "\u20adb", ""]),
        ([b"a", b"a", b"a", b"b"], ("aab",), ["", "", "a", "", ""]),
        ([b"ab"], ("ab", "b"), ["", ""]),
        ([b"stop"], ("stop",), ["", ""]),
        ([b"\n", b"\n", b"x"], ("\n\n",), ["", "", "", ""]),
    ],
)
def test_each_piece_shows_what_it_makes_certain(
    pieces: list[bytes], stops: tuple[str, ...], expected: list[str]
) -> None:
    assert shown(pieces, stops) == expected


marks = st.lists(st.text(st.sampled_from("ab<"), max_size=4), max_size=4).map(tuple)


@given(st.text(st.sampled_from("ab<"), max_size=8), marks)
@example("", ())
@example("a", ("",))
@example("ab<", ("<b>", "b<a"))
def test_the_end_that_may_become_a_mark_is_the_longest_one(text: str, marks: tuple[str, ...]) -> None:
    assume(not any(mark and mark in text for mark in marks))  # that would have been found before
    ends = [text[start:] for start in range(len(text))]
    beginnings = {mark[:length] for mark in marks for length in range(1, len(mark))}
    assert undecided(text, marks) == max((len(end) for end in ends if end in beginnings), default=0)
