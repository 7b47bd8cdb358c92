"""What ends as it should not is started again; what a person has to mend, or ended on purpose, is not."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from neuralbridge.supervisor import AT_ONCE, LONGEST_PAUSE, pause

ROOT = Path(__file__).parents[1]
SECONDS = 30.0

# Runs a supervisor whose servers are this: the life of each is a line of Python, the last of them again and again
SUPERVISED = """
import asyncio, sys
from neuralbridge.supervisor import Supervisor
sys.exit(asyncio.run(Supervisor([sys.executable, "-c", sys.argv[1], *sys.argv[2:]]).run()))
"""
SERVER = """
import os, signal, sys, time
from pathlib import Path
count, *lives = sys.argv[1:]
with Path(count).open("a+") as file:
    file.write("x")
    file.flush()
    number = file.tell()
exec(lives[min(number, len(lives)) - 1])
"""
ABORT = "os.kill(os.getpid(), signal.SIGABRT)"
# Many short sleeps: Python's handler of a signal that comes just before a sleep runs when that has ended.
SERVE = """
signal.signal(signal.SIGTERM, lambda *_: sys.exit({}))
print('serving', flush=True)
while True: time.sleep(0.05)
"""

Supervise = Callable[..., Awaitable[asyncio.subprocess.Process]]


@pytest.fixture
async def supervise(tmp_path: Path) -> AsyncIterator[Supervise]:
    """`await supervise(*lives)`: a supervisor of servers that live so."""
    started: list[asyncio.subprocess.Process] = []

    async def start(*lives: str) -> asyncio.subprocess.Process:
        command = [sys.executable, "-c", SUPERVISED, SERVER, str(tmp_path / "count"), *lives]
        pipe = asyncio.subprocess.PIPE
        started.append(await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=pipe, stderr=pipe))
        return started[-1]

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ended(supervisor: asyncio.subprocess.Process) -> tuple[int | None, list[str]]:
    """Its exit status, and its lines without process ids."""
    async with asyncio.timeout(SECONDS):
        _, said = await supervisor.communicate()
    lines = said.decode().splitlines()
    assert all(line.startswith("supervisor: ") for line in lines), said.decode()
    return supervisor.returncode, [re.sub(r" \(process \d+\)", "", line.removeprefix("supervisor: ")) for line in lines]


STARTED = "started the server"


@pytest.mark.parametrize(
    ("life", "said"),
    [
        (ABORT, "was ended by SIGABRT"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "was ended by SIGKILL"),
        ("os.kill(os.getpid(), signal.SIGTERM)", "was ended by SIGTERM"),
        ("sys.exit(70)", "ended with status 70"),
    ],
)
async def test_what_ends_as_it_should_not_is_started_again_at_once(supervise: Supervise, life: str, said: str) -> None:
    outcome = await ended(await supervise(life, "sys.exit(0)"))
    assert outcome == (0, [STARTED, f"the server {said}; the next one starts at once", STARTED])


@pytest.mark.parametrize("status", [0, 1, 2, 130])
async def test_what_ends_on_purpose_or_is_refused_is_not_started_again(supervise: Supervise, status: int) -> None:
    left, said = await ended(await supervise(f"sys.exit({status})"))
    told = [f"the server ended with status {status}, as it says above; that is for a person to mend, so this ends too"]
    assert (left, said) == (status, [STARTED, *(told if status in (1, 2) else [])])


async def test_it_pauses_after_many_deaths_and_leaves_when_it_is_told_to_meanwhile(
    supervise: Supervise, tmp_path: Path
) -> None:
    supervisor = await supervise(ABORT)
    assert supervisor.stderr is not None
    async with asyncio.timeout(SECONDS):
        while b"starts in 2 s" not in await supervisor.stderr.readline():
            pass
    supervisor.terminate()
    assert (await ended(supervisor))[0] == 0
    assert (tmp_path / "count").stat().st_size == AT_ONCE + 2


def test_pauses_grow_to_half_a_minute_and_stay() -> None:
    pauses = [pause(deaths) for deaths in range(1, 100)]
    assert pauses[: AT_ONCE + 6] == [0.0] * AT_ONCE + [1, 2, 4, 8, 16, 30]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE


@pytest.mark.parametrize("status", [0, 7])
async def test_a_signal_to_stop_is_passed_on_and_the_servers_status_is_its_own(
    supervise: Supervise, status: int
) -> None:
    supervisor = await supervise(SERVE.format(status))
    assert supervisor.stdout is not None
    assert await supervisor.stdout.readline() == b"serving\n"
    supervisor.terminate()
    assert await ended(supervisor) == (status, [STARTED])


async def test_a_server_that_dies_of_the_signal_is_told_as_shells_do(supervise: Supervise) -> None:
    supervisor = await supervise("print('serving', flush=True); time.sleep(60)")
    assert supervisor.stdout is not None
    await supervisor.stdout.readline()
    supervisor.terminate()
    assert await ended(supervisor) == (128 + signal.SIGTERM, [STARTED])


async def test_a_lost_terminal_reaches_the_server_and_ends_nothing(supervise: Supervise) -> None:
    heeded = "signal.signal(signal.SIGHUP, lambda *_: print('lost', flush=True))" + SERVE.format(0)
    supervisor = await supervise(heeded)
    assert supervisor.stdout is not None
    await supervisor.stdout.readline()
    supervisor.send_signal(signal.SIGHUP)
    async with asyncio.timeout(SECONDS):
        assert await supervisor.stdout.readline() == b"lost\n"
    supervisor.terminate()
    assert await ended(supervisor) == (0, [STARTED])


async def test_an_interruption_at_a_terminal_reaches_the_server_once(supervise: Supervise) -> None:
    """A second one would order it to drop everything."""
    counting = "signal.signal(signal.SIGINT, lambda *_: print('told', flush=True)); " + SERVE.format(0)
    supervisor = await supervise(counting)
    assert supervisor.stdout is not None
    assert supervisor.stderr is not None
    await supervisor.stdout.readline()
    assert os.getpgid(supervisor.pid) == os.getpgid(0)
    server = int(re.findall(rb"process (\d+)", await supervisor.stderr.readline())[0])
    assert os.getpgid(server) == server
    supervisor.send_signal(signal.SIGINT)
    async with asyncio.timeout(SECONDS):
        assert await supervisor.stdout.readline() == b"told\n"
    supervisor.terminate()
    assert (await ended(supervisor))[0] == 0
