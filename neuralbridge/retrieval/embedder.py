"""Texts to vectors, by a sentence-transformers model in a process of its own.

Its own process: importing torch takes seconds of Python's lock, which the model's answers would wait for, and whatever
it does wrong ends it alone. It starts when it is first needed.
"""

import asyncio
import json
import logging
import struct
import sys
from asyncio.subprocess import Process
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import file_digest
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from neuralbridge.errors import DocumentsUnavailable
from neuralbridge.retrieval.arrays import Matrix

logger = logging.getLogger(__name__)

QUERY_CHARACTERS = 4_000  # models read less than that of a text
START_SECONDS = 120.0  # importing torch from a cold disk
BATCH_TEXTS = 32
GATHERED_TEXTS = 512  # of waiting requests, embedded together so that texts of like length meet
HEAD = struct.Struct("!II")  # bytes of JSON, bytes of vectors
# Numbers and text. Other files of models may be programs (.py) or run some when they are read (.bin, .pt, .pkl)
INERT = {".safetensors", ".json", ".txt", ".md", ".model"}


@dataclass(frozen=True, slots=True)
class Request:
    """Texts of a document, and who waits for their vectors."""

    texts: list[str]
    done: asyncio.Future[Matrix]


class Embedder:
    """The model in `folder`. `busy` tells whether somebody waits for an answer, which then has one core to itself.

    Raises DocumentsUnavailable when the model is missing, cannot be loaded, or ends.
    """

    def __init__(self, folder: Path, busy: Callable[[], bool]) -> None:
        self.folder = folder
        self._busy = busy
        self._child: Process | None = None
        self._starting = asyncio.Lock()
        self._answers: dict[int, asyncio.Future[Matrix]] = {}
        self._listening: asyncio.Task[None] | None = None
        self._gathering: asyncio.Task[None] | None = None
        self._waiting: list[Request] = []
        self._wake = asyncio.Event()
        self._numbers = 0
        self._tokenizer: Any = None  # for counting only; its library takes a while to import

    @property
    def model(self) -> str:
        """Names the vectors this model makes: its folder, and the beginning of its weights' sha256."""
        weights = self.folder / "model.safetensors"
        try:
            with weights.open("rb") as file:
                return f"{self.folder.name}:{file_digest(file, 'sha256').hexdigest()[:16]}"
        except OSError as error:
            raise DocumentsUnavailable(f"{weights}: the embedding model is missing ({error.strerror}).") from error

    @property
    def dimensions(self) -> int:
        pooling: dict[str, Any] = json.loads((self.folder / "config.json").read_text("utf-8"))
        return int(pooling["hidden_size"])

    @property
    def loaded(self) -> bool:
        return self._listening is not None and not self._listening.done()

    async def load(self) -> None:
        """Have the model ready for the first question."""
        await self._running()

    async def embed_query(self, text: str) -> Matrix:
        """One text's vector, ahead of everything else; shape (dimensions,), of length 1."""
        return (await self.embed_urgently([text])).reshape(-1)

    async def embed_urgently(self, texts: Sequence[str]) -> Matrix:
        """A few texts' vectors, ahead of everything else; shape (texts, dimensions)."""
        return await self._ask([text[:QUERY_CHARACTERS] for text in texts], urgent=True, threads=1)

    async def embed(self, texts: Sequence[str]) -> Matrix:
        """Vectors of many texts, shape (texts, dimensions), when there is time for it."""
        if not texts:
            return np.empty((0, self.dimensions), np.float32)
        if self._gathering is None:
            self._gathering = asyncio.create_task(self._gather())
        done: asyncio.Future[Matrix] = asyncio.get_running_loop().create_future()
        self._waiting.append(Request([*texts], done))
        self._wake.set()
        vectors: Matrix = await done
        return vectors

    async def count(self, texts: Sequence[str]) -> tuple[list[int], int]:
        """How many tokens each text has, and of how many the model reads the first."""
        return await asyncio.get_running_loop().run_in_executor(None, self._count, [*texts])

    def _count(self, texts: list[str]) -> tuple[list[int], int]:
        from tokenizers import Tokenizer

        if self._tokenizer is None:
            self._tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
            self._tokenizer.no_truncation()
            self._tokenizer.no_padding()
        reads: dict[str, Any] = json.loads((self.folder / "sentence_bert_config.json").read_text("utf-8"))
        return [len(encoding.ids) for encoding in self._tokenizer.encode_batch(texts)], int(reads["max_seq_length"])

    async def stop(self) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
            await asyncio.gather(self._gathering, return_exceptions=True)
        await self._end_child("The server is stopping.")

    async def _end_child(self, why: str) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
        if self._child is not None:
            if self._child.returncode is None:
                self._child.kill()
            await self._child.wait()
            self._child = None
        self._fail(why)

    async def _gather(self) -> None:
        """Embed what waits, a batch at a time, those of like length together: padding costs as much as words."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                taken: list[Request] = []
                while self._waiting and sum(len(request.texts) for request in taken) < GATHERED_TEXTS:
                    request = self._waiting.pop(0)
                    if not request.done.done():  # whoever asked may have given up
                        taken.append(request)
                try:
                    vectors = await self._embed_sorted([text for request in taken for text in request.texts])
                except DocumentsUnavailable as error:
                    for request in taken:
                        if not request.done.done():
                            request.done.set_exception(DocumentsUnavailable(str(error)))
                    continue
                place = 0
                for request in taken:
                    if not request.done.done():
                        request.done.set_result(vectors[place : place + len(request.texts)])
                    place += len(request.texts)

    async def _embed_sorted(self, texts: list[str]) -> Matrix:
        order = sorted(range(len(texts)), key=lambda place: -len(texts[place]))
        vectors = np.empty((len(texts), self.dimensions), np.float32)
        for begin in range(0, len(order), BATCH_TEXTS):
            batch = order[begin : begin + BATCH_TEXTS]
            busy = self._busy()
            # Small batches while somebody waits: the number of threads is a decision per batch
            for part in [batch[: len(batch) // 2], batch[len(batch) // 2 :]] if busy else [batch]:
                if part:
                    vectors[part] = await self._ask([texts[place] for place in part], urgent=False, threads=int(busy))
        return vectors

    async def _ask(self, texts: list[str], urgent: bool, threads: int) -> Matrix:
        """Send texts to the child and wait for their vectors. `threads` 0: as many as there are cores."""
        child = await self._running()
        assert child.stdin is not None
        self._numbers += 1
        number = self._numbers
        done = self._answers[number] = asyncio.get_running_loop().create_future()
        request = json.dumps({"number": number, "texts": texts, "urgent": urgent, "threads": threads}).encode()
        try:
            child.stdin.write(HEAD.pack(len(request), 0) + request)
            await child.stdin.drain()
            vectors: Matrix = await done
            return vectors
        except ConnectionError:
            raise DocumentsUnavailable("The embedding model's process has ended.") from None
        finally:
            self._answers.pop(number, None)

    async def _running(self) -> Process:
        async with self._starting:
            if not self.loaded:  # its pipe is closed some time before its end is known
                await self._start()
        assert self._child is not None
        return self._child

    async def _start(self) -> None:
        await self._end_child("The embedding model's process has ended.")
        self.check()
        child = self._child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "neuralbridge.retrieval.embedder_child",
            str(self.folder),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(START_SECONDS):
                hello, _ = await self._receive(child)
        except (TimeoutError, asyncio.IncompleteReadError):
            await self._end_child("The embedding model cannot be loaded.")
            raise DocumentsUnavailable(
                f"{self.folder}: the embedding model cannot be loaded; the log says why."
            ) from None
        logger.info("the embedding model is loaded", extra={"model": self.folder.name, **hello})
        self._listening = asyncio.create_task(self._listen(child))

    def check(self) -> None:
        """Raises DocumentsUnavailable naming what is missing and what brings it."""
        if find_spec("sentence_transformers") is None:
            raise DocumentsUnavailable("Documents are not set up: sentence-transformers is missing. Run: scripts/setup")
        if not (self.folder / "model.safetensors").is_file():
            raise DocumentsUnavailable(f"{self.folder}: the embedding model is missing. Run: scripts/setup")
        check_inert(self.folder)

    async def _listen(self, child: Process) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head, vectors = await self._receive(child)
                done = self._answers.get(head["number"])
                if done is None or done.done():
                    continue
                if "error" in head:
                    done.set_exception(DocumentsUnavailable(f"The embedding model failed: {head['error']}"))
                else:
                    done.set_result(np.frombuffer(vectors, np.float32).reshape(head["shape"]))
        self._fail("The embedding model's process has ended.")

    def _fail(self, why: str) -> None:
        """End all that was sent; nobody is left to answer."""
        for done in self._answers.values():
            if not done.done():
                done.set_exception(DocumentsUnavailable(why))

    @staticmethod
    async def _receive(child: Process) -> tuple[dict[str, Any], bytes]:
        assert child.stdout is not None
        head, body = HEAD.unpack(await child.stdout.readexactly(HEAD.size))
        described: dict[str, Any] = json.loads(await child.stdout.readexactly(head))
        return described, await child.stdout.readexactly(body)


def check_inert(folder: Path) -> None:
    """Return if reading a model from there runs nothing that came with it. Raises DocumentsUnavailable naming the file.

    The library looks for itself (no remote code, safetensors alone); this holds whatever its next version thinks.
    """
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_file() and path.suffix not in INERT and not inside.parts[0].startswith("."):
            expected = f"only {', '.join(sorted(INERT))}"
            raise DocumentsUnavailable(f"{path}: may run programs when it is read; expected {expected}. Remove it.")
    listing = folder / "modules.json"
    try:
        modules: list[dict[str, Any]] = json.loads(listing.read_text("utf-8")) if listing.is_file() else []
        kinds = [str(module["type"]) for module in modules]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DocumentsUnavailable(f"{listing}: not a list of modules, so the model cannot be loaded.") from error
    for kind in kinds:
        if not kind.startswith("sentence_transformers."):
            raise DocumentsUnavailable(
                f"{listing}: {kind[:100]!r} is a program; expected modules of the library alone."
            )
