"""Where sentences end, and where a full stop is none."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralbridge.grounding.sentences import sentences


def parts(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("  \n ", []),
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Dr. Smith met J. Doe at 5 p.m. on Monday.", ["Dr. Smith met J. Doe at 5 p.m. on Monday."]),
        ("Use e.g. a spoon. Then stir.", ["Use e.g. a spoon.", "Then stir."]),
        ("Version 2.1 costs 3.50. It is new.", ["Version 2.1 costs 3.50.", "It is new."]),
        ("A line that is\nbroken hard. Another.", ["A line that is\nbroken hard.", "Another."]),
        ("Heading\n\nText.", ["Heading", "Text."]),
        ("Steps:\n1. Open it.\n2. Close it.", ["Steps:", "1. Open it.", "2. Close it."]),
        ("- one\n- two, and more", ["- one", "- two, and more"]),
        ('He said "no." She left.', ['He said "no."', "She left."]),
        ("Wait... what? Yes.", ["Wait... what?", "Yes."]),
        ("これは文です。次の文。", ["これは文です。", "次の文。"]),
        ("Code:\n\n```\na. B\nc\n```\nDone.", ["Code:", "```\na. B\nc\n```", "Done."]),
        ("O art. 5.º aplica-se. Fim.", ["O art. 5.º aplica-se.", "Fim."]),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert parts(text) == expected


@given(st.text(alphabet="aB. !?\n-1`。", max_size=60))
def test_spans_are_in_order_and_leave_out_nothing_but_blanks(text: str) -> None:
    spans = sentences(text)
    assert all(start < end for start, end in spans)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))
    covered = {place for span in spans for place in range(*span)}
    assert all(text[place].isspace() for place in range(len(text)) if place not in covered)
