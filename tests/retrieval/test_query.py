"""A search as typed: words, filters, identifiers; whatever is typed is read in no time."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralbridge.errors import InvalidParams
from neuralbridge.retrieval.query import TERMS, parse_query, phrase
from neuralbridge.words import extra_words, identifiers, name_words


@pytest.mark.parametrize(
    ("typed", "terms"),
    [
        ("How do I mount a disk?", ("mount", "disk")),
        ("Ação do coração", ("acao", "coracao")),
        ("ПРИВЕТ мир", ("привет", "мир")),
        ("日本語の検索", ("日本", "本語", "語の", "の検", "検索")),
        ("the of and", ("the", "of", "and")),
        ("", ()),
    ],
)
def test_words_that_say_something_are_looked_for(typed: str, terms: tuple[str, ...]) -> None:
    assert parse_query(typed).terms == terms


def test_filters_are_taken_out_of_the_text() -> None:
    query = parse_query('file:"my notes" +pump -"old pump" before:2024-05 after:2023 what is new')
    assert (query.files, query.required, query.excluded) == (("my notes",), ("pump",), ("old pump",))
    assert (query.before, query.after) == ("2024-05-01", "2023-01-01")
    assert query.text == "what is new pump"
    assert query.filtered


def test_signs_are_words_in_a_question() -> None:
    query = parse_query("what does -v do with +x and file:notes", signs=False)
    assert (query.required, query.excluded, query.files) == ((), (), ("notes",))
    assert "v" in query.terms


@pytest.mark.parametrize("typed", ["before:yesterday", "after:2024-13-01", "before:99999", 'after:"2024 05"'])
def test_a_date_that_is_none_is_named(typed: str) -> None:
    with pytest.raises(InvalidParams, match=typed.partition(":")[0]):
        parse_query(typed)


@pytest.mark.parametrize(
    ("typed", "exact"),
    [
        ("What does § 14(2)b say?", ["14(2)b"]),
        ("Is the XK-204 safe?", ["XK-204"]),
        ("call getUserName in foo_bar", ["getUserName", "foo_bar"]),
        ("in 2024 we paid 300", []),
        ("a well-known fact", ["well-known"]),
        ("nothing here", []),
    ],
)
def test_identifiers_are_meant_as_they_stand(typed: str, exact: list[str]) -> None:
    assert identifiers(typed) == exact


def test_parts_of_names_are_findable() -> None:
    assert extra_words("call getUserName now") == "get user name"
    assert extra_words("検索する") == "検索 索す する"
    assert name_words("notes/console_codes.4.txt") == "notes console codes 4"


def test_a_phrase_cannot_break_out_of_its_quotes() -> None:
    assert phrase('a" OR "b') == '"a"" OR ""b"'


@given(st.text(max_size=300))
def test_anything_may_be_typed(typed: str) -> None:
    try:
        query = parse_query(typed)
    except InvalidParams:
        return
    assert len(query.terms) <= TERMS
    assert all(query.terms)


@pytest.mark.parametrize(
    "typed", ["x" * 32_000, "aB" * 16_000, "a-" * 16_000, "1(" * 16_000, "日" * 32_000, '+"' * 16_000]
)
def test_a_long_question_takes_no_time(typed: str) -> None:
    started = time.process_time()
    parse_query(typed)
    assert time.process_time() - started < 2  # seconds; what is meant is: not quadratic
