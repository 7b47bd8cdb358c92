"""The SQL half of a search: what full text finds, and everything the scores are made from. No models."""

import json
import math
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np

from neuralbridge.database import Database
from neuralbridge.retrieval.arrays import Ids, Matrix
from neuralbridge.retrieval.documents import Passage
from neuralbridge.retrieval.query import Query, phrase
from neuralbridge.retrieval.stored_vectors import vector_of

MATCHES = 300  # the best by BM25
EXACT_MATCHES = 100
COLUMN_WEIGHTS = "2.0, 2.0, 1.0, 1.0"  # name, heading, text, extra
K1 = 1.2  # FTS5's own, fixed in fts5_aux.c; a term's part of BM25 is below idf * (K1 + 1)
# A term in more than this share of the passages, or in so many, is looked for only when there are no others: it tells
# little, and ranking all that have it would take most of a search's time
COMMON = 0.2
COMMON_MATCHES = 10_000


@dataclass(frozen=True, slots=True)
class Matches:
    """What full text found: BM25 as a share of the greatest possible, and which hold all identifiers as they stand."""

    share: dict[int, float]
    exact: frozenset[int]
    terms: tuple[str, ...]  # that were looked for


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage with its own vector and the mean of its document's; None while they are of another model."""

    passage: Passage
    vector: Matrix | None
    centroid: Matrix | None


class FullText:
    """Reads the full-text index."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def allowed(self, query: Query, owner: str) -> Ids:
        """The passages that a query's filters leave."""
        return await self._database.read(partial(filtered, query=query, owner=owner))

    async def match(self, query: Query, allowed: Ids | None) -> Matches:
        return await self._database.read(partial(matched, query=query, allowed=allowed))

    async def candidates(self, ids: Iterable[int], owner: str, model: str | None) -> list[Candidate]:
        """These passages as far as they are there and this owner's."""
        wanted = json.dumps([int(id) for id in ids])

        def read(connection: sqlite3.Connection) -> list[Candidate]:
            rows = connection.execute(
                """
                SELECT p.id, d.uid, d.version, d.source, p.start, p.end, p.page, p.heading, p.text, v.vector,
                    CASE WHEN d.centroid_model = :model THEN d.centroid END
                FROM json_each(:wanted) AS w CROSS JOIN passages p ON p.id = w.value
                JOIN documents d ON d.id = p.document
                LEFT JOIN vectors v ON v.passage = p.id AND v.model = :model
                WHERE d.owner = :owner
                """,
                {"wanted": wanted, "owner": owner, "model": model},
            )
            return [
                Candidate(
                    Passage(*row[:9]),
                    None if row[9] is None else vector_of(row[9]),
                    None if row[10] is None else vector_of(row[10]),
                )
                for row in rows
            ]

        return await self._database.read(read)

    async def cut(self, document: str, start: int, end: int) -> str:
        """A part of a document's text."""

        def read(connection: sqlite3.Connection) -> str:
            row = connection.execute(
                "SELECT substr(text, ?, ?) FROM documents WHERE uid = ?", (start + 1, end - start, document)
            ).fetchone()
            return str(row[0]) if row else ""

        return await self._database.read(read)


def matched(connection: sqlite3.Connection, query: Query, allowed: Ids | None) -> Matches:
    (total,) = connection.execute("SELECT count(*) FROM passages").fetchone()
    frequencies = {term: frequency(connection, term, total) for term in query.terms}
    known = {term: count for term, count in frequencies.items() if count}
    rare = [term for term, count in known.items() if count <= common(total)]
    terms = rare or sorted(known, key=lambda term: known[term])[:2]
    if not terms:
        return Matches({}, frozenset(), ())
    wanted = " OR ".join(phrase(term) for term in terms)
    # Words that are nowhere count too: what has only the others is no full answer to the question.
    most = sum(weight(count, total) * (K1 + 1) for count in frequencies.values())
    ranks = ranked(connection, wanted, MATCHES, allowed)
    exact: set[int] = set()
    if query.exact:
        wanted = " AND ".join(phrase(name) for name in query.exact)
        found = ranked(connection, wanted, EXACT_MATCHES, allowed)
        exact = set(found)
        ranks = {**found, **ranks}
    return Matches({id: min(1.0, rank / most) for id, rank in ranks.items()}, frozenset(exact), tuple(terms))


def common(total: int) -> int:
    """How many of `total` passages may have a term that is not common."""
    return min(max(int(COMMON * total), MATCHES), COMMON_MATCHES)


def frequency(connection: sqlite3.Connection, term: str, total: int) -> int:
    """How many passages have a term; counted only as far as it matters."""
    (count,) = connection.execute(
        "SELECT count(*) FROM (SELECT 1 FROM passages_text WHERE passages_text MATCH ? LIMIT ?)",
        (phrase(term), common(total) + 1),
    ).fetchone()
    return int(count)


def weight(count: int, total: int) -> float:
    """A term's idf as FTS5's bm25() has it: never below 1e-6."""
    return max(math.log((total - count + 0.5) / (count + 0.5)), 1e-6)


def ranked(connection: sqlite3.Connection, match: str, limit: int, allowed: Ids | None) -> dict[int, float]:
    """The best by BM25; greater is better here."""
    among, parameters = "", {"match": match, "limit": limit}
    if allowed is not None:
        among = "AND rowid IN (SELECT value FROM json_each(:allowed))"
        parameters["allowed"] = json.dumps(allowed.tolist())
    rows = connection.execute(
        f"""
        SELECT rowid, -bm25(passages_text, {COLUMN_WEIGHTS}) AS rank FROM passages_text
        WHERE passages_text MATCH :match {among} ORDER BY rank DESC LIMIT :limit
        """,  # noqa: S608
        parameters,
    )
    return dict(rows.fetchall())


def filtered(connection: sqlite3.Connection, query: Query, owner: str) -> Ids:
    conditions, parameters = ["d.owner = ?"], [owner]
    for file in query.files:
        conditions.append("instr(lower(d.source), lower(?)) > 0")
        parameters.append(file)
    if query.before:
        conditions.append("d.modified_at < ?")
        parameters.append(query.before)
    if query.after:
        conditions.append("d.modified_at >= ?")
        parameters.append(query.after)
    for phrases, negation in ((query.required, ""), (query.excluded, "NOT")):
        for wanted in phrases:
            conditions.append(f"p.id {negation} IN (SELECT rowid FROM passages_text WHERE passages_text MATCH ?)")  # noqa: S608
            parameters.append(phrase(wanted))
    rows = connection.execute(
        f"SELECT p.id FROM passages p JOIN documents d ON d.id = p.document WHERE {' AND '.join(conditions)}",  # noqa: S608
        parameters,
    )
    return np.array([id for (id,) in rows], np.int64)
