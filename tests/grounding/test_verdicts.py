"""What a passage says about a sentence: on clear cases the right verdict, on any text a valid one."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralbridge.grounding.verdicts import Verdict, judge, same_facts, support, together

PUMP = (
    "The pump holds 40 litres and weighs 12 kg. Its warranty lasts 24 months from purchase. "
    "The pump must not be used outdoors. The inlet valve is closed at night. "
    "Filters are replaced every spring by Marta Lopes."
)
BOMBA = (
    "A bomba leva 40 litros e pesa 12 kg. A garantia dura 24 meses a partir da compra. "
    "A bomba não pode ser usada no exterior. A válvula está sempre fechada. "
    "Os filtros são substituídos todas as primaveras pela Marta Lopes."
)


@pytest.mark.parametrize(
    ("sentence", "passage", "where"),
    [
        ("The pump must not be used outdoors.", PUMP, "The pump must not be used outdoors."),
        ("The warranty lasts 24 months.", PUMP, "Its warranty lasts 24 months from purchase."),
        ("The warranty lasts two years from purchase.", PUMP, "Its warranty lasts 24 months from purchase."),
        ("The pump holds forty litres.", PUMP, "The pump holds 40 litres and weighs 12 kg."),
        ("Marta Lopes replaces the filters each spring.", PUMP, "Filters are replaced every spring by Marta Lopes."),
        ("At night, the inlet valve is always closed.", PUMP, "The inlet valve is closed at night."),
        ("A garantia dura 24 meses.", BOMBA, "A garantia dura 24 meses a partir da compra."),
        ("A garantia é de dois anos a partir da compra.", BOMBA, "A garantia dura 24 meses a partir da compra."),
        ("A bomba não pode ser usada no exterior.", BOMBA, "A bomba não pode ser usada no exterior."),
    ],
)
def test_what_the_passage_says_is_supported_at_its_place(sentence: str, passage: str, where: str) -> None:
    judged = judge(sentence, passage)
    assert judged.verdict == "supported"
    assert judged.span is not None
    assert passage[slice(*judged.span)] == where
    assert judged.score > 0.5


@pytest.mark.parametrize(
    ("sentence", "passage", "where"),
    [
        ("The warranty lasts 36 months.", PUMP, "Its warranty lasts 24 months from purchase."),
        ("The pump weighs 40 kg and holds 12 litres.", PUMP, "The pump holds 40 litres and weighs 12 kg."),
        ("The pump holds 40 litres and weighs 15 kg.", PUMP, "The pump holds 40 litres and weighs 12 kg."),
        ("The pump may be used outdoors.", PUMP, "The pump must not be used outdoors."),
        ("The inlet valve is open at night.", PUMP, "The inlet valve is closed at night."),
        ("Filters are replaced every autumn.", PUMP, "Filters are replaced every spring by Marta Lopes."),
        ("A garantia dura 36 meses.", BOMBA, "A garantia dura 24 meses a partir da compra."),
        ("A bomba pode ser usada no exterior.", BOMBA, "A bomba não pode ser usada no exterior."),
        ("A válvula está sempre aberta.", BOMBA, "A válvula está sempre fechada."),
    ],
)
def test_what_it_says_otherwise_is_contradicted_there(sentence: str, passage: str, where: str) -> None:
    judged = judge(sentence, passage)
    assert judged.verdict == "contradicted"
    assert judged.span is not None
    assert passage[slice(*judged.span)] == where


def test_a_denial_of_the_opposite_is_no_contradiction() -> None:
    assert judge("The inlet valve is not open at night.", PUMP).verdict in ("supported", "partial")


@pytest.mark.parametrize(
    ("sentence", "passage"),
    [
        ("Bananas ripen quickly in the sun.", PUMP),
        ("Filters are replaced every spring by Anna Keller.", PUMP),
        ("The committee of Norway bought 70 of them in 1998.", PUMP),
        ("As bananas amadurecem depressa ao sol.", BOMBA),
        ("Os filtros são substituídos pelo Rui Tavares.", BOMBA),
        ("", PUMP),
        ("The.", PUMP),
        ("The pump holds 40 litres.", ""),
        ("The pump holds 40 litres.", " \n "),
    ],
)
def test_what_it_does_not_say_is_unsupported_and_has_no_place(sentence: str, passage: str) -> None:
    judged = judge(sentence, passage)
    assert (judged.verdict, judged.score, judged.span) == ("unsupported", 0.0, None)


@pytest.mark.parametrize(
    ("sentence", "passage"),
    [
        ("The warranty lasts 24 months and covers accidental damage by children.", PUMP),
        ("A garantia dura 24 meses e cobre danos acidentais causados por crianças.", BOMBA),
    ],
)
def test_a_sentence_of_which_one_claim_is_there_is_partly_supported(sentence: str, passage: str) -> None:
    judged = judge(sentence, passage)
    assert judged.verdict == "partial"
    assert judged.span is not None
    assert "24" in passage[slice(*judged.span)]


def test_a_sentence_may_use_the_words_of_its_documents_name() -> None:
    sentence = "The Kestrel Boiler holds 40 litres."
    assert judge(sentence, PUMP).verdict != "supported"
    assert judge(sentence, PUMP, about="kestrel-boiler.pdf").verdict == "supported"


def test_near_in_meaning_is_enough_where_few_words_are_shared() -> None:
    passage = "Dogs are welcome in the garden."
    sentence = "You may bring your hound onto the lawn."
    assert judge(sentence, passage).verdict == "unsupported"
    assert judge(sentence, passage, similar=lambda one, others: 0.95).verdict == "supported"


@pytest.mark.parametrize("sentence", ["The warranty lasts 36 months.", "The pump may be used outdoors."])
def test_near_in_meaning_excuses_no_other_number_and_no_denial(sentence: str) -> None:
    assert judge(sentence, PUMP, similar=lambda one, others: 0.99).verdict == "contradicted"


WORDS = """the pump not 3 30 5/6/2021 2021-13-40 9:99 24h 15 pm May de maio half two thirds vinte e sete past four % € °
    kg per cent um quarto ; . , and because without 1,,2 1.2.3 ½ ² ß İ ﬁ — ``` - | XK-204 's Marta Lopes 。"""
TEXTS = st.one_of(st.text(max_size=80), st.lists(st.sampled_from(WORDS.split()), max_size=14).map(" ".join))


@given(TEXTS, TEXTS, TEXTS, st.one_of(st.none(), st.floats(-1, 1)))
def test_any_text_gets_a_verdict_within_the_passage(
    sentence: str, passage: str, about: str, cosine: float | None
) -> None:
    def similar(one: str, others: Sequence[str]) -> float | None:
        return cosine

    judged = judge(sentence, passage, about, similar)
    assert 0 <= judged.score <= 1
    assert (judged.span is None) is (judged.verdict == "unsupported")
    if judged.span is not None:
        start, end = judged.span
        assert 0 <= start <= end <= len(passage)


@given(st.floats(0, 1), st.floats(0, 1), st.booleans())
def test_support_rises_with_the_words_that_are_shared(one: float, other: float, numbers: bool) -> None:
    less, more = (
        support({"shared": shared, "elsewhere": 0.0, "numbers": float(numbers)}) for shared in sorted((one, other))
    )
    assert 0 < less <= more < 1


@pytest.mark.parametrize(
    ("verdicts", "enough", "expected"),
    [
        (["supported", "supported"], True, "supported"),
        (["supported", "supported"], False, "partial"),
        (["supported", "unsupported"], True, "partial"),
        (["partial"], True, "partial"),
        (["supported", "contradicted"], True, "contradicted"),
        (["unsupported", "contradicted"], False, "contradicted"),
        (["unsupported", "unsupported"], True, "unsupported"),
    ],
)
def test_the_verdict_on_a_sentence_from_those_on_its_claims(
    verdicts: list[Verdict], enough: bool, expected: Verdict
) -> None:
    assert together(verdicts, enough) == expected


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("How long is the warranty?", "What is the length of the warranty?", True),
        ("What did Rui Tavares buy in 2021?", "In 2021, what did Rui Tavares buy?", True),
        ("What happened in 2021?", "What happened in 2022?", False),
        ("What happened in 2021?", "What happened?", False),
        ("What did Rui Tavares buy?", "What did Anna Keller buy?", False),
        ("When does it open?", "When does it close?", False),
        ("What is allowed there?", "What is not allowed there?", False),
        ("Quando abre a loja?", "Quando fecha a loja?", False),
    ],
)
def test_two_questions_name_the_same_facts(one: str, other: str, same: bool) -> None:
    assert same_facts(one, other) is same
    assert same_facts(other, one) is same
