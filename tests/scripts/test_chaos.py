"""The quick form of scripts/chaos: attacks, faults and a soak of the real server, a good client after each."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.model

ROOT = Path(__file__).parents[2]
SEED = "0"  # the same tries each time; runs by hand have others
MOST_SECONDS = 900  # beside other tests; 150 on a machine that is idle


def test_attacks_faults_and_a_soak_leave_a_server_that_serves_and_has_lost_nothing() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "chaos.py"), "--quick", "--seed", SEED]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=MOST_SECONDS,
    )
    told = done.stdout + done.stderr
    assert done.returncode == 0, "\n".join(line for line in told.splitlines() if "**" in line) or told[-3000:]
    assert done.stdout.splitlines()[-1].endswith(" 0 not as they should be, 0 rows lost"), told[-300:]
