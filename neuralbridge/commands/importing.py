"""`neuralbridge import`: conversations of a file, to the running server or straight into the data folder."""

from pathlib import Path
from typing import Any

import aiohttp

from neuralbridge.commands.running import server_that_runs
from neuralbridge.config import Config
from neuralbridge.data_folder import claim
from neuralbridge.database import Database
from neuralbridge.errors import InvalidParams, ServerUnusable
from neuralbridge.exchange.transfer import Transfer
from neuralbridge.protocol.exchange import ImportReport

MAX_BYTES = 128 * 1024 * 1024  # it is in memory while it is read
PATIENCE = aiohttp.ClientTimeout(total=None)


async def take_in(file: Path, owner: str, config: Config, data: Path, url: str | None) -> ImportReport:
    """Take in what is not here yet. Raises InvalidParams for a file of no kind that we know, and BridgeError."""
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise InvalidParams(f"{file} cannot be read ({error.strerror}).") from error
    if len(content) > MAX_BYTES:
        raise InvalidParams(f"{file} has more than {MAX_BYTES:,} bytes, the most that is taken in at once.")
    async with server_that_runs(config, data, url) as session:
        if session is not None:
            return await send(session, content)
    with claim(data):
        async with Database(data / "neuralbridge.db") as database:
            return await Transfer(database).take_in(owner, content)


async def send(session: aiohttp.ClientSession, content: bytes) -> ImportReport:
    headers = {"Content-Type": "application/octet-stream"}
    try:
        async with session.post(
            "/api/conversations/import", data=aiohttp.BytesPayload(content), headers=headers, timeout=PATIENCE
        ) as response:
            told: dict[str, Any] = await response.json()
    except (aiohttp.ClientError, ValueError) as error:
        raise ServerUnusable(f"The server does not answer as documented ({error}).") from error
    if response.status != 200:
        raise InvalidParams(str(told.get("message")))
    return ImportReport.model_validate(told)
