"""An attack: a row of the catalogue, what is done, how often, and what came of it.

An attack is a function of the server, a source of chance and the number of the try, which chooses among its forms. It
returns what happened, in two words; what must not happen is a Broken.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random

import aiohttp
from chaos_server import Broken, Server

# What becomes of a client, or of what it reads, when a server is not as it should be
FAILURES = (Broken, AssertionError, OSError, EOFError, aiohttp.ClientError, TypeError, LookupError, ValueError)
TRY_SECONDS = 400.0
Run = Callable[[Server, Random, int], Awaitable[str]]
ATTACKS: list["Attack"] = []


@dataclass(frozen=True)
class Attack:
    """`quick` is the number of tries in the quick form; 0 leaves it out there, as it takes too long."""

    row: str
    what: str
    tries: int
    quick: int
    run: Run


@dataclass
class Outcome:
    """What came of an attack or a fault. `served` has the ms until a good client was served after each try."""

    row: str
    what: str
    told: Counter[str] = field(default_factory=Counter)
    served: list[float] = field(default_factory=list)
    lost: int = 0
    troubles: list[str] = field(default_factory=list)

    @property
    def tries(self) -> int:
        return sum(self.told.values())

    @property
    def good(self) -> bool:
        return not self.troubles and not self.lost and self.tries > 0

    def __str__(self) -> str:
        told = ", ".join(f"{what} x{times}" if times > 1 else what for what, times in self.told.most_common(6))
        if len(self.told) > 6:
            told += f" and {len(self.told) - 6} more"
        told = told if not self.troubles else "**" + "; ".join(dict.fromkeys(self.troubles)) + "** " + told
        served = f"{max(self.served):.0f}" if self.served else ""
        cells = [self.row, self.what, str(self.tries), told.strip(), served, str(self.lost)]
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def attack(row: str, what: str, tries: int = 20, quick: int = 2) -> Callable[[Run], Run]:
    """Enter a function in the list."""

    def enter(run: Run) -> Run:
        ATTACKS.append(Attack(row, what, tries, quick, run))
        return run

    return enter


async def carry_out(each: Attack, server: Server, tries: int, random: Random) -> Outcome:
    """Try it so often; after each try a good client is served, after all of them nothing is left behind."""
    outcome = Outcome(each.row, each.what)
    before = server.look()
    for number in range(tries):
        try:
            async with asyncio.timeout(TRY_SECONDS):
                outcome.told[await each.run(server, random, number)] += 1
        except FAILURES as error:
            outcome.told["not as it should be"] += 1
            outcome.troubles.append(f"try {number}: {error!r}"[:300])
        try:
            outcome.served.append(await server.probe())
        except Broken as error:
            outcome.troubles.append(f"after try {number}: {error}")
            break
    outcome.troubles += await server.troubles(before)
    outcome.lost = await server.lost()
    if not server.runs:
        await server.start()
    return outcome
