"""Log lines for a person at a terminal: what happened, then the facts given in `extra` as name=value."""

import logging

USUAL = vars(logging.makeLogRecord({})).keys() | {"message", "asctime", "taskName"}
LONGEST = 300  # characters of a fact; what clients send must not flood the log


class Facts(logging.Formatter):
    """Control characters in facts are escaped, so that nobody writes lines of their own into the log."""

    def format(self, record: logging.LogRecord) -> str:
        facts = {name: value for name, value in vars(record).items() if name not in USUAL}
        told = "".join(f" {name}={str(value)[:LONGEST]!r}" for name, value in facts.items())
        line, newline, trace = super().format(record).partition("\n")
        return line + told + newline + trace


def to_stderr(level: int = logging.INFO) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(Facts("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
    logging.getLogger("faiss.loader").setLevel(logging.WARNING)  # it tells of every build of itself that is not there
