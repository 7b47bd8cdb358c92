"""Whether passages answer a question: those that have its words do sooner."""

import pytest

from neuralbridge.assistant.answerable import answerable, signs
from neuralbridge.retrieval.documents import Passage
from neuralbridge.retrieval.scoring import Evidence
from neuralbridge.retrieval.search import Found, Ranks

QUESTION = "How long does the warranty of the pump last?"


def found(
    text: str, cosine: float | None = 0.6, words: float = 0.5, document: float | None = 0.5, heading: str = ""
) -> Found:
    passage = Passage(1, "d1", "v1", "pump.md", 0, len(text), None, heading, text)
    return Found(passage, 0.5, Evidence(cosine, words, document, exact=False), Ranks(1, 1))


@pytest.mark.parametrize(
    "results", [[], [found("The warranty.", cosine=None)], [found("The warranty.", document=None)]]
)
def test_where_meanings_were_not_compared_it_is_not_known(results: list[Found]) -> None:
    assert signs(QUESTION, results) is None
    assert answerable(QUESTION, results) is None


def test_it_is_made_of_the_best_result_and_of_the_questions_words_that_are_there() -> None:
    results = [found("The boat is red.", 0.7, 0.4, 0.3), found("The warranty lasts two years.", 0.1, 0.1, 0.1)]
    made = signs(QUESTION, results)
    assert made is not None
    assert (made["cosine"], made["words"], made["document"]) == (0.7, 0.4, 0.3)
    # Of long, warranty, pump and last, the first has its document's name, the second two more
    assert (made["covered"], made["covered_together"]) == (0.75, 0.75)


def test_words_of_headings_count_and_those_of_several_passages_together() -> None:
    made = signs(QUESTION, [found("It lasts."), found("Two years.", heading="Warranty"), found("It is long.")])
    assert made is not None
    assert (made["covered"], made["covered_together"]) == (0.5, 1.0)


def test_what_stands_further_down_counts_only_together() -> None:
    made = signs(QUESTION, [found("A boat.")] * 3 + [found("The warranty lasts long.")])
    assert made is not None
    assert (made["covered"], made["covered_together"]) == (0.25, 1.0)


def test_a_question_without_words_of_its_own_is_covered_by_nothing() -> None:
    made = signs("What is it?", [found("The warranty.")])
    assert made is not None
    assert (made["covered"], made["covered_together"]) == (0.0, 0.0)


def test_passages_with_the_questions_words_answer_it_sooner() -> None:
    about = answerable(QUESTION, [found("The boat is red.")])
    telling = answerable(QUESTION, [found("The warranty of the pump lasts long.")])
    assert about is not None
    assert telling is not None
    assert 0.01 <= about < telling <= 0.99


def test_passages_that_are_nearer_in_meaning_answer_it_sooner() -> None:
    far, near = (answerable(QUESTION, [found("The warranty.", cosine)]) for cosine in (0.1, 0.9))
    assert far is not None
    assert near is not None
    assert far < near
