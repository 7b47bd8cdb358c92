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
FLAT = 50.0  # from here on the curve is flat, and further on exp() overflows


@cache
def curves() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(files("neuralbridge.assistant").joinpath("curves.json").read_text("utf-8"))
    return loaded


def probability(name: str, features: Mapping[str, float]) -> float:
    """What the named curve makes of these features; one that was not measured counts as 0."""
    curve = curves()[name]
    total = curve["intercept"] + sum(weight * features.get(key, 0.0) for key, weight in curve["weights"].items())
    return round(min(max(1 / (1 + math.exp(-min(max(total, -FLAT), FLAT))), LEAST), MOST), 4)
