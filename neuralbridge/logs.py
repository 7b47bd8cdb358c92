"""Log lines for a person: what happened, then the facts given in `extra` as name=value. To the terminal, and to a file.

What is nobody's business is masked wherever it stands, also in tracebacks and in what other libraries say.
"""

import logging
import os
import re
import sys
import time
from contextlib import suppress
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

USUAL = vars(logging.makeLogRecord({})).keys() | {"message", "asctime", "taskName"}
LONGEST = 300  # characters of a fact; what clients send must not flood the log
LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
NAME = "neuralbridge.log"
OFTEN = 20  # times that one message is written within PERIOD_SECONDS
PERIOD_SECONDS = 60.0
MOST_MESSAGES = 1_000  # that are counted at once
MASK = r"\g<1>***"
SECRETS = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"((?:cookie|authorization)[\"']?\s*[:=,]\s*b?[\"']?)[^\n\"']+",  # headers, as they stand and in Python's words
        r"((?:token|api[_-]?key|password|secret)[\"']?\s*[:=]\s*[\"']?)[^\s\"'&,;)}\]]+",  # parameters, and fields
        r"(bearer\s+|base64url\.bearer\.phx\.)[\w.~+/=-]+",
        r"(\beyJ)[\w-]+\.[\w-]+\.[\w-]*",  # a JWT, wherever it comes from
        r"(input_value=).+?(?=, input_type=)",  # what pydantic could not read
    )
]


class Facts(logging.Formatter):
    """Control characters in facts are escaped, so that nobody writes lines of their own into the log."""

    def format(self, record: logging.LogRecord) -> str:
        facts = {name: value for name, value in vars(record).items() if name not in USUAL}
        told = "".join(f" {name}={str(value)[:LONGEST]!r}" for name, value in facts.items())
        line, newline, trace = super().format(record).partition("\n")
        return masked(line + told + newline + trace)


class Sparing(logging.Filter):
    """Writes one message so often in a minute and no oftener: noise at the port must not fill the disk.

    The first after a silence says in `left_out` how many there were of it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._counted: dict[tuple[str, str], tuple[float, int]] = {}  # since when, and how often

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        key = record.name, str(record.msg)
        since, times = self._counted.get(key, (now, 0))
        if now - since >= PERIOD_SECONDS:
            if times > OFTEN:
                record.left_out = times - OFTEN
            since, times = now, 0
        if len(self._counted) > MOST_MESSAGES:
            self._counted.clear()
        self._counted[key] = since, times + 1
        return times < OFTEN


class LogFile(RotatingFileHandler):
    """Only its owner reads it. A full disk costs lines, and nothing else."""

    complained = False

    def _open(self) -> TextIOWrapper:
        return TextIOWrapper(open(self.baseFilename, "ab", opener=private), self.encoding)  # logging closes it

    def handleError(self, _: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        if not self.complained and sys.stderr is not None:
            self.complained = True
            with suppress(OSError):  # nobody reads that either
                print(f"{self.baseFilename}: lines are lost ({sys.exception()})", file=sys.stderr)


def private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def masked(text: str) -> str:
    for secret in SECRETS:
        text = secret.sub(MASK, text)
    return text


def to_stderr(level: int = logging.INFO) -> None:
    logging.basicConfig(level=level, handlers=[prepared(logging.StreamHandler())])
    logging.getLogger("faiss.loader").setLevel(logging.WARNING)  # it tells of every build of itself that is not there
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it counts changes of files, and does not say of which


def to_file(folder: Path, size: int, files: int) -> None:
    """Write the log into the folder too. At `size` bytes a file becomes an older one, of which `files` are kept."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handler = LogFile(folder / NAME, maxBytes=size, backupCount=files, encoding="utf-8", delay=True)
    except OSError as error:
        logging.getLogger(__name__).warning("there is no log file", extra={"folder": folder, "why": error.strerror})
        return
    logging.getLogger().addHandler(prepared(handler))


def prepared(handler: logging.Handler) -> logging.Handler:
    handler.setFormatter(Facts(LINE))
    handler.addFilter(Sparing())
    return handler
