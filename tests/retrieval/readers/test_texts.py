"""Plain text, Markdown, JSON and tables of values: the text stays, and what is known about its places is right."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralbridge.retrieval.extract import Extract
from neuralbridge.retrieval.readers.markdown import read_markdown
from neuralbridge.retrieval.readers.notation import laid_out, read_json
from neuralbridge.retrieval.readers.plain import read_plain
from neuralbridge.retrieval.readers.rows import read_delimited


def headings(extract: Extract) -> list[tuple[int, str]]:
    """Level and title, each found where the extract says."""
    for heading in extract.headings:
        assert heading.title.split()[0] in extract.text[heading.start :].split("\n")[0]
    return [(heading.level, heading.title) for heading in extract.headings]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("NAME\n       ls - list\n\nSYNOPSIS\n       ls [FILE]\n", [(1, "NAME"), (1, "SYNOPSIS")]),
        ("SEE ALSO\n\nMore.", [(1, "SEE ALSO")]),
        ("Text.\nNOT A HEADING\n\nText.", []),
        ("THE SOFTWARE IS PROVIDED AS IS\nWITHOUT WARRANTY OF ANY KIND\n", []),
        ("THIS IS A SENTENCE.\n\nText", []),
        ("OK\n\nText", []),
        ("Title\n=====\n\nText\n\nPart\n----\nText", [(1, "Title"), (2, "Part")]),
        ("Text\n--------------------\nText", []),
        ("1. Introduction\n\nText\n\n1.1 Goals\n\nText", [(1, "1. Introduction"), (2, "1.1 Goals")]),
        ("1. Introduction\n\n1.1 Goals\n\nText", [(1, "1. Introduction"), (2, "1.1 Goals")]),
        ("1. Buy milk\n\n2. Buy bread\n\n3. Sleep", []),
        ("1. Buy milk\n2. Buy bread\n", []),
        ("1. This is a sentence that goes on.\n\nText", []),
        ("1.1 Goals ........... 7\n\nText", []),
        ("2024 was a year\n\nText", []),
        ("ÜBERSICHT\n\nText", [(1, "ÜBERSICHT")]),
        ("   INDENTED\n\nText", []),
    ],
)
def test_headings_of_plain_text(text: str, found: list[tuple[int, str]]) -> None:
    extract = read_plain(text)
    assert extract.text == text
    assert headings(extract) == found


def test_form_feeds_part_pages() -> None:
    extract = read_plain("One\n\fTWO\n\nText\f")
    assert [(page.number, page.start) for page in extract.pages] == [(1, 0), (2, 5), (3, 15)]
    assert headings(extract) == [(1, "TWO")]


MARKDOWN = """---
title: "The front"
---
# The *title* with `code` {#id}

Text
[link](x)

Under
lined
-----

```python
# no heading
```

| a | b |
|---|---|
| 1 | 2 |

> ## Quoted [thing](http://x)

    indented
"""


def test_markdown_is_verbatim_with_headings_and_blocks() -> None:
    extract = read_markdown(MARKDOWN)
    assert extract.text == MARKDOWN
    assert [(heading.level, heading.title) for heading in extract.headings] == [
        (1, "The title with code"),
        (2, "Under lined"),
        (2, "Quoted thing"),
    ]
    assert [MARKDOWN[block.start : block.end] for block in extract.blocks] == [
        "```python\n# no heading\n```",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "    indented",
    ]
    assert extract.title == "The front"


def test_without_a_front_the_first_title_names_it() -> None:
    assert read_markdown("Text\n\n## Two\n\n# One\n\n# Other\n").title == "One"
    assert read_markdown("---\nnot a front\n\n# One").title == "One"


def test_json_stays_as_it_is() -> None:
    text = '{\n  "b": 1.10,  "a": [1,\n 2]}'
    extract = read_json(text)
    assert extract is not None and extract.text == text


def test_json_for_machines_is_laid_out_and_its_numbers_are_not_touched() -> None:
    text = '{"a":[1.10,1e400,-0.0,12345678901234567890123],"b":{},"c":[],"d":"\\u00e9\\ud800 \\"x\\": {"}' + " " * 1_000
    extract = read_json(text)
    assert extract is not None
    assert extract.text == (
        '{\n  "a": [\n    1.10,\n    1e400,\n    -0.0,\n    12345678901234567890123\n  ],\n'
        '  "b": {},\n  "c": [],\n  "d": "é\ufffd \\"x\\": {"\n}'
    )


def test_lines_of_json_are_laid_out_one_by_one() -> None:
    extract = read_json('{"a": "\\u00e9"}\n\n{"a": 2}\n')
    assert extract is not None and extract.text == '{\n  "a": "é"\n}\n\n{\n  "a": 2\n}'


def test_json_that_nests_too_deeply_or_is_none_is_left_to_others() -> None:
    assert read_json("[" * 100_000 + "]" * 100_000) is None
    assert read_json("{ // no\n}") is None


VALUES: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@given(VALUES, st.booleans())
def test_laying_out_changes_no_value(value: object, escaped: bool) -> None:
    assert json.loads(laid_out(json.dumps(value, ensure_ascii=escaped))) == value


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("Name,Born\nAda,1815\nAlan,\n", ["Name | Born", "Name: Ada | Born: 1815", "Alan"]),
        ("Name;Price\nA;1,50\nB;2,50\n", ["Name | Price", "Name: A | Price: 1,50", "Name: B | Price: 2,50"]),
        ("Name\tBorn\nAda\t1815\n", ["Name | Born", "Name: Ada | Born: 1815"]),
        ('Name,Says\nAda,"Two\nlines, and ""more"""\n', ["Name | Says", 'Name: Ada | Says: Two lines, and "more"']),
        ("1,2\n3,4\n", ["1 | 2", "3 | 4"]),
        ("a,a\n3,4\n", ["a | a", "3 | 4"]),
        ("Report\n\nName,Born\nAda,1815,extra\n", ["Report", "Name | Born", "Name: Ada | Born: 1815 | extra"]),
        ("one column\nonly\n", ["one column", "only"]),
        ('Name,Born\n"Ada,1815\n', ["Name | Born", "Ada,1815"]),
    ],
)
def test_a_row_says_what_its_cells_are(text: str, lines: list[str]) -> None:
    assert read_delimited(text).text.split("\n") == lines
