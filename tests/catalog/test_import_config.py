"""Files as people have them for other servers become files of ours, and whatever gets lost is said."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from neuralbridge.catalog.import_config import Imported, expanded, import_config, options
from neuralbridge.catalog.names import Names
from neuralbridge.config import Config, config_from
from neuralbridge.errors import ConfigInvalid

BASE = Config.model_validate(
    {
        "version": 1,
        "models": {"here": {"path": "models/here.gguf", "n_ctx": 4096}, "big": {"path": "models/big.gguf"}},
        "routing": {"default": "here"},
    }
)
LITELLM = """\
model_list:
  - model_name: gpt-4
    litellm_params:
      model: azure/my-deployment
      api_base: https://example.invalid/
      api_key: sk-very-secret
      temperature: 0.2
      max_completion_tokens: 500
      rpm: 100
  - model_name: gpt-4
    litellm_params: {model: openai/gpt-4, api_key: os.environ/OPENAI_API_KEY}
  - model_name: writer
    litellm_params: {model: ollama/big, top_p: 7}
  - model_name: "anthropic/*"
    litellm_params: {model: "anthropic/*"}
    model_info: {mode: chat, base_model: claude}
  - model_name: text-embedding-3-small
    litellm_params: {model: openai/text-embedding-3-small}
  - model_name: vectors
    litellm_params: {model: voyage/voyage-3}
    model_info: {mode: embedding}
router_settings:
  routing_strategy: least-busy
  model_group_alias:
    gpt4: gpt-4
    GPT4: {model: gpt-4, hidden: true}
    lost: nowhere
  fallbacks: [{gpt-4: [writer, nowhere]}, {nowhere: [gpt-4]}]
  context_window_fallbacks: [{gpt-4: [writer]}]
litellm_settings:
  drop_params: true
  default_fallbacks: [gpt-4]
general_settings:
  master_key: sk-1234
"""
LLAMA_SWAP = """\
healthCheckTimeout: 120
macros:
  server: /usr/bin/llama-server --port ${PORT} ${flash}
  flash: --flash-attn on
models:
  qwen:
    cmd: |
      ${server}
      # the small one
      -m /models/qwen2.5-1.5b.gguf \\
      -c 8192 -np 4 --temp 0.6 --top-k=20 -ngl 99
    ttl: 300
    aliases: [gpt-4o-mini, gpt-3.5-turbo]
    filters:
      stripParams: "temperature, top_p, reasoning"
      setParamsByID:
        "${MODEL_ID}:exact": {temperature: 0, chat_template_kwargs: {x: 1}}
  big:
    cmd: ${server} --model "/models/big model.gguf" --alias best,large --ctx-size 0
    unlisted: true
  same:
    cmd: llama-server -m /models/qwen2.5-1.5b.gguf -c 4096
  third:
    cmd: llama-server -m /models/third.gguf
  pulled:
    cmd: llama-server -hf org/model
