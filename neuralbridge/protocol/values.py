"""How many values a JSON text holds, known before it is parsed: while json parses, nothing else comes to its turn."""

import re
from typing import Final

SEPARATORS: Final = ",[{"  # each value follows one of these, but for the first and those of keys
MARK: Final = re.compile(r'[\[\]{},"]')
IN_STRING: Final = re.compile(r'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
PIECE: Final = 64 * 1024  # of a string, matched at once: other threads wait as long


def values_exceed(text: str, most: int) -> bool:
    """Whether a JSON text has more commas and opening brackets than `most`. Those in its strings do not count."""
    return sum(map(text.count, SEPARATORS)) > most and value_exceeds(text, most)  # counting alone is much quicker


def value_exceeds(text: str, most: int, start: int = 0) -> bool:
    """The same of one value, which begins at `start`; what follows it is not looked at."""
    found = depth = 0
    while (mark := MARK.search(text, start)) is not None:
        start = mark.end()
        if mark[0] == '"':
            start = end_of_string(text, start)
        else:
            found += mark[0] in SEPARATORS
            depth += (mark[0] in "[{") - (mark[0] in "]}")
        if found > most:
            return True
        if depth <= 0:
            return False
    return False


def end_of_string(text: str, start: int) -> int:
    """The place after the closing quote, or the end of the text where there is none."""
    while start < len(text) and text[start] != '"':
        piece = IN_STRING.match(text, start, start + PIECE)
        if piece is None or piece.end() == start:  # a backslash that nothing follows
            return len(text)
        start = piece.end()
    return start + 1
