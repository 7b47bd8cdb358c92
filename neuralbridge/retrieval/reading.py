"""Reads documents in a child process with limits of time and memory: files come from anywhere, parsers are large.

Blocking; whoever calls it has a thread for it. One child reads many files, and is replaced when one was too much.
"""

import json
import os
import select
import struct
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuralbridge.errors import DocumentRefused, DocumentsUnavailable, DocumentTooLarge, UnknownFormat
from neuralbridge.retrieval.extract import MAX_CHARACTERS, Passage, shown

HEAD = struct.Struct("!II")  # before each message: its length, and that of the text after it
MAX_MESSAGE = 8 * MAX_CHARACTERS  # bytes; a text has up to 4 for a character
REFUSALS = {kind.__name__: kind for kind in (DocumentRefused, DocumentTooLarge, UnknownFormat)}
FILES_PER_CHILD = 500  # then it is replaced: some parsers keep what they had
START_SECONDS = 60.0
CHILD = "neuralbridge.retrieval.readers.child"


@dataclass(frozen=True, slots=True)
class Reading:
    """A document as read. `sha256` and `size` are of its bytes; passages are parts of `text`."""

    kind: str
    title: str | None
    text: str
    sha256: str
    size: int
    passages: tuple[Passage, ...]


class Reader:
    """Limits in tokens of the embedder, passages, seconds and bytes. `child` is the module that reads."""

    def __init__(
        self,
        tokenizer: Path,
        capacity: int,
        max_passages: int,
        seconds: float,
        memory_bytes: int,
        max_bytes: int,
        child: str = CHILD,
    ) -> None:
        self._settings = {
            "tokenizer": str(tokenizer),
            "capacity": capacity,
            "max_passages": max_passages,
            "seconds": seconds,
            "memory_bytes": memory_bytes,
            "max_bytes": max_bytes,
        }
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self._module = child
        self._child: subprocess.Popen[bytes] | None = None
        self._read = 0
        self._closed = False
        self._turn = threading.Lock()

    def read(self, path: Path, name: str) -> Reading:
        """A file, shown as `name`. Raises DocumentRefused."""
        return self._ask({"path": str(path), "name": name}, name)

    def read_text(self, content: str, name: str) -> Reading:
        """A text that is at hand. Raises DocumentRefused."""
        return self._ask({"content": content, "name": name}, name)

    def close(self) -> None:
        """End the child, from any thread, also while it reads."""
        self._closed = True
        child = self._child
        if child is not None:
            child.kill()
        with self._turn:  # its pipes are not closed under somebody who reads from them
            self._end()

    def _ask(self, request: dict[str, str], name: str) -> Reading:
        with self._turn:
            return self._answer(self._running(), request, shown(name))

    def _answer(self, child: subprocess.Popen[bytes], request: dict[str, str], name: str) -> Reading:
        self._read += 1
        try:
            self._send(child, request)
            answer, text = self._receive(child, self._seconds)
        except TimeoutError:
            self._end()
            raise DocumentRefused(f"{name} took more than {self._seconds:g} s to be read.", "too_slow") from None
        except (OSError, EOFError, ValueError):
            self._end()
            if self._closed:
                raise DocumentsUnavailable("The server is stopping.") from None
            raise DocumentRefused(f"{name} ended the program that reads documents.", "unreadable") from None
        error = answer.get("error")
        if answer.pop("resident") > self._memory_bytes // 2 or error == "MemoryError":
            self._end()  # what it keeps would be missing for the next one
        if error == "MemoryError":
            megabytes = self._memory_bytes // 1024**2
            raise DocumentRefused(f"{name} needs more than {megabytes:,} MB of memory to be read.", "too_much_memory")
        if error:
            raise REFUSALS[error](answer["message"], answer["reason"])
        passages = tuple(
            Passage(start, end, tuple(heading), page, text[start:end])
            for start, end, heading, page in answer.pop("passages")
        )
        return Reading(**answer, text=text, passages=passages)

    def _running(self) -> subprocess.Popen[bytes]:
        """A child that is ready. Raises DocumentsUnavailable."""
        if self._read >= FILES_PER_CHILD:
            self._end()
        child = self._child
        if child is None or child.poll() is not None:
            self._end()
            child = self._child = subprocess.Popen(
                [sys.executable, "-m", self._module, json.dumps(self._settings)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            self._read = 0
            try:
                self._receive(child, START_SECONDS)
            except (OSError, EOFError, ValueError) as error:
                self._end()
                if self._closed:
                    raise DocumentsUnavailable("The server is stopping.") from None
                raise DocumentsUnavailable(
                    "The program that reads documents cannot be started; the log says why."
                ) from error
        if self._closed:
            self._end()
            raise DocumentsUnavailable("The server is stopping.")
        return child

    @staticmethod
    def _send(child: subprocess.Popen[bytes], request: dict[str, str]) -> None:
        assert child.stdin is not None
        message = json.dumps(request).encode()
        child.stdin.write(HEAD.pack(len(message), 0) + message)
        child.stdin.flush()

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            assert child.stdin is not None and child.stdout is not None
            with suppress(OSError):  # what was not sent to it yet; nobody is there to read it
                child.stdin.close()
            child.stdout.close()

    @staticmethod
    def _receive(child: subprocess.Popen[bytes], seconds: float) -> tuple[dict[str, Any], str]:
        """One message and the text after it. Raises TimeoutError; EOFError when the child has ended."""
        deadline = time.monotonic() + seconds
        assert child.stdout is not None
        pipe = child.stdout.fileno()
        poll = select.poll()
        poll.register(pipe, select.POLLIN)

        def read(size: int) -> bytes:
            received = bytearray()
            while len(received) < size:
                if not poll.poll(max(0.0, deadline - time.monotonic()) * 1_000):
                    raise TimeoutError
                part = os.read(pipe, size - len(received))
                if not part:
                    raise EOFError
                received += part
            return bytes(received)

        sizes = HEAD.unpack(read(HEAD.size))
        if sum(sizes) > MAX_MESSAGE:
            raise ValueError("a message of the child is too long")
        message: dict[str, Any] = json.loads(read(sizes[0]))
        return message, read(sizes[1]).decode()
