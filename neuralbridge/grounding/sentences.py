"""Where the sentences of a text begin and end. Pure.

For answers and for documents alike: list items and table rows are sentences of their own, hard line breaks within a
sentence are not, and code between fences stays together.
"""

import re

Span = tuple[int, int]

FENCED = re.compile(r"^(?:```|~~~).*?(?:^(?:```|~~~)\s*$|\Z)", re.MULTILINE | re.DOTALL)
# What ends a paragraph, or begins another line that stands for itself
BREAK = re.compile(r"\n\s*\n|\n(?=[ \t]*(?:[-*+•–#>|]|\d{1,3}[.)])[ \t])|(?<=\|)[ \t]*\n|(?<=:)[ \t]*\n")
END = re.compile(r"""[.!?…]+["'»”’)\]*_]*(?=\s)|[。！？]+[」』”）]*""")
OPENING = re.compile(r"""[\s"'«“‘(\[*_¿¡-]*""")
SHORT = """e.g i.e etc cf vs approx dr mr mrs ms prof st no nos fig figs eq sec ch vol pp p ed eds al inc ltd co corp
    dept est jan feb mar apr jun jul aug sep sept oct nov dec mon tue wed thu fri sat sun a.m p.m u.s u.k resp incl ca
    sr sra dra exmo art arts pág págs núm tel av ex obs"""
ABBREVIATIONS = frozenset(SHORT.split())


def sentences(text: str) -> list[Span]:
    """The spans of a text's sentences in order, without the blanks around them. They never overlap."""
    spans: list[Span] = []
    place = 0
    for block in FENCED.finditer(text):
        spans += in_prose(text, place, block.start())
        spans += trimmed(text, *block.span())
        place = block.end()
    return spans + in_prose(text, place, len(text))


def in_prose(text: str, start: int, end: int) -> list[Span]:
    spans: list[Span] = []
    place = start
    for border in [*(match.end() for match in BREAK.finditer(text, start, end)), end]:
        spans += in_paragraph(text, place, border)
        place = border
    return spans


def in_paragraph(text: str, start: int, end: int) -> list[Span]:
    spans: list[Span] = []
    place = start
    for match in END.finditer(text, start, end):
        if ends_here(text, place, match, end):
            spans += trimmed(text, place, match.end())
            place = match.end()
    return spans + trimmed(text, place, end)


def ends_here(text: str, start: int, match: re.Match[str], end: int) -> bool:
    """Whether a mark ends the sentence that began at `start`."""
    following = OPENING.match(text, match.end(), end)
    after = text[following.end() : following.end() + 1] if following and following.end() < end else ""
    if not match[0].startswith("."):
        return not after.islower()
    before = text[start : match.start()].split()
    last = before[-1].lower().strip("(\"'[*_") if before else ""
    if last in ABBREVIATIONS and after and match[0] == ".":
        return False
    if len(last) == 1 and last.isalpha() and after.isupper():  # an initial: J. Smith
        return False
    if len(before) == 1 and last.isdigit():  # the number of a list item
        return False
    return not after.islower()


def trimmed(text: str, start: int, end: int) -> list[Span]:
    part = text[start:end]
    begin = start + len(part) - len(part.lstrip())
    finish = start + len(part.rstrip())
    return [(begin, finish)] if begin < finish else []
