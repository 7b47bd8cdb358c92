"""What scripts/bench_documents runs: known-item search, 100,000 passages, ingestion beside the bare model, and chat
beside ingestion. Figures go into docs/benchmarks.md between their marks.
"""

import asyncio
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

import numpy as np
from measure import ROOT, Row, load, options_of, ours, process, resident_mb, tell, written

from neuralbridge.app import build_library
from neuralbridge.config import read_config
from neuralbridge.database import Database
from neuralbridge.retrieval.documents import Documents, NewDocument, NewPassage, Source
from neuralbridge.retrieval.embedder import Embedder
from neuralbridge.retrieval.fulltext import FullText
from neuralbridge.retrieval.index import VectorIndex
from neuralbridge.retrieval.query import parse_query
from neuralbridge.retrieval.search import NEIGHBOURS, Searcher
from neuralbridge.retrieval.sight import Sight
from neuralbridge.retrieval.vectors import Vectors
from neuralbridge.types import LOCAL_OWNER

MARKS = ("<!-- documents: begin -->", "<!-- documents: end -->")
EMBEDDER = ROOT / "models" / "all-minilm-l6-v2"
SECTIONS = ["4", "5", "7", "8"]
PASSAGES = 100_000
IN_DOCUMENT = 100  # passages of each made document
SEARCHES = 300
INGESTED = 60  # documents, beside the bare model
DAY = "2024-01-01T00:00:00Z"


