"""What the documents promise is there."""

import subprocess
import sys
from pathlib import Path

from neuralbridge.protocol.failure import CODES
from neuralbridge.protocol.pushes import PUSHES
from neuralbridge.web.answers import ANSWERS
from neuralbridge.web.conversations import CONVERSATIONS
from neuralbridge.web.knowledge import KNOWLEDGE
from neuralbridge.web.proxy import PROXY

ROOT = Path(__file__).parents[1]


def test_the_schemas_of_the_wire_page_are_those_of_the_models() -> None:
    checked = subprocess.run(
        [sys.executable, "scripts/wire_page.py", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr


def test_every_event_and_every_code_is_on_a_page() -> None:
    wire = (ROOT / "docs" / "wire.md").read_text("utf-8")
    http = (ROOT / "docs" / "http.md").read_text("utf-8")
    hidden = {"invalid_request", "unavailable"}  # a base class; a server that does not start
    assert {word for word in PUSHES if f"`{word}" not in wire} == set()
    assert {code for code, _ in CODES.values() if f"`{code}" not in wire + http} - hidden == set()


def test_every_route_of_documents_is_on_the_http_page() -> None:
    http = (ROOT / "docs" / "http.md").read_text("utf-8")
    assert [
        f"{method} /api/knowledge/{path}"
        for method, path, _ in KNOWLEDGE
        if f"`{method} /api/knowledge/{path}" not in http
    ] == []
    assert [path for method, path, _ in ANSWERS if f"`{method} /api/{path}" not in http] == []


def test_every_route_of_questions_and_conversations_is_on_the_http_page() -> None:
    http = (ROOT / "docs" / "http.md").read_text("utf-8")
    paths = [f"{method} /api/proxy/{path}" for method, path, _ in PROXY]
    paths += [f"{method} /api/conversations{path}" for method, path, _ in CONVERSATIONS]
    assert [path for path in paths if f"`{path}" not in http] == []
