"""Why something was found, or not: the same search, stage by stage, and where what was expected was lost."""

from dataclasses import asdict
from typing import Any

from neuralbridge.retrieval.library import Library
from neuralbridge.retrieval.search import NEIGHBOURS, WORD_HITS, Found, Search
from neuralbridge.words import fold

RESULTS = 5  # go into an answer at the most
SHOWN = 25  # losers of each stage


async def explain(library: Library, query: str, expect: str, threshold: float, user: str) -> dict[str, Any]:
    """Everything the search saw, as plain values. Raises what searching raises."""
    search = await library.search(query, RESULTS, user)
    ranked = search.candidates
    by_meaning = sorted((f for f in ranked if f.ranks.vector), key=lambda f: f.ranks.vector or 0)
    by_words = sorted((f for f in ranked if f.ranks.text), key=lambda f: f.ranks.text or 0)
    fitting = [found for found in ranked if found.score >= threshold]
    chosen = {found.passage.document: found for found in search.results}
    told = [found for found in fitting if stands_in(found, search.results)]
    stages = [
        stage("vector", f"the {NEIGHBOURS} nearest in meaning", by_meaning, []),
        stage(
            "full_text",
            f"the {WORD_HITS} best by their words: {', '.join(search.matches.terms) or 'none'}",
            by_words,
            [],
        ),
        stage("fusion", "all of them by one score", ranked, []),
        stage("threshold", f"a score of {threshold} or more", fitting, ranked[len(fitting) :]),
        stage("budget", f"the best {RESULTS}, neighbours put together", told, [f for f in fitting if f not in told]),
    ]
    filters = {
        key: value
        for key, value in asdict(search.query).items()
        if key in ("files", "required", "excluded", "before", "after") and value
    }
    return {
        "query": search.query.text,
        "terms": [*search.matches.terms],
        "filters": filters,
        "stages": stages,
        "expected": await verdict(library, search, expect, threshold, user)
        if chosen or ranked
        else "nothing was found",
    }


async def verdict(library: Library, search: Search, expect: str, threshold: float, user: str) -> str:
    """Where the expected passage was lost, in words."""
    wanted = [found for found in search.candidates if is_meant(found, expect)]
    if not wanted:
        if await library.documents.holds(user, expect):
            near = f"not among the {NEIGHBOURS} nearest in meaning nor the {WORD_HITS} best by words"
            return f"lost before fusion: it is in the library, and {near}" + (
                ", or a filter leaves it out" if search.query.filtered else ""
            )
        return "not in the library: no document has that name, that id, or that text"
    best = wanted[0]
    place = search.candidates.index(best) + 1
    if best.score < threshold:
        return f"lost at the threshold: its score is {best.score}, below {threshold} (place {place})"
    if not stands_in(best, search.results):
        return f"lost at the budget: place {place}, and the best {RESULTS} go into an answer"
    return f"found: place {place}, with a score of {best.score}"


def is_meant(found: Found, expect: str) -> bool:
    passage = found.passage
    return expect in (passage.document, passage.source, passage.source.rpartition("/")[2]) or " ".join(
        fold(expect).split()
    ) in " ".join(fold(passage.text).split())


def stands_in(found: Found, results: list[Found]) -> bool:
    """Whether a passage is one of the results, or a part of one."""
    passage = found.passage
    return any(
        passage.document == other.passage.document
        and other.passage.start <= passage.start
        and passage.end <= other.passage.end
        for other in results
    )


def stage(name: str, says: str, kept: list[Found], lost: list[Found]) -> dict[str, Any]:
    return {
        "stage": name,
        "says": says,
        "kept": [scores(found) for found in kept[:SHOWN]],
        "lost": [scores(found) for found in lost[:SHOWN]],
    }


def scores(found: Found) -> dict[str, Any]:
    passage, evidence = found.passage, found.evidence
    return {
        "document_id": passage.document,
        "source_document": passage.source,
        "start": passage.start,
        "end": passage.end,
        "heading": passage.heading,
        "text": passage.text[:200],
        "score": found.score,
        "evidence": round(evidence.total, 4),
        "cosine": None if evidence.cosine is None else round(evidence.cosine, 4),
        "words": round(evidence.words, 4),
        "document": None if evidence.document is None else round(evidence.document, 4),
        "exact": evidence.exact,
        "ranks": {"vector": found.ranks.vector, "text": found.ranks.text},
    }
