"""Nothing leaves the house: the server starts and answers in a network namespace that has loopback and nothing else."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.model

UNSHARE = ["unshare", "--user", "--map-root-user", "--net"]
VISIT = Path(__file__).with_name("visit.py")


def why_not() -> str | None:
    """Why no namespace can be made here, in the kernel's words."""
    if shutil.which("unshare") is None:
        return "there is no unshare command"
    tried = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True)
    return None if tried.returncode == 0 else tried.stderr.strip()


def test_it_starts_and_answers_with_the_network_unshared(tmp_path: Path) -> None:
    if reason := why_not():
        pytest.skip(f"the kernel forbids it: {reason}")
    visit = subprocess.run(
        [*UNSHARE, sys.executable, str(VISIT), str(tmp_path)], capture_output=True, text=True, timeout=120
    )
    assert visit.returncode == 0, visit.stderr
    seen = json.loads(visit.stdout)
    assert seen["interfaces"] == ["lo"]
    assert "Paris" in seen["response"]
    assert seen["sources"] == ["pump.md"]
    assert "27" in seen["informed"]
    assert seen["health"]["outgoing_connections"] == 0
