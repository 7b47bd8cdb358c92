"""Names and identifiers, and capitals that are none."""

import pytest

from neuralbridge.grounding.names import names


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Maria Lopes met Anna in Lisbon.", {("maria", "lopes"), ("anna",), ("lisbon",)}),
        ("Use XK-204 or foo_bar.", {("xk", "204"), ("xk",), ("foo", "bar")}),
        ("It ended in May on Monday.", {("monday",)}),
        ("Both NATO and the OECD agreed.", {("nato",), ("oecd",)}),
        ("nothing here", set()),
        ("There are twenty-seven of them.", set()),
        ("The Halden Bridge opened.", {("halden", "bridge")}),
        ("Margaretha Voss built it.", {("margaretha", "voss")}),
        ("O livro é de António Silva, de Braga.", {("antonio", "silva"), ("braga",)}),
        ("The boat is Marta's now, and Rui\u2019s next year.", {("marta",), ("rui",)}),
        ("See config.yaml for it.", {("config", "yaml")}),
        ("It costs 50€ at 10:30, 15h or 5pm on 03/05/2021.", set()),
        ("It needs 12kg and/or 40%.", set()),
        ("Usually Marta Lopes closes it.", {("marta", "lopes")}),
        ("Normalmente Rui fecha.", {("rui",)}),
        ("Sally Jones closes it.", {("sally", "jones")}),
        ("", set()),
    ],
)
def test_names(text: str, expected: set[tuple[str, ...]]) -> None:
    assert {name.words for name in names(text) if name.sure} == expected


@pytest.mark.parametrize("text", ["Lisbon is big.", "It rained. Lisbon is big.", "- Lisbon is big."])
def test_a_capital_at_the_beginning_of_a_sentence_is_a_name_perhaps(text: str) -> None:
    assert [(name.words, name.sure) for name in names(text)] == [(("lisbon",), False)]


@pytest.mark.parametrize("text", ["Open the lid.", "When it rains, stay.", "The lid is shut.", "Quando chove, fique."])
def test_words_that_open_sentences_are_no_names(text: str) -> None:
    assert names(text) == []


def test_a_name_that_is_sure_once_is_sure() -> None:
    (name,) = names("Lisbon is big, and I like Lisbon.")
    assert name.sure
