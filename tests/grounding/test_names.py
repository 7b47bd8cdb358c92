"""Names and identifiers, and capitals that are none."""

import pytest

from neuralbridge.grounding.names import names


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Maria Lopes met Anna in Lisbon.", {("maria", "lopes"), ("anna",), ("lisbon",)}),
        ("Use XK-204 or foo_bar.", {("xk", "204"), ("xk",), ("foo", "bar")}),
        ("It ended in May on Monday.", {("monday",)}),
        ("Both NATO and the OECD agreed.", {("nato",), ("oecd",)}),
        ("nothing here", set()),
        ("There are twenty-seven of them.", set()),
    ],
)
def test_names(text: str, expected: set[tuple[str, ...]]) -> None:
    assert {name.words for name in names(text) if name.sure} == expected
