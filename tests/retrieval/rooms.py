"""A library as the server has it, in a folder of its own, and what can be said of it as values."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import numpy as np

from neuralbridge.app import OpenEmbedder, build_library
from neuralbridge.config import Config
from neuralbridge.database import Database
from neuralbridge.retrieval.library import Library
from tests.fakes import FakeEmbedder

ROOT = Path(__file__).parents[2]
SETTINGS: dict[str, Any] = {"version": 1, "models": {"small": {"path": "x"}}, "routing": {"default": "small"}}


@asynccontextmanager
async def library_in(
    data: Path, open_embedder: OpenEmbedder = FakeEmbedder, **documents: Any
) -> AsyncIterator[Library]:
    """A started library on that data folder."""
    data.mkdir(exist_ok=True)  # noqa: ASYNC240  # a test has the loop to itself
    database = Database(data / "neuralbridge.db")
    await database.start()
    config = Config.model_validate({**SETTINGS, "documents": documents})
    embed: Callable[[Path], Any] = lambda folder: open_embedder(folder, lambda: False)  # noqa: E731
    library = build_library(config, data, ROOT, database, embed)
    await library.start()
    await library.embeddings.serving()
    try:
        yield library
    finally:
        await library.stop()
        await database.stop()


def contents(data: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Documents and passages of a database, but for when they were written."""
    with closing(sqlite3.connect(data / "neuralbridge.db")) as connection:
        return {
            "documents": connection.execute(
                "SELECT uid, key, source, folder, kind, version, size, passages, modified_at FROM documents ORDER BY 1"
            ).fetchall(),
            "passages": connection.execute(
                "SELECT id, start, end, page, heading, name, text, extra, embedded FROM passages ORDER BY id"
            ).fetchall(),
        }


def vectors(data: Path) -> dict[int, np.ndarray]:
    with closing(sqlite3.connect(data / "neuralbridge.db")) as connection:
        rows = connection.execute("SELECT passage, vector FROM vectors").fetchall()
    return {id: np.frombuffer(blob, np.float32) for id, blob in rows}


def troubles(data: Path) -> list[str]:
    """What is wrong with a database: nothing, it is hoped."""
    found = []
    with closing(sqlite3.connect(data / "neuralbridge.db")) as connection:
        if connection.execute("PRAGMA quick_check").fetchone() != ("ok",):
            found.append("quick_check")
        if connection.execute("PRAGMA foreign_key_check").fetchall():
            found.append("foreign_key_check")
        try:
            connection.execute("INSERT INTO passages_text (passages_text, rank) VALUES ('integrity-check', 1)")
        except sqlite3.DatabaseError:
            found.append("full text")
        torn = connection.execute(
            """
            SELECT d.source FROM documents d LEFT JOIN passages p ON p.document = d.id
            GROUP BY d.id HAVING count(p.id) != d.passages
            """
        ).fetchall()
        found += [f"torn: {source}" for (source,) in torn]
        if connection.execute(
            "SELECT count(*) FROM passages p LEFT JOIN vectors v ON v.passage = p.id WHERE v.id IS NULL"
        ).fetchone() != (0,):
            found.append("passages without a vector")
    return found
