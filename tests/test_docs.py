"""What the documents promise is there."""

import subprocess
import sys
from pathlib import Path

from neuralbridge.protocol.failure import CODES
from neuralbridge.protocol.pushes import PUSHES

ROOT = Path(__file__).parents[1]


def test_the_schemas_of_the_wire_page_are_those_of_the_models() -> None:
    checked = subprocess.run(
        [sys.executable, "scripts/wire_page.py", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr


def test_every_event_and_every_code_is_on_the_wire_page() -> None:
    page = (ROOT / "docs" / "wire.md").read_text("utf-8")
    hidden = {"invalid_request", "unavailable"}  # a base class; a server that does not start
    missing = {word for word in {*PUSHES, *CODES.values()} - hidden if f"`{word}" not in page}
    assert missing == set()
