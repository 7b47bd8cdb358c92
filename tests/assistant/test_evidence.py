"""Which questions lean on the one before them, and what is said when documents have no answer."""

import pytest

from neuralbridge.assistant.context import Source
from neuralbridge.assistant.evidence import Evidence, beginning, follows_up, no_evidence
from neuralbridge.assistant.language import in_portuguese


@pytest.mark.parametrize(
    "query", ["and how long?", "why?", "What does it cost?", "Explain that again", "e no inverno?", "Quem são eles?"]
)
def test_a_question_that_says_too_little_follows_up(query: str) -> None:
    assert follows_up(query)


@pytest.mark.parametrize(
    "query",
    ["hello", "Thank you!", "ok", "Bom dia", "Obrigada.", "Which port does the backup server listen on by default?"],
)
def test_courtesies_and_whole_questions_do_not(query: str) -> None:
    assert not follows_up(query)


@pytest.mark.parametrize(
    ("query", "portuguese"),
    [("Qual é o prazo para entregar?", True), ("What is the deadline?", False), ("", False), ("XK-204", False)],
)
def test_the_language_of_a_question(query: str, portuguese: bool) -> None:
    assert in_portuguese(query) is portuguese


def test_without_evidence_the_nearest_passages_are_named() -> None:
    source = Source(1, "d", "lease.pdf", 3, "Terms", 0, 9, 0.2, "The  rent\nis due.")
    text = no_evidence("What is the deadline?", Evidence(nearest=(source,)))
    assert text.splitlines()[0] == "Your documents do not answer this."
    assert text.splitlines()[-1] == "- lease.pdf, page 3, Terms: The rent is due."
    assert "página 3" in no_evidence("Qual é o prazo?", Evidence(nearest=(source,)))
    assert no_evidence("What is the deadline?", Evidence()) == "Your documents do not answer this."


def test_where_there_are_no_documents_it_is_not_they_that_do_not_answer() -> None:
    none = Evidence(nothing_there=True)
    assert no_evidence("What is the deadline?", none) == "You have no documents yet that an answer could rest on."
    assert no_evidence("Qual é o prazo?", none).startswith("Você ainda não tem documentos")


def test_a_long_passage_is_shown_by_its_beginning() -> None:
    assert beginning("word " * 100) == ("word " * 32).strip()[:159].rpartition(" ")[0] + "…"
    assert beginning("short") == "short"
