"""Whether the server still serves others, which is what every attack has to leave as it was."""

import asyncio
from typing import Protocol

import aiohttp

from tests.phoenix_client import PhoenixClient

PROBE_SECONDS = 5.0
QUESTION = "Are you still there?"
TOPIC = "proxy:probe"


class Server(Protocol):
    @property
    def url(self) -> str: ...


async def serves(server: Server, seconds: float = PROBE_SECONDS, headers: dict[str, str] | None = None) -> None:
    """The probe G of the catalogue of attacks: health, a join with a heartbeat, and an answer, to a clean client.

    Fails when that takes more than `seconds`. `headers` say who the client is, where one has to.
    """
    async with asyncio.timeout(seconds):
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.get(f"{server.url}/api/proxy/health") as health,
        ):
            assert health.status == 200, health.status
        async with PhoenixClient(server.url, headers=headers) as client:
            joined = await client.join(TOPIC)
            assert joined[4]["status"] == "ok", joined
            await client.send(None, "beat", "phoenix", "heartbeat", {})
            beat = await client.receive()
            assert (beat[1], beat[4]["status"]) == ("beat", "ok"), beat
            await client.push(TOPIC, "query", {"query": QUESTION, "max_tokens": 1})
            answered = (await client.until("response", "error"))[-1]
            assert answered[3] == "response", answered
            assert answered[4]["response"], answered
