"""Holds answers against their passages: what citations need of the rest, in one place."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from neuralbridge.assistant.attempt import Attempt
from neuralbridge.assistant.citations import Citation, Citations, mark_gone
from neuralbridge.assistant.context import Source
from neuralbridge.assistant.events import Receipt
from neuralbridge.retrieval.arrays import Matrix
from neuralbridge.retrieval.library import Library


class Checker:
    """Has the embedder compare, and a thread of its own judge, so that neither the loop nor the model waits."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._thread = ThreadPoolExecutor(1, "checker")

    def stop(self) -> None:
        self._thread.shutdown(cancel_futures=True)

    def citations(self, passages: Sequence[Source]) -> Citations:
        """For one answer with these passages in its prompt."""
        return Citations(passages, self._embed, self._aside)

    async def receipt(self, attempt: Attempt, started: Receipt, owner: str) -> Receipt:
        """What an attempt came to; citations of documents that have gone meanwhile say so."""
        receipt = await attempt.receipt(started)
        cited = [each.document_id for each in receipt.citations if each.document_id is not None]
        if not cited:
            return receipt
        versions = await self._library.documents.versions(owner, cited)
        return replace(receipt, citations=mark_gone(receipt.citations, versions))

    async def _aside(self, work: Callable[[], Citation]) -> Citation:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _embed(self, texts: Sequence[str]) -> Matrix | None:
        compared = await self._library.compare(texts)
        return compared[0] if compared else None
