"""The soak: many sockets, talk, a folder being taken in, and clients that vanish, for half an hour.

Every few seconds the process is looked at from outside; all of it goes to a CSV file in .chaos/.
"""

import asyncio
import csv
import time
from collections.abc import Awaitable, Callable
from dataclasses import astuple, dataclass, field, fields
from functools import partial
from itertools import cycle
from pathlib import Path
from random import Random
from statistics import linear_regression

from chaos_attack import FAILURES, Outcome
from chaos_server import EMBEDDER, ROOT, TOKEN, Broken, Look, Server, require, served, signed
from chaos_websocket import HEARTBEAT, gone, opened, vanish

from tests.web.raw import TEXT, RawSocket, text

SOCKETS, TALKING = 200, 10
ANSWER_TOKENS = 40
USERS = ("ana", "ben")  # and the admin
WARM_MINUTES = 5.0
LOOK_SECONDS = 5.0
BEAT_SECONDS = 20.0  # each of the idle sockets
VANISH_SECONDS = 3.0
FILE_SECONDS = 2.0
MOST_MB_PER_MINUTE = 1.0
MOST_BEAT_MS = 100.0  # of 99 in 100
FOLDER = ROOT / ".chaos"


@dataclass(frozen=True)
class Sample:
    """At `minute`. Heartbeats are those since the sample before, in ms."""

    minute: float
    memory_mb: float
    files: int
    threads: int
    sockets: int
    answers_under_way: int
    answers: int
    heartbeat_p50: float
    heartbeat_p99: float
    heartbeat_max: float


@dataclass
class Soak:
    """What goes on: every good client counts what went wrong for it."""

    server: Server
    random: Random
    followed: Path
    answers: int = 0
    vanished: int = 0
    files: int = 0
    errors: list[str] = field(default_factory=list)
    beats: list[float] = field(default_factory=list)
    recent: list[float] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)

    async def again(self, act: Callable[[], Awaitable[None]], until: float) -> None:
        """One round after another. What goes wrong in one is counted, and the next one tries again."""
        while time.monotonic() < until:
            try:
                await act()
            except FAILURES as error:
                self.errors.append(f"{act}: {error!r}"[:300])
                await asyncio.sleep(1)

    async def talk(self, lane: int) -> None:
        """A conversation of one of those that talk."""
        token = [TOKEN, *map(signed, USERS)][lane % 3]
        async with self.server.client(token) as client:
            topic = f"proxy:soak{lane}x{self.random.getrandbits(40)}"
            reply = await client.join(topic)
            require(reply[4]["status"] == "ok", f"{reply}")
            for _ in range(self.random.randrange(1, 5)):
                asked = {"query": f"Tell me of the number {self.random.getrandbits(20)}.", "max_tokens": ANSWER_TOKENS}
                await client.push(topic, "stream_query", asked)
                *_, last = await client.until("stream_complete", "stream_error", "error")
                require(last[3] == "stream_complete", f"{last}"[:200])
                if token == TOKEN:
                    self.server.acknowledge(last[4])
                self.answers += 1
                await asyncio.sleep(self.random.uniform(0, 1))  # people read

    async def beat(self, each: RawSocket, pause: float) -> None:
        """A heartbeat of one that is joined and says nothing else."""
        began = time.perf_counter()
        each.send(TEXT, HEARTBEAT)
        await each.receive_json()
        self.recent.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(pause)

    async def bring(self) -> None:
        """A file that comes, changes or goes in the followed folder."""
        path = self.followed / f"note{self.random.randrange(200)}.md"
        if path.exists() and self.random.random() < 0.3:
            path.unlink()
        else:
            lines = (f"Line {line} has {self.random.getrandbits(50):x} in it." for line in range(60))
            path.write_text("\n\n".join(lines), "utf-8")
            self.files += 1
        await asyncio.sleep(FILE_SECONDS)

    async def leave(self) -> None:
        """A client that resets the connection in the middle of an answer, which goes on without it."""
        topic = f"proxy:gone{self.vanished}x{self.random.getrandbits(40)}"
        await vanish(self.server, topic, self.random.randrange(1, 8), ANSWER_TOKENS)
        self.vanished += 1
        await asyncio.sleep(self.random.uniform(0, 2 * VANISH_SECONDS))

    async def watch(self, began: float, until: float, out: Path) -> None:
        with out.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(each.name for each in fields(Sample))
            while time.monotonic() < until:
                await asyncio.sleep(LOOK_SECONDS)
                health, look = await self.server.health(), self.server.look()
                recent, self.recent = sorted(self.recent), []
                self.beats += recent
                sample = Sample(
                    round((time.monotonic() - began) / 60, 3),
                    round(look.memory_mb, 2),
                    look.files,
                    look.threads,
                    health["sockets"],
                    health["answers_under_way"],
                    self.answers,
                    *(round(quantile(recent, share), 1) for share in (0.5, 0.99, 1.0)),
                )
                self.samples.append(sample)
                rows.writerow(astuple(sample))
                file.flush()


def quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def slope(samples: list[Sample]) -> float:
    """MB/min by least squares, without the first minutes."""
    steady = [each for each in samples if each.minute >= WARM_MINUTES]
    if len(steady) < 3:
        raise Broken(f"only {len(steady)} samples after {WARM_MINUTES:g} min")
    return linear_regression([each.minute for each in steady], [each.memory_mb for each in steady]).slope


def strained(life: Soak) -> list[str]:
    """What was more than it may be."""
    grown, p99 = slope(life.samples), quantile(sorted(life.beats), 0.99)
    memory = [f"memory grows by {grown:.2f} MB/min"] if grown >= MOST_MB_PER_MINUTE else []
    return [*memory, f"1 heartbeat in 100 takes {p99:.0f} ms"] if p99 >= MOST_BEAT_MS else memory


async def soak(folder: Path, minutes: float, random: Random) -> Outcome:
    """Go on for so long. One that ends before the server is warm for long says nothing of memory and time."""
    FOLDER.mkdir(exist_ok=True)
    out = FOLDER / f"soak-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.csv"
    what = f"{minutes:g} min: {SOCKETS} sockets, {TALKING} talking as 3 users, a followed folder, clients vanishing"
    outcome = Outcome("L12", what)
    followed = folder / "followed"
    followed.mkdir()
    documents = {"embedder": str(EMBEDDER), "watch": [str(followed)], "watched_for": "everybody"}
    async with served(folder / "server", {"documents": documents}) as server:
        await server.probe()
        before = server.look()
        life = Soak(server, random, followed)
        sockets = await joined(server, random)
        began = time.monotonic()
        until = began + minutes * 60
        turns, pause = cycle(sockets), BEAT_SECONDS / SOCKETS
        lanes = [partial(life.talk, lane) for lane in range(TALKING)]
        lanes += [life.bring, life.leave, lambda: life.beat(next(turns), pause)]
        await asyncio.gather(life.watch(began, until, out), *(life.again(lane, until) for lane in lanes))
        for each in sockets:
            each.abort()
        outcome.troubles += life.errors[:5]
        try:
            await gone(server)
            await server.idle()  # answers of clients that vanished are their conversations', and end by themselves
            outcome.served.append(await server.probe())
        except Broken as error:
            outcome.troubles.append(str(error))
        outcome.troubles += await server.troubles(before)
        outcome.lost = await server.lost()
        if minutes >= 2 * WARM_MINUTES:
            outcome.troubles += strained(life)
        outcome.told[told(life, before, server.look(), minutes)] += 1
    print(f"samples: {out.relative_to(ROOT)}", flush=True)
    return outcome


def told(life: Soak, before: Look, after: Look, minutes: float) -> str:
    """What was seen, in a sentence."""
    beats = sorted(life.beats)
    p50, p99, most = (quantile(beats, share) for share in (0.5, 0.99, 1.0))
    memory = (
        f"memory {slope(life.samples):+.2f} MB/min after {WARM_MINUTES:g} min; " if minutes >= 2 * WARM_MINUTES else ""
    )
    return (
        f"{life.answers} answers, {len(life.errors)} errors; {life.vanished} clients vanished, {life.files} files; "
        f"heartbeats p50 {p50:.0f}, p99 {p99:.0f}, most {most:.0f} ms; {memory}"
        f"files {before.files} before, {after.files} after; threads {before.threads} and {after.threads}"
    )


async def joined(server: Server, random: Random) -> list[RawSocket]:
    sockets = []
    for number in range(SOCKETS):
        each = opened(server)
        await each.request()
        await each.answer()
        each.send(TEXT, text("1", "1", f"proxy:idle{number}x{random.getrandbits(20)}", "phx_join", {}))
        require((await each.receive_json())[4]["status"] == "ok", "a join was refused")
        sockets.append(each)
    return sockets
