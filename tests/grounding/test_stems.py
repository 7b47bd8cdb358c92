"""Forms of a word have one stem, and other words have another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralbridge.grounding.stems import LONGEST, akin, stem, undoubled


@pytest.mark.parametrize(
    "forms",
    [
        ("lower", "lowers", "lowered"),
        ("stop", "stops", "stopped", "stopping"),
        ("quick", "quickly"),
        ("install", "installed", "installation"),
        ("govern", "government", "governments"),
        ("garantia", "garantias"),
        ("usado", "usada", "usados", "usadas"),
        ("rapido", "rapidamente"),
        ("abrir", "abre", "abrindo"),
        ("pago", "paga", "pagos"),
    ],
)
def test_forms_of_a_word_have_one_stem(forms: tuple[str, ...]) -> None:
    assert len({stem(form) for form in forms}) == 1


@pytest.mark.parametrize(("one", "other"), [("pump", "pipe"), ("valve", "filter"), ("dog", "cat"), ("bomba", "tanque")])
def test_other_words_have_other_stems(one: str, other: str) -> None:
    assert stem(one) != stem(other)
    assert not akin(one, other)


@given(st.text(alphabet="abdeginorst", min_size=1, max_size=14))
def test_a_stem_begins_its_word_and_leaves_enough_of_it(word: str) -> None:
    assert word.startswith(stem(word))
    assert len(stem(word)) >= min(3, len(word))


@given(st.text(alphabet="as", min_size=0, max_size=60), st.sampled_from([1, 100, 100_000]))
def test_what_is_no_word_is_its_own_stem_however_long(word: str, times: int) -> None:
    long = word * times
    assert long.startswith(stem(long))
    assert len(long) <= LONGEST or stem(long) == long


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("battery", "batteries", True),
        ("replaced", "replaces", True),
        ("company", "companies", True),
        ("warm", "warmth", True),
        ("cat", "cats", False),  # too short to tell by its beginning
        ("transfer", "transport", False),
        ("under", "understanding", False),
        ("", "", False),
    ],
)
def test_words_that_begin_alike_far_enough_are_akin(one: str, other: str, expected: bool) -> None:
    assert akin(one, other) is expected
    assert akin(other, one) is expected


@pytest.mark.parametrize(
    ("word", "expected"), [("stopp", "stop"), ("free", "free"), ("all", "all"), ("mess", "mes"), ("stop", "stop")]
)
def test_a_consonant_that_an_ending_doubled(word: str, expected: str) -> None:
    assert undoubled(word) == expected
