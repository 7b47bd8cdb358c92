"""`neuralbridge ask`: one question, its answer to a terminal or into a pipe."""

from contextlib import AbstractAsyncContextManager, aclosing
from typing import BinaryIO, TextIO

import aiohttp

from neuralbridge.commands import talk
from neuralbridge.commands.talk import Asked, Ended
from neuralbridge.commands.view import View
from neuralbridge.errors import InvalidQuery, QueryTooLong
from neuralbridge.protocol.requests import LONGEST_QUERY

STDIN = "-"
UTF8_BYTES = 4  # of a character, at the most


async def ask(server: AbstractAsyncContextManager[aiohttp.ClientSession], asked: Asked, view: View) -> None:
    """Raises AnswerFailed, ServerUnusable, StartRefused."""
    async with server as session:
        await show_answer(session, asked, view)


async def show_answer(session: aiohttp.ClientSession, asked: Asked, view: View) -> Ended | None:
    """Show an answer as it comes; the last one whole. Cancelled, it stops the answer."""
    last: Ended | None = None
    async with aclosing(talk.ask(session, asked)) as events:
        async for heard in events:
            view.hear(heard)
            last = heard if isinstance(heard, Ended) else last
    return last


def question_from(said: str | None, stdin: TextIO | None) -> str | None:
    """The question as said, or piped in, or what was piped in and the question after it; None where there is neither.

    Raises QueryTooLong, and InvalidQuery for what is no text.
    """
    if said == STDIN:
        return read_text(stdin.buffer) if stdin is not None else None
    piped = read_text(stdin.buffer).rstrip() if stdin is not None and not stdin.isatty() else ""
    parts = [part for part in (piped, said) if part]
    return "\n\n".join(parts) if parts else said


def read_text(file: BinaryIO) -> str:
    """No more than a question may have is read."""
    raw = file.read(LONGEST_QUERY * UTF8_BYTES + 1)
    if len(raw) > LONGEST_QUERY * UTF8_BYTES:
        raise too_long()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidQuery(f"Standard input is not UTF-8 text (byte {error.start:,}).") from error
    if len(text) > LONGEST_QUERY:
        raise too_long()
    return text


def too_long() -> QueryTooLong:
    return QueryTooLong(
        f"Standard input has more than {LONGEST_QUERY:,} characters, the most a question may have. "
        "Long texts are for the library: neuralbridge ingest FILE, then ask about them."
    )
