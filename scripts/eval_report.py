"""The sections of docs/evaluation.md: what was asked, what was measured, with bootstrap intervals."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from eval_outcomes import Outcome
from eval_support import VERDICTS, Vectors, verdicts
from sklearn.metrics import roc_auc_score

from neuralbridge.assistant.assistant import STRONG_EVIDENCE, Assistant
from neuralbridge.assistant.cache import REPHRASED
from neuralbridge.assistant.citations import Citation, Citations
from neuralbridge.assistant.curves import curves
from neuralbridge.assistant.events import Answered, Question, Text
from neuralbridge.assistant.models import LocalModel
from neuralbridge.config import Config
from neuralbridge.grounding.verdicts import same_facts
from neuralbridge.retrieval.arrays import Matrix
from neuralbridge.retrieval.library import Library
from neuralbridge.sections import Cascade
from neuralbridge.store.conversations import Conversation
from neuralbridge.types import LOCAL_OWNER, Cancellation, Piece, Sampling

RESAMPLES = 1_000
BINS = 10
HITS = 50
TIMED = 12  # answers, each with and without checking


@dataclass(frozen=True)
class Section:
    title: str
    lines: list[str]

    def __str__(self) -> str:
        return "\n".join([f"### {self.title}", "", *self.lines, ""])


@dataclass(frozen=True)
class Final:
    """What a person would have been given in the end, and how sure we would have been."""

    kind: str
    correct: bool
    confidence: float
    source: str


def support_section(open_pairs: list[dict[str, Any]], blind: list[dict[str, Any]], vectors: Vectors) -> Section:
    judged = verdicts(blind, vectors)
    words, fitted = verdicts(blind, None), verdicts(open_pairs, vectors)
    lines = [
        f"{len(blind)} pairs written without sight of the code; {len(open_pairs)} others were fitted on.",
        "",
        "| of `supported` | asked | measured | without the embedding model | on the pairs fitted on |",
        "|---|---|---|---|---|",
        f"| precision | >= 0.95 | **{judged.precision:.3f}** | {words.precision:.3f} | {fitted.precision:.3f} |",
        f"| recall | >= 0.8 | **{judged.recall:.3f}** | {words.recall:.3f} | {fitted.recall:.3f} |",
        "",
        "| right verdict | " + " | ".join(f"given {verdict}" for verdict in VERDICTS) + " |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {truth} | " + " | ".join(str(judged.table[truth, verdict]) for verdict in VERDICTS) + " |"
        for truth in VERDICTS
    ]
    return Section("Verdicts on sentences", lines)


def answers_section(small: list[Outcome], large: list[Outcome], config: Config) -> Section:
    """Accuracy and confidence of what is given in the end, with and without each step that may replace an answer."""
    cascade = Cascade(to="large")
    below = config.answers.extract_below
    second = {each.id: each for each in large}
    both = [each for each in small if each.id in second]
    rows = [
        ("the default model alone", [final(each, None, 0.0, 0.0) for each in small]),
        ("... with extracts, as shipped", [final(each, None, 0.0, below) for each in small]),
    ]
    if both:
        rows += [
            (f"the default model alone, on {len(both)} of them", [final(each, None, 0.0, 0.0) for each in both]),
            ("... with the cascade", [final(each, second[each.id], cascade.below, 0.0) for each in both]),
            ("... with cascade and extracts", [final(each, second[each.id], cascade.below, below) for each in both]),
            ("the larger model alone, on the same", [final(second[each.id], None, 0.0, 0.0) for each in both]),
        ]
    lines = [
        f"{len(small)} measured questions, {sum(not each.answerable for each in small)} unanswerable. Right:",
        "the answer contains the gold span; to an unanswerable question no answer is right. In brackets: 95 % of",
        f"{RESAMPLES:,} bootstrap samples.",
        "",
        "| what is given | right, of the answerable | area under ROC curve | calibration error | sure: right / wrong |",
        "|---|---|---|---|---|",
        "| asked | | >= 0.75 | <= 0.10 | |",
    ]
    for name, finals in rows:
        right = [each.correct for each in finals if each.kind == "answerable"]
        lines.append(
            f"| {name} | {np.mean(right):.3f} | {interval(finals, area)} | {interval(finals, calibration_error)} | "
            f"{mean_confidence(finals, True)} / {mean_confidence(finals, False)} |"
        )
    shipped = rows[1][1]
    lines += ["", "How often each level is right, as shipped:", "", "| level | answers | right |", "|---|---|---|"]
    for level, low, high in (("high", 0.7, 1.0), ("medium", 0.4, 0.7), ("low", 0.0, 0.4)):
        of_level = [each.correct for each in shipped if low <= each.confidence < high]
        lines.append(f"| {level} | {len(of_level)} | {np.mean(of_level) if of_level else 0:.2f} |")
    replaced = sum(each.source == "rag" for each in shipped)
    lines += ["", f"As shipped, a passage took the place of {replaced} of {len(shipped)} answers."]
    return Section("Answers and their confidence", lines)


def final(first: Outcome, second: Outcome | None, below: float, extract_below: float) -> Final:
    """The product's rules, on what was recorded."""
    said = second if second is not None and first.confidence < below else first
    strong = bool(first.evidence.passages) and first.evidence.strength >= STRONG_EVIDENCE
    if said.confidence < extract_below and strong and said.extract_confidence > said.confidence:
        return Final(said.kind, said.extract_correct, said.extract_confidence, "rag")
    return Final(said.kind, said.correct, said.confidence, "llm")


