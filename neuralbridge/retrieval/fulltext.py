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
from neuralbridge.retrieval.sharing import VISIBLE
from neuralbridge.retrieval.sight import Sight
from neuralbridge.retrieval.stored_vectors import vector_of

MATCHES = 300  # the best by BM25
EXACT_MATCHES = 100
COLUMN_WEIGHTS = "2.0, 2.0, 1.0, 1.0"  # name, heading, text, extra
K1 = 1.2  # FTS5's own, fixed in fts5_aux.c; a term's part of BM25 is below idf * (K1 + 1)
# A term in more than this share of the passages, or in so many, is looked for only when there are no others: it tells
# little, and ranking all that have it would take most of a search's time
COMMON = 0.2
COMMON_MATCHES = 10_000
# Joined to what full text finds where a user may not see all of it
OF_VISIBLE = f"""
    CROSS JOIN passages p ON p.id = passages_text.rowid CROSS JOIN documents d ON d.id = p.document AND {VISIBLE}
"""


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

    async def allowed(self, query: Query, user: str) -> Ids:
        """The passages that a query's filters leave of those that the user may see."""
        return await self._database.read(partial(filtered, query=query, user=user))

    async def match(self, query: Query, sight: Sight, allowed: Ids | None) -> Matches:
        """What full text finds of what there is to be seen, only among `allowed` where given."""
        if sight.passages is None:
            return await self._database.read(partial(matched, query=query, allowed=allowed))
        return await self._database.read(partial(matched_in_sight, query=query, sight=sight, allowed=allowed))

    async def candidates(self, ids: Iterable[int], user: str, model: str | None) -> list[Candidate]:
        """These passages as far as they are there and the user may see them."""
        wanted = json.dumps([int(id) for id in ids])

        def read(connection: sqlite3.Connection) -> list[Candidate]:
            rows = connection.execute(
                f"""
                SELECT p.id, d.uid, d.version, d.source, p.start, p.end, p.page, p.heading, p.text, v.vector,
                    CASE WHEN d.centroid_model = :model THEN d.centroid END
                FROM json_each(:wanted) AS w CROSS JOIN passages p ON p.id = w.value
                JOIN documents d ON d.id = p.document
                LEFT JOIN vectors v ON v.passage = p.id AND v.model = :model
                WHERE {VISIBLE}
                """,  # noqa: S608
                {"wanted": wanted, "user": user, "model": model},
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
    terms = telling(frequencies, total)
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


def matched_in_sight(connection: sqlite3.Connection, query: Query, sight: Sight, allowed: Ids | None) -> Matches:
    """As if there were nothing but what the user may see: words of others' documents change neither terms nor scores.

    FTS5 weighs a term by all passages that have it. So each is looked for by itself and weighed anew; what is left of
    others is the mean length of passages.
    """
    assert sight.passages is not None
    total, user = len(sight.passages), sight.user
    frequencies = {term: frequency(connection, term, total, user) for term in query.terms}
    terms = telling(frequencies, total)
    if not terms:
        return Matches({}, frozenset(), ())
    most = sum(weight(count, total) * (K1 + 1) for count in frequencies.values())
    (all_there_is,) = connection.execute("SELECT count(*) FROM passages").fetchone()
    weights = {
        term: weight(frequencies[term], total) / weight(count_all(connection, term), all_there_is) for term in terms
    }
    ranks = ranked_by_term(connection, weights, MATCHES, user, allowed)
    exact: set[int] = set()
    if query.exact:
        wanted = " AND ".join(phrase(name) for name in query.exact)
        exact = {*ranked(connection, wanted, EXACT_MATCHES, allowed, user)}
        ranks |= ranked_by_term(connection, weights, EXACT_MATCHES, user, np.array(sorted(exact), np.int64))
    return Matches({id: min(1.0, rank / most) for id, rank in ranks.items()}, frozenset(exact), tuple(terms))


def telling(frequencies: dict[str, int], total: int) -> list[str]:
    """The terms to look for: those that are there and not common, unless there are no others."""
    known = {term: count for term, count in frequencies.items() if count}
    rare = [term for term, count in known.items() if count <= common(total)]
    return rare or sorted(known, key=lambda term: known[term])[:2]


def common(total: int) -> int:
    """How many of `total` passages may have a term that is not common."""
    return min(max(int(COMMON * total), MATCHES), COMMON_MATCHES)


def frequency(connection: sqlite3.Connection, term: str, total: int, user: str | None = None) -> int:
    """How many passages have a term, of those that the user may see; counted only as far as it matters."""
    (count,) = connection.execute(
        f"""
        SELECT count(*) FROM (
            SELECT 1 FROM passages_text {OF_VISIBLE if user else ""} WHERE passages_text MATCH :match LIMIT :limit)
        """,  # noqa: S608
        {"match": phrase(term), "limit": common(total) + 1, "user": user},
    ).fetchone()
    return int(count)


def count_all(connection: sqlite3.Connection, term: str) -> int:
    """How many passages have a term, as FTS5 counts them."""
    (count,) = connection.execute(
        "SELECT count(*) FROM passages_text WHERE passages_text MATCH ?", (phrase(term),)
    ).fetchone()
    return int(count)


def weight(count: int, total: int) -> float:
    """A term's idf as FTS5's bm25() has it: never below 1e-6."""
    return max(math.log((total - count + 0.5) / (count + 0.5)), 1e-6)


def ranked(
    connection: sqlite3.Connection, match: str, limit: int, allowed: Ids | None, user: str | None = None
) -> dict[int, float]:
    """The best by BM25, of those that the user may see; greater is better here."""
    rows = connection.execute(
        f"""
        SELECT passages_text.rowid, -bm25(passages_text, {COLUMN_WEIGHTS}) AS rank
        FROM passages_text {OF_VISIBLE if user else ""}
        WHERE passages_text MATCH :match {among(allowed)} ORDER BY rank DESC LIMIT :limit
        """,  # noqa: S608
        {"match": match, "limit": limit, "user": user, "allowed": as_json(allowed)},
    )
    return dict(rows.fetchall())


def ranked_by_term(
    connection: sqlite3.Connection, weights: dict[str, float], limit: int, user: str, allowed: Ids | None
) -> dict[int, float]:
    """The best by the sum of their terms' BM25, each times its weight."""
    parts, parameters = [], {"limit": limit, "user": user, "allowed": as_json(allowed)}
    for number, (term, weight) in enumerate(weights.items()):
        parameters |= {f"term{number}": phrase(term), f"weight{number}": weight}
        parts.append(
            f"""
            SELECT passages_text.rowid AS id, -bm25(passages_text, {COLUMN_WEIGHTS}) * :weight{number} AS share
            FROM passages_text {OF_VISIBLE} WHERE passages_text MATCH :term{number} {among(allowed)}
            """  # noqa: S608
        )
    rows = connection.execute(
        # MATERIALIZED: bm25() knows nothing of groups
        f"""
        WITH hits (id, share) AS MATERIALIZED ({" UNION ALL ".join(parts)})
        SELECT id, sum(share) AS rank FROM hits GROUP BY id ORDER BY rank DESC LIMIT :limit
        """,  # noqa: S608
        parameters,
    )
    return dict(rows.fetchall())


def among(allowed: Ids | None) -> str:
    return "" if allowed is None else "AND passages_text.rowid IN (SELECT value FROM json_each(:allowed))"


def as_json(ids: Ids | None) -> str | None:
    return None if ids is None else json.dumps(ids.tolist())


def filtered(connection: sqlite3.Connection, query: Query, user: str) -> Ids:
    conditions, parameters = [VISIBLE], {"user": user}

    def parameter(value: str) -> str:
        name = f"value{len(parameters)}"
        parameters[name] = value
        return f":{name}"

    conditions += [f"instr(lower(d.source), lower({parameter(file)})) > 0" for file in query.files]
    if query.before:
        conditions.append(f"d.modified_at < {parameter(query.before)}")
    if query.after:
        conditions.append(f"d.modified_at >= {parameter(query.after)}")
    for phrases, negation in ((query.required, ""), (query.excluded, "NOT")):
        for wanted in phrases:
            match = parameter(phrase(wanted))
            conditions.append(f"p.id {negation} IN (SELECT rowid FROM passages_text WHERE passages_text MATCH {match})")  # noqa: S608
    rows = connection.execute(
        f"SELECT p.id FROM passages p JOIN documents d ON d.id = p.document WHERE {' AND '.join(conditions)}",  # noqa: S608
        parameters,
    )
    return np.array([id for (id,) in rows], np.int64)
