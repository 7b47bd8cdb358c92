"""How much memory this process has and the machine has left, as Linux tells it."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

OF_PROCESS, OF_MACHINE = Path("/proc/self/statm"), Path("/proc/meminfo")


@dataclass(frozen=True, slots=True)
class Memory:
    """In bytes; None where the system does not say. What a model maps of its file counts as the process's."""

    process: int | None
    available: int | None
    total: int | None


def memory(of_process: Path = OF_PROCESS, of_machine: Path = OF_MACHINE) -> Memory:
    machine = said(of_machine)
    resident = re.match(r"\d+ (\d+)", said(of_process))
    process = int(resident[1]) * os.sysconf("SC_PAGE_SIZE") if resident else None
    return Memory(process, line(machine, "MemAvailable"), line(machine, "MemTotal"))


def said(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except (OSError, UnicodeDecodeError):  # another system has no such file, or one of its own
        return ""


def line(table: str, name: str) -> int | None:
    found = re.search(rf"^{name}:\s*(\d+) kB$", table, re.MULTILINE)
    return int(found[1]) * 1024 if found else None
