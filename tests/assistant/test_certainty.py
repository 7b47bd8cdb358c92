"""How sure a model was: the words that mean something count, and it is a probability."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralbridge.assistant.certainty import Certainty, geometric, repeated
from neuralbridge.types import Chosen, Piece


def certainty_of(*said: tuple[str, float | list[float]]) -> Certainty:
    """Of pieces of text with the probabilities of their tokens."""
    certainty = Certainty()
    for text, given_ in said:
        probabilities = given_ if isinstance(given_, list) else [given_]
        certainty.add(Piece(text, tuple(Chosen(0, math.log(each)) for each in probabilities)))
    return certainty


def test_only_words_that_mean_something_count() -> None:
    certainty = certainty_of(("The", 0.1), (" warranty", 0.9), (" of", 0.1), (" the", 0.1), (" pump", 0.4))
    assert certainty.mean == pytest.approx(math.sqrt(0.9 * 0.4))


def test_all_tokens_of_a_word_count_and_those_of_its_marks() -> None:
    certainty = certainty_of((" war", 0.9), ("ran", 0.8), ("ty", 0.7), (".", 0.6))
    assert certainty.mean == pytest.approx((0.9 * 0.8 * 0.7 * 0.6) ** 0.25)


def test_portuguese_words_that_say_nothing_do_not_count() -> None:
    assert certainty_of(("A", 0.1), (" garantia", 0.9), (" é", 0.9), (" da", 0.1)).mean == pytest.approx(0.9)


def test_where_no_word_means_anything_all_count() -> None:
    assert certainty_of(("It", 0.9), (" is", 0.4)).mean == pytest.approx(math.sqrt(0.9 * 0.4))


def test_the_lowest_are_a_tenth_of_the_tokens_and_at_least_one() -> None:
    many = certainty_of(*[(f" boat{place}", 0.9) for place in range(18)], (" pump", 0.2), (" tank", 0.3))
    assert many.lowest == pytest.approx(math.sqrt(0.2 * 0.3))
    assert certainty_of((" pump", 0.9), (" tank", 0.3)).lowest == pytest.approx(0.3)


def test_without_a_word_there_is_no_certainty() -> None:
    assert (Certainty().mean, Certainty().lowest) == (0.0, 0.0)


def test_text_without_tokens_and_tokens_without_text_are_taken() -> None:
    certainty = certainty_of((" pump", 0.9), ("", 0.4), ("s leak", []), ("", []))
    assert certainty.mean == pytest.approx(math.sqrt(0.9 * 0.4))


def test_a_look_at_it_underway_changes_nothing() -> None:
    certainty = certainty_of((" the", 0.5), (" pump", 0.9))
    before = (certainty.mean, certainty.lowest)
    assert (certainty.mean, certainty.lowest) == before
    certainty.add(Piece(" leaks", (Chosen(0, math.log(0.4)),)))
    assert certainty.mean == pytest.approx(math.sqrt(0.9 * 0.4))


PIECES = st.builds(
    Piece,
    st.sampled_from(["", " ", "the", " the", " pump", "s", ".", "\n", " é", "了"]) | st.text(max_size=4),
    st.lists(st.builds(Chosen, st.just(0), st.floats(-1e6, 0)), max_size=3).map(tuple),
)


@given(st.lists(PIECES, max_size=20))
def test_it_is_a_probability_whatever_comes(pieces: list[Piece]) -> None:
    certainty = Certainty()
    for piece in pieces:
        certainty.add(piece)
    assert 0 <= certainty.lowest <= 1
    assert 0 <= certainty.mean <= 1
    assert certainty.lowest <= certainty.mean * (1 + 1e-9)


@pytest.mark.parametrize(("probabilities", "expected"), [([], 0.0), ([1.0], 1.0), ([0.5, 0.5], 0.5), ([0.2, 0.8], 0.4)])
def test_the_mean_is_geometric(probabilities: list[float], expected: float) -> None:
    assert geometric([math.log(each) for each in probabilities]) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0.0),
        ("one two three", 0.0),
        ("One two three four five six.", 0.0),
        ("one two three four. One, two: three four!", 0.2),  # of five runs of four words, one was there before
        ("no no no no no no no", 0.75),
    ],
)
def test_the_share_of_runs_of_words_that_were_said_before(text: str, expected: float) -> None:
    assert repeated(text) == pytest.approx(expected)


@given(st.lists(st.sampled_from(["pump", "tank", "the", "leaks"]), min_size=4, max_size=30))
def test_of_what_is_said_twice_half_was_said_before(said: list[str]) -> None:
    number = len(said)  # the runs of the same words in a circle: no text said twice has more that differ
    assert (number - 3) / (2 * number - 3) - 1e-9 <= repeated(" ".join(said + said)) < 1
    assert 0 <= repeated(" ".join(said)) < 1
