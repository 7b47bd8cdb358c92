"""What scripts/chaos runs: attacks and faults on a running server, and a good client after each.

The tables stand in docs/reliability.md.

Exit status 1 says that something was not as it should be; the table says what.
"""

import argparse
import asyncio
import importlib
import re
import secrets
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import chaos_faults
from chaos_attack import ATTACKS, Attack, Outcome, carry_out
from chaos_faults import FAULTS, Fault
from chaos_server import ROOT, served
from chaos_soak import WARM_MINUTES, soak
from measure import machine, publish

for name in ("websocket", "http", "access", "uploads", "prompts", "load"):
    importlib.import_module(f"chaos_{name}")
ORDER = "WHXAUPL"  # of the catalogue
SOAK_MINUTES, QUICK_SOAK_MINUTES = 30.0, 0.3

REPORT = ROOT / "docs" / "reliability.md"
TABLES = {name: (f"<!-- {name}: begin -->", f"<!-- {name}: end -->") for name in ("attacks", "faults", "soak")}
HEAD = ["| row | what was done | times | outcome | served again, ms | lost |", "|---|---|---:|---|---:|---:|"]


@dataclass(frozen=True)
class Plan:
    """What is run: some rows, or all where `only` is empty, and so many minutes of the soak, perhaps nothing else."""

    quick: bool
    only: frozenset[str]
    minutes: float
    soak_alone: bool
    seed: str

    def tries(self, each: Attack | Fault) -> int:
        """How often; 0 leaves it out."""
        if self.soak_alone or (self.only and not self.only & set(each.row.split(", "))):
            return 0
        return each.quick if self.quick else each.tries

    @property
    def is_whole(self) -> bool:
        """Whether the report may have it."""
        return self.minutes >= 2 * WARM_MINUTES if self.soak_alone else not (self.quick or self.only)

    def random(self, row: str) -> Random:
        return Random(f"{self.seed} {row}")


async def attacks(folder: Path, plan: Plan) -> list[Outcome]:
    """All of them on one server, which lives through all."""
    outcomes: list[Outcome] = []
    wanted = [(each, tries) for each in sorted(ATTACKS, key=place) if (tries := plan.tries(each))]
    if not wanted:
        return outcomes
    async with served(folder / "attacks") as server:
        await server.probe()
        for each, tries in wanted:
            began = time.monotonic()
            outcomes.append(await carry_out(each, server, tries, plan.random(each.row)))
            print(outcomes[-1], f"{time.monotonic() - began:.1f} s", flush=True)
    return outcomes


async def faults(folder: Path, plan: Plan) -> list[Outcome]:
    """Each on a server of its own."""
    outcomes = []
    for number, each in enumerate(FAULTS):
        if tries := plan.tries(each):
            home = folder / f"fault{number}"
            began = time.monotonic()
            outcomes.append(await chaos_faults.carry_out(each, home, tries, plan.random(each.row)))
            print(outcomes[-1], f"{time.monotonic() - began:.1f} s", flush=True)
    return outcomes


async def soaks(folder: Path, plan: Plan) -> list[Outcome]:
    if plan.minutes == 0:
        return []
    outcome = await soak(folder, plan.minutes, plan.random("L12"))
    print(outcome, flush=True)
    return [outcome]


KINDS = {"attacks": attacks, "faults": faults, "soak": soaks}


def place(each: Attack) -> int:
    """Of its section in the catalogue; within that the attacks stand as they are written."""
    return ORDER.index(each.row[0])


def written(name: str, outcomes: list[Outcome], seed: str, seconds: float) -> str:
    begin, end = TABLES[name]
    how = f"On {datetime.now(UTC).date()}: {machine()}; seed `{seed}`, {seconds / 60:.0f} min."
    rows = [*map(str, outcomes)]
    return "\n".join([begin, how, "", summed(rows), "", *HEAD, *rows, end])


def renewed(name: str, outcomes: list[Outcome], seed: str) -> str:
    """The table that stands in the report, with these rows in the place of what they were."""
    begin, end = TABLES[name]
    table = REPORT.read_text("utf-8").partition(begin)[2].partition(end)[0]
    how = table.strip().partition(" min.")[0] + " min."
    new = {tuple(cells(str(each))[:2]): str(each) for each in outcomes}
    rows = [new.pop(tuple(cells(line)[:2]), line) for line in table.splitlines() if line.startswith("| ")][1:]
    rows += new.values()
    which = ", ".join(dict.fromkeys(each.row for each in outcomes))
    again = f"Tried again since, on {datetime.now(UTC).date()} with the seed `{seed}`: {which}."
    return "\n".join([begin, how, again, "", summed(rows), "", *HEAD, *rows, end])


def cells(row: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


def summed(rows: list[str]) -> str:
    told = [cells(row) for row in rows]
    tries, lost = (sum(int(row[place]) for row in told) for place in (2, 5))
    bad = sum(row[3].startswith("**") or row[2] == "0" or row[5] != "0" for row in told)
    return f"{tries:,} tries in {len(rows)} rows; not as it should be: {bad}; rows lost: {lost}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few tries of what is quick, and a short soak")
    parser.add_argument("--soak", nargs="?", type=float, const=SOAK_MINUTES, metavar="MINUTES", help="the soak instead")
    parser.add_argument("--only", default="", help="rows of the catalogue, with commas: W4,F1; printed only")
    parser.add_argument("--renew", action="store_true", help="with --only: in the place of what the report has of them")
    parser.add_argument("--seed", default=secrets.token_hex(4), help="of all chance; a new one unless given")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    only = frozenset(options.only.split(",")) - {""}
    minutes = options.soak or (QUICK_SOAK_MINUTES if options.quick and not only else 0)
    plan = Plan(options.quick, only, minutes, options.soak is not None, options.seed)
    print(f"seed {plan.seed}", flush=True)
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as name:
        for kind, run in KINDS.items():
            began = time.monotonic()
            done = asyncio.run(run(Path(name), plan))
            outcomes += done
            if options.renew and done:
                publish(renewed(kind, done, plan.seed), TABLES[kind], REPORT)
            elif plan.is_whole and done:
                publish(written(kind, done, plan.seed, time.monotonic() - began), TABLES[kind], REPORT)
    bad = [each for each in outcomes if not each.good]
    print(f"{len(outcomes)} rows, {len(bad)} not as they should be, {sum(each.lost for each in outcomes)} rows lost")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
