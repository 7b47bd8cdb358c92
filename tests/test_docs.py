"""What the documents promise is there."""

import subprocess
import sys
from pathlib import Path
from typing import get_args

from neuralbridge.assistant.confidence import SENTENCES
from neuralbridge.config import config_from
from neuralbridge.errors import Reason
from neuralbridge.protocol.failure import CODES
from neuralbridge.protocol.pushes import PUSHES
from neuralbridge.sections import Name, Routing
from neuralbridge.settings import LIVE, LIVE_OF_MODEL
from neuralbridge.web.answers import ANSWERS
from neuralbridge.web.conversations import CONVERSATIONS
from neuralbridge.web.knowledge import KNOWLEDGE
from neuralbridge.web.models import LOCAL_MODELS
from neuralbridge.web.proxy import PROXY

ROOT = Path(__file__).parents[1]


def test_the_schemas_of_the_wire_page_are_those_of_the_models() -> None:
    checked = subprocess.run(
        [sys.executable, "scripts/wire_page.py", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr


def test_the_page_of_names_has_every_setting_and_its_example_is_a_configuration() -> None:
    names = (ROOT / "docs" / "names.md").read_text("utf-8")
    example = names.partition("```yaml\n")[2].partition("```")[0]
    assert config_from(example, Path("config.yaml")).default_model == "large"
    settings = [*Name.model_fields, *(f"routing.{name}" for name in Routing.model_fields)]
    table = names.partition("## Settings")[2].partition("## Editing")[0]
    assert [setting for setting in settings if f"`{setting}" not in table] == []
    assert [name for name in [*LIVE, *LIVE_OF_MODEL] if f"`{name}`" not in names] == []


def test_every_event_and_every_code_is_on_a_page() -> None:
    wire = (ROOT / "docs" / "wire.md").read_text("utf-8")
    http = (ROOT / "docs" / "http.md").read_text("utf-8")
    hidden = {"invalid_request", "unavailable"}  # a base class; a server that does not start
    assert {word for word in PUSHES if f"`{word}" not in wire} == set()
    assert {code for code, _ in CODES.values() if f"`{code}" not in wire + http} - hidden == set()


def test_every_cause_of_a_confidence_is_on_the_wire_page_with_its_sentence() -> None:
    wire = (ROOT / "docs" / "wire.md").read_text("utf-8")
    rows = {
        code: f"| `{code}` | {sentence.replace('{value:.0%}', '`value`').replace('{why}', '…')}"
        for code, sentence in SENTENCES.items()
    }
    assert [code for code, row in rows.items() if row not in wire] == []


def test_every_reason_of_a_refusal_is_on_the_http_page() -> None:
    http = (ROOT / "docs" / "http.md").read_text("utf-8")
    assert [reason for reason in get_args(Reason) if f"| `{reason}` |" not in http] == []


def test_every_route_of_documents_is_on_the_http_page() -> None:
    http = (ROOT / "docs" / "http.md").read_text("utf-8")
    assert [
        f"{method} /api/knowledge/{path}"
        for method, path, _ in KNOWLEDGE
        if f"`{method} /api/knowledge/{path}" not in http
    ] == []
    assert [path for method, path, _ in ANSWERS + LOCAL_MODELS if f"`{method} /api/{path}" not in http] == []


def test_every_route_of_questions_and_conversations_is_on_the_http_page() -> None:
    http = (ROOT / "docs" / "http.md").read_text("utf-8")
    paths = [f"{method} /api/proxy/{path}" for method, path, _ in PROXY]
    paths += [f"{method} /api/conversations{path}" for method, path, _ in CONVERSATIONS]
    assert [path for path in paths if f"`{path}" not in http] == []
