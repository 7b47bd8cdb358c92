"""The child process of `reading.py`: a document in, its text and passages out, until its input ends.

It cannot reach the network, start programs or write files, and it is not given more memory than the limit.
"""

import json
import os
import signal
import stat
import struct
import sys
from hashlib import sha256
from typing import Any

from tokenizers import Tokenizer

from neuralbridge.errors import DocumentRefused, DocumentTooLarge
from neuralbridge.retrieval.passages import Cutter
from neuralbridge.retrieval.readers import read

HEAD = struct.Struct("!I")
NICENESS = 10
READ_AT_ONCE = 1024 * 1024
FORBIDDEN = ("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.remove", "os.rename")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def limit(memory_bytes: int) -> None:
    """Give up what reading a document does not need."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C at a terminal is meant for the server, which ends us
    os.nice(NICENESS)
    if sys.platform == "linux":
        import resource  # POSIX only; and only Linux counts the way we mean

        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()  # noqa: SIM115, PTH123
        resource.setrlimit(resource.RLIMIT_AS, (used + memory_bytes, used + memory_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.addaudithook(forbid)


def forbid(event: str, arguments: tuple[Any, ...]) -> None:
    if event.startswith(FORBIDDEN):
        raise PermissionError(f"reading a document asked for {event}")
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING:
        raise PermissionError(f"reading a document asked to write {arguments[0]!r}")


def load(path: str, name: str, max_bytes: int) -> bytes:
    """A regular file's bytes. Raises DocumentRefused."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        why = "is a link" if os.path.islink(path) else f"cannot be opened ({error.strerror})"  # noqa: PTH114
        raise DocumentRefused(f"{name} {why}.") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DocumentRefused(f"{name} is not a file but a folder, a pipe or a device.")
    with open(descriptor, "rb") as file:  # noqa: PTH123  # a descriptor, not a path
        try:
            raw = file.read(max_bytes + 1)
        except OSError as error:
            raise DocumentRefused(f"{name} cannot be read ({error.strerror}).") from error
    if len(raw) > max_bytes:
        raise DocumentTooLarge(f"{name} has more than {max_bytes:,} bytes, the most a document may have.")
    return raw


def answer(request: dict[str, str], cutter: Cutter, max_bytes: int) -> dict[str, Any]:
    name = request["name"]
    if "content" in request:
        raw = request["content"].encode("utf-8", "replace")
        if len(raw) > max_bytes:
            raise DocumentTooLarge(f"{name} has more than {max_bytes:,} bytes, the most a document may have.")
    else:
        raw = load(request["path"], name, max_bytes)
    extract = read(raw, name)
    passages = [(p.start, p.end, p.heading, p.page) for p in cutter.cut(extract, name)]
    return {
        "kind": extract.kind,
        "title": extract.title,
        "text": extract.text,
        "sha256": sha256(raw).hexdigest(),
        "size": len(raw),
        "passages": passages,
    }


def main() -> None:
    settings = json.loads(sys.argv[1])
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # libraries that print must not reach the parent
    cutter = Cutter(Tokenizer.from_file(settings["tokenizer"]), settings["capacity"], settings["max_passages"])
    limit(settings["memory_bytes"])

    def send(reply: dict[str, Any]) -> None:
        line = json.dumps(reply).encode()
        out.write(HEAD.pack(len(line)) + line)
        out.flush()

    send({})
    while len(head := sys.stdin.buffer.read(HEAD.size)) == HEAD.size:
        request = json.loads(sys.stdin.buffer.read(*HEAD.unpack(head)))
        try:
            reply = answer(request, cutter, settings["max_bytes"])
        except DocumentRefused as refusal:
            reply = {"error": type(refusal).__name__, "message": str(refusal)}
        except MemoryError:
            reply = {"error": "MemoryError"}
        send(reply)


if __name__ == "__main__":
    main()
