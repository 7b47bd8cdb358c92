"""How a claim and a part of a passage fit together: words, denials, opposites, numbers and names."""

from collections.abc import Sequence

import pytest

from neuralbridge.grounding.alignment import Alignment, align, differing, in_halves, windows
from neuralbridge.grounding.numbers import quantities
from neuralbridge.grounding.statements import read


def unknown(one: str, others: Sequence[str]) -> None:
    """There is no model for meaning."""


def aligned(claim: str, passage: str, about: str = "") -> Alignment:
    """The claim beside the first sentence of the passage."""
    return align(read(claim), windows(passage)[0], read(passage), frozenset(about.split()), unknown)


def test_windows_are_sentences_and_neighbours_and_what_a_semicolon_sets_apart() -> None:
    passage = "One dog. Two cats; a bird."
    assert [passage[slice(*window.span)] for window in windows(passage)] == [
        "One dog.",
        "Two cats",
        "a bird.",
        "One dog. Two cats",
        "Two cats; a bird.",
    ]
    assert windows("  \n") == []


@pytest.mark.parametrize(("text", "expected"), [("a; b; c", ["a", "b", "c"]), ("a;b", ["a;b"]), ("a", ["a"])])
def test_halves(text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in in_halves(text, (0, len(text)))] == expected


def test_words_are_shared_with_the_sentence_and_known_in_the_passage_or_of_its_document() -> None:
    found = aligned("The sealed pump leaks oil.", "The pump is sealed. Oil is extra.", about="leaks")
    assert (found.shared, found.known, found.words) == (0.5, 1.0, 4)
    assert aligned("The sealed pump leaks oil.", "The pump is sealed. Oil is extra.").known == 0.75


def test_a_claim_without_words_shares_all_of_them() -> None:
    assert aligned("12 kg", "The pump weighs 12 kg.").shared == 1.0


@pytest.mark.parametrize(
    ("claim", "passage", "denied"),
    [
        ("The pump is sealed.", "The pump is not sealed.", 1.0),
        ("The pump is never sealed.", "The pump is sealed.", 1.0),
        ("The pump is not sealed.", "The pump is never sealed.", 0.0),
        ("The valve is open.", "The valve is not closed.", 0.0),  # the opposite makes up for the denial
    ],
)
def test_a_denial_on_one_side_only_counts(claim: str, passage: str, denied: float) -> None:
    assert aligned(claim, passage).denied == denied


@pytest.mark.parametrize(
    ("claim", "passage", "opposed"),
    [
        ("The valve is open.", "The valve is closed.", 1),
        ("The valve is open.", "The valve is not closed.", 0),
        ("The valve is open.", "The valve is open.", 0),
        ("It opens and closes.", "It closes and opens.", 0),
    ],
)
def test_opposites_count_where_nothing_denies_them(claim: str, passage: str, opposed: int) -> None:
    assert aligned(claim, passage).opposed == opposed


@pytest.mark.parametrize(
    ("said", "here", "wrong", "missing"),
    [
        ("12 kg", "12 kg", 0, 0),
        ("12 kg", "15 kg", 1, 0),
        ("12 kg", "15 litres", 0, 1),
        ("12 kg", "", 0, 1),
        ("12 kg and 3 days", "3 days and 15 kg", 1, 0),
        ("in July", "from April to October", 0, 0),
        ("in December", "from April to October", 1, 0),
        ("one of them", "3 of them", 0, 0),  # vague
        ("12 kg and 15 kg", "15 kg", 0, 1),  # 15 stands for itself, so nothing stands in the place of 12
    ],
)
def test_numbers_are_wrong_where_another_stands_in_their_place(said: str, here: str, wrong: int, missing: int) -> None:
    assert differing(quantities(said), quantities(here)) == (wrong, missing)


@pytest.mark.parametrize(
    ("claim", "about", "invented", "elsewhere", "rivals"),
    [
        ("It was built by Marta Lopes.", "", 0, 0, 0),
        ("It was built by Anna Keller.", "", 1, 0, 1),
        ("It was built by Rui Tavares.", "", 0, 1, 1),
        ("It was built by Anna Keller.", "anna keller", 0, 0, 0),
    ],
)
def test_names_are_invented_or_of_another_sentence(
    claim: str, about: str, invented: int, elsewhere: int, rivals: int
) -> None:
    found = aligned(claim, "It was built by Marta Lopes. Then Rui Tavares bought it.", about)
    assert (found.invented, found.elsewhere, found.rivals) == (invented, elsewhere, rivals)


def test_meaning_is_asked_of_the_sentences_of_a_window() -> None:
    asked: list[tuple[str, list[str]]] = []

    def similar(one: str, others: Sequence[str]) -> float:
        asked.append((one, [*others]))
        return 0.5

    window = windows("One dog. Two cats.")[-1]
    found = align(read("Three birds."), window, read("One dog. Two cats."), frozenset(), similar)
    assert found.cosine == 0.5
    assert asked == [("Three birds.", ["One dog.", "Two cats."])]
