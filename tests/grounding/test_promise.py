"""What the words alone achieve on the open pairs: who says "supported" is right nine times of ten."""

import json
from pathlib import Path
from typing import Any

from neuralbridge.grounding.verdicts import judge

PAIRS = Path(__file__).parent.parent / "data" / "support.jsonl"


def open_pairs() -> list[dict[str, Any]]:
    """Those that the curves were fitted on; the others are for scripts/eval alone."""
    pairs = map(json.loads, PAIRS.read_text("utf-8").splitlines())
    return [pair for pair in pairs if pair["written"] == "open"]


def test_what_is_called_supported_is_so_and_enough_of_it_is_found_without_an_embedder() -> None:
    pairs = open_pairs()
    called = [pair["verdict"] for pair in pairs if judge(pair["sentence"], pair["passage"]).verdict == "supported"]
    right = called.count("supported")
    assert right / len(called) >= 0.9
    assert right / sum(pair["verdict"] == "supported" for pair in pairs) >= 0.4
