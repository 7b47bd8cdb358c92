"""A search, from the words typed to passages in order. `explain` is the same search with everything it saw."""

import asyncio
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from neuralbridge.retrieval.arrays import Ids, Matrix
from neuralbridge.retrieval.documents import Passage
from neuralbridge.retrieval.fulltext import Candidate, FullText, Matches
from neuralbridge.retrieval.query import Query
from neuralbridge.retrieval.scoring import Evidence
from neuralbridge.retrieval.sight import Sight

NEIGHBOURS = 100  # passages looked at because they are near in meaning
WORD_HITS = 100  # ... and because they have the words
MERGED_CHARACTERS = 3_000  # neighbouring passages are put together up to this length
GAP = 4  # characters between neighbouring passages, blank ones


class Meaning(Protocol):
    """Finds passages by meaning. `model` names the vectors it compares."""

    @property
    def model(self) -> str: ...

    async def embed(self, query: str) -> Matrix: ...

    async def nearest(self, vector: Matrix, count: int, allowed: Ids | None) -> tuple[Ids, Matrix]: ...


@dataclass(frozen=True, slots=True)
class Ranks:
    """Places from 1 in each list; None where it is not in it."""

    vector: int | None
    text: int | None


@dataclass(frozen=True, slots=True)
class Found:
    """A passage, or neighbours put together, and how well it fits: `score` from 0 to 1."""

    passage: Passage
    score: float
    evidence: Evidence
    ranks: Ranks


@dataclass(frozen=True, slots=True)
class Search:
    """What a search saw: every candidate in order, and what came of them."""

    query: Query
    matches: Matches
    candidates: list[Found]
    results: list[Found]
    by_meaning: bool  # False: the embedder is away, and only words were looked for
    nothing_there: bool = False  # who searched has no documents, and nobody shares any with them


class Searcher:
    """Searches one library."""

    def __init__(self, full_text: FullText) -> None:
        self._full_text = full_text

    async def search(self, query: Query, sight: Sight, limit: int, meaning: Meaning | None) -> Search:
        """The `limit` best results of what is in sight; without `meaning` by words alone."""
        allowed = await self._full_text.allowed(query, sight.user) if query.filtered else None
        (vector, near), matches = await asyncio.gather(
            nearest(query, sight.passages if allowed is None else allowed, meaning),
            self._full_text.match(query, sight, allowed),
        )
        hits = sorted(matches.share, key=lambda id: (-matches.share[id], id))
        if not query.text and allowed is not None:  # nothing but filters: everything they leave
            hits = allowed[:WORD_HITS].tolist()
        wanted = dict.fromkeys([*near, *hits[:WORD_HITS], *matches.exact])
        model = meaning.model if meaning is not None else None
        candidates = await self._full_text.candidates(wanted, sight.user, model)
        places = {id: place for place, id in enumerate(near, 1)}, {id: place for place, id in enumerate(hits, 1)}
        ranked = sorted(
            (weigh(candidate, vector, matches, *places) for candidate in candidates),
            key=lambda found: (-found.evidence.total, found.passage.document, found.passage.start),
        )
        results = await self._merge(without_twins(ranked), limit)
        nothing_there = sight.passages is not None and not len(sight.passages)
        return Search(query, matches, ranked, results, vector is not None, nothing_there)

    async def _merge(self, ranked: list[Found], limit: int) -> list[Found]:
        """Put passages that follow one another together, in the better one's place."""
        groups: list[list[Found]] = []
        for found in ranked:
            group = next((group for group in groups if continues(group, found)), None)
            if group is not None:
                group.append(found)
            elif len(groups) < limit:
                groups.append([found])
        return [await self._together(group) for group in groups]

    async def _together(self, group: list[Found]) -> Found:
        best = group[0]
        if len(group) == 1:
            return best
        first = min((found.passage for found in group), key=lambda passage: passage.start)
        end = max(found.passage.end for found in group)
        text = await self._full_text.cut(first.document, first.start, end)
        return replace(best, passage=replace(first, id=best.passage.id, end=end, text=text))


async def nearest(query: Query, allowed: Ids | None, meaning: Meaning | None) -> tuple[Matrix | None, list[int]]:
    """The question's vector and the passages near it."""
    if meaning is None or not query.text:
        return None, []
    vector = await meaning.embed(query.text)
    ids, _ = await meaning.nearest(vector, NEIGHBOURS, allowed)
    return vector, ids.tolist()


def weigh(
    candidate: Candidate, vector: Matrix | None, matches: Matches, near: dict[int, int], hits: dict[int, int]
) -> Found:
    passage = candidate.passage

    def cosine(other: Matrix | None) -> float | None:
        return None if vector is None or other is None else float(np.dot(vector, other))

    evidence = Evidence(
        cosine(candidate.vector),
        matches.share.get(passage.id, 0.0),
        cosine(candidate.centroid),
        passage.id in matches.exact,
    )
    ranks = Ranks(near.get(passage.id), hits.get(passage.id))
    return Found(passage, round(evidence.relevance, 4), evidence, ranks)


def without_twins(ranked: list[Found]) -> list[Found]:
    """Each text once: the same file may lie in two folders."""
    seen: dict[str, Found] = {}
    for found in ranked:
        seen.setdefault(found.passage.text, found)
    return [*seen.values()]


def continues(group: list[Found], found: Found) -> bool:
    """Whether a passage stands directly before or after those of a group, and there is room for it."""
    start = min(other.passage.start for other in group)
    end = max(other.passage.end for other in group)
    passage = found.passage
    return (
        passage.document == group[0].passage.document
        and max(end, passage.end) - min(start, passage.start) <= MERGED_CHARACTERS
        and (0 <= passage.start - end <= GAP or 0 <= start - passage.end <= GAP)
    )
