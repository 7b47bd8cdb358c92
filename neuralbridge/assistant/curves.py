"""The logistic curves that turn what was measured into probabilities, as scripts/eval fitted them. Pure.

They stand in curves.json, with what they were fitted on.
"""

import json
import math
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

LEAST, MOST = 0.01, 0.99  # nothing is certain


@cache
def curves() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(files("neuralbridge.assistant").joinpath("curves.json").read_text("utf-8"))
    return loaded


def probability(name: str, features: Mapping[str, float]) -> float:
    """What the named curve makes of these features."""
    curve = curves()[name]
    total = curve["intercept"] + sum(weight * features[key] for key, weight in curve["weights"].items())
    return round(min(max(1 / (1 + math.exp(-total)), LEAST), MOST), 4)
