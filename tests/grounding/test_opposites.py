"""Words that exclude one another, in all their forms, and denials that are none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralbridge.grounding.opposites import OPPOSITES, opposite, turned

PAIRED = [
    ("open", "close"),
    ("opened", "closes"),
    ("increase", "fell"),
    ("before", "after"),
    ("able", "unable"),
    ("legal", "illegal"),
    ("monday", "tuesdays"),
    ("red", "blue"),
    ("aberto", "fechado"),
    ("abertos", "fechada"),
    ("aumentou", "diminuiu"),
    ("sempre", "nunca"),
]


@pytest.mark.parametrize(("one", "other"), PAIRED)
def test_opposites_exclude_one_another_both_ways(one: str, other: str) -> None:
    assert opposite(one, other)
    assert opposite(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("open", "open"),
        ("opened", "opens"),
        ("pump", "valve"),
        ("monday", "january"),
        ("rise", "grow"),
        ("led", "untied"),
    ],
)
def test_other_words_do_not(one: str, other: str) -> None:
    assert not opposite(one, other)
    assert not opposite(other, one)


@given(st.sampled_from(sorted(OPPOSITES)))
def test_no_word_is_its_own_opposite_and_each_is_one_of_its_opposites(word: str) -> None:
    assert word not in OPPOSITES[word]
    assert all(word in OPPOSITES[other] for other in OPPOSITES[word])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no later than Friday", "latest friday"),
        ("No more than 5", "maximum 5"),
        ("up to 5", "maximum 5"),
        ("at least 5", "minimum 5"),
        ("pelo menos 5", "minimum 5"),
        ("já não existe", "not existe"),
        ("it no longer runs", "it not runs"),
        ("it can't go", "it cannot go"),
        ("it isn\u2019t red", "it is not red"),
        ("it is free of charge", "it is free"),
        ("Ninguém paga", "gratuito"),
        ("water instead of oil", "water without oil"),
        ("na terça-feira", "na tercafeira"),
    ],
)
def test_idioms_say_what_they_mean(text: str, expected: str) -> None:
    assert turned(text) == expected


@pytest.mark.parametrize("text", ["not only red", "whether or not", "Não só vermelho", "nothing but red"])
def test_a_denial_that_denies_nothing_is_gone(text: str) -> None:
    assert {"not", "nao", "nothing"}.isdisjoint(turned(text).split())
