"""A sentence is taken apart into words with a meaning of their own, denied or not, and into claims."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralbridge.grounding.statements import claims, read


def denied(text: str) -> dict[str, bool]:
    return {word.folded: word.denied for word in read(text).words}


def test_a_statement_has_words_quantities_and_names() -> None:
    statement = read("According to the manual, the pump of Marta Lopes should weigh 12 kg since May 2021.")
    assert [word.folded for word in statement.words] == ["pump", "marta", "lopes", "weigh", "since"]
    assert [quantity.text for quantity in statement.quantities] == ["12 kg", "may 2021"]
    assert [name.words for name in statement.names if name.sure] == [("marta", "lopes")]
    assert {"pump", "lop"} <= statement.by_stem.keys()
    assert {"12", "kg", "of"} <= statement.all_words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The pump is sealed.", {"pump": False, "sealed": False}),
        ("The pump is not sealed.", {"pump": True, "sealed": True}),
        ("The pump isn't sealed.", {"pump": True, "sealed": True}),
        ("The pump is never sealed, the tank leaks.", {"pump": True, "sealed": True, "tank": False, "leaks": False}),
        ("The pump is not sealed but the tank leaks", {"pump": True, "sealed": True, "tank": False, "leaks": False}),
        ("It ships without cables today.", {"ships": False, "cables": True, "today": False}),
        ("It isn't impossible to open the valve.", {"open": False, "valve": False}),
        ("It is not only sealed.", {"sealed": False}),
        (
            "A bomba não parece nova, mas o tanque brilha.",
            {"bomba": True, "parece": True, "nova": True, "tanque": False, "brilha": False},
        ),
        ("A bomba vem sem cabos hoje.", {"bomba": False, "vem": False, "cabos": True, "hoje": False}),
    ],
)
def test_a_denial_reaches_through_its_clause_and_no_further(text: str, expected: dict[str, bool]) -> None:
    assert denied(text) == expected


@pytest.mark.parametrize("text", ["", "It is.", "of the", "12 kg", "twenty-seven", "a 3 de março de 2021", "1. ?!"])
def test_numbers_and_words_that_mean_nothing_by_themselves_are_not_counted(text: str) -> None:
    assert read(text).words == ()


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("The pump holds 40 litres and weighs 12 kg.", ["The pump holds 40 litres", "weighs 12 kg."]),
        ("The pump is old because the owner died.", ["The pump is old", "the owner died."]),
        ("It is red; it is new.", ["It is red", "it is new."]),
        ("The lid is red, but it opens.", ["The lid is red", "it opens."]),
        ("A bomba leva 40 litros e pesa 12 kg.", ["A bomba leva 40 litros", "pesa 12 kg."]),
        ("A bomba parou, porque choveu.", ["A bomba parou", "choveu."]),
        ("Salt and pepper.", ["Salt and pepper."]),
        ("Because of rain.", ["Because of rain."]),
        ("It fits one hundred and eighty people upstairs.", ["It fits one hundred and eighty people upstairs."]),
        ("", [""]),
    ],
)
def test_a_sentence_makes_claims(sentence: str, expected: list[str]) -> None:
    assert claims(sentence) == expected


WORDS = ["the", "pump", "opens", ";", ",", "and", "but", "because", "e", "mas", "holds", "40", "litres", "."]


@given(st.lists(st.sampled_from(WORDS), max_size=14))
def test_claims_are_parts_of_the_sentence_in_order(words: list[str]) -> None:
    sentence = " ".join(words)
    place = 0
    for claim in claims(sentence):
        place = sentence.index(claim, place) + len(claim)
    assert sum(len(read(claim).quantities) for claim in claims(sentence)) == len(read(sentence).quantities)


def test_a_word_has_its_twin_that_is_denied_alike_where_there_are_several() -> None:
    (word, *_) = read("The pump runs.").words
    found = read("The pumps are not sealed, but the pump is red.").twin(word)
    assert found is not None
    assert (found.folded, found.denied) == ("pump", False)
    assert read("The tank leaks.").twin(word) is None


@pytest.mark.parametrize(("one", "other"), [("batteries", "battery"), ("lowered", "lower"), ("abertas", "aberto")])
def test_forms_of_a_word_are_twins_both_ways(one: str, other: str) -> None:
    assert read(one).twin(read(other).words[0]) == read(one).words[0]
    assert read(other).twin(read(one).words[0]) == read(other).words[0]
