"""The child process of `embedder.py`: texts in, vectors out, until its input ends. Never touches the network.

Two threads: one for questions, which somebody waits for, one for documents, which gets what is left of the machine.
"""

import json
import os
import queue
import signal
import struct
import sys
import threading
from typing import Any, BinaryIO

HEAD = struct.Struct("!II")
DOCUMENT_NICENESS = 19


class Worker:
    """One thread that embeds what it is given, in turn."""

    def __init__(self, model: Any, out: BinaryIO, lock: threading.Lock, niceness: int) -> None:
        self.requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._model = model
        self._out = out
        self._lock = lock
        self._niceness = niceness
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        import torch

        if sys.platform == "linux":  # a thread's own there; torch's helpers inherit it from whoever first needs them
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), self._niceness)
        while True:
            request = self.requests.get()
            threads = request["threads"] or available_cores()
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)
            try:
                vectors = self._model.encode(
                    request["texts"],
                    batch_size=64,
                    normalize_embeddings=True,
                    convert_to_numpy=True,
                    show_progress_bar=False,
                )
            except Exception as error:  # noqa: BLE001  # whatever the model does wrong is an answer to the parent
                self._say({"number": request["number"], "error": f"{type(error).__name__}: {error}"[:300]})
                continue
            self._say({"number": request["number"], "shape": vectors.shape}, vectors.astype("<f4").tobytes())

    def _say(self, head: dict[str, Any], body: bytes = b"") -> None:
        with self._lock:
            send(self._out, head, body)


def send(out: BinaryIO, head: dict[str, Any], body: bytes = b"") -> None:
    text = json.dumps(head).encode()
    out.write(HEAD.pack(len(text), len(body)) + text + body)
    out.flush()


def available_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C at a terminal is meant for the server, which ends us
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # libraries that print must not reach the parent as vectors
    os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    os.environ |= {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(
        sys.argv[1],
        device="cpu",
        local_files_only=True,
        trust_remote_code=False,
        model_kwargs={"use_safetensors": True},
    )
    model.encode(["warm"], show_progress_bar=False)
    lock = threading.Lock()
    questions, documents = Worker(model, out, lock, 0), Worker(model, out, lock, DOCUMENT_NICENESS)
    with lock:
        send(out, {"max_tokens": model.max_seq_length})
    while len(head := sys.stdin.buffer.read(HEAD.size)) == HEAD.size:
        length, _ = HEAD.unpack(head)
        request = json.loads(sys.stdin.buffer.read(length))
        (questions if request["urgent"] else documents).requests.put(request)
    os._exit(0)  # a batch under way is of no use to anybody now


if __name__ == "__main__":
    main()
