"""What scripts/eval runs: questions to the models, the curves fitted to what came of them, and docs/evaluation.md.

Questions, sentences and rephrasings stand in tests/data/; each set has a part for fitting and a measured one.
"""

import argparse
import asyncio
import hashlib
import json
import platform
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web
from eval_answers import record
from eval_corpus import fetch_corpus
from eval_fit import fit_curves
from eval_outcomes import Embedding, Outcome, outcomes
from eval_report import (
    Section,
    answers_section,
    cache_section,
    cost_section,
    rephrased_section,
    strict_section,
    support_section,
)
from eval_support import Vectors, fit, read_pairs, texts

from neuralbridge.app import MODELS, build_app, llama_runners
from neuralbridge.assistant.curves import curves
from neuralbridge.config import Config, read_config
from neuralbridge.grounding.verdicts import curves as support_curves
from neuralbridge.retrieval.library import Library
from neuralbridge.web.keys import SERVICES

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "tests" / "data"
WORK = ROOT / ".eval"
REPORT = ROOT / "docs" / "evaluation.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
SMALL, LARGE = "small", "large"
LARGE_FIT, LARGE_MEASURED = 60, 200  # questions that the larger model is asked: it takes its time
CURVES = ROOT / "neuralbridge" / "assistant" / "curves.json"
SUPPORT = ROOT / "neuralbridge" / "grounding" / "support.json"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--large", type=Path, help="a GGUF model for the second opinion")
    options.add_argument("--fit", action="store_true", help="fit the curves anew")
    options.add_argument("--feedback", type=Path, help="rated answers to fit with, from `neuralbridge export feedback`")
    chosen = options.parse_args()
    WORK.mkdir(exist_ok=True)
    versions = corpus()
    sections = asyncio.run(measure(chosen.large, chosen.fit, chosen.feedback))
    write_report(sections, versions)


def corpus() -> dict[str, str]:
    """The documents in .eval/data, fetched and read once; their packages' versions."""
    noted = WORK / "versions.json"
    if not noted.exists():
        versions = fetch_corpus(WORK / "corpus")
        command = [sys.executable, "-m", "neuralbridge", "ingest", WORK / "corpus", "--data-dir", WORK / "data"]
        subprocess.run([*map(str, command)], cwd=ROOT, check=True)
        noted.write_text(json.dumps(versions))
    found: dict[str, str] = json.loads(noted.read_text())
    return found


async def measure(large: Path | None, anew: bool, feedback: Path | None) -> list[Section]:
    config = configuration(large)
    app = build_app(config, WORK / "data", llama_runners(config, ROOT), ROOT)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        library = app[SERVICES].library
        await (await library.embeddings.serving()).embedder.load()
        pairs = read_pairs(DATA / "support.jsonl", "open"), read_pairs(DATA / "support.jsonl", "blind")
        vectors = await embedded([text for pair in (*pairs[0], *pairs[1]) for text in texts(pair)], library)
        if anew:
            write(SUPPORT, fit(pairs[0], vectors))
            support_curves.cache_clear()
        embed = Embedding(library)
        asked = await ask_all(app, embed, large is not None)
        if anew:
            write(CURVES, fit_curves(asked["fit"], asked["alone"], asked["fit " + LARGE], feedback))
            curves.cache_clear()
            asked = await ask_all(app, embed, large is not None)  # with the curves as they are now
        return [
            support_section(*pairs, vectors),
            answers_section(asked["measured"], asked["measured " + LARGE], config),
            strict_section(asked["measured"]),
            await rephrased_section(lines_of("rephrasings"), lambda wanted: embedded(wanted, library)),
            await cost_section(app[MODELS][SMALL], asked["measured"], library),
            await cache_section(app[SERVICES].assistant, lines_of("questions")[0]["question"]),
        ]
    finally:
        await runner.cleanup()


async def ask_all(app: web.Application, embed: Embedding, with_large: bool) -> dict[str, list[Outcome]]:
    """What came of the questions, by part and model. "alone" is the small model without documents."""
    questions = lines_of("questions")
    parts = {part: [each for each in questions if each["part"] == part] for part in ("fit", "measured")}
    alone = [each for each in parts["fit"] if each["kind"] != "on-topic"]
    found: dict[str, list[Outcome]] = {}
    for name, model, retrieval, asked in (
        ("fit", SMALL, "auto", parts["fit"]),
        ("alone", SMALL, "off", alone),
        ("fit " + LARGE, LARGE, "auto", some(parts["fit"], LARGE_FIT)),
        ("measured", SMALL, "auto", parts["measured"]),
        ("measured " + LARGE, LARGE, "auto", some(parts["measured"], LARGE_MEASURED)),
    ):
        if model == LARGE and not with_large:
            found[name] = []
            continue
        lines = await record(app, model, retrieval, asked, WORK / f"answers-{model}-{retrieval}.jsonl")
        found[name] = await outcomes(app[SERVICES].library, embed, asked, lines, elsewhere=name == "alone")
    return found


def lines_of(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text("utf-8").splitlines()]


def some(questions: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """So many of them, the same ones each time, of each kind in proportion."""
    kinds: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for question in sorted(questions, key=lambda each: hashlib.sha256(each["id"].encode()).hexdigest()):
        kinds[question["kind"]].append(question)
    share = count / len(questions)
    return [question for kind in kinds.values() for question in kind[: round(share * len(kind))]]


def configuration(large: Path | None) -> Config:
    """The shipped settings with the default model, and the larger one beside it."""
    shipped = read_config(ROOT / "config.yaml")
    small = shipped.models[shipped.default_model]
    models = {SMALL: small}
    if large is not None:
        models[LARGE] = small.model_copy(update={"path": str(large.resolve())})
    routing = shipped.routing.model_copy(update={"default": SMALL})
    return shipped.model_copy(update={"models": models, "model_list": (), "routing": routing})


async def embedded(wanted: Sequence[str], library: Library) -> Vectors:
    """Vectors of these texts, as the product has them."""
    unique = [*dict.fromkeys(wanted)]
    found: Vectors = {}
    for at in range(0, len(unique), 64):
        compared = await library.compare(unique[at : at + 64])
        assert compared is not None, "the embedding model is loaded"
        found.update(zip(unique[at : at + 64], compared[0], strict=True))
    return found


def write(path: Path, fitted: dict[str, Any]) -> None:
    path.write_text(json.dumps(fitted, indent=2) + "\n")


def write_report(sections: list[Section], versions: dict[str, str]) -> None:
    """Put the figures between the marks of the page; everything around them is written by hand."""
    git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE, check=True)  # noqa: S607
    documents = ", ".join(f"{package} {version}" for package, version in sorted(versions.items()))
    head = (
        f"Measured {datetime.now(UTC):%Y-%m-%d} at {git.stdout.decode().strip()}, Python {platform.python_version()}, "
        f"on {documents}.\n"
    )
    body = "\n".join([head, *(str(section) for section in sections)])
    page = REPORT.read_text("utf-8")
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    REPORT.write_text(f"{before}{BEGIN}\n\n{body}\n{END}{after}", "utf-8")
    print(body)


if __name__ == "__main__":
    main()
