"""The conversations in a file, one after the other: what kind of file it is, its content says. Pure.

Known are our own JSON Lines, and ChatGPT's export: `conversations.json`, or the archive with it inside.
"""

import json
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from io import BytesIO
from pathlib import PurePosixPath

from neuralbridge.errors import InvalidParams, InvalidRequest
from neuralbridge.exchange.chatgpt import whole_of_chatgpt
from neuralbridge.exchange.jsonl import whole_of
from neuralbridge.protocol.values import value_exceeds, values_exceed
from neuralbridge.store.archive import Whole

UNPACKED_BYTES = 256 * 1024 * 1024  # of conversations in an archive
MOST_VALUES = 1_000_000  # of one conversation, thousands of answers; while they are parsed, no other thread runs
TOO_MANY_VALUES = f"It has more than {MOST_VALUES:,} commas and brackets outside its strings."
ZIP = b"PK\x03\x04"
WHITE = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Refused:
    """A conversation that cannot be taken: which, and why."""

    where: str
    reason: str


def conversations_in(content: bytes | bytearray) -> Iterator[Whole | Refused]:
    """Raises InvalidParams for a file of no kind that we know, before the first."""
    texts = unpacked(content) if content.startswith(ZIP) else [decoded(content)]
    for text in texts:
        beginning = text.lstrip(WHITE + "\ufeff")[:1]
        if beginning not in ("", "[", "{"):
            raise InvalidParams(
                "The file is neither JSON Lines of conversations, nor ChatGPT's conversations.json, nor a zip with it."
            )
        yield from (elements if beginning == "[" else lines)(text)


def lines(text: str) -> Iterator[Whole | Refused]:
    start, number = 0, 0
    while start < len(text):  # one line at a time: all of them would be the file once more
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        line, start, number = text[start:end].strip(WHITE + "\ufeff"), end + 1, number + 1
        if line and values_exceed(line, MOST_VALUES):
            yield Refused(f"line {number:,}", TOO_MANY_VALUES)
        elif line:
            try:
                given = DECODER.decode(line)
            except (ValueError, RecursionError) as error:
                yield Refused(f"line {number:,}", f"It is not JSON: {told(error)}.")
            else:
                yield conversation(given, f"line {number:,}")


def elements(text: str) -> Iterator[Whole | Refused]:
    """Those of one long list; where it breaks off, what stands before is there."""
    place, number = text.index("[") + 1, 0
    while True:
        place = after_white(text, place)
        if text[place : place + 1] == "]":
            return
        number += 1
        if value_exceeds(text, MOST_VALUES, place):
            yield Refused(f"conversation {number:,} and all after it", TOO_MANY_VALUES)
            return
        try:
            given, place = DECODER.raw_decode(text, place)
        except (ValueError, RecursionError) as error:
            yield Refused(f"conversation {number:,} and all after it", f"It is not JSON: {told(error)}.")
            return
        yield conversation(given, f"conversation {number:,}")
        place = after_white(text, place)
        if text[place : place + 1] == ",":
            place += 1


def conversation(given: object, where: str) -> Whole | Refused:
    try:
        return whole_of_chatgpt(given) if isinstance(given, dict) and "mapping" in given else whole_of(given)
    except InvalidRequest as error:
        return Refused(where, str(error))


def unpacked(content: bytes | bytearray) -> Iterator[str]:
    """The conversations of an archive. Raises InvalidParams."""
    room, found = UNPACKED_BYTES, False
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            for member in archive.infolist():
                if fnmatchcase(PurePosixPath(member.filename).name, "conversations*.json"):
                    with archive.open(member) as file:
                        text = file.read(room + 1)
                    if len(text) > room:
                        raise InvalidParams(f"The archive has more than {UNPACKED_BYTES:,} bytes of conversations.")
                    room -= len(text)
                    found = True
                    yield decoded(text)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, OSError) as error:
        raise InvalidParams(f"The archive cannot be read: {told(error)}.") from error
    if not found:
        raise InvalidParams("The archive has no conversations.json in it.")


def decoded(content: bytes | bytearray) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidParams(f"The file is not UTF-8: {told(error)}.") from error


def after_white(text: str, place: int) -> int:
    while text[place : place + 1] and text[place] in WHITE:
        place += 1
    return place


def told(error: Exception) -> str:
    return str(error)[:100] or type(error).__name__


def refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


DECODER = json.JSONDecoder(parse_constant=refuse_constant)
