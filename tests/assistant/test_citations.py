"""Each sentence of an answer gets one citation, in order, whose words are the document's; whenever it was checked."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralbridge.assistant.citations import Citation, Citations, Embed, mark_gone, shares
from neuralbridge.assistant.context import Source
from neuralbridge.grounding.sentences import sentences
from neuralbridge.grounding.verdicts import Verdict
from neuralbridge.retrieval.arrays import Matrix
from tests.fakes import FakeEmbedder

DOCUMENTS = {
    "pump": (
        "# Pump manual\n\nThe pump holds 40 litres and weighs 12 kg. Its warranty lasts 24 months from purchase.\n\n"
        "The pump must not be used outdoors. Filters are replaced every spring by Marta Lopes."
    ),
    "lease": "LEASE\n\nThe rent is 900 euros a month. The warranty on the door lasts 36 months from purchase.",
}
STARTS = {"pump": 15, "lease": 7}
ANSWER = (
    "The pump holds 40 litres. The warranty lasts 36 months. It was painted by Anna Keller!\n\n"
    "- The rent is 900 euros a month\n- The pump may be used outdoors\n\n```\nx. Y\n```\n"
    "Filters are replaced by Marta Lopes."
)


def source(name: str) -> Source:
    """All of a document but its heading."""
    text, start = DOCUMENTS[name], STARTS[name]
    return Source(1, name, f"{name}.md", None, "", start, len(text), 0.5, text[start:], "v1")


PASSAGES = (source("pump"), source("lease"))


async def unable(texts: Sequence[str]) -> None:
    """There is no model for meanings yet."""


async def at_once(work: Callable[[], Citation]) -> Citation:
    return work()


async def checked(answer: str, passages: Sequence[Source] = PASSAGES, embed: Embed = unable) -> tuple[Citation, ...]:
    return await Citations(passages, embed, at_once).finish(answer)


EMBEDS = pytest.mark.parametrize("embed", [unable, FakeEmbedder(Path("fake")).embed_urgently], ids=["words", "meaning"])


@EMBEDS
async def test_each_sentence_is_covered_once_and_in_order(embed: Embed) -> None:
    citations = await checked(ANSWER, embed=embed)
    assert [citation.sentence for citation in citations] == sentences(ANSWER)


@EMBEDS
async def test_what_is_cited_is_the_documents_text_at_its_span(embed: Embed) -> None:
    citations = [each for each in await checked(ANSWER, embed=embed) if each.span is not None]
    assert {each.document_id for each in citations} == {"pump", "lease"}
    for each in citations:
        assert each.document_id is not None
        assert each.span is not None
        assert DOCUMENTS[each.document_id][slice(*each.span)] == each.text
        assert each.span[0] >= STARTS[each.document_id]
        assert (each.version, each.source_document) == ("v1", f"{each.document_id}.md")


@pytest.mark.parametrize(
    ("sentence", "verdict", "text"),
    [
        ("The pump holds 40 litres.", "supported", "The pump holds 40 litres and weighs 12 kg."),
        ("The pump may be used outdoors.", "contradicted", "The pump must not be used outdoors."),
        ("It was painted by Anna Keller.", "unsupported", None),
    ],
)
async def test_the_verdict_on_a_sentence_and_the_words_it_rests_on(
    sentence: str, verdict: Verdict, text: str | None
) -> None:
    (citation,) = await checked(sentence)
    assert (citation.verdict, citation.text) == (verdict, text)


async def test_a_sentence_no_passage_bears_on_names_no_document() -> None:
    assert await checked("Bananas ripen quickly.") == (Citation((0, 22), "unsupported", 0.0),)


@pytest.mark.parametrize("passages", [PASSAGES, PASSAGES[::-1]])
async def test_a_passage_that_supports_outweighs_one_that_contradicts(passages: Sequence[Source]) -> None:
    (citation,) = await checked("The warranty lasts 36 months from purchase.", passages)
    assert (citation.verdict, citation.document_id) == ("supported", "lease")


async def test_the_same_sentence_twice_is_cited_twice() -> None:
    first, second = await checked("The rent is 900 euros. The rent is 900 euros.")
    assert (first.sentence, second.sentence) == ((0, 22), (23, 45))
    assert first.span == second.span
    assert first.verdict == "supported"


@EMBEDS
@given(cuts=st.lists(st.integers(0, len(ANSWER)), max_size=12).map(sorted))
def test_checking_while_the_text_grows_gives_the_same_as_checking_at_the_end(embed: Embed, cuts: list[int]) -> None:
    async def grown() -> tuple[Citation, ...]:
        citations = Citations(PASSAGES, embed, at_once)
        for cut in cuts:
            citations.grow(ANSWER[:cut])
        return await citations.finish(ANSWER)

    assert asyncio.run(grown()) == asyncio.run(checked(ANSWER, embed=embed))


async def test_a_sentence_that_is_complete_is_checked_before_the_answer_ends() -> None:
    embedded: asyncio.Queue[Sequence[str]] = asyncio.Queue()

    async def noting(texts: Sequence[str]) -> None:
        embedded.put_nowait(texts)

    citations = Citations(PASSAGES, noting, at_once)
    citations.grow("The rent is")
    citations.grow("The rent is 900 euros. The")
    assert "The rent is 900 euros." in await embedded.get()
    assert embedded.empty()


async def test_no_text_is_embedded_twice() -> None:
    embedder = FakeEmbedder(Path("fake"))
    seen: list[str] = []

    async def noting(texts: Sequence[str]) -> Matrix:
        seen.extend(texts)
        return await embedder.embed_urgently(texts)

    await checked(ANSWER, embed=noting)
    assert "The pump holds 40 litres." in seen
    assert len(seen) == len({*seen})


async def test_without_passages_nothing_is_checked() -> None:
    async def never(texts: Sequence[str]) -> None:
        raise AssertionError(texts)

    citations = Citations((), never, at_once)
    citations.grow("The rent is 900 euros. The")
    assert await citations.finish("The rent is 900 euros. The end.") == ()


@pytest.mark.parametrize("answer", ["", " \n"])
async def test_an_answer_without_sentences_has_no_citations(answer: str) -> None:
    assert await checked(answer) == ()


async def test_what_nobody_wants_to_know_any_more_is_cancelled() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def waiting(texts: Sequence[str]) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    citations = Citations(PASSAGES, waiting, at_once)
    citations.grow("The rent is 900 euros. The")
    await begun.wait()
    citations.drop()
    await asyncio.wait_for(ended.wait(), 5)
    with pytest.raises(asyncio.CancelledError):
        await citations.finish("The rent is 900 euros. The")


@pytest.mark.parametrize(
    ("versions", "gone"),
    [
        ({"pump": "v1"}, [False, False]),
        ({"pump": "v2"}, [True, False]),
        ({}, [True, False]),
        ({"lease": "v1"}, [True, False]),
    ],
)
def test_a_source_that_was_removed_or_changed_is_gone(versions: dict[str, str], gone: list[bool]) -> None:
    cited = Citation((0, 5), "supported", 0.9, "pump", "v1", "pump.md", (15, 20), "The p")
    bare = Citation((6, 9), "unsupported", 0.0)
    marked = mark_gone([cited, bare], versions)
    assert [each.source_gone for each in marked] == gone
    assert [each.text for each in marked] == ["The p", None]


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([], (0.0, 0.0)),
        (["supported", "supported"], (1.0, 0.0)),
        (["supported", "partial", "contradicted", "unsupported"], (0.375, 0.25)),
    ],
)
def test_shares_of_sentences(verdicts: list[Verdict], expected: tuple[float, float]) -> None:
    assert shares([Citation((0, 1), verdict, 0.5) for verdict in verdicts]) == expected


async def test_sentences_are_judged_aside_one_piece_of_work_each() -> None:
    judged: list[Citation] = []

    async def aside(work: Callable[[], Citation]) -> Citation:
        judged.append(work())
        return judged[-1]

    citations = await Citations(PASSAGES, unable, aside).finish(ANSWER)
    assert sorted(each.sentence for each in judged) == [each.sentence for each in citations]
