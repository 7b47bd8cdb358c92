"""Loads a model file in a child process before the server does: a broken GGUF may end the process that reads it."""

import re
import subprocess
import sys
from pathlib import Path

from neuralbridge.errors import ModelUnusable

PROBE_SECONDS = 120.0
GGUF_MAGIC = b"GGUF"


def check_memory(path: Path, table: Path = Path("/proc/meminfo")) -> None:
    """Return if there is memory for the file's weights, as far as the system says. Raises ModelUnusable with both."""
    if not table.is_file():
        return
    found = re.search(r"^MemAvailable:\s*(\d+) kB", table.read_text(), re.MULTILINE)
    size = path.stat().st_size
    if found and size > (available := int(found[1]) * 1024):
        raise ModelUnusable(
            f"{path}: the model needs {size / 1e9:.1f} GB of memory, and {available / 1e9:.1f} GB are free."
        )


def probe(path: Path, mend: str) -> None:
    """Return if llama.cpp can load the file. `mend` is the command that would bring it back.

    Raises ModelUnusable naming the path, what is wrong and `mend`.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe would keep us waiting
            raise ModelUnusable(f"{path}: a folder or a device, not a model file. Run: {mend}")
        with path.open("rb") as file:
            magic = file.read(len(GGUF_MAGIC))
    except FileNotFoundError:
        raise ModelUnusable(f"{path}: the model file is missing. Run: {mend}") from None
    except OSError as error:
        raise ModelUnusable(f"{path}: the model file cannot be read ({error.strerror}). Run: {mend}") from error
    if magic != GGUF_MAGIC:
        raise ModelUnusable(f"{path}: not a GGUF file. Run: {mend}")
    try:
        child = subprocess.run(
            [sys.executable, "-m", "neuralbridge.engine.llama", str(path)], capture_output=True, timeout=PROBE_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise ModelUnusable(f"{path}: loading it took more than {PROBE_SECONDS:.0f} s. Run: {mend}") from None
    if b"Traceback" in child.stderr:  # then llama.cpp did not get to see the file
        why = child.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise ModelUnusable(f"{path}: the model file cannot be tried ({why}). Run: {mend}")
    if child.returncode != 0:
        why = "ended the loader" if child.returncode < 0 else "is incomplete or damaged"
        raise ModelUnusable(f"{path}: the model file {why} ({path.stat().st_size:,} bytes). Run: {mend}")
