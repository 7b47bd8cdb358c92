"""What scripts/bench --api runs: OpenAI's streams of the project and of its peer in turn, and a thousand idle sockets.

Written between marks of its own in docs/benchmarks.md.
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

import aiohttp
from measure import (
    Row,
    Server,
    drain,
    heartbeats,
    load,
    options_of,
    ours,
    peer,
    ratios,
    resident_mb,
    tell,
    warm,
    written,
)

MARKS = ("<!-- api: begin -->", "<!-- api: end -->")
RUNS = {1: 8, 4: 8, 8: 16, 16: 16}  # clients, requests
IDLE_SOCKETS = 1_000


async def idle(server: Server) -> tuple[float, float]:
    """MB that a thousand idle sockets cost in all, and the 99th percentile of heartbeats in ms while 8 streams run."""
    before = resident_mb(server.pid)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http, AsyncExitStack() as sockets:
        readers = []
        for number in range(IDLE_SOCKETS):
            socket = await sockets.enter_async_context(http.ws_connect(f"{server.url}/socket/websocket?vsn=2.0.0"))
            await socket.send_json(["1", "1", f"proxy:idle_{number}", "phx_join", {}])
            await socket.receive_json()
            readers.append(asyncio.create_task(drain(socket)))
        cost = resident_mb(server.pid) - before
        beat = await heartbeats(server)
        for reader in readers:
            reader.cancel()
    return cost, beat


def measure(rounds: int) -> list[Row]:
    mine: dict[int, list[dict[str, float]]] = {clients: [] for clients in RUNS}
    theirs: dict[int, list[dict[str, float]]] = {clients: [] for clients in RUNS}
    costs, beats = [], []
    for number in range(rounds):
        with ours() as server:
            warm(server)
            for clients, requests in RUNS.items():
                mine[clients].append(load(replace(server, kind="openai"), clients, requests))
            cost, beat = asyncio.run(idle(server))
            costs.append(cost)
            beats.append(beat)
        with peer() as server:
            warm(server)
            for clients, requests in RUNS.items():
                theirs[clients].append(load(server, clients, requests))
        print(f"round {number + 1} of {rounds}", flush=True)
    report = []
    for clients in RUNS:
        for what, asked, figure in (("tokens/s", ">= 1.0", "tok_s"), ("first token", "<= 1.1", "ttft_ms_p50")):
            one, other = ([each[figure] for each in side[clients]] for side in (mine, theirs))
            beside = f"{sorted(one)[rounds // 2]:.0f} / {sorted(other)[rounds // 2]:.0f}"
            report.append(Row(f"/v1 {what}, {clients} at once, as a ratio", asked, ratios(one, other), "", beside))
    return [
        *report,
        Row(f"memory of {IDLE_SOCKETS:,} idle sockets in all", "< 40 MB", costs, " MB"),
        Row("heartbeat answered beside them and 8 streams, p99", "< 50 ms", beats, " ms"),
    ]


def main() -> None:
    options = options_of(__doc__, rounds=5)
    text = written(measure(options.rounds), options.rounds, MARKS, beside="ours / theirs")
    tell(text, MARKS, lasting=not options.quick)


if __name__ == "__main__":
    main()
