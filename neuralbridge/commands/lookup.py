"""`neuralbridge search`: passages of the documents, from the running server or straight from the data folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp

from neuralbridge.commands.running import server_that_runs
from neuralbridge.commands.view import printable
from neuralbridge.config import Config
from neuralbridge.errors import AnswerFailed, ServerUnusable
from neuralbridge.protocol.knowledge import Results
from neuralbridge.types import LOCAL_OWNER


async def look_up(query: str, limit: int, config: Config, home: Path, data: Path, url: str | None) -> Results:
    """The best passages first.

    Raises InvalidParams, AnswerFailed, ServerUnusable, DataUnusable and DocumentsUnavailable.
    """
    async with server_that_runs(config, data, url) as session:
        if session is not None:
            return await ask_server(session, query, limit)
    # Slow to import, and of no use where a server runs
    from neuralbridge.commands.ingest import library_of
    from neuralbridge.web.knowledge import result

    async with library_of(config, home, data) as library:
        found = await library.search(query, limit, LOCAL_OWNER)
        return Results(results=[result(hit) for hit in found.results])


async def ask_server(session: aiohttp.ClientSession, query: str, limit: int) -> Results:
    try:
        async with session.get("/api/knowledge/search", params={"q": query, "limit": str(limit)}) as response:
            answer: dict[str, Any] = await response.json()
            if response.status != 200:
                raise AnswerFailed(str(answer.get("message")))
            return Results.model_validate(answer)
    except (aiohttp.ClientError, ValueError) as error:
        raise ServerUnusable(f"The server does not answer as documented ({error}).") from error


def listed(found: Results, terminal: bool) -> Iterator[str]:
    """Each passage under the place it stands at; controls are left out on a terminal."""
    for number, result in enumerate(found.results, 1):
        page = f", page {result.page}" if result.page is not None else ""
        heading = f", {result.heading}" if result.heading else ""
        text = "\n".join(f"    {line}" for line in result.text.splitlines())
        entry = f"{number}. {result.source_document}{page}{heading} ({result.score:.2f})\n{text}\n"
        yield printable(entry) if terminal else entry