def area(finals: Sequence[Final]) -> float:
    right = [each.correct for each in finals]
    if all(right) or not any(right):
        return float("nan")
    return float(roc_auc_score(right, [each.confidence for each in finals]))


def calibration_error(finals: Sequence[Final]) -> float:
    """Over ten bins of equal mass: by how much confidence and share of right answers differ."""
    ordered = sorted(finals, key=lambda each: each.confidence)
    bins = [part for part in np.array_split(np.arange(len(ordered)), BINS) if len(part)]
    off = [
        len(part)
        * abs(np.mean([ordered[at].correct for at in part]) - np.mean([ordered[at].confidence for at in part]))
        for part in bins
    ]
    return float(sum(off) / len(ordered))


def interval(finals: Sequence[Final], figure: Callable[[Sequence[Final]], float]) -> str:
    """The figure, and where 95 % of those of resampled answers lie."""
    chance = np.random.default_rng(1)
    figures = [figure([finals[at] for at in chance.integers(0, len(finals), len(finals))]) for _ in range(RESAMPLES)]
    low, high = np.nanpercentile(figures, [2.5, 97.5])
    return f"**{figure(finals):.3f}** ({low:.3f} to {high:.3f})"


def mean_confidence(finals: Sequence[Final], correct: bool) -> str:
    of_these = [each.confidence for each in finals if each.correct == correct]
    return f"{np.mean(of_these):.2f}" if of_these else "none"


def strict_section(small: list[Outcome]) -> Section:
    """Who is answered with `retrieval: strict`."""

    def answered(*kinds: str) -> str:
        of_kind = [each.evidence.sufficient for each in small if each.kind in kinds]
        chance = np.random.default_rng(1)
        shares = [np.mean(chance.choice(of_kind, len(of_kind))) for _ in range(RESAMPLES)]
        low, high = np.percentile(shares, [2.5, 97.5])
        return f"**{np.mean(of_kind):.1%}** ({low:.1%} to {high:.1%})"

    refused = [not each.evidence.sufficient for each in small if each.answerable]
    lines = [
        "Decided before a model is asked: the passages have to answer the question with a probability of at least",
        f"{curves()['answerable']['from']:.2f}.",
        "",
        "| | asked | measured |",
        "|---|---|---|",
        f"| unanswerable questions that are answered | <= 5 % | {answered('on-topic', 'off-topic')} |",
        f"| ... on the documents' own topics | | {answered('on-topic')} |",
        f"| ... on anything else | | {answered('off-topic')} |",
        f"| answerable questions that are refused | <= 10 % | **{np.mean(refused):.1%}** |",
    ]
    lines += [
        "",
        "What other thresholds would come to; the shipped one was chosen on the fitting part, for the first row:",
        "",
        "| from | unanswerable that are answered | answerable that are refused |",
        "|---|---|---|",
    ]
    for threshold in (0.5, 0.6, 0.7, 0.8, 0.85, 0.9):
        wrong = [each.evidence.strength >= threshold for each in small if not each.answerable]
        lost = [each.evidence.strength < threshold for each in small if each.answerable]
        lines.append(f"| {threshold} | {np.mean(wrong):.1%} | {np.mean(lost):.1%} |")
    return Section("Strict mode", lines)


