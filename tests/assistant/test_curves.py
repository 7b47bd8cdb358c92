"""The curves are logistic, and never certain."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralbridge.assistant.curves import LEAST, MOST, curves, probability

NAMES = sorted(name for name, curve in curves().items() if isinstance(curve, dict))


def weights(name: str) -> dict[str, float]:
    named: dict[str, float] = curves()[name]["weights"]
    return named


def test_there_is_a_curve_for_every_use() -> None:
    assert {"grounded", "alone", "extract", "answerable"} <= {*NAMES}


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_a_probability_is_never_certain(name: str, data: st.DataObject) -> None:
    features = {key: data.draw(st.floats(-2, 2)) for key in weights(name)}
    assert 0 < LEAST <= probability(name, features) <= MOST < 1


@pytest.mark.parametrize(("name", "key"), [(name, key) for name in NAMES for key in weights(name)])
@given(one=st.floats(0, 1), other=st.floats(0, 1))
def test_each_feature_moves_it_the_way_of_its_weight(name: str, key: str, one: float, other: float) -> None:
    rest = dict.fromkeys(weights(name), 0.5)
    less, more = (probability(name, {**rest, key: value}) for value in sorted((one, other)))
    assert less <= more if weights(name)[key] >= 0 else less >= more


def test_what_a_curve_does_not_know_changes_nothing() -> None:
    assert probability("extract", {"evidence": 0.5, "mean": 0.1}) == probability("extract", {"evidence": 0.5})
