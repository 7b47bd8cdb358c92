"""The child process of `reading.py`: a document in, its text and passages out, until its input ends.

It cannot reach the network, start programs or write files, and it is not given more memory or time than the limits.
"""

import json
import os
import signal
import stat
import sys
import warnings
from hashlib import sha256
from typing import Any

from tokenizers import Tokenizer

from neuralbridge.errors import DocumentRefused, DocumentTooLarge
from neuralbridge.retrieval.extract import Extract, shown
from neuralbridge.retrieval.passages import cut
from neuralbridge.retrieval.readers.formats import read, read_text
from neuralbridge.retrieval.reading import HEAD

NICENESS = 10
SPARE_SECONDS = 5  # the parent ends us earlier, if it is still there
# What none of it needs. Imports write nothing either: there is no cache to be poisoned.
FORBIDDEN = (
    *("socket.", "subprocess.", "os.system", "os.exec", "os.spawn", "os.posix_spawn", "os.fork", "pty.", "shutil."),
    *("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.chmod", "os.chown", "os.truncate"),
    *("os.kill", "os.putenv", "ctypes.dlopen", "webbrowser.", "urllib.", "ftplib.", "smtplib.", "sqlite3."),
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Worker:
    """Answers requests with what the settings allow."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._tokenizer = Tokenizer.from_file(settings["tokenizer"])
        self._tokenizer.no_truncation()  # it would not count what an embedder does not read
        self._tokenizer.no_padding()
        self._capacity: int = settings["capacity"]
        self._max_passages: int = settings["max_passages"]
        self._max_bytes: int = settings["max_bytes"]

    def answer(self, request: dict[str, str]) -> dict[str, Any]:
        name = request["name"]
        try:
            if (content := request.get("content")) is not None:
                raw = content.encode("utf-8", "surrogatepass")
                self._check_size(len(raw))
                return self._reading(read_text(content, name), raw)
            raw = self._load(request["path"])
            return self._reading(read(raw, name), raw)
        except DocumentRefused as refusal:
            message = f"{shown(name)} {refusal}."
            return {"error": type(refusal).__name__, "message": message, "reason": refusal.reason}
        except MemoryError:
            return {"error": "MemoryError"}

    def _reading(self, extract: Extract, raw: bytes) -> dict[str, Any]:
        passages = cut(extract, self._tokenizer, self._capacity, self._max_passages)
        return {
            "kind": extract.kind,
            "title": extract.title,
            "text": extract.text,
            "sha256": sha256(raw).hexdigest(),
            "size": len(raw),
            "passages": [(passage.start, passage.end, passage.heading, passage.page) for passage in passages],
        }

    def _load(self, path: str) -> bytes:
        """A regular file's bytes. Raises DocumentRefused."""
        try:
            # Neither through a link, nor waiting for whoever may never write into a pipe
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            why = "is a link" if os.path.islink(path) else f"cannot be opened: {error.strerror}"  # noqa: PTH114
            raise DocumentRefused(why, "unreadable") from error
        except ValueError as error:
            raise DocumentRefused("cannot be opened: its name has a zero in it", "unreadable") from error
        with open_regular(descriptor) as file:
            try:
                raw: bytes = file.read(self._max_bytes + 1)
            except OSError as error:
                raise DocumentRefused(f"cannot be read: {error.strerror}", "unreadable") from error
        self._check_size(len(raw))
        return raw

    def _check_size(self, size: int) -> None:
        if size > self._max_bytes:
            raise DocumentTooLarge(f"has more than {self._max_bytes:,} bytes, the most a document may have")


def open_regular(descriptor: int) -> Any:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DocumentRefused("is no file, but a folder, a pipe or a device", "unreadable")
    return os.fdopen(descriptor, "rb")


def give_up_rights(memory_bytes: int) -> None:
    """Whatever reading a document does not need."""
    os.nice(NICENESS)
    if sys.platform == "linux":
        import resource  # POSIX only; and only Linux counts the way we mean

        limit = memory()[0] + memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # also for what is not Python
    sys.addaudithook(forbid)


def memory() -> tuple[int, int]:
    """Bytes of this process: addressed, and resident. Zeros where nobody says."""
    if sys.platform != "linux":
        return 0, 0
    with open("/proc/self/statm") as file:  # noqa: PTH123
        addressed, resident = map(int, file.read().split()[:2])
    page = os.sysconf("SC_PAGESIZE")
    return addressed * page, resident * page


def forbid(event: str, arguments: tuple[Any, ...]) -> None:
    if event.startswith(FORBIDDEN):
        raise PermissionError(f"reading a document asked for {event}")
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING:
        raise PermissionError(f"reading a document asked to write {arguments[0]!r}")


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C at a terminal is meant for the server, which ends us
    settings = json.loads(sys.argv[1])
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    worker = Worker(settings)

    def send(reply: dict[str, Any]) -> None:
        text = reply.pop("text", "").encode()  # by itself: as JSON it would hold up the parent's other threads
        message = json.dumps({**reply, "resident": memory()[1] - before}).encode()
        out.write(HEAD.pack(len(message), len(text)) + message)
        out.write(text)
        out.flush()

    sys.dont_write_bytecode = True
    warnings.simplefilter("ignore")
    # What libraries print must not reach the parent; what they say about a hostile file belongs in no log
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.dup2(null, sys.stderr.fileno())
    before = memory()[1]
    give_up_rights(settings["memory_bytes"])
    send({})
    while len(head := sys.stdin.buffer.read(HEAD.size)) == HEAD.size:
        request = json.loads(sys.stdin.buffer.read(HEAD.unpack(head)[0]))
        if sys.platform != "win32":
            signal.alarm(int(settings["seconds"]) + SPARE_SECONDS)  # so that a killed parent leaves no child
        reply = worker.answer(request)
        if sys.platform != "win32":
            signal.alarm(0)
        send(reply)


if __name__ == "__main__":
    main()
