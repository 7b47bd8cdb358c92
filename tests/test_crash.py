"""Pulling the plug: a process killed in mid-answer, and what the next one knows."""

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.phoenix_client import PhoenixClient

pytestmark = pytest.mark.model

ROOT = Path(__file__).parents[1]
TOPIC = "proxy:crash"
LOST_AT_MOST = 32  # tokens
STORY = {"query": "Write the numbers from 1 to 300, separated by commas.", "temperature": 0, "max_tokens": 400}


@asynccontextmanager
async def process(data: Path) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """A server as its own process: its url, and itself."""
    command = [sys.executable, "-m", "neuralbridge", "serve", "--port", "0", "--data-dir", str(data)]
    server = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    assert server.stdout is not None
    try:
        line = (await server.stdout.readline()).decode()
        found = re.fullmatch(r"listening on (http://\S+)\n", line)
        assert found, line
        yield found[1], server
    finally:
        if server.returncode is None:
            server.send_signal(signal.SIGTERM)
            await server.wait()


async def read_tokens(client: PhoenixClient, amount: int) -> list[str]:
    tokens: list[str] = []
    while len(tokens) < amount:
        frame = await client.receive()
        if frame[3] == "stream_token":
            tokens.append(frame[4]["token"])
    return tokens


@pytest.mark.parametrize("amount", [3, 77])
async def test_a_killed_answer_reads_interrupted_and_keeps_all_but_its_last_tokens(tmp_path: Path, amount: int) -> None:
    async with process(tmp_path) as (url, server), PhoenixClient(url) as client:
        await client.join(TOPIC)
        await client.push(TOPIC, "query", {"query": "My name is Ana.", "max_tokens": 10})
        first = await client.expect("response")
        await client.push(TOPIC, "stream_query", STORY)
        tokens = await read_tokens(client, amount)
        server.kill()
        await server.wait()
    async with process(tmp_path) as (url, _), PhoenixClient(url) as client:
        reply = await client.join(TOPIC, {"resume": {"stream_id": "of another life", "seq": 1}})
        await client.push(TOPIC, "get_history")
        history = await client.expect("history")
        await client.push(TOPIC, "query", {"query": "Go on.", "max_tokens": 5})
        goes_on = await client.expect("response")
    assert reply[4]["response"]["resume"] == "gone"
    answered, interrupted = [message for message in history["messages"] if message["role"] == "assistant"]
    assert (answered["status"], answered["content"]) == ("complete", first["response"])
    assert (interrupted["status"], history["total_messages"]) == ("interrupted", 4)
    assert interrupted["content"].startswith("".join(tokens[: max(amount - LOST_AT_MOST, 0)]))
    assert "".join(tokens).startswith(interrupted["content"][: len("".join(tokens))])
    assert goes_on["metadata"]["finish_reason"] in ("stop", "length")


async def test_a_killed_answer_goes_on_from_its_very_text_and_can_be_killed_again(tmp_path: Path) -> None:
    async with process(tmp_path) as (url, server), PhoenixClient(url) as client:
        await client.join(TOPIC)
        await client.push(TOPIC, "stream_query", STORY)
        await read_tokens(client, 77)
        server.kill()
        await server.wait()
    stored = []
    for _ in range(2):
        async with process(tmp_path) as (url, server), PhoenixClient(url) as client:
            await client.join(TOPIC)
            await client.push(TOPIC, "get_history")
            stored += (await client.expect("history"))["messages"][1:]
            await client.push(TOPIC, "continue", {"message_id": stored[-1]["id"]})
            start = await client.expect("stream_start")
            tokens = await read_tokens(client, 50)
            server.kill()
            await server.wait()
        assert (tokens[0], start["message_id"]) == (stored[-1]["content"], stored[-1]["id"])
    once, twice = stored
    assert (once["id"], once["status"], twice["status"]) == (twice["id"], "interrupted", "interrupted")
    assert twice["content"].startswith(once["content"])
    assert len(twice["content"]) > len(once["content"])


async def test_a_stopped_server_keeps_every_word_it_sent(tmp_path: Path) -> None:
    async with process(tmp_path) as (url, server), PhoenixClient(url) as client:
        await client.join(TOPIC)
        await client.push(TOPIC, "stream_query", STORY)
        tokens = await read_tokens(client, 20)
        server.terminate()
        assert await client.close_code() == 1012
        assert await server.wait() == 0
    async with process(tmp_path) as (url, _), PhoenixClient(url) as client:
        await client.join(TOPIC)
        await client.push(TOPIC, "get_history")
        history = await client.expect("history")
    assert history["messages"][-1]["status"] == "interrupted"
    assert history["messages"][-1]["content"].startswith("".join(tokens))
