"""The systemd unit is one that systemd takes, and names nothing of the machine it was written on."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "scripts" / "neuralbridge.service"
LINE = re.compile(r"#.*|\[(Unit|Service|Install)\]|[A-Z][A-Za-z]+=.*|")
PLACEHOLDERS = ("/opt/neuralbridge", "/var/lib/neuralbridge")
HARDENED = {
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ReadWritePaths": "/var/lib/neuralbridge",
    "PrivateTmp": "yes",
    "Restart": "always",
    "RestartSec": "2",
    "UMask": "0077",
    "LimitCORE": "0",
}


def settings() -> dict[str, str]:
    lines = [line for line in UNIT.read_text().splitlines() if "=" in line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_every_line_is_one_of_a_unit() -> None:
    assert [line for line in UNIT.read_text().splitlines() if not LINE.fullmatch(line)] == []


def test_it_is_hardened_and_brings_the_server_back() -> None:
    assert HARDENED.items() <= settings().items()


def test_its_paths_are_the_placeholders_that_its_head_explains() -> None:
    head, _, rest = UNIT.read_text().partition("[Unit]")
    assert all(place in head for place in PLACEHOLDERS)
    paths = re.findall(r"(?<=[= ])/[\w./-]+", "\n".join(line for line in rest.splitlines() if not line.startswith("#")))
    assert paths
    assert [path for path in paths if not path.startswith(PLACEHOLDERS)] == []


def test_systemd_takes_it(tmp_path: Path) -> None:
    if (verifier := shutil.which("systemd-analyze")) is None:
        pytest.skip("there is no systemd-analyze")
    there = UNIT.read_text().replace("/opt/neuralbridge/.venv/bin/neuralbridge", shutil.which("true") or "/bin/true")
    (tmp_path / UNIT.name).write_text(there)
    done = subprocess.run(
        [verifier, "verify", "--man=no", str(tmp_path / UNIT.name)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, [line for line in done.stderr.splitlines() if UNIT.name in line]) == (0, [])
