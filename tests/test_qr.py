"""A code says the same in a terminal and on the page, with white around it, and refuses what no code holds."""

import re
from xml.etree import ElementTree

import pytest

from neuralbridge import qr

URL = "https://desk.local:4000/pair#nb_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
HALVES = {"█": (0, 0), " ": (1, 1), "▄": (1, 0), "▀": (0, 1)}
FINDER = ["1111111", "1000001", "1011101", "1011101", "1011101", "1000001", "1111111"]


def drawn(text: str) -> list[str]:
    """The rows of modules that a camera sees in the terminal's lines, 1 where it is dark."""
    return [
        "".join(str(HALVES[letter][half]) for letter in line)
        for line in qr.terminal(text).split("\n")
        for half in (0, 1)
    ]


def test_a_terminal_shows_the_modules_of_the_code_with_white_around_them() -> None:
    rows = drawn(URL)
    matrix = ["".join(map(str, row)) for row in qr.code(URL).matrix]
    size = len(matrix)
    assert [row[4 : 4 + size] for row in rows[4 : 4 + size]] == matrix
    assert [row[:7] for row in matrix[:7]] == FINDER
    around = rows[:4] + rows[4 + size : 8 + size] + [row[:4] + row[4 + size :] for row in rows[: 8 + size]]
    assert {letter for row in around for letter in row} == {"0"}


def test_the_page_gets_an_image_without_style_or_script() -> None:
    element = ElementTree.fromstring(qr.svg(URL))
    names = {f"{{http://www.w3.org/2000/svg}}{name}" for name in ("svg", "path")}
    assert {each.tag for each in element.iter()} == names  # without the namespace no browser takes it for an image
    assert {name for each in element.iter() for name in each.attrib} <= {"viewBox", "class", "fill", "stroke", "d"}
    size = len(qr.code(URL).matrix)
    assert element.attrib["viewBox"] == f"0 0 {size + 8} {size + 8}"
    dark = sum(int(length) for length in re.findall(r"h(\d+)", list(element)[1].attrib["d"]))
    assert dark == sum(sum(row) for row in qr.code(URL).matrix)


def test_a_text_that_no_code_holds_is_refused() -> None:
    qr.terminal("a" * 2331)
    with pytest.raises(ValueError, match="too large"):
        qr.terminal("a" * 2332)
