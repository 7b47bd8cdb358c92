"""Plain text, source code and JSON: the text as it is, with such headings as plain text has."""

import json
import re

from neuralbridge.retrieval.extract import Extract, Heading
from neuralbridge.retrieval.readers.decode import decode
from neuralbridge.retrieval.readers.kinds import Kind

LONGEST_HEADING = 80  # characters
LONG_LINE = 2_000
# A line of capitals as manual pages have them; a number before a few words; a line that is underlined
CAPITALS = re.compile(r"^(?=.*[^\W\d_]{3})[^\Wa-zß-öø-ÿ_]([^a-zß-öø-ÿ\n]*)$", re.MULTILINE)
NUMBERED = re.compile(r"^(\d{1,2}(?:\.\d{1,2}){0,3})\.?[ \t]+([A-Z\u00c0-\u00de][^\n.;]{2,70})$", re.MULTILINE)
UNDERLINED = re.compile(r"^(\S[^\n]{0,78})\n(={3,}|-{3,}|~{3,})[ \t]*$", re.MULTILINE)


def read(raw: bytes, name: str, kind: Kind) -> Extract:
    text = decode(raw)
    if kind == "json":
        return Extract(kind, readable(text))
    return Extract(kind, text, headings(text) if kind == "text" else ())


def headings(text: str) -> tuple[Heading, ...]:
    """Lines set apart that say what follows, in order."""
    found: dict[int, Heading] = {}
    for match in UNDERLINED.finditer(text):
        found[match.start()] = Heading(match.start(), 1 if match[2][0] == "=" else 2, match[1].strip())
    for match in NUMBERED.finditer(text):
        if apart(text, match.start(), match.end()):
            found.setdefault(match.start(), Heading(match.start(), 1 + match[1].count("."), match[0].strip()))
    for match in CAPITALS.finditer(text):
        if len(match[0]) <= LONGEST_HEADING and begins(text, match.start()):
            found.setdefault(match.start(), Heading(match.start(), 1, match[0].strip()))
    return tuple(found[start] for start in sorted(found))


def begins(text: str, start: int) -> bool:
    """Whether a line stands at the beginning, or after a blank line."""
    return (
        start == 0 or text[:start].endswith("\n\n") or text[max(0, start - 80) : start].rstrip(" \t").endswith("\n\n")
    )


def apart(text: str, start: int, end: int) -> bool:
    return begins(text, start) and (end == len(text) or text.startswith("\n\n", end))


def readable(text: str) -> str:
    """JSON that is one huge line is set out; everything else stays as it is."""
    if max(map(len, text.split("\n", 50)), default=0) < LONG_LINE:
        return text
    try:
        return json.dumps(json.loads(text), indent=1, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text
