"""Which of two languages a question is in; undecided ones count as English."""

import pytest

from neuralbridge.assistant.language import in_portuguese


@pytest.mark.parametrize(
    "query",
    [
        "Qual é o prazo para entregar?",
        "QUAL É O PRAZO?",
        "Como se liga a XK-204?",
        "Onde fica o warehouse da empresa?",
        "porque não funciona o pump?",
    ],
)
def test_portuguese(query: str) -> None:
    assert in_portuguese(query)


@pytest.mark.parametrize(
    "query",
    [
        "What is the deadline?",
        "Where is Rua do Carmo, and who lives there?",
        "XK-204",
        "",
        "¿?",
        "Lisboa",
        "me no as a do",  # words of both
        "Wann öffnet das Museum?",
        "Quando si paga l'affitto?",
        "Quando parte il traghetto?",
        "¿Cuándo se paga el alquiler?",
        "Quand ouvre le musée ?",
    ],
)
def test_english_or_undecided(query: str) -> None:
    assert not in_portuguese(query)
