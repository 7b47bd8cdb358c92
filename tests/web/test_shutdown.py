"""Vector 67 of phoenix-protocol.md: the server goes, clients are told to come back, and nothing is lost."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from tests.conftest import Serve, Served
from tests.fakes import FakeRunner
from tests.web.raw import TEXT, UPGRADE, RawSocket, text
from tests.web.wire import TOPIC, connected, mid_answer

STORY = "Once upon a time. " * 60
PROMPTLY_SECONDS = 6.0  # well below what a poll or a stuck client may take otherwise


async def shut_down(served: Served) -> None:
    """Stop the server while its model goes on, slowly: what is not cancelled would be told."""
    closing = asyncio.create_task(served.server.close())
    async with asyncio.timeout(PROMPTLY_SECONDS):
        while not closing.done():
            served.runner.step()
            await asyncio.wait({closing}, timeout=0.02)


async def test_whoever_waits_over_http_gets_what_there_is(serve: Serve) -> None:
    served = await serve(FakeRunner(reply=lambda _: STORY))

    async def ask() -> dict[str, Any]:
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{served.url}/api/proxy/query", json={"query": "a story", "session_id": "s"}) as response,
        ):
            told: dict[str, Any] = await response.json()
            return told

    async with connected(served, TOPIC) as client:
        await client.ask("first")
        served.runner.hold()
        asking = asyncio.create_task(ask())
        while (await client.history())["total_messages"] < 4:
            pass  # it is not stored yet
        served.runner.step(20)
        await shut_down(served)
        told = await asking
    assert told["metadata"]["finish_reason"] == "cancelled"
    assert STORY.startswith(told["response"])
    async with connected(await serve(), TOPIC) as client:
        answer = (await client.history())["messages"][-1]
    assert (answer["status"], answer["content"]) == ("interrupted", told["response"])


async def test_v67_every_socket_is_closed_with_1012_and_without_channel_frames(serve: Serve) -> None:
    served = await serve(FakeRunner(reply=lambda _: STORY))
    async with connected(served, TOPIC) as asking, connected(served, TOPIC) as idle, connected(served) as unjoined:
        await mid_answer(served, asking)
        stopping = asyncio.create_task(shut_down(served))
        heard = []
        while (message := await asking.socket.receive()).type is aiohttp.WSMsgType.TEXT:
            heard.append(message.json()[3])
        codes = [asking.socket.close_code, await idle.close_code(), await unjoined.close_code()]
        await stopping
    assert codes == [1012] * 3
    assert set(heard) <= {"stream_token"}


@pytest.mark.parametrize("asked", ["stream_query", "query"])
async def test_the_answer_under_way_is_stored_as_interrupted_with_its_text(serve: Serve, asked: str) -> None:
    served = await serve(FakeRunner(reply=lambda _: STORY))
    async with connected(served, TOPIC, "proxy:other") as client:
        # the other conversation's stream shows how far this one has come
        served.runner.hold()
        await client.push(TOPIC, asked, {"query": "a story"})
        await client.push("proxy:other", "stream_query", {"query": "a story"})
        while (await client.receive())[2:4] != ["proxy:other", "stream_start"]:
            pass
        served.runner.step(40)
        while (await client.receive())[2:4] != ["proxy:other", "stream_token"]:
            pass
        await shut_down(served)
    async with connected(await serve(), TOPIC) as client:
        await client.push(TOPIC, "get_history")
        question, answer = (await client.expect("history"))["messages"]
    assert (question["content"], question["status"], answer["status"]) == ("a story", "complete", "interrupted")
    assert answer["metadata"]["finish_reason"] == "error"
    assert answer["content"]
    assert STORY.startswith(answer["content"])


async def test_a_waiting_poll_does_not_hold_the_shutdown_up(served: Served) -> None:
    async with aiohttp.ClientSession() as http:
        place = "/socket/longpoll?vsn=2.0.0"
        opened = await (await http.get(f"{served.url}{place}")).json()
        poll = RawSocket(served.url, f"{place}&token={opened['token']}", headers=dict.fromkeys(UPGRADE))
        await poll.request()
        await http.get(f"{served.url}/api/proxy/health")  # once this is answered, the poll has arrived
    await shut_down(served)
    await poll.answer()
    assert json.loads(poll.body)["status"] == 500  # after this phoenix.js connects anew and joins again
    poll.abort()


async def test_a_client_that_reads_nothing_does_not_hold_the_shutdown_up(served: Served) -> None:
    async with RawSocket(served.url, window=4096) as raw:
        for number in range(6):  # more than the kernel's buffers take, less than cuts the client off
            raw.send(TEXT, text(None, f"{number}{'r' * 900_000}", "phoenix", "heartbeat", {}))
            await raw.writer.drain()
        async with connected(served):
            pass  # so the frames before have arrived
        await shut_down(served)
