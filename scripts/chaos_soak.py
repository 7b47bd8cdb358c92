"""The soak: many sockets, talk, a folder being taken in, and clients that vanish, for half an hour.

Every few seconds the process is looked at from outside; all of it goes to a CSV file in .chaos/.
"""

import asyncio
import csv
import time
from collections.abc import Coroutine
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path
from random import Random
from statistics import linear_regression
from typing import Any

from chaos_attack import FAILURES, Outcome
from chaos_server import EMBEDDER, ROOT, TOKEN, Broken, Look, Server, require, served, signed
from chaos_websocket import HEARTBEAT, gone, opened, vanish

from tests.web.raw import TEXT, RawSocket, text

SOCKETS, TALKING = 200, 10
USERS = ("ana", "ben")  # and the admin
WARM_MINUTES = 5.0
LOOK_SECONDS = 5.0
BEAT_SECONDS = 20.0  # each of the idle sockets
VANISH_SECONDS = 3.0
FILE_SECONDS = 2.0
MOST_MB_PER_MINUTE = 1.0
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

    async def good(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except FAILURES as error:
            self.errors.append(f"{error!r}"[:200])

    async def talk(self, lane: int, until: float) -> None:
        """One of those that talk: a new conversation now and then, as people have."""
        token = [TOKEN, *map(signed, USERS)][lane % 3]
        while time.monotonic() < until:
            async with self.server.client(token) as client:
                topic = f"proxy:soak{lane}x{self.random.getrandbits(40)}"
                reply = await client.join(topic)
                require(reply[4]["status"] == "ok", f"{reply}")
                for _ in range(self.random.randrange(1, 5)):
                    asked = {"query": f"Tell me of the number {self.random.getrandbits(20)}.", "max_tokens": 40}
                    await client.push(topic, "stream_query", asked)
                    *_, last = await client.until("stream_complete", "stream_error", "error")
                    require(last[3] == "stream_complete", f"{last}"[:200])
                    if token == TOKEN:
                        self.server.acknowledge(last[4])
                    self.answers += 1
                    await asyncio.sleep(self.random.uniform(0, 1))  # people read

    async def idle(self, sockets: list[RawSocket], until: float) -> None:
        """The heartbeats of all that are joined and say nothing else, one after another."""
        pause = BEAT_SECONDS / len(sockets)
        while time.monotonic() < until:
            for each in sockets:
                began = time.perf_counter()
                each.send(TEXT, HEARTBEAT)
                await each.receive_json()
                self.recent.append((time.perf_counter() - began) * 1000)
                await asyncio.sleep(pause)

    async def bring(self, until: float) -> None:
        """Files that come, change and go in the followed folder."""
        while time.monotonic() < until:
            path = self.followed / f"note{self.random.randrange(200)}.md"
            if path.exists() and self.random.random() < 0.3:
                path.unlink()
            else:
                lines = (f"Line {line} has {self.random.getrandbits(50):x} in it." for line in range(60))
                path.write_text("\n\n".join(lines), "utf-8")
                self.files += 1
            await asyncio.sleep(FILE_SECONDS)

    async def leave(self, until: float) -> None:
        """Clients that reset the connection in the middle of an answer."""
        while time.monotonic() < until:
            await vanish(self.server, f"proxy:gone{self.random.randrange(50)}", self.random.randrange(1, 8))
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


def slope(samples: list[Sample], warm: float) -> float:
    """MB/min by least squares, without the first minutes."""
    steady = [each for each in samples if each.minute >= warm]
    if len(steady) < 3:
        raise Broken(f"only {len(steady)} samples after {warm:g} min")
    return linear_regression([each.minute for each in steady], [each.memory_mb for each in steady]).slope


async def soak(folder: Path, minutes: float, random: Random) -> Outcome:
    """Go on for so long. A short one has a shorter time to get warm, and its slope says nothing."""
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
        work = [life.idle(sockets, until), life.bring(until), life.leave(until), life.watch(began, until, out)]
        work += [life.talk(lane, until) for lane in range(TALKING)]
        await asyncio.gather(*(life.good(each) for each in work))
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
        warm = min(WARM_MINUTES, minutes / 2)
        grown = slope(life.samples, warm)
        if minutes >= 2 * WARM_MINUTES and grown >= MOST_MB_PER_MINUTE:
            outcome.troubles.append(f"memory grows by {grown:.2f} MB/min")
        outcome.told[told(life, before, server.look(), grown, warm)] += 1
    print(f"samples: {out.relative_to(ROOT)}", flush=True)
    return outcome


def told(life: Soak, before: Look, after: Look, grown: float, warm: float) -> str:
    """What was seen, in a sentence."""
    beats = sorted(life.beats)
    p50, p99, most = (quantile(beats, share) for share in (0.5, 0.99, 1.0))
    return (
        f"{life.answers} answers, {len(life.errors)} errors; {life.vanished} clients vanished, {life.files} files; "
        f"heartbeats p50 {p50:.0f}, p99 {p99:.0f}, most {most:.0f} ms; memory {grown:+.2f} MB/min after {warm:g} min; "
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
