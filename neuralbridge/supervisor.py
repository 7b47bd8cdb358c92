"""Keeps a server running: `python -m neuralbridge.supervisor` is `neuralbridge serve`, as often as it takes.

A failed assertion in native code ends the whole process, and nothing in it can help that. So this one stands beside it,
loads nothing, and starts the next. It ends when the server ends as it should, and when only a person can mend it.
"""

import asyncio
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
FOR_A_PERSON = {1, 2}  # of the command line: refused, wrong usage
FINAL = {0, 130, *FOR_A_PERSON}  # done, interrupted
CALM_SECONDS = 60.0  # whoever lives so long did not die of what the one before it died of
AT_ONCE = 5  # deaths in a row that are answered at once
LONGEST_PAUSE = 30.0


class Supervisor:
    """Runs `command` until it comes to an end of its own, or a signal asks for that."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._child: asyncio.subprocess.Process | None = None
        self._stopped = asyncio.Event()

    async def run(self) -> int:
        """The exit status of the last of its servers; 128 and a signal's number, as in shells, where one ended it."""
        loop = asyncio.get_running_loop()
        for number in PASSED_ON:
            loop.add_signal_handler(number, self._pass_on, number)
        deaths = 0
        while True:
            began = time.monotonic()
            status = await self._live()
            if self._stopped.is_set() or status in FINAL:
                if status in FOR_A_PERSON and not self._stopped.is_set():
                    say(f"the server {ended(status)}, as it says above; that is for a person to mend, so this ends too")
                return status if status >= 0 else 128 - status
            deaths = deaths + 1 if time.monotonic() - began < CALM_SECONDS else 1
            say(f"the server {ended(status)}; the next one starts {when(pause(deaths))}")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), pause(deaths))
            if self._stopped.is_set():
                return 0

    async def _live(self) -> int:
        """Start one and wait for its end; its status as subprocess has it."""
        # A group of its own: a terminal's Ctrl-C would reach it twice, and the second is an order to drop everything
        child = await asyncio.create_subprocess_exec(*self._command, stdin=asyncio.subprocess.DEVNULL, process_group=0)
        self._child = child
        say(f"started the server (process {child.pid})")
        if self._stopped.is_set():  # while it was being started
            child.terminate()
        return await child.wait()

    def _pass_on(self, number: signal.Signals) -> None:
        if number != signal.SIGHUP:  # which the server leaves unheeded
            self._stopped.set()
        if self._child is not None and self._child.returncode is None:
            self._child.send_signal(number)


def pause(deaths: int) -> float:
    """Seconds before the next start, after so many deaths without a calm minute between them."""
    return 0.0 if deaths <= AT_ONCE else min(2.0 ** (deaths - AT_ONCE - 1), LONGEST_PAUSE)


def ended(status: int) -> str:
    return f"ended with status {status}" if status >= 0 else f"was ended by {signal.Signals(-status).name}"


def when(seconds: float) -> str:
    return f"in {seconds:.0f} s" if seconds else "at once"


def say(line: str) -> None:
    print(f"supervisor: {line}", file=sys.stderr, flush=True)


def main() -> None:
    supervisor = Supervisor([sys.executable, "-m", "neuralbridge", "serve", *sys.argv[1:]])
    sys.exit(asyncio.run(supervisor.run()))


if __name__ == "__main__":
    main()
