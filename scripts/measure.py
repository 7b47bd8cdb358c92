"""What scripts/bench runs: the project and its peer in turn, medians of several rounds, a table in docs/benchmarks.md.

Nothing here decides whether a figure is good enough; the table says what was asked beside what was measured.
"""

import argparse
import asyncio
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

import aiohttp

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "models" / "smollm2-135m-instruct-q4_1.gguf"
REPORT = ROOT / "docs" / "benchmarks.md"
Marks = tuple[str, str]  # around a table of the report
MARKS = ("<!-- measured: begin -->", "<!-- measured: end -->")
PEER_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
SLOTS = 16
TOKENS = 128
START_SECONDS = 60.0
HEARTBEATS = 200


@dataclass(frozen=True)
class Server:
    """A server under measurement: how load.py is to speak to it, and where."""

    kind: str
    url: str
    pid: int


@dataclass(frozen=True)
class Row:
    """A line of the report. `asked` is the bound of the issue; `figures` has a ratio or a time of each round."""

    what: str
    asked: str
    figures: list[float]
    unit: str = ""
    beside: str = ""

    def __str__(self) -> str:
        middle, low, high = (f"{value:.3g}" for value in (median(self.figures), min(self.figures), max(self.figures)))
        spread = f" ({low} to {high})" if len(self.figures) > 1 else ""
        return f"| {self.what} | {self.asked} | **{middle}{self.unit}**{spread} | {self.beside} |"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def process(*command: str, stdout: int = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(command, stdout=stdout, stderr=subprocess.DEVNULL, text=True, cwd=ROOT)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@contextmanager
def ours() -> Iterator[Server]:
    serve = [sys.executable, "-m", "neuralbridge", "serve", "--port", "0", "--data-dir"]
    with tempfile.TemporaryDirectory() as data, process(*serve, data) as child:
        assert child.stdout is not None
        yield Server("phoenix", child.stdout.readline().split()[-1], child.pid)


@contextmanager
def peer(slots: int = SLOTS, context: int = 1024) -> Iterator[Server]:
    """llama.cpp's own server; `context` is each slot's."""
    port = free_port()
    command = [str(PEER_PYTHON), "scripts/peer_llama_server.py", str(slots), str(port), str(MODEL), str(context)]
    with process(*command) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield Server("openai", f"http://127.0.0.1:{port}", child.pid)


def load(server: Server, clients: int, requests: int, words: int = 0, tokens: int = TOKENS) -> dict[str, float]:
    """One run of load.py; its figures. Requests that fail or come back empty end the measurement."""
    url = server.url.replace("http", "ws") + "/socket" if server.kind == "phoenix" else server.url
    command = [sys.executable, "scripts/load.py", server.kind, url, "-c", str(clients), "-n", str(requests), "--json"]
    more = ["--max-tokens", str(tokens), "--words", str(words)]
    out = subprocess.run([*command, *more], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    figures: dict[str, float] = json.loads(out.splitlines()[0])
    if figures["errors"] or figures["empty"]:
        sys.exit(f"{server.kind}: {out}")
    return figures


def warm(server: Server) -> None:
    load(server, clients=2, requests=2, tokens=8)


def bare(threads: int, requests: int) -> float:
    command = [sys.executable, "scripts/bare_decode.py", str(MODEL), str(threads), str(requests), str(TOKENS)]
    out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    figure: float = json.loads(out)["tok_s"]
    return figure


def resident_mb(pid: int) -> float:
    """Resident memory of a process and its children, in MB of 10^6 bytes."""
    command = [shutil.which("ps") or "ps", "-o", "rss=", "--pid", str(pid), "--ppid", str(pid)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return sum(map(int, out.split())) * 1024 / 1e6


async def heartbeats(server: Server) -> float:
    """The 99th percentile of heartbeat answers, in ms, while 8 streams run."""
    async with aiohttp.ClientSession() as http:
        streams = [await http.ws_connect(f"{server.url}/socket/websocket?vsn=2.0.0") for _ in range(8)]
        for number, stream in enumerate(streams):
            topic = f"proxy:beat_{number}_{time.time_ns()}"
            await stream.send_json(["1", "1", topic, "phx_join", {}])
            asked = {"query": "Tell me a very long story about the sea.", "max_tokens": 400, "temperature": 1.2}
            await stream.send_json(["1", "2", topic, "stream_query", asked])
        readers = [asyncio.create_task(drain(stream)) for stream in streams]
        taken = []
        async with http.ws_connect(f"{server.url}/socket/websocket?vsn=2.0.0") as beat:
            for number in range(HEARTBEATS):
                started = time.perf_counter()
                await beat.send_json([None, str(number), "phoenix", "heartbeat", {}])
                await beat.receive_json()
                taken.append((time.perf_counter() - started) * 1000)
                await asyncio.sleep(0.03)
        for reader in readers:
            reader.cancel()
        for stream in streams:
            await stream.close()
    return sorted(taken)[int(0.99 * len(taken))]


async def drain(stream: aiohttp.ClientWebSocketResponse) -> None:
    async for _ in stream:
        pass


async def start_up() -> tuple[float, float]:
    """Seconds from starting the process until the page is served, and until a first whole answer."""
    port = free_port()
    with tempfile.TemporaryDirectory() as data:
        began = time.perf_counter()
        command = [sys.executable, "-m", "neuralbridge", "serve", "--port", str(port), "--data-dir", data]
        with process(*command, stdout=subprocess.DEVNULL):
            async with aiohttp.ClientSession() as http:
                url = f"http://127.0.0.1:{port}"
                while not await served(http, url):  # noqa: ASYNC110  # a port opening elsewhere is no event here
                    await asyncio.sleep(0.01)
                page = time.perf_counter() - began
                async with http.ws_connect(f"{url}/socket/websocket?vsn=2.0.0") as stream:
                    await stream.send_json(["1", "1", "proxy:first", "phx_join", {}])
                    asked = {"query": "What is the capital of France?", "temperature": 0}
                    await stream.send_json(["1", "2", "proxy:first", "query", asked])
                    while (await stream.receive_json())[3] != "response":
                        pass
                return page, time.perf_counter() - began


async def served(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(url) as response:
            return response.status == 200
    except aiohttp.ClientConnectionError:
        return False


@contextmanager
def busy_neighbour() -> Iterator[None]:
    with process(sys.executable, "-c", "while True: pass", stdout=subprocess.DEVNULL):
        yield


def measure(rounds: int) -> list[Row]:
    taken: dict[str, list[float]] = {}
    notes: dict[str, list[float]] = {}

    def note(name: str, value: float, of_peer: float | None = None) -> None:
        taken.setdefault(name, []).append(value)
        if of_peer is not None:
            notes.setdefault(name, []).append(of_peer)
        print(f"{name}: {value:.3g}" + (f" beside {of_peer:.3g}" if of_peer is not None else ""), flush=True)

    def compare(name: str, mine: dict[str, float], theirs: dict[str, float]) -> None:
        note(f"tok_s {name}", mine["tok_s"], theirs["tok_s"])
        note(f"ttft {name}", mine["ttft_ms_p50"], theirs["ttft_ms_p50"])

    runs = {"c=1": (1, 8, 0), "c=4": (4, 8, 0), "c=8": (8, 16, 0), "c=16": (16, 16, 0), "long": (1, 2, 1000)}
    for _ in range(rounds):
        page, first = asyncio.run(start_up())
        note("page", page)
        note("first answer", first)
        with ours() as server:
            warm(server)
            mine = {name: load(server, *run) for name, run in runs.items()}
            note("resident", resident_mb(server.pid))
            note("heartbeat", asyncio.run(heartbeats(server)))
        with peer() as server:
            warm(server)
            theirs = {name: load(server, *run) for name, run in runs.items() if name != "long"}
        with peer(slots=2, context=4096) as server:
            theirs["long"] = load(server, *runs["long"])
        for name in runs:
            compare(name, mine[name], theirs[name])
        note("bare", mine["c=1"]["tok_s"], max(bare(1, 8), bare(2, 8)))
        beside = []
        for start in (ours, peer):
            with start() as server:
                warm(server)
                with busy_neighbour():
                    beside.append(load(server, 1, 6))
        compare("c=1, one core taken", *beside)
    return rows(taken, notes)


def rows(taken: dict[str, list[float]], notes: dict[str, list[float]]) -> list[Row]:
    asked = {"c=1": ">= 1.0", "c=8": ">= 1.0", "c=1, one core taken": ">= 2"}
    asked_first = {"c=1": "<= 1.1", "c=8": "<= 1.1"}
    report = []
    for name in ["c=1", "c=4", "c=8", "c=16", "long", "c=1, one core taken"]:
        label = "one prompt of 1,000 words at a time" if name == "long" else name
        mine, theirs = taken[f"tok_s {name}"], notes[f"tok_s {name}"]
        beside = f"{median(mine):.0f} / {median(theirs):.0f} tok/s"
        report.append(
            Row(f"tokens/s, {label}, as a ratio to the peer", asked.get(name, ""), ratios(mine, theirs), "", beside)
        )
        mine, theirs = taken[f"ttft {name}"], notes[f"ttft {name}"]
        beside = f"{median(mine):.0f} / {median(theirs):.0f} ms"
        report.append(
            Row(f"first token, {label}, as a ratio", asked_first.get(name, ""), ratios(mine, theirs), "", beside)
        )
    mine, loop = taken["bare"], notes["bare"]
    beside = f"{median(mine):.0f} / {median(loop):.0f} tok/s"
    return [
        *report,
        Row(
            "tokens/s, c=1, as a ratio to a bare loop (its better thread count)",
            ">= 0.95",
            ratios(mine, loop),
            "",
            beside,
        ),
        Row("heartbeat answered with 8 streams, p99", "<= 50 ms", taken["heartbeat"], " ms"),
        Row("page served after the process starts", "<= 1.5 s", taken["page"], " s"),
        Row("first whole answer after the process starts", "<= 4 s", taken["first answer"], " s"),
        Row("resident memory after 16 clients, template child included", "< 500 MB", taken["resident"], " MB"),
    ]


def ratios(mine: list[float], theirs: list[float]) -> list[float]:
    return [one / other for one, other in zip(mine, theirs, strict=True)]


def cpu() -> str:
    if (info := Path("/proc/cpuinfo")).exists():
        return next(
            line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        )
    return platform.processor()


def machine() -> str:
    return f"{os.cpu_count()} cores of {cpu()}, Python {platform.python_version()}"


def written(rows: list[Row], rounds: int, marks: Marks, more: str = "", beside: str = "") -> str:
    """The table with its marks. `more` was measured with, besides the machine; `beside` heads the last column."""
    head = (
        f"Measured on {datetime.now(UTC).date()}: {machine()}{more and f', {more}'}. "
        f"Median of {rounds} rounds, least and greatest in brackets."
    )
    begin, end = marks
    return "\n".join(
        [begin, head, "", f"| what | asked | measured | {beside} |", "|---|---|---|---|", *map(str, rows), end]
    )


def publish(text: str, marks: Marks, report: Path = REPORT) -> None:
    """Put a table, with its marks, in the place of the one that stands between them in the report."""
    begin, end = marks
    before, _, rest = report.read_text("utf-8").partition(begin)
    report.write_text(before + text + rest.partition(end)[2], "utf-8")


def options_of(doc: str | None, rounds: int, only: Sequence[str] = ()) -> argparse.Namespace:
    """What the command line says: `rounds`, `quick`, and `only`, one part of what there is to measure."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--quick", action="store_true", help="one round, printed only")
    if only:
        parser.add_argument("--only", choices=only, help="printed only")
    options = parser.parse_args()
    if options.quick:
        options.rounds = 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    return options


def tell(text: str, marks: Marks, *, lasting: bool) -> None:
    print(text)
    if lasting:
        publish(text, marks)


def peer_version() -> str:
    ask = "from importlib.metadata import version; print(version('xllamacpp'))"
    return subprocess.run([str(PEER_PYTHON), "-c", ask], capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    options = options_of(__doc__, rounds=5)
    if shutil.which("ps") is None:
        sys.exit("ps is missing: install procps")
    engines = (
        f"llama-cpp-python {version('llama-cpp-python')}; peer: llama.cpp's own server, xllamacpp {peer_version()}"
    )
    more = f"{engines}, {SLOTS} slots"
    text = written(measure(options.rounds), options.rounds, MARKS, more, "ours / theirs")
    tell(text, MARKS, lasting=not options.quick)


if __name__ == "__main__":
    main()
