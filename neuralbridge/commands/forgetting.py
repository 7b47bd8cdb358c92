"""`neuralbridge forget`: everything of a user, through the running server or straight in the data folder."""

from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from neuralbridge.access.users import check_name
from neuralbridge.commands.running import server_that_runs
from neuralbridge.config import Config
from neuralbridge.data_folder import backups, claim
from neuralbridge.database import Database
from neuralbridge.errors import ServerUnusable
from neuralbridge.protocol.me import Forgotten

PATIENCE = aiohttp.ClientTimeout(total=None)


async def forget(user: str, config: Config, data: Path, url: str | None) -> Forgotten:
    """Delete what there is of a user. Raises InvalidParams for what is no name, ServerUnusable and DataUnusable."""
    check_name(user)
    async with server_that_runs(config, data, url) as session:
        if session is not None:
            return await ask_server(session, user)
    with claim(data):
        async with Database(data / "neuralbridge.db") as database:
            return await forget_here(user, database, data)


async def ask_server(session: aiohttp.ClientSession, user: str) -> Forgotten:
    try:
        async with session.delete(URL("/api/users") / user, timeout=PATIENCE) as response:
            told: dict[str, Any] = await response.json()
    except (aiohttp.ClientError, ValueError) as error:
        raise ServerUnusable(f"The server does not answer as documented ({error}).") from error
    if response.status != 200:
        raise ServerUnusable(str(told.get("message")))
    return Forgotten.model_validate(told)


async def forget_here(user: str, database: Database, data: Path) -> Forgotten:
    """Without models: index files are only caches, so they go, and the next start makes them anew."""
    # Slow to import, and of no use where a server runs
    from neuralbridge.retrieval.arrays import Ids
    from neuralbridge.retrieval.documents import Documents
    from neuralbridge.retrieval.embeddings import remove_indexes
    from neuralbridge.retrieval.ingestion import remove
    from neuralbridge.retrieval.jobs import Jobs
    from neuralbridge.store.forgetting import Forgetting

    forgetting, documents = Forgetting(database), Documents(database)
    await forgetting.begin(user)
    jobs, names = await Jobs(database).forget(user)
    uploads = remove(data / "uploads", names)
    removed: list[Ids] = []
    while some := await documents.remove_some(user):
        removed += some
    said = await forgetting.conversations(user)
    remove_indexes(data)
    return Forgotten(
        user=user,
        conversations=said.conversations,
        messages=said.messages,
        feedback=said.feedback,
        cached_answers=said.cached_answers,
        documents=len(removed),
        passages=sum(map(len, removed)),
        jobs=jobs,
        uploads=uploads,
        scrubbed=await forgetting.end(user),
        backups=[*backups(data)],
    )
