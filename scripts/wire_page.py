"""Writes the schemas in docs/wire.md from the models that validate and render them; --check only compares."""

import json
import sys
from pathlib import Path

from pydantic import BaseModel

from neuralbridge.protocol.pushes import PUSHES
from neuralbridge.protocol.requests import (
    ContinueRequest,
    FeedbackRequest,
    HistoryRequest,
    JoinRequest,
    QueryRequest,
    RegenerateRequest,
    ResumePoint,
    SelectRequest,
    StopRequest,
)

PAGE = Path(__file__).resolve().parent.parent / "docs" / "wire.md"
BEGIN, END = "<!-- schemas: begin -->", "<!-- schemas: end -->"
REQUESTS: dict[str, type[BaseModel]] = {
    "phx_join": JoinRequest,
    "phx_join's resume": ResumePoint,
    "query, stream_query": QueryRequest,
    "regenerate": RegenerateRequest,
    "continue": ContinueRequest,
    "get_history": HistoryRequest,
    "select": SelectRequest,
    "stop": StopRequest,
    "feedback": FeedbackRequest,
}


def schemas() -> str:
    lines = [BEGIN, "", "### From the client"]
    for event, model in REQUESTS.items():
        lines += section(event, model)
    lines += ["", "### From the server"]
    for event, push in PUSHES.items():
        lines += section(event, push)
    return "\n".join([*lines, "", END])


def section(event: str, model: type[BaseModel]) -> list[str]:
    schema = json.dumps(model.model_json_schema(), indent=2, ensure_ascii=False)
    return ["", f"#### `{event}`", "", "```json", schema, "```"]


def main() -> None:
    text = PAGE.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    fresh = before + schemas() + after
    if "--check" in sys.argv:
        sys.exit(0 if fresh == text else "docs/wire.md is out of date: run .venv/bin/python scripts/wire_page.py")
    PAGE.write_text(fresh, "utf-8")


if __name__ == "__main__":
    main()
