"""The passage itself, in the place of an answer that is not worth much. Pure."""

from dataclasses import dataclass, replace

from neuralbridge.assistant.citations import Citation
from neuralbridge.assistant.context import Source
from neuralbridge.assistant.language import in_portuguese
from neuralbridge.grounding.sentences import Span, sentences
from neuralbridge.grounding.statements import read

LONGEST = 700  # characters of a passage that are given


@dataclass(frozen=True, slots=True)
class Extract:
    """`text` is what is said; `passage` is the part of the document in it, whose text stands there word for word."""

    text: str
    passage: Source
    begin: int  # of the passage in the text


def extract(query: str, sources: tuple[Source, ...]) -> Extract:
    """The best passage, or as much of it around the sentence that fits the question best as can be read at a glance."""
    best = max(sources, key=lambda source: source.score)
    start, end = around(best.text, frozenset(read(query).by_stem))
    passage = replace(best, start=best.start + start, end=best.start + end, text=best.text[start:end])
    where = passage.source_document
    if in_portuguese(query):
        opening = f"Não tenho uma resposta segura; o que {where} diz sobre isto é:\n\n"
    else:
        opening = f"I have no answer to be sure of; what {where} says about it is:\n\n"
    return Extract(opening + passage.text, passage, len(opening))


def cited(found: Extract) -> Citation:
    """The passage as the one sentence that is cited, for it is one: word for word."""
    passage = found.passage
    return Citation(
        (found.begin, len(found.text)),
        "supported",
        1.0,
        passage.document_id,
        passage.version,
        passage.source_document,
        (passage.start, passage.end),
        passage.text,
    )


def around(text: str, asked: frozenset[str]) -> tuple[int, int]:
    """Whole sentences of a text, up to `LONGEST` characters, about the one that shares most with what was asked."""
    spans = [shortened(text, span) for span in sentences(text)]
    if not spans or len(text) <= LONGEST:
        return (spans[0][0], spans[-1][1]) if spans else (0, min(len(text), LONGEST))
    at = max(range(len(spans)), key=lambda place: len(asked & read(text[slice(*spans[place])]).by_stem.keys()))
    first = last = at
    while True:
        after = last + 1 < len(spans) and spans[last + 1][1] - spans[first][0] <= LONGEST
        before = first > 0 and spans[last][1] - spans[first - 1][0] <= LONGEST
        if not (after or before):
            return spans[first][0], spans[last][1]
        if after:
            last += 1
        else:
            first -= 1


def shortened(text: str, span: Span) -> Span:
    """A sentence, or as many words of it as there is room for."""
    start, end = span
    if end - start <= LONGEST:
        return span
    blank = text.rfind(" ", start + 1, start + LONGEST + 1)
    return start, blank if blank > 0 else start + LONGEST