async def rephrased_section(
    pairs: list[dict[str, Any]], embed: Callable[[Sequence[str]], Awaitable[Vectors]]
) -> Section:
    """The second tier of the cache: how near two questions have to be to be the same."""
    vectors = await embed([pair[side] for pair in pairs for side in ("one", "other")])

    def matched(pair: dict[str, Any], threshold: float) -> bool:
        near = float(np.dot(vectors[pair["one"]], vectors[pair["other"]])) >= threshold
        return near and same_facts(pair["one"], pair["other"])

    lines = [
        f"{len(pairs)} pairs of questions, half to choose the threshold with ({REPHRASED}), half measured.",
        "Facts of both (numbers, names, denials, opposites) have to agree besides.",
        "",
        "| cosine from | same questions answered | others answered wrongly | ... on the pairs to choose with |",
        "|---|---|---|---|",
    ]
    for threshold in (0.85, 0.88, 0.9, 0.92, REPHRASED, 0.96, 0.98):
        cells = []
        for part in ("measured", "fit"):
            of_part = [pair for pair in pairs if pair["part"] == part]
            hits = [pair for pair in of_part if matched(pair, threshold)]
            same = sum(pair["same"] for pair in hits)
            all_same = sum(pair["same"] for pair in of_part)
            cells.append((same, all_same, len(hits) - same, len(of_part) - all_same))
        (same, all_same, wrong, others), (fit_same, fit_all, fit_wrong, fit_others) = cells
        mark = "**" if threshold == REPHRASED else ""
        lines.append(
            f"| {mark}{threshold}{mark} | {same} of {all_same} | {wrong} of {others} | "
            f"{fit_same} of {fit_all}, {fit_wrong} of {fit_others} |"
        )
    return Section("Rephrased questions", lines)


async def cost_section(model: LocalModel, small: list[Outcome], library: Library) -> Section:
    """The same answers with and without their sentences being checked, in turn."""
    await model.ready()

    async def embed(texts: Sequence[str]) -> Matrix | None:
        compared = await library.compare(texts)
        return compared[0] if compared else None

    checker = ThreadPoolExecutor(1)

    async def aside(work: Callable[[], Citation]) -> Citation:
        return await asyncio.get_running_loop().run_in_executor(checker, work)

    chosen = [each for each in small if each.evidence.passages and each.answerable][:TIMED]
    ratios, added = [], []
    for number, each in enumerate(chosen):
        seconds = {}
        for checked in (number % 2 == 0, number % 2 == 1):  # who is first has less in its caches
            prompt = await model.prompts.build(
                Conversation(LOCAL_OWNER, f"cost {number} {checked}"),
                f"You are a helpful assistant. ({number}, {checked})",  # so that nothing is computed already
                each.text[:100] or each.id,
                128,
                each.evidence.passages,
            )
            citations = Citations(prompt.context if checked else (), embed, aside)
            began, text = time.perf_counter(), ""
            sampling = Sampling(temperature=0.3, seed=1, max_tokens=128)
            async with aclosing(model.engine.generate(prompt.tokens, sampling)) as generation:
                async for event in generation:
                    if isinstance(event, Piece):
                        text += event.text
                        citations.grow(text)
            await citations.finish(text)
            seconds[checked] = time.perf_counter() - began
        ratios.append(seconds[True] / seconds[False])
        added.append(seconds[True] - seconds[False])
    checker.shutdown()
    ratio = f"**{median(ratios):.3f}** ({min(ratios):.3f} to {max(ratios):.3f})"
    lines = [
        f"{len(chosen)} answers, each with and without in turn; medians.",
        "",
        "| | asked | measured |",
        "|---|---|---|",
        f"| time of an answer with its sentences checked, beside the same without | < 1.10 | {ratio} |",
        f"| added by checking | | {median(added) * 1000:.0f} ms |",
    ]
    return Section("What checking costs", lines)


async def cache_section(assistant: Assistant, question: str) -> Section:
    """How soon a question that was asked before is answered whole, each time in a new conversation."""
    times, first = [], []
    for number in range(HITS + 1):
        asked = Question(Conversation(LOCAL_OWNER, f"cache {uuid.uuid4().hex}"), question, streamed=True)
        began, heard = time.perf_counter(), None
        async with aclosing(assistant.ask(asked, Cancellation())) as events:
            async for event in events:
                heard = heard or (time.perf_counter() if isinstance(event, Text) else None)
                if isinstance(event, Answered) and number:
                    assert event.receipt.source == "cache", "asked before"
                    times.append((time.perf_counter() - began) * 1000)
                    first.append(((heard or began) - began) * 1000)
    lines = [
        f"{HITS} hits in conversations of their own, from the question to the whole answer, stored.",
        "",
        "| | asked | measured |",
        "|---|---|---|",
        f"| a hit, median | < 10 ms | **{median(times):.1f} ms** (up to {max(times):.1f}) |",
        f"| its first words | | {median(first):.1f} ms |",
    ]
    return Section("The cache", lines)
