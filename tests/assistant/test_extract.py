"""A passage in the place of an answer stands there word for word, with its place in the document."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralbridge.assistant.context import Source
from neuralbridge.assistant.extract import LONGEST, around, cited, extract

DOCUMENT = "# Pump manual\n\nThe pump holds 40 litres. Its warranty lasts 24 months.\nFilters are white.\n\nThe end."
FILLER = "Nothing of note happened at the mill on that quiet day. "


def source(document: str, start: int, end: int, score: float = 0.5, name: str = "pump.md") -> Source:
    return Source(1, "d1", name, 2, "Pump", start, end, score, document[start:end], "v1")


def test_the_text_is_the_documents_at_its_place() -> None:
    found = extract("How long is the warranty?", (source(DOCUMENT, 14, DOCUMENT.index("The end")),))
    assert found.passage.text == "The pump holds 40 litres. Its warranty lasts 24 months.\nFilters are white."
    assert found.passage.text == DOCUMENT[found.passage.start : found.passage.end]
    assert found.text[found.begin :] == found.passage.text
    assert (found.passage.document_id, found.passage.version, found.passage.page) == ("d1", "v1", 2)


def test_the_best_passage_is_given() -> None:
    low, high = source(DOCUMENT, 15, 40, 0.2), source(DOCUMENT, 41, 66, 0.9, "other.md")
    assert extract("What?", (low, high)).passage.source_document == "other.md"


@pytest.mark.parametrize(
    ("query", "opening"),
    [
        ("How long is the warranty?", "I have no answer to be sure of; what pump.md says about it is:\n\n"),
        (
            "Qual é o prazo da garantia?",
            "Não tenho uma resposta segura; o que pump.md diz sobre isto é:\n\n",
        ),
    ],
)
def test_it_is_introduced_in_the_questions_language(query: str, opening: str) -> None:
    found = extract(query, (source(DOCUMENT, 15, 40),))
    assert found.text == opening + DOCUMENT[15:40]
    assert found.begin == len(opening)


def test_of_a_long_passage_whole_sentences_are_given_around_the_one_that_was_asked_about() -> None:
    document = "Title. " + FILLER * 30 + "The warranty of the pump lasts 24 months. " + FILLER * 30
    found = extract("How long does the warranty of the pump last?", (source(document, 7, len(document)),))
    assert len(found.passage.text) <= LONGEST
    assert "The warranty of the pump lasts 24 months." in found.passage.text
    assert document[found.passage.start : found.passage.end] == found.passage.text
    assert (found.passage.text[0], found.passage.text[-1]) in {("N", "."), ("T", ".")}


SENTENCES = st.lists(
    st.sampled_from([FILLER.strip(), "The warranty lasts 24 months.", "Short.", "A bomba pesa 12 kg!"]), max_size=60
).map(" ".join)


@given(SENTENCES, st.integers(0, 40), st.sampled_from(["How long is the warranty?", "Quanto pesa a bomba?", ""]))
def test_never_more_than_can_be_read_at_a_glance(text: str, start: int, query: str) -> None:
    document = "#" * start + text
    found = extract(query, (source(document, start, len(document)),))
    assert len(found.passage.text) <= LONGEST
    assert document[found.passage.start : found.passage.end] == found.passage.text


@pytest.mark.parametrize("text", ["", "   \n", "Short.", "  Short. ", "word " * 100])
def test_a_short_text_is_given_whole_but_for_the_blanks_around_it(text: str) -> None:
    start, end = around(text, frozenset())
    assert text[start:end].strip() == text.strip()


def test_it_is_cited_as_one_sentence_that_is_supported() -> None:
    found = extract("How long is the warranty?", (source(DOCUMENT, 15, 66),))
    citation = cited(found)
    assert found.text[slice(*citation.sentence)] == citation.text
    assert citation.span is not None
    assert DOCUMENT[slice(*citation.span)] == citation.text
    assert (citation.verdict, citation.score, citation.version) == ("supported", 1.0, "v1")
