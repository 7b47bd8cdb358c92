"""A requested name leads to a model and its parameters, the narrower place winning over the wider one."""

from dataclasses import fields
from typing import Any

import pytest

from neuralbridge.catalog.names import Names
from neuralbridge.config import Config
from neuralbridge.errors import ModelNotFound
from neuralbridge.types import Params, Sampling

SETTINGS: dict[str, Any] = {
    "version": 1,
    "models": {"small": {"path": "small.gguf", "system_prompt": "Be brief.", "params": {"temperature": 0.1}}},
    "model_list": [
        {"model_name": "gpt-4", "use": "small"},
        {"model_name": "poet", "use": "small", "system_prompt": "Rhyme.", "params": {"temperature": 1.5, "top_k": 7}},
        {"model_name": "plain", "use": "small", "system_prompt": ""},
    ],
    "routing": {"default": "gpt-4"},
}


def names(**settings: Any) -> Names:
    return Names(Config.model_validate({**SETTINGS, **settings}))


STRICT = {"routing": {"default": "poet", "unknown_model": "error"}}


@pytest.mark.parametrize(
    ("requested", "told", "system_prompt", "temperature"),
    [
        (None, "gpt-4", "Be brief.", 0.1),
        ("", "gpt-4", "Be brief.", 0.1),
        ("gpt-4", "gpt-4", "Be brief.", 0.1),
        ("poet", "poet", "Rhyme.", 1.5),
        ("plain", "plain", "", 0.1),
        ("small", "small", "Be brief.", 0.1),
        ("gpt-9", "gpt-9", "Be brief.", 0.1),
        ("GPT-4", "GPT-4", "Be brief.", 0.1),
        ("model_name", "model_name", "Be brief.", 0.1),
    ],
)
def test_a_name_leads_to_the_model_with_its_prompt_and_parameters(
    requested: str | None, told: str, system_prompt: str, temperature: float
) -> None:
    target = names().resolve(requested)
    assert (target.requested, target.model, target.system_prompt) == (told, "small", system_prompt)
    assert target.sampling(Params()).temperature == temperature


def test_an_unknown_name_gets_what_the_default_name_has() -> None:
    target = names(routing={"default": "poet"}).resolve("gpt-9")
    assert (target.system_prompt, target.sampling(Params()).top_k) == ("Rhyme.", 7)


@pytest.mark.parametrize("requested", [None, "poet", "gpt-4", "small"])
def test_known_names_are_found_where_unknown_ones_are_refused(requested: str | None) -> None:
    assert names(**STRICT).resolve(requested).model == "small"


@pytest.mark.parametrize(
    ("requested", "shown"),
    [("gpt-9", "'gpt-9'"), ("x" * 200, repr("x" * 77 + "...")), ("a\nb", r"'a\nb'"), (" gpt-4", "' gpt-4'")],
)
def test_an_unknown_name_is_refused_with_the_known_ones(requested: str, shown: str) -> None:
    with pytest.raises(ModelNotFound) as refused:
        names(**STRICT).resolve(requested)
    assert str(refused.value) == f"No model is called {shown}. Known names: gpt-4, poet, plain, small."


def test_a_name_that_is_called_like_a_model_stands_before_it() -> None:
    small = {"model_name": "small", "use": "small", "params": {"top_k": 3}}
    listed = names(model_list=[small], routing={"default": "small"})
    assert listed.listed == ["small"]
    assert listed.resolve("small").sampling(Params()).top_k == 3


ORDER = [
    ({}, {}, {}, 0.3),
    ({"temperature": 0.1}, {}, {}, 0.1),
    ({"temperature": 0.1}, {"temperature": 0.2}, {}, 0.2),
    ({"temperature": 0.1}, {"temperature": 0.2}, {"temperature": 0.3}, 0.3),
    ({"temperature": 0.1}, {"temperature": 0.2}, {"temperature": 0}, 0.0),
    ({"temperature": 0.1}, {"temperature": None}, {"temperature": None}, 0.1),
    ({}, {"top_k": 5}, {"temperature": 2}, 2.0),
]


@pytest.mark.parametrize(("of_model", "of_name", "of_request", "temperature"), ORDER)
def test_the_request_stands_over_the_name_and_the_name_over_the_model(
    of_model: dict[str, Any], of_name: dict[str, Any], of_request: dict[str, Any], temperature: float
) -> None:
    target = names(
        models={"small": {"path": "small.gguf", "params": of_model}},
        model_list=[{"model_name": "gpt-4", "use": "small", "params": of_name}],
    ).resolve("gpt-4")
    assert target.sampling(Params.model_validate(of_request)).temperature == temperature


def test_a_narrower_list_of_stops_replaces_the_wider_one() -> None:
    target = names(
        models={"small": {"path": "small.gguf", "params": {"stop": ["a", "b"]}}},
        model_list=[{"model_name": "gpt-4", "use": "small", "params": {"stop": "c"}}],
    ).resolve("gpt-4")
    assert target.sampling(Params()).stop == ("c",)


def test_what_nobody_sets_is_the_default() -> None:
    bare = names(models={"small": {"path": "small.gguf"}}).resolve("gpt-4")
    assert bare.sampling(Params()) == Sampling()


def test_every_parameter_is_a_field_of_sampling() -> None:
    assert Params.model_fields.keys() - {each.name for each in fields(Sampling)} == set()


def test_every_parameter_reaches_sampling() -> None:
    given = {
        "temperature": 0.25,
        "top_p": 0.5,
        "top_k": 3,
        "min_p": 0.125,
        "repeat_penalty": 1.25,
        "frequency_penalty": -0.5,
        "presence_penalty": 0.5,
        "seed": 0,
        "stop": ("x", "y"),
        "max_tokens": 9,
    }
    assert names().resolve(None).sampling(Params.model_validate(given)) == Sampling(**given)
