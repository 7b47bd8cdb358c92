"""How answers look: what is shown, what is left out, and what stands underneath."""

from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from neuralbridge.commands.talk import Ended, Heard, Queued, Said, Started
from neuralbridge.commands.view import Growing, Whole, footnotes, printable
from neuralbridge.protocol.pushes import Metadata

SOURCE = {
    "n": 2,
    "document_id": "d",
    "source_document": "lease.pdf",
    "page": 3,
    "heading": "Rent > When",
    "start": 0,
    "end": 4,
    "score": 0.876,
    "text": "text",
}


def metadata(**more: Any) -> Metadata:
    told = {
        "source": "llm",
        "confidence_score": 0.714,
        "confidence": {"level": "high", "reasons": ["It was sure.", "So was the passage."]},
        "citations": [],
        "cache": None,
        "processing_time_ms": 1_240,
        "rag_context_used": 0,
        "sources": [],
        "sources_omitted": [],
        "model_used": "small",
        "model_requested": "gpt-4",
        "tokens": {"prompt": 1, "cached": 0, "completion": 1},
        "finish_reason": "stop",
        "messages_omitted": 0,
        "message_id": None,
    }
    return Metadata.model_validate({**told, **more})


def ended(text: str, **more: Any) -> Ended:
    return Ended(text, metadata(**more), {}, "now")


CONFIDENCE = "confidence 0.71, high: It was sure. So was the passage."


@pytest.mark.parametrize(
    ("more", "lines"),
    [
        ({}, [CONFIDENCE, "small, 1.2 s"]),
        ({"confidence": None}, ["small, 1.2 s"]),
        ({"sources": [SOURCE]}, ["[2] lease.pdf, page 3, Rent > When (0.88)", CONFIDENCE, "small, 1.2 s"]),
        ({"sources": [{**SOURCE, "page": None, "heading": ""}]}, ["[2] lease.pdf (0.88)", CONFIDENCE, "small, 1.2 s"]),
        ({"finish_reason": "length"}, [CONFIDENCE, "small, 1.2 s; cut off at the limit of tokens"]),
        ({"finish_reason": "cancelled"}, [CONFIDENCE, "small, 1.2 s; stopped"]),
        ({"source": "rag"}, [CONFIDENCE, "from your documents, word for word, 1.2 s"]),
        (
            {"source": "rag", "finish_reason": "no_evidence"},
            [CONFIDENCE, "your documents do not say; the nearest places are above, 1.2 s"],
        ),
        (
            {"source": "cache", "cache": {"answered_at": "then", "age_seconds": 7200}},
            [CONFIDENCE, "small, answered before (2.0 hours ago), 1.2 s"],
        ),
        (
            {"source": "cache", "cache": {"answered_at": "then", "age_seconds": 120}},
            [CONFIDENCE, "small, answered before (2 minutes ago), 1.2 s"],
        ),
    ],
)
def test_under_an_answer_stand_its_sources_how_sure_it_is_and_who_gave_it(
    more: dict[str, Any], lines: list[str]
) -> None:
    assert footnotes(metadata(**more)) == lines


def shown(*heard: Heard) -> tuple[str, str]:
    out, notes = StringIO(), StringIO()
    view = Growing(out, Console(file=notes, markup=False, highlight=False, soft_wrap=True))
    for each in heard:
        view.hear(each)
    return out.getvalue(), notes.getvalue()


def test_pieces_are_shown_as_they_come_and_the_answer_ends_with_its_line() -> None:
    assert shown(Started(), Said("a"), Said("b"))[0] == "ab"
    assert shown(Started(), Said("a"), ended("a"))[0] == "a\n"
    assert shown(Started(), Said("a\n"), ended("a\n"))[0] == "a\n"


def test_who_waits_is_told_so() -> None:
    assert shown(Queued(2)) == ("", "2 of this conversation before it\n")


def test_notes_cannot_tell_a_terminal_what_to_do() -> None:
    source = {**SOURCE, "source_document": "a\x1b[2Jb[bold]c[/bold]"}
    _, notes = shown(ended("a", sources=[source]))
    assert "[2] a[2Jb[bold]c[/bold]," in notes
    assert "\x1b" not in notes


@given(st.text())
def test_what_is_printable_has_no_controls_but_lines_and_tabs_and_loses_nothing_else(text: str) -> None:
    kept = printable(text)
    assert not any((ord(letter) < 32 and letter not in "\n\t") or 127 <= ord(letter) < 160 for letter in kept)
    assert [each for each in text if each.isprintable() or each in "\n\t"] == [
        each for each in kept if each.isprintable() or each in "\n\t"
    ]


@given(st.text(), st.text())
def test_a_pipe_gets_the_last_answer_exactly_with_one_line_end(first: str, last: str) -> None:
    out = StringIO()
    view = Whole(out)
    for heard in (Started(), Said(first), ended(first, superseded_by="next"), Started(), Said(last), ended(last)):
        view.hear(heard)
    assert out.getvalue() in ({last} if last.endswith("\n") else {f"{last}\n"})
