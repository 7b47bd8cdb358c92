"""A loopback HTTP server with one file per path that can be told to misbehave, and wheels to put on it."""

import hashlib
import io
import random
import re
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from neuralbridge.catalog.weights import Weights

MEMBER = "tiny_model/tiny.gguf"
WHEEL = "tiny_model-1.0-py3-none-any.whl"


@dataclass(frozen=True)
class Answer:
    """How one request is answered."""

    ranges: bool = True
    cut_after: int | None = None
    status: int | None = None
    hold: threading.Event | None = None


@dataclass
class Shelf:
    """What is served; how the next requests of a path, or its next request without a Range, are answered; what came."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    next: dict[str, list[Answer]] = field(default_factory=dict)
    next_whole: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    def ranges(self, path: str) -> list[str | None]:
        """The Range of every request of that path."""
        return [asked for place, asked in self.asked if place == path]


@contextmanager
def shelf() -> Iterator[Shelf]:
    served = Shelf()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(Answer(), b"")

        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            served.asked.append((self.path, asked))
            script = served.next.get(self.path, [])
            answer = script.pop(0) if script else Answer()
            if asked is None:
                answer = served.next_whole.pop(self.path, answer)
            self._answer(answer, served.files.get(self.path, b""))

        def _answer(self, answer: Answer, body: bytes) -> None:
            if answer.status is not None or self.path not in served.files:
                self.send_error(answer.status or 404)
                return
            whole = served.files[self.path]
            asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
            self.send_response(206 if asked and answer.ranges else 200)
            if answer.ranges:
                self.send_header("Accept-Ranges", "bytes")
            if asked and answer.ranges:
                begin = int(asked[1]) if asked[1] else len(whole) - int(asked[2])
                end = int(asked[2]) + 1 if asked[1] and asked[2] else len(whole)
                self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(whole)}")
                body = body[begin:end]
            length = len(whole) if self.command == "HEAD" else len(body)
            self.send_header("Content-Length", str(length))
            self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "application/octet-stream")
            self.end_headers()
            self.wfile.write(body[: answer.cut_after])
            if answer.hold is not None:
                answer.hold.wait()

        def log_message(self, *words: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()


def content(size: int, seed: int = 1) -> bytes:
    """Bytes that no compression shortens."""
    return random.Random(seed).randbytes(size)


def wheel_with(member: bytes, requirement: str = "") -> bytes:
    """A wheel of the package tiny-model that carries these weights."""
    packed = io.BytesIO()
    about = "tiny_model-1.0.dist-info"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MEMBER, member)
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n{requirement}")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return packed.getvalue()


def entry(member: bytes, wheel: bytes, **other: object) -> Weights:
    """The catalogue's entry for those weights in that wheel."""
    source = {"package": "tiny-model==1.0", "size": len(wheel), "sha256": sha256(wheel), "member": MEMBER}
    return Weights.model_validate(
        {
            "name": "tiny",
            "kind": "chat",
            "licence": "Apache-2.0",
            "file": "tiny.gguf",
            "size": len(member),
            "sha256": sha256(member),
            "default": True,
            "source": source,
        }
        | other
    )


def put_on_index(served: Shelf, wheel: bytes) -> str:
    """Puts the wheel where pip finds it under `<url>/simple`; returns the wheel's path."""
    path = f"/files/{WHEEL}"
    served.files[path] = wheel
    page = f'<!DOCTYPE html><html><body><a href="{path}#sha256={sha256(wheel)}">{WHEEL}</a></body></html>'
    served.files["/simple/tiny-model/"] = page.encode()
    return path


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def listing(folder: Path) -> set[str]:
    """The names in a folder, less the lock that stays."""
    return {path.name for path in folder.iterdir()} - {".fetch.lock"}
