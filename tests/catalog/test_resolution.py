"""Whatever name a tool insists on leads somewhere, by a rule that can be told."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuralbridge.catalog.names import COMPARED, EMBEDDER, Kind, Names, forms, nearest
from neuralbridge.config import Config, read_config
from neuralbridge.errors import ModelNotFound
from neuralbridge.sections import ENDINGS
from neuralbridge.types import Params

SHIPPED = Path(__file__).parents[2] / "config.yaml"
SETTINGS: dict[str, Any] = {
    "version": 1,
    "models": {
        "small": {"path": "small.gguf", "aliases": ["tiny", "qwen:1.5b"], "params": {"temperature": 0.1}},
        "large": {"path": "large.gguf", "aliases": ["best", "qwen:7b"], "system_prompt": "Think."},
    },
    "model_list": [
        {"model_name": "gpt-4", "use": "large", "params": {"temperature": 0.2}},
        {"model_name": "gpt-4-brief", "use": "gpt-4", "system_prompt": "Be brief.", "params": {"max_tokens": 50}},
        {"model_name": "gpt-4*", "use": "large", "examples": ["gpt-4.1"]},
        {"model_name": "gpt-*-mini*", "use": "small"},
        {"model_name": "claude-*", "use": "large", "hidden": True, "drop_params": ["top_k"]},
        {"model_name": "text-embedding-*", "use": "embedder", "examples": ["text-embedding-3-small"]},
        {"model_name": "local/llama", "use": "small"},
        {"model_name": "Ünïcode", "use": "small"},
        {"model_name": "*-vision", "use": "small"},
        {"model_name": "both", "use": "embedder"},
        {"model_name": "both*", "use": "small"},
        {"model_name": "secret", "use": "small", "hidden": True},
    ],
    "routing": {
        "default": "gpt-4",
        "model_group_alias": {"gpt4": "gpt-4-brief", "GPT-3.5": {"model": "tiny", "hidden": True}},
    },
}

# What is asked for, the model that answers, and the rule that says so
TABLE: list[tuple[str, Kind, str, str]] = [
    # as it stands
    ("gpt-4", "chat", "large", "model_list[0] gpt-4"),
    ("gpt-4-brief", "chat", "large", "model_list[1] gpt-4-brief"),
    ("gpt-4*", "chat", "large", "model_list[2] gpt-4*"),
    ("local/llama", "chat", "small", "model_list[6] local/llama"),
    ("Ünïcode", "chat", "small", "model_list[7] Ünïcode"),
    ("secret", "chat", "small", "model_list[11] secret"),
    ("gpt4", "chat", "large", "routing.model_group_alias gpt4"),
    ("GPT-3.5", "chat", "small", "routing.model_group_alias GPT-3.5"),
    # models by their keys and aliases
    ("small", "chat", "small", "models small"),
    ("large", "chat", "large", "models large"),
    ("tiny", "chat", "small", "models.small.aliases tiny"),
    ("best", "chat", "large", "models.large.aliases best"),
    ("qwen:1.5b", "chat", "small", "models.small.aliases qwen:1.5b"),
    ("qwen:7b", "chat", "large", "models.large.aliases qwen:7b"),
    # in other letters
    ("GPT-4", "chat", "large", "model_list[0] gpt-4"),
    ("Gpt-4-Brief", "chat", "large", "model_list[1] gpt-4-brief"),
    ("SMALL", "chat", "small", "models small"),
    ("Best", "chat", "large", "models.large.aliases best"),
    ("ÜNÏCODE", "chat", "small", "model_list[7] Ünïcode"),
    ("gpt-3.5", "chat", "small", "routing.model_group_alias GPT-3.5"),
    ("Local/Llama", "chat", "small", "model_list[6] local/llama"),
    # with a prefix
    ("openai/gpt-4", "chat", "large", "model_list[0] gpt-4"),
    ("openrouter/openai/gpt-4", "chat", "large", "model_list[0] gpt-4"),
    ("OpenAI/GPT-4", "chat", "large", "model_list[0] gpt-4"),
    ("ollama/tiny", "chat", "small", "models.small.aliases tiny"),
    ("hub/local/llama", "chat", "small", "model_list[6] local/llama"),
    ("models/large", "chat", "large", "models large"),
    ("a/b/c/d/small", "chat", "small", "models small"),
    # with an ending
    ("gpt-4-0613", "chat", "large", "model_list[0] gpt-4"),
    ("gpt-4-2024-08-06", "chat", "large", "model_list[0] gpt-4"),
    ("gpt-4-20240806", "chat", "large", "model_list[0] gpt-4"),
    ("gpt-4@20240806", "chat", "large", "model_list[0] gpt-4"),
    ("gpt-4-latest", "chat", "large", "model_list[0] gpt-4"),
    ("small:latest", "chat", "small", "models small"),
    ("openai/gpt-4-0613:latest", "chat", "large", "model_list[0] gpt-4"),
    ("qwen:7b-latest", "chat", "large", "models.large.aliases qwen:7b"),
    # with a *, the most specific first
    ("gpt-4o", "chat", "large", "model_list[2] gpt-4*"),
    ("gpt-4.1", "chat", "large", "model_list[2] gpt-4*"),
    ("gpt-4o-2024-08-06", "chat", "large", "model_list[2] gpt-4*"),
    ("gpt-4-1106-preview", "chat", "large", "model_list[2] gpt-4*"),
    ("gpt-4-", "chat", "large", "model_list[2] gpt-4*"),
    ("gpt-4o-mini", "chat", "small", "model_list[3] gpt-*-mini*"),
    ("gpt-4o-mini-2024-07-18", "chat", "small", "model_list[3] gpt-*-mini*"),
    ("azure/gpt-4o-mini", "chat", "small", "model_list[3] gpt-*-mini*"),
    ("GPT-4O", "chat", "large", "model_list[2] gpt-4*"),
    ("claude-3-5-sonnet-20241022", "chat", "large", "model_list[4] claude-*"),
    ("anthropic/claude-opus-4@20250514", "chat", "large", "model_list[4] claude-*"),
    ("llava-vision", "chat", "small", "model_list[8] *-vision"),
    ("llava-vision-latest", "chat", "small", "model_list[8] *-vision"),
    ("gpt-4-vision", "chat", "small", "model_list[8] *-vision"),
    # embeddings
    ("text-embedding-3-small", "embedding", EMBEDDER, "model_list[5] text-embedding-*"),
    ("openai/text-embedding-ada-002", "embedding", EMBEDDER, "model_list[5] text-embedding-*"),
    ("embedder", "embedding", EMBEDDER, "documents embedder"),
    ("both", "embedding", EMBEDDER, "model_list[9] both"),
    # a rule for another kind does not count
    ("both", "chat", "small", "model_list[10] both*"),
    ("gpt-4", "embedding", EMBEDDER, "routing.unknown_model default embedder"),
    ("text-embedding-3-small", "chat", "large", "routing.unknown_model default gpt-4"),
    ("embedder", "chat", "large", "routing.unknown_model default gpt-4"),
    # nothing fits
    ("grok-2", "chat", "large", "routing.unknown_model default gpt-4"),
    ("gpt-5", "chat", "large", "routing.unknown_model default gpt-4"),
    (" gpt-4", "chat", "large", "routing.unknown_model default gpt-4"),
    ("4", "chat", "large", "routing.unknown_model default gpt-4"),
    ("/", "chat", "large", "routing.unknown_model default gpt-4"),
    ("\0", "chat", "large", "routing.unknown_model default gpt-4"),
    ("../small.gguf", "chat", "large", "routing.unknown_model default gpt-4"),
    ("/models/small.gguf", "chat", "large", "routing.unknown_model default gpt-4"),
    ("x" * 10_000, "chat", "large", "routing.unknown_model default gpt-4"),
    ("gpt-4" + "x" * 10_000, "chat", "large", "model_list[2] gpt-4*"),
    ("bge-small", "embedding", EMBEDDER, "routing.unknown_model default embedder"),
]
UNKNOWN = [name for name, kind, _, rule in TABLE if rule.startswith("routing.unknown_model") and kind == "chat"]


def names(**routing: Any) -> Names:
    return Names(Config.model_validate({**SETTINGS, "routing": {**SETTINGS["routing"], **routing}}))


NAMES = names()


@pytest.mark.parametrize(("requested", "kind", "model", "rule"), TABLE, ids=lambda value: str(value)[:40])
def test_a_name_leads_where_the_table_says(requested: str, kind: Kind, model: str, rule: str) -> None:
    target = NAMES.resolve(requested, kind)
    assert (target.requested, target.model, target.rule) == (requested, model, rule)


def test_no_name_leads_to_the_default() -> None:
    assert (NAMES.resolve(None).requested, NAMES.resolve("").rule) == ("gpt-4", "routing.default gpt-4")
    assert NAMES.resolve(None, "embedding").model == EMBEDDER


@pytest.mark.parametrize(
    ("requested", "rule"),
    [
        ("gpt-4", "model_list[0] gpt-4"),
        ("gpt-4-0613", "model_list[0] gpt-4"),
        ("openai/gpt-4o", "model_list[2] gpt-4*"),
        ("GPT-4", "routing.unknown_model default gpt-4"),
        ("Claude-3", "routing.unknown_model default gpt-4"),
    ],
)
def test_case_counts_where_that_is_configured(requested: str, rule: str) -> None:
    assert names(case_sensitive=True).resolve(requested).rule == rule


def test_endings_are_those_that_are_configured() -> None:
    chosen = names(strip_suffix=["-x#"])
    assert chosen.resolve("small-X7").rule == "models small"
    assert chosen.resolve("small:latest").rule == "routing.unknown_model default gpt-4"


@pytest.mark.parametrize("requested", UNKNOWN, ids=lambda name: name[:20])
def test_an_unknown_name_is_refused_where_that_is_configured(requested: str) -> None:
    with pytest.raises(ModelNotFound, match=r"^No model is called "):
        names(unknown_model="error").resolve(requested)


def test_a_refusal_lists_the_names_most_like_it_and_no_hidden_ones() -> None:
    with pytest.raises(ModelNotFound) as refused:
        names(unknown_model="error").resolve("gpt-3.5-turbo-x")
    listed = "gpt-4, gpt-4.1, gpt-4-brief, gpt4, qwen:1.5b"
    assert str(refused.value) == f"No model is called 'gpt-3.5-turbo-x'. Names like it: {listed}; 12 are known."


def test_a_refused_embedding_lists_names_for_embeddings() -> None:
    with pytest.raises(ModelNotFound) as refused:
        names(unknown_model="error").resolve("gpt-4", "embedding")
    said = "No embedding model is called 'gpt-4'. Known names: text-embedding-3-small, both."
    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("requested", "rule"),
    [
        ("gpt-5", "routing.unknown_model nearest gpt-4"),
        ("locallama", "routing.unknown_model nearest local/llama"),
        ("smal", "routing.unknown_model nearest small"),
        ("gtp-4.1x", "routing.unknown_model nearest gpt-4*"),
        ("€", "routing.unknown_model nearest gpt-4"),
        ("secre", "routing.unknown_model nearest small"),
    ],
)
def test_the_nearest_listed_name_answers_where_that_is_configured(requested: str, rule: str) -> None:
    assert names(unknown_model="nearest").resolve(requested).rule == rule


def test_a_name_of_ten_thousand_letters_is_compared_by_its_beginning() -> None:
    assert nearest("x" * COMPARED + "gpt-4" * 1_000, ["gpt-4"]) == []


@pytest.mark.parametrize(
    ("echo", "requested", "told"),
    [
        ("requested", "gpt-4o", "gpt-4o"),
        ("served", "gpt-4o", "large"),
        ("requested", None, "gpt-4"),
        ("served", None, "large"),
    ],
)
def test_answers_call_their_model_as_configured(echo: str, requested: str | None, told: str) -> None:
    assert names(echo=echo).resolve(requested).echo == told


def test_names_over_names_add_their_settings_the_narrower_winning() -> None:
    target = NAMES.resolve("gpt4")
    sampling = target.sampling(Params())
    assert (target.system_prompt, sampling.temperature, sampling.max_tokens) == ("Be brief.", 0.2, 50)


def with_name(**settings: Any) -> Names:
    name = {"model_name": "n", "use": "small", **settings}
    return Names(Config.model_validate({**SETTINGS, "model_list": [name], "routing": {"default": "n"}}))


def test_a_request_sets_no_parameter_that_is_dropped() -> None:
    target = with_name(drop_params=["temperature"]).resolve("n")
    sampling = target.sampling(Params(temperature=2, top_k=3))
    assert (sampling.temperature, sampling.top_k) == (0.1, 3)


def test_what_is_forced_stands_over_the_request() -> None:
    target = with_name(params={"top_k": 1}, force_params={"top_k": 2}).resolve("n")
    assert target.sampling(Params(top_k=3)).top_k == 2


def test_what_is_forced_and_dropped_below_holds_above_and_may_be_narrowed() -> None:
    below = {"model_name": "b", "use": "small", "drop_params": ["seed"], "force_params": {"top_k": 2, "min_p": 0.5}}
    above = {"model_name": "a", "use": "b", "force_params": {"top_k": 4}, "drop_params": ["top_p"]}
    routing = {"default": "a"}
    target = Names(Config.model_validate({**SETTINGS, "model_list": [below, above], "routing": routing})).resolve("a")
    sampling = target.sampling(Params(top_k=9, min_p=0.9, seed=1, top_p=0.5))
    assert (sampling.top_k, sampling.min_p, sampling.seed, sampling.top_p) == (4, 0.5, None, 0.95)


@pytest.mark.parametrize(
    ("fallbacks", "requested", "models"),
    [
        ([{"large": ["small"]}], "gpt-4", ("small",)),
        ([{"large": ["small"]}], "best", ("small",)),
        ([{"best": ["tiny"]}], "gpt-4", ("small",)),
        ([{"gpt-4": ["gpt-*-mini*"]}], "gpt-4", ("small",)),
        ([{"gpt-4": ["small"]}], "gpt-4-brief", ("small",)),
        ([{"gpt-4": ["small"]}], "large", ()),
        ([{"gpt-4": ["large", "small", "tiny"]}], "gpt-4", ("small",)),
        ([{"large": ["small"]}, {"gpt-4": []}], "gpt-4", ()),
        ([{"small": ["large"]}], "gpt-4", ()),
        ([], "gpt-4", ()),
    ],
)
def test_fallbacks_are_those_of_the_narrowest_name(fallbacks: Any, requested: str, models: tuple[str, ...]) -> None:
    target = names(fallbacks=fallbacks).resolve(requested)
    overflow = names(context_window_fallbacks=fallbacks).resolve(requested)
    assert (target.fallbacks, target.overflow) == (models, ())
    assert (overflow.fallbacks, overflow.overflow) == ((), models)


def test_what_is_listed_are_the_names_that_are_not_hidden_and_the_examples_of_those_with_stars() -> None:
    assert NAMES.listed == [
        *("gpt-4", "gpt-4-brief", "gpt-4.1", "text-embedding-3-small", "local/llama", "Ünïcode", "both"),
        *("gpt4", "small", "large", "tiny", "qwen:1.5b", "best", "qwen:7b"),
    ]


def test_a_model_is_hidden_by_a_hidden_name_that_is_called_the_same() -> None:
    hidden = {"model_name": "small", "use": "small", "hidden": True}
    config = Config.model_validate({**SETTINGS, "model_list": [hidden], "routing": {"default": "small"}})
    assert "small" not in Names(config).listed


def test_everything_that_is_listed_resolves_by_a_rule_of_its_own() -> None:
    strict = names(unknown_model="error")
    assert [strict.resolve(each.name, each.kind).model for each in strict.entries] == [e.model for e in strict.entries]


def test_an_explanation_says_what_was_tried_and_what_answers() -> None:
    told = NAMES.explain("openai/gpt-4o")
    assert (told.requested, told.served, told.rule) == ("openai/gpt-4o", "large", "model_list[2] gpt-4*")
    assert told.tried == (
        "name openai/gpt-4o",
        "model openai/gpt-4o",
        "like openai/gpt-4o",
        "like gpt-4o",
        "pattern text-embedding-*",
        "pattern gpt-*-mini*",
        "pattern claude-*",
        "pattern *-vision",
    )
    assert (told.params, told.system_prompt) == ({}, "Think.")


def test_an_explanation_says_which_rule_was_for_another_kind() -> None:
    assert "name both: model_list[9] both is for embedding" in NAMES.explain("both").tried


ANY = st.one_of(
    st.text(max_size=300),
    st.text(alphabet="gpt-4o/:@*0123456789", max_size=60),
    st.lists(st.sampled_from(["gpt-4", "/", "openai", "-0613", ":latest", "*", "mini"]), max_size=12).map("".join),
)


@settings(deadline=None)
@given(ANY, st.sampled_from(["chat", "embedding"]), st.sampled_from(["default", "nearest", "error"]))
def test_every_name_leads_to_a_model_of_its_kind_or_is_refused(requested: str, kind: Kind, policy: str) -> None:
    mapping = {"default": NAMES, "nearest": NEAREST, "error": STRICT}[policy]
    try:
        target = mapping.resolve(requested, kind)
    except ModelNotFound:
        assert policy == "error"
        return
    assert target.model in ({"small", "large"} if kind == "chat" else {EMBEDDER})
    assert target.rule


NEAREST, STRICT = names(unknown_model="nearest"), names(unknown_model="error")


@given(ANY)
def test_a_name_has_a_bounded_number_of_forms(name: str) -> None:
    found = list(forms(name, ENDINGS))
    assert found[0] == name
    assert len(found) <= 20


def test_a_look_up_among_two_hundred_names_looks_at_each_pattern_once_at_most() -> None:
    listed = [{"model_name": f"name-{number}", "use": "small"} for number in range(100)]
    wild = [{"model_name": f"wild-{number}-*", "use": "small"} for number in range(100)]
    routing = {"default": "small"}
    mapping = Names(Config.model_validate({**SETTINGS, "model_list": [*listed, *wild], "routing": routing}))
    for number in range(1_000):
        target = mapping.explain(f"openai/wild-{number % 120}-{number}-0613:latest")
        assert (target.rule == f"model_list[{100 + number % 120}] wild-{number % 120}-*") == (number % 120 < 100)
        assert len(target.tried) <= 100 + 20 + 2


EMBEDDINGS = ["text-embedding-3-small", "text-embedding-3-large", "text-embedding-ada-002", "all-MiniLM-L6-v2"]
CHATS = [
    *("gpt-4", "gpt-4-turbo", "gpt-4o", "gpt-3.5-turbo", "gpt-4o-2024-08-06", "gpt-4o-mini", "gpt-4.1-nano", "gpt-5"),
    *("chatgpt-4o-latest", "o1", "o1-mini", "o3", "o4-mini", "openai/o3-mini", "claude-3-5-sonnet-20241022"),
    *("anthropic/claude-sonnet-4", "gemini-2.0-flash", "models/gemini-1.5-pro", "gemma3:27b", "llama3.2:latest"),
    *("meta-llama/Llama-3.1-8B-Instruct", "mistral-large-latest", "mixtral-8x7b", "qwen2.5:7b", "Qwen/Qwen3-8B"),
    *("deepseek-chat", "deepseek-r1:1.5b", "phi4", "smollm2-135m", "openrouter/openai/gpt-4o"),
]


@pytest.mark.parametrize(("requested", "kind"), [(n, "chat") for n in CHATS] + [(n, "embedding") for n in EMBEDDINGS])
def test_the_shipped_file_knows_the_names_that_programs_commonly_ask_for(requested: str, kind: Kind) -> None:
    target = Names(read_config(SHIPPED)).resolve(requested, kind)
    assert target.model == ("smollm2-135m" if kind == "chat" else EMBEDDER)
    assert not target.rule.startswith("routing")
