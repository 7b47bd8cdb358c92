"""`neuralbridge chat`: a conversation at the terminal, line by line."""

import asyncio
import concurrent.futures
import re
import sys
import threading
from collections.abc import Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp

from neuralbridge.commands.ask import show_answer
from neuralbridge.commands.talk import Asked, Ended, new_conversation
from neuralbridge.commands.view import View, note, notes, passages, printable
from neuralbridge.errors import BridgeError

T = TypeVar("T")
HELP = """\
/new       begin a new conversation
/sources   the passages that the last answer drew on
/quit      leave, as Ctrl-D does
Ctrl-C stops the answer."""


class Loop:
    """An event loop on a thread of its own: lines are edited on the main thread, and nothing waits for them."""

    def __enter__(self) -> Self:
        self._started: concurrent.futures.Future[asyncio.AbstractEventLoop] = concurrent.futures.Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()), name="chat")
        self._thread.start()
        self._loop = self._started.result()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run to the end. Ctrl-C cancels it, and is raised when it has ended."""
        running: list[asyncio.Task[Any]] = []

        async def hold() -> T:
            task = asyncio.current_task()
            assert task is not None
            running.append(task)
            return await work

        def give_up() -> None:
            if running:
                running[0].cancel()
            else:  # it has not begun
                self._loop.call_soon(give_up)

        future = asyncio.run_coroutine_threadsafe(hold(), self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            self._loop.call_soon_threadsafe(give_up)
            with suppress(concurrent.futures.CancelledError):
                future.result()
            raise

    @contextmanager
    def inside(self, place: AbstractAsyncContextManager[T]) -> Iterator[T]:
        """What is entered and left on the loop."""

        async def enter() -> T:
            return await place.__aenter__()

        async def leave() -> None:
            await place.__aexit__(None, None, None)

        inside = self.run(enter())
        try:
            yield inside
        finally:
            self.run(leave())

    async def _live(self) -> None:
        self._ended = asyncio.Event()
        self._started.set_result(asyncio.get_running_loop())
        await self._ended.wait()


class Chat:
    """One conversation after another, on a session with a server."""

    def __init__(self, loop: Loop, session: aiohttp.ClientSession, first: Asked, view: View) -> None:
        self._loop = loop
        self._session = session
        self._asked = first
        self._view = view
        self._last: Ended | None = None
        self._notes = notes()
        self._typed = sys.stdin.isatty()
        self._prompt = "> " if self._typed and sys.stdout.isatty() else ""

    def run(self) -> None:
        """Until /quit or the end of the input."""
        if self._typed:
            with suppress(ImportError):  # it is not everywhere; then lines are edited as the terminal does
                import readline  # noqa: F401  # being imported, it serves input()
            note(self._notes, f"{self._asked.conversation}: a conversation; /help says what else there is")
        while (line := self._read()) is not None and line != "/quit":
            if re.fullmatch("/[a-z]+", line):
                self._obey(line)
            elif line:
                self._ask(line)

    def _read(self) -> str | None:
        """The next line; None at the end. Ctrl-C takes back what is being typed."""
        while True:
            try:
                return input(self._prompt).strip()
            except EOFError:
                if self._typed:
                    print()
                return None
            except KeyboardInterrupt:
                if not self._typed:
                    raise
                print()

    def _obey(self, command: str) -> None:
        match command:
            case "/help":
                self._notes.print(HELP)
            case "/new":
                self._asked = replace(self._asked, conversation=new_conversation())
                self._last = None
                note(self._notes, f"{self._asked.conversation}: a new conversation")
            case "/sources":
                sources = self._last.metadata.sources if self._last else []
                self._notes.print(printable(passages(sources)) or "The last answer drew on no documents.")
            case _:
                self._notes.print(f"There is no {command}.\n{HELP}")

    def _ask(self, line: str) -> None:
        try:
            self._last = self._loop.run(show_answer(self._session, replace(self._asked, query=line), self._view))
        except BridgeError as error:
            self._notes.print(printable(f"Error: {error}"))
        except KeyboardInterrupt:
            if not self._typed:
                raise
            print()
            note(self._notes, "stopped")


def chat(server: AbstractAsyncContextManager[aiohttp.ClientSession], first: Asked, view: View) -> None:
    """Ask what is typed until there is no more. Raises ServerUnusable and StartRefused when there is no server."""
    with Loop() as loop, loop.inside(server) as session:
        Chat(loop, session, first, view).run()
