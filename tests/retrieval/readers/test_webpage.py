"""A page reads as it is shown: without its menus and scripts, however it nests, and without asking the network."""

import time
from contextlib import suppress

import pytest

from neuralbridge.errors import DocumentRefused
from neuralbridge.retrieval.extract import Extract
from neuralbridge.retrieval.readers.webpage import MAX_NESTING, read_html
from tests.retrieval.readers.shelf import read_or_refused

PAGE = """<!DOCTYPE html><html><head><title> A
title </title><style>p {}</style><meta http-equiv=refresh content="0;url=http://127.0.0.1:9/x"></head><body>
<nav><a href=/>Home</a></nav><script>alert(1)</script><noscript>no</noscript>
<h1>First <b>heading</b></h1><p>Some &lt;text&gt;
 over <i>lines</i>.<br>And one more.<p>Second<img src=http://127.0.0.1:9/i alt=x>
<div>Loose <div>Inner</div> after</div>
<ul><li>One<li>Two <p>deep</p><ul><li>Three</ul></ul>
<h2>Code</h2><pre>
def f():
    return   1
</pre>
<table><caption>Ages</caption><tr><th>Name<th>Born<tr><td>Ada<td><b>18</b>15<tr><td></td></tr></table>
<footer>Imprint</footer></body></html>"""


def test_a_page_reads_as_it_is_shown() -> None:
    extract = read_html(PAGE)
    assert extract.text.split("\n\n") == [
        "First heading",
        "Some <text> over lines.\nAnd one more.",
        "Second",
        "Loose",
        "Inner",
        "after",
        "- One\n- Two deep\n- Three",
        "Code",
        "def f():\n    return   1",
        "Ages\nName | Born\nAda | 1815",
    ]
    assert [(heading.level, heading.title) for heading in extract.headings] == [(1, "First heading"), (2, "Code")]
    assert [extract.text[block.start : block.end][:3] for block in extract.blocks] == ["def", "Age"]
    assert extract.title == "A title"


def test_a_page_that_is_nothing_but_a_menu_is_read() -> None:
    assert read_html("<html><nav><ul><li>Home<li>News</ul></nav><footer>Imprint").text == "- Home\n- News\n\nImprint"


def test_a_table_that_holds_tables_is_layout() -> None:
    text = read_html("<table><tr><td><p>Left<td><h2>Right</h2><table><tr><td>a<td>b</table></table>").text
    assert text == "Left\n\nRight\n\na | b"


def test_in_xhtml_elements_end_where_they_begin() -> None:
    page = (
        '<html xmlns="http://www.w3.org/1999/xhtml"><head><title/><script src="x"/></head><p>One<br/><a id="x"/>two</p>'
    )
    assert read_html(page).text == "One\ntwo"


@pytest.mark.parametrize(
    "tag", ["div", "ul><li", "b", "table", "table><tr><td", "p", "span", "blockquote", "pre", "h1"]
)
@pytest.mark.parametrize("depth", [MAX_NESTING - 1, 100_000])
def test_depth_neither_crashes_nor_takes_long(tag: str, depth: int) -> None:
    start = time.monotonic()
    outcome = read_or_refused(("<html>" + f"<{tag}>" * depth + "bottom").encode(), "a.html")
    if isinstance(outcome, Extract):
        assert "bottom" in outcome.text
    else:
        assert depth > MAX_NESTING and outcome.endswith("deep")
    assert time.monotonic() - start < 8


def test_many_elements_side_by_side_are_not_deep() -> None:
    row = "<div><p>text<br><b>bold</b><li>item</div>"
    assert read_html(row * 5_000).text.count("bold") == 5_000


def test_tags_in_scripts_do_not_count() -> None:
    assert (
        read_html("<p>text<script>" + "x('<div>');" * 10_000 + "</script><!--" + "<div>" * 10_000 + "-->").text
        == "text"
    )


def test_an_attribute_of_ten_megabytes() -> None:
    assert read_html('<p title="' + "a< " * 3_500_000 + '">text</p>').text == "text"


def test_what_is_never_closed_takes_no_longer() -> None:
    start = time.monotonic()
    for opening in ("<script ", "<!-- ", "<p title='", "<a href=", "<", "&", "</div"):
        with suppress(DocumentRefused):
            read_html("text" + opening * 200_000)
    assert time.monotonic() - start < 8