def run(*command: str | Path) -> str:
    return subprocess.run([*map(str, command)], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def known_items(folder: Path) -> tuple[list[Row], Path]:
    """The manual pages, found by their own one-line descriptions, on a running server."""
    pages = folder / "pages"
    run(sys.executable, "scripts/known_item.py", pages, "manpages", *SECTIONS)
    with ours() as server:
        run(sys.executable, "-m", "neuralbridge", "ingest", pages / "docs", "--url", server.url)
        said = run(sys.executable, "scripts/eval_search.py", server.url, pages)
    found = {key: float(value) for key, value in re.findall(r"([\w@]+)=([\d.]+)", said)}
    rows = [
        Row(f"known items, {found['n']:.0f} manual pages: MRR@10", ">= 0.89", [found["MRR@10"]]),
        Row("... hit@5", ">= 0.96", [found["hit@5"]]),
        Row("... hit@1", "", [found["hit@1"]]),
        Row("... a search over HTTP, the question's embedding included, p50", "", [found["p50_ms"]], " ms"),
    ]
    return rows, pages


async def opened(data: Path) -> Database:
    data.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240  # nothing else is on this loop
    database = Database(data / "neuralbridge.db")
    await database.start()
    return database


async def embedded(texts: list[str]) -> np.ndarray:
    embedder = Embedder(EMBEDDER, lambda: False)
    try:
        return await embedder.embed(texts)
    finally:
        await embedder.stop()


async def hundred_thousand(folder: Path, pages: Path) -> list[Row]:
    """Passages made of the lines of real ones, with vectors beside real vectors: real words in real numbers."""
    rng = random.Random(1)  # noqa: S311  # the same passages each time
    lines = [line for page in sorted((pages / "docs").iterdir()) for line in page.read_text("utf-8").splitlines()]
    lines = [line.strip() for line in lines if len(line.split()) > 4]
    real = [" ".join(rng.choices(lines, k=7)) for _ in range(1_000)]
    centres = await embedded(real)
    questions = [line.split("\t")[1] for line in (pages / "queries.tsv").read_text("utf-8").splitlines()]
    asked = await embedded(questions)
    database = await opened(folder / "many")
    documents = Documents(database)
    noise = np.random.default_rng(1)
    for number in range(PASSAGES // IN_DOCUMENT):
        texts = [" ".join(rng.choices(lines, k=7)) for _ in range(IN_DOCUMENT)]
        vectors = centres[noise.integers(0, len(centres), IN_DOCUMENT)]
        vectors = vectors + noise.normal(0, 0.6 / np.sqrt(384), vectors.shape).astype(np.float32)
        vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        await documents.put(made_document(number, texts), vectors, "measured")
    rows = await search_times(database, documents, folder, asked, questions)
    await database.stop()
    return rows


def made_document(number: int, texts: list[str]) -> NewDocument:
    starts = np.cumsum([0, *(len(text) + 1 for text in texts)])
    passages = tuple(
        NewPassage(int(start), int(start) + len(text), None, "", text, text)
        for start, text in zip(starts, texts, strict=False)
    )
    source = Source(LOCAL_OWNER, f"made-{number}.txt", f"made-{number}.txt", DAY)
    return NewDocument(source, "text", None, f"{number:064}", len(" ".join(texts)), "\n".join(texts), passages)


class Meaning:
    """The index with vectors of questions that are known already: what is measured is beyond the embedding."""

    model = "measured"

    def __init__(self, vectors: Vectors, known: dict[str, np.ndarray]) -> None:
        self._vectors = vectors
        self._known = known

    async def embed(self, query: str) -> np.ndarray:
        return self._known[query]

    async def nearest(
        self, vector: np.ndarray, count: int, allowed: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        return await self._vectors.search(vector, count, allowed)


async def search_times(
    database: Database, documents: Documents, folder: Path, asked: np.ndarray, questions: list[str]
) -> list[Row]:
    file = folder / "vectors.index"
    before = resident_mb(os.getpid())
    vectors = Vectors(documents, "measured", 384, file, exact_ms=1e9)
    started = time.perf_counter()
    await vectors.start()
    built = time.perf_counter() - started
    memory = (resident_mb(os.getpid()) - before) * 1e6 / PASSAGES
    await vectors.stop()
    vectors = Vectors(documents, "measured", 384, file, exact_ms=1e9)
    started = time.perf_counter()
    await vectors.start()
    loaded = time.perf_counter() - started
    text = FullText(database)
    by_place = {question: asked[place] for place, question in enumerate(questions)}
    meaning, searcher, everything = Meaning(vectors, by_place), Searcher(text), Sight(LOCAL_OWNER, None)
    order = [questions[place % len(questions)] for place in range(SEARCHES)]
    near = await timed(order, lambda question: vectors.search(by_place[question], NEIGHBOURS))
    words = await timed(order, lambda question: text.match(parse_query(question), everything, None))
    whole = await timed(order, lambda question: searcher.search(parse_query(question), everything, 10, meaning))
    exact: VectorIndex = vectors._index
    truth = [exact.search(vector, 10)[0] for vector in asked]
    started = time.perf_counter()
    await vectors.invert()
    inverting = time.perf_counter() - started
    approximate: VectorIndex = vectors._index
    recall = [
        len(np.intersect1d(approximate.search(v, 10)[0], true)) / 10 for v, true in zip(asked, truth, strict=True)
    ]
    lists = await timed(order, lambda question: vectors.search(by_place[question], NEIGHBOURS))
    await vectors.stop()
    of = f"{PASSAGES:,} passages"
    return [
        Row(f"search of {of}, beyond the embedding, p50", "<= 60 ms", [percentile(whole, 50)], " ms"),
        Row("... p95", "<= 120 ms", [percentile(whole, 95)], " ms"),
        Row("... vectors alone, exact, p50", "", [percentile(near, 50)], " ms", f"p95 {percentile(near, 95):.1f} ms"),
        Row("... full text alone, p50", "", [percentile(words, 50)], " ms", f"p95 {percentile(words, 95):.1f} ms"),
        Row("... vectors in inverted lists, p50", "", [percentile(lists, 50)], " ms", f"made in {inverting:.0f} s"),
        Row("... their recall@10 beside exact, on questions", ">= 0.98", [float(np.mean(recall))]),
        Row("... memory of the index", "", [memory], " bytes a passage"),
        Row("... index opened from its file", "", [loaded], " s", f"made anew from SQLite in {built:.1f} s"),
    ]


async def timed(order: list[str], search: Callable[[str], Awaitable[object]]) -> list[float]:
    taken = []
    for question in order:
        started = time.perf_counter()
        await search(question)
        taken.append(1e3 * (time.perf_counter() - started))
    return taken


def percentile(taken: list[float], share: float) -> float:
    return float(np.percentile(taken, share))


BARE = """
import json, sys, time
from sentence_transformers import SentenceTransformer
texts = json.load(open(sys.argv[2]))
model = SentenceTransformer(sys.argv[1], device="cpu", local_files_only=True)
model.encode(texts[:32], show_progress_bar=False)
started = time.perf_counter()
model.encode(texts, show_progress_bar=False)
print(len(texts) / (time.perf_counter() - started))
"""


async def ingestion(folder: Path, pages: Path, rounds: int) -> list[Row]:
    """The same texts by the library, reading and storing included, and by model.encode alone."""
    files = sorted((pages / "docs").iterdir())[:INGESTED]
    mine, bare = [], []
    for number in range(rounds):
        database = await opened(folder / f"taken-{number}")
        config = read_config(ROOT / "config.yaml")
        library = build_library(
            config, folder / f"taken-{number}", ROOT, database, lambda path: Embedder(path, lambda: False)
        )
        await library.start()
        serving = await library.embeddings.serving()
        await serving.embedder.embed(["warm"])
        await library.ingestion.take(Source(LOCAL_OWNER, "warm", "warm", DAY), files[0])
        started = time.perf_counter()
        taken = await asyncio.gather(
            *(library.ingestion.take(Source(LOCAL_OWNER, str(file), file.name, DAY), file) for file in files[1:])
        )
        mine.append(sum(one.passages for one in taken) / (time.perf_counter() - started))
        texts = await embedded_texts(database)
        await library.stop()
        await database.stop()
        listed = folder / "texts.json"
        listed.write_text(json.dumps(texts), "utf-8")
        bare.append(float(run(sys.executable, "-c", BARE, EMBEDDER, listed)))
    ratio = [one / other for one, other in zip(mine, bare, strict=True)]
    beside = f"{median(mine):.1f} / {median(bare):.1f} passages/s"
    return [Row("ingestion, as a ratio to a bare model.encode of the same texts", ">= 0.9", ratio, "", beside)]


async def embedded_texts(database: Database) -> list[str]:
    return [text for _, text in await Documents(database).vectors.missing("none", 1_000_000)]


def chat_beside(pages: Path, rounds: int) -> list[Row]:
    """Time to the first token of a chat alone, and while documents are taken in."""
    idle, beside = [], []
    for _ in range(rounds):
        with ours() as server:
            load(server, 1, 3, tokens=16)
            idle.append(load(server, 1, 12, tokens=16)["ttft_ms_p50"])
            command = [sys.executable, "-m", "neuralbridge", "ingest", str(pages / "docs"), "--url", server.url]
            with process(*command) as child:
                while json.loads(get(server.url + "/api/knowledge/documents"))["total"] < 3:
                    time.sleep(0.5)  # it is under way when the first are there
                beside.append(load(server, 1, 12, tokens=16)["ttft_ms_p50"])
                if child.poll() is not None:
                    sys.exit("the ingestion ended before the chat did")
    ratio = [one / other for one, other in zip(beside, idle, strict=True)]
    shown = f"{median(beside):.0f} / {median(idle):.0f} ms"
    return [Row("first token while documents are taken in, as a ratio to idle", "<= 2", ratio, "", shown)]


def get(url: str) -> str:
    import urllib.request

    with urllib.request.urlopen(url) as response:
        return str(response.read().decode())


def main() -> None:
    options = options_of(__doc__, rounds=3, only=["items", "many", "ingestion", "chat"])
    rounds = options.rounds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows: list[Row] = []
        if options.only in (None, "items"):
            found, pages = known_items(folder)
            rows += found
        else:
            pages = folder / "pages"
            run(sys.executable, "scripts/known_item.py", pages, "manpages", *SECTIONS)
        if options.only in (None, "many"):
            rows += asyncio.run(hundred_thousand(folder, pages))
        if options.only in (None, "ingestion"):
            rows += asyncio.run(ingestion(folder, pages, rounds))
        if options.only in (None, "chat"):
            rows += chat_beside(pages, rounds)
    text = written(rows, rounds, MARKS, beside="beside")
    tell(text, MARKS, lasting=not options.quick and options.only is None)


if __name__ == "__main__":
    main()
