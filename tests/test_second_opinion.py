"""Two engines in one server, for real: the default model under two names, and what comes of weak answers."""

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.phoenix_client import PhoenixClient

pytestmark = pytest.mark.model

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "models" / "smollm2-135m-instruct-q4_1.gguf"
TOPIC = "proxy:opinion"
QUESTION = {"query": "What is the capital of France?", "temperature": 0, "max_tokens": 32}


@asynccontextmanager
async def server(folder: Path, **sections: Any) -> AsyncIterator[str]:
    """A server of its own with two models, on `folder`; its url."""
    settings = {
        "version": 1,
        "data_dir": str(folder / "data"),
        "models": {"small": {"path": str(MODEL)}, "large": {"path": str(MODEL), "n_ctx": 4096}},
        "routing": {"default": "small"},
        "documents": {"embedder": str(ROOT / "models" / "all-minilm-l6-v2")},
        **sections,
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    command = [sys.executable, "-m", "neuralbridge", "serve", "--port", "0", "--config", str(folder / "config.yaml")]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        found = re.fullmatch(r"listening on (http://\S+)\n", (await process.stdout.readline()).decode())
        assert found
        yield found[1]
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def finished(client: PhoenixClient) -> list[dict[str, Any]]:
    """The payloads of all closing events up to that of the last answer."""
    ends: list[dict[str, Any]] = []
    while not ends or "superseded_by" in ends[-1]["metadata"]:
        ends.append((await client.until("stream_complete"))[-1][4])
    return ends


async def test_a_weak_answer_is_followed_by_the_other_models_and_asked_again_it_is_repeated(tmp_path: Path) -> None:
    cascade = {"small": {"to": "large", "below": 0.98}}
    async with server(tmp_path, cascade=cascade) as url, PhoenixClient(url) as client:
        await client.join(TOPIC)
        await client.push(TOPIC, "stream_query", QUESTION)
        first, second = await finished(client)
    assert [end["metadata"]["model_used"] for end in (first, second)] == ["small", "large"]
    assert first["response"] == second["response"]  # of the same weights
    assert second["metadata"]["source"] == "llm"
    async with server(tmp_path, cascade=cascade) as url, PhoenixClient(url) as client:
        await client.join("proxy:again")
        await client.push("proxy:again", "query", QUESTION)
        again = await client.expect("response")
    assert (again["response"], again["metadata"]["source"]) == (second["response"], "cache")
    assert again["metadata"]["confidence_score"] == second["metadata"]["confidence_score"]


async def test_a_second_model_that_is_missing_or_broken_leaves_the_first_answer(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + b"\0" * 100)
    for path in (tmp_path / "missing.gguf", broken):
        models = {"small": {"path": str(MODEL)}, "large": {"path": str(path)}}
        cascade = {"small": {"to": "large", "below": 0.98}}
        async with server(tmp_path, models=models, cascade=cascade) as url, PhoenixClient(url) as client:
            await client.join(TOPIC)
            await client.push(TOPIC, "stream_query", QUESTION)
            (only,) = await finished(client)
        assert only["metadata"]["model_used"] == "small"
        assert only["response"]
        assert any(path.name in reason for reason in only["metadata"]["confidence"]["reasons"])


async def test_sentences_are_checked_with_the_real_models(tmp_path: Path) -> None:
    text = "The reading room is open from 9:00 to 17:30 on weekdays. Coats are left at the entrance."
    async with server(tmp_path, answers={"extract_below": 0}) as url, PhoenixClient(url) as client:
        async with aiohttp.ClientSession(base_url=url) as http:
            document = {"content": text, "source_document": "rules.md"}
            async with http.post("/api/knowledge/ingest", json=document) as taken:
                assert taken.status == 201
        await client.join(TOPIC)
        query = "When is the reading room open on weekdays?"
        await client.push(TOPIC, "stream_query", {"query": query, "temperature": 0, "max_tokens": 64})
        (end,) = await finished(client)
    citations = end["metadata"]["citations"]
    assert citations
    assert citations[0]["verdict"] in ("supported", "partial")
    start, stop = citations[0]["span"]
    assert text[start:stop] == citations[0]["text"]
    assert 0 < end["metadata"]["confidence_score"] < 1
