"""On a LAN: nobody comes in without a token. The server listens on all addresses, of a network namespace of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_no_network import UNSHARE, why_not
from tests.visit_lan import ADDRESS

pytestmark = pytest.mark.model


def test_on_a_lan_everybody_says_who_they_are(tmp_path: Path) -> None:
    """A13, X4, X5, X12."""
    if reason := why_not():
        pytest.skip(f"the kernel forbids it: {reason}")
    visit = subprocess.run(
        [*UNSHARE, sys.executable, "-m", "tests.visit_lan", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert visit.returncode == 0, visit.stderr
    seen = json.loads(visit.stdout)
    assert seen["printed"] == "sign in with this token, which is shown only now:"
    assert seen["statuses"] == {
        "nobody": 401,
        "wrong": 401,
        "owner": 200,
        "by name": 200,
        "by mdns": 200,
        "rebound": 421,
        "rebound to loopback": 421,
        "user in host": 421,
        "other port": 421,
        "all addresses": 421,
        "forwarded": 401,
        "socket": 0,
        "wrong socket": 403,
        "signed socket": 101,
    }
    assert seen["asked"] == 0  # commands of this machine's user come in by a token that the server leaves for them
    assert f"http://{ADDRESS}:4321/#/pair/nb_" in seen["paired"]
    assert "local  admin  token" in seen["listed"]
    assert set(seen["modes"].values()) == {0o600}
    assert seen["told"] == []  # the token itself is nowhere