groups: {g: {members: [qwen, big]}}
"""
LLAMA_CPP: dict[str, Any] = {
    "host": "0.0.0.0",
    "port": 8000,
    "models": [
        {
            "model": "models/mistral.gguf",
            "model_alias": "gpt-4",
            "n_ctx": 8192,
            "chat_format": "chatml",
            "n_gpu_layers": -1,
        },
        {"model": "models/mistral.gguf", "model_alias": "gpt-4-long", "n_ctx": 16384},
        {"model": "models/phi.gguf"},
        {"model": "models/minilm.gguf", "model_alias": "text-embedding-ada-002", "embedding": True},
    ],
}


def imported(text: str, name: str = "other.yaml") -> tuple[Config, Imported]:
    made = import_config(text, Path(name), BASE)
    return config_from(made.text, Path("config.yaml")), made


def settings(made: Imported) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(made.text)
    return read


def test_litellms_names_parameters_and_fallbacks_are_carried_over() -> None:
    config, made = imported(LITELLM)
    assert made.made_by == "LiteLLM"
    assert settings(made) == {
        "version": 1,
        "models": {"here": {"path": "models/here.gguf", "n_ctx": 4096}, "big": {"path": "models/big.gguf"}},
        "model_list": [
            {"model_name": "gpt-4", "use": "here", "params": {"temperature": 0.2, "max_tokens": 500}},
            {"model_name": "writer", "use": "big"},
            {"model_name": "anthropic/*", "use": "here"},
            {"model_name": "text-embedding-3-small", "use": "embedder"},
            {"model_name": "vectors", "use": "embedder"},
        ],
        "routing": {
            "default": "gpt-4",
            "model_group_alias": {"gpt4": "gpt-4", "GPT4": {"model": "gpt-4", "hidden": True}},
            "fallbacks": [{"gpt-4": ["writer"]}, {"here": ["gpt-4"]}, {"big": ["gpt-4"]}],
            "context_window_fallbacks": [{"gpt-4": ["writer"]}],
            "unknown_model": "error",
        },
    }
    names = Names(config)
    assert (names.resolve("anthropic/claude-3").model, names.resolve("gpt4").fallbacks) == ("here", ("big",))


def test_what_litellm_has_and_we_have_not_is_told_without_its_secrets() -> None:
    _, made = imported(LITELLM)
    assert made.notes == (
        "models.here: taken from the present configuration; its path starts at the new file's folder",
        "model_list[0] gpt-4: azure/my-deployment is not called any more; here answers",
        "model_list[0] gpt-4: not carried over: litellm_params.api_base, litellm_params.api_key, litellm_params.rpm",
        "model_list[1] gpt-4: openai/gpt-4 is not called any more; here answers",
        "model_list[1] gpt-4: gpt-4 stands here again; the first one answers, there is nothing to balance",
        "model_list[1] gpt-4: not carried over: litellm_params.api_key",
        "model_list[2] writer: top_p has a value that cannot be used here",
        "models.big: taken from the present configuration; its path starts at the new file's folder",
        "model_list[3] anthropic/*: anthropic/* is not called any more; here answers",
        "model_list[4] text-embedding-3-small: openai/text-embedding-3-small is not called any more; embedder answers",
        "model_list[5] vectors: voyage/voyage-3 is not called any more; embedder answers",
        "router_settings.model_group_alias: lost leads to no name of the list, or is one",
        "router_settings.fallbacks (names that lead to no model): not carried over: nowhere",
        "router_settings.fallbacks (names that lead to no model): not carried over: nowhere",
        "router_settings: not carried over: routing_strategy",
        "litellm_settings: not carried over: drop_params",
        "the file: not carried over: general_settings",
    )
    assert not any("sk-" in text for text in [made.text, *made.notes])


def test_llama_swaps_models_aliases_and_filters_are_carried_over() -> None:
    config, made = imported(LLAMA_SWAP)
    assert made.made_by == "llama-swap"
    strip = {"drop_params": ["temperature", "top_p"]}
    assert settings(made) == {
        "version": 1,
        "models": {
            "qwen": {
                "path": "/models/qwen2.5-1.5b.gguf",
                "n_ctx": 8192,
                "parallel": 4,
                "params": {"temperature": 0.6, "top_k": 20},
            },
            "big": {"path": "/models/big model.gguf"},
        },
        "model_list": [
            {"model_name": "qwen", "use": "qwen", **strip},
            {"model_name": "gpt-4o-mini", "use": "qwen", **strip},
            {"model_name": "gpt-3.5-turbo", "use": "qwen", **strip},
            {"model_name": "qwen:exact", "use": "qwen", **strip, "force_params": {"temperature": 0}},
            {"model_name": "big", "use": "big", "hidden": True},
            {"model_name": "best", "use": "big", "hidden": True},
            {"model_name": "large", "use": "big", "hidden": True},
            {"model_name": "same", "use": "qwen"},
            {"model_name": "third", "use": "qwen"},
            {"model_name": "pulled", "use": "qwen"},
        ],
        "routing": {"default": "qwen", "unknown_model": "error"},
    }
    assert Names(config).listed == ["qwen", "gpt-4o-mini", "gpt-3.5-turbo", "qwen:exact", "same", "third", "pulled"]


def test_what_llama_swap_has_and_we_have_not_is_told() -> None:
    _, made = imported(LLAMA_SWAP)
    assert made.notes == (
        "models.qwen: not carried over: filters.chat_template_kwargs, filters.reasoning",
        "models.qwen: not carried over: --flash-attn, -ngl, ttl",
        "models.big: not carried over: --flash-attn",
        "models.same (the file of qwen, which is loaded once): not carried over: n_ctx",
        "models.third: at most 2 models can be used; its names lead to qwen",
        "models.pulled: its command names no model file (-m); qwen answers",
        "models.pulled: not carried over: -hf",
        "the file: not carried over: groups, healthCheckTimeout",
    )


@pytest.mark.parametrize("indent", ["\t", None])
def test_llama_cpp_pythons_models_and_aliases_are_carried_over(indent: str | None) -> None:
    config, made = imported(json.dumps(LLAMA_CPP, indent=indent), "other.json")
    assert made.made_by == "llama-cpp-python"
    assert settings(made) == {
        "version": 1,
        "server": {"host": "0.0.0.0", "port": 8000},  # where everybody signs in
        "models": {"gpt-4": {"path": "models/mistral.gguf", "n_ctx": 8192}, "phi": {"path": "models/phi.gguf"}},
        "model_list": [
            {"model_name": "gpt-4-long", "use": "gpt-4"},
            {"model_name": "text-embedding-ada-002", "use": "embedder"},
        ],
        "routing": {"default": "gpt-4-long"},
    }
    assert Names(config).resolve("whatever").model == "gpt-4"
    assert made.notes == (
        "models[0] gpt-4: not carried over: chat_format, n_gpu_layers",
        "models[1] gpt-4-long (the file of gpt-4, which is loaded once): not carried over: n_ctx",
        "models[3] text-embedding-ada-002: embeddings are those of documents.embedder",
    )


def test_the_same_in_yaml_is_read_too() -> None:
    assert settings(imported(yaml.safe_dump(LLAMA_CPP))[1]) == settings(imported(json.dumps(LLAMA_CPP))[1])


def test_a_model_that_is_called_like_another_is_told() -> None:
    models = [{"model": "a.gguf", "model_alias": "x"}, {"model": "b.gguf", "model_alias": "x"}]
    config, made = imported(json.dumps({"models": models}))
    assert {key: model.path for key, model in config.models.items()} == {"x": "a.gguf", "x-model": "b.gguf"}
    assert made.notes == ("models[1] x: x stands here again; the first one answers, there is nothing to balance",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "f:1:1: expected settings"),
        ("a: 1\n", "f: expected a file of LiteLLM, llama-swap or llama-cpp-python"),
        ('{"models": {"a": {"path": "x"}}}', "f: expected a file of LiteLLM"),
        ('{\n "models": [,]}', "f:2:13: not JSON (Expecting value)"),
        ("{" + '"a":{' * 100_000, "f:1:1: not JSON that is understood here"),
        ("model_list:\n  - {model_name: *, x: 1}\n", "f:2:18: not YAML"),
        ("model_list: [{model_name: a}]", "f: model_list.0.litellm_params: Field required"),
        ("model_list: [{model_name: 1, litellm_params: {model: a}}]", "f: model_list.0.model_name: Input should be a"),
        (
            "model_list: []\nrouter_settings: {model_group_alias: {a: {model: [x]}}}",
            "f: router_settings.model_group_alias.a.",
        ),
        ("models: {a: {cmd: [x]}}", "f: models.a.cmd: Input should be a valid string"),
        ("models: [{n_ctx: 1}]", "f: models.0.model: Field required"),
    ],
    ids=range(11),
)
def test_what_is_no_such_file_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        import_config(text, Path("f"), BASE)
    assert str(refused.value).startswith(said)


def test_macros_that_grow_without_end_are_left_alone() -> None:
    macros = {"a": "${a}${a}" * 100}
    assert len(expanded("${a}", macros)) <= 100_000


@pytest.mark.parametrize(
    ("command", "found", "others"),
    [
        ("llama-server -m a.gguf -c 512", {"path": "a.gguf", "n_ctx": 512}, []),
        ("llama-server --model=a.gguf --temp 0.5", {"path": "a.gguf", "temperature": 0.5}, []),
        ("x -m 'a", {}, ["a command with an open quote"]),
        ("x --port 1 --host h --jinja -s -1", {"seed": -1}, ["--jinja"]),
        ("x -m", {"path": ""}, []),
        ("", {}, []),
    ],
)
def test_the_options_of_a_command_are_found(command: str, found: dict[str, Any], others: list[str]) -> None:
    assert options(command) == (found, others)


TEXTS = st.text(alphabet="ab*/ -", max_size=6)


@given(st.lists(st.tuples(TEXTS, TEXTS, st.sampled_from(["a", "b", "here", "embed"])), max_size=6))
def test_whatever_names_litellm_has_make_a_file_that_we_read(names: list[tuple[str, str, str]]) -> None:
    listed = [{"model_name": name, "litellm_params": {"model": target}} for name, _, target in names]
    aliases = {alias: name for name, alias, _ in names}
    fallbacks = [{name: [alias, target]} for name, alias, target in names]
    router = {"model_group_alias": aliases, "fallbacks": fallbacks}
    imported(json.dumps({"model_list": listed, "router_settings": router}))


@given(st.lists(st.tuples(TEXTS, st.sampled_from(["a", "b", "c", "./a", ""]), st.lists(TEXTS, max_size=3)), max_size=5))
def test_whatever_models_llama_swap_has_make_a_file_that_we_read(models: list[tuple[str, str, list[str]]]) -> None:
    listed = {key: {"cmd": f"x -m '{path}'", "aliases": aliases} for key, path, aliases in models}
    imported(json.dumps({"models": {"first": {"cmd": "x -m first.gguf"}, **listed}}))
