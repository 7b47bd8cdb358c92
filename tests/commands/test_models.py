"""`neuralbridge models` and `neuralbridge import-config`, as a person at a terminal has them."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from neuralbridge.cli import main
from neuralbridge.config import read_config

CONFIG = """\
version: 1
models:
  small: {path: small.gguf, params: {temperature: 0.5}}
model_list:
  - {model_name: gpt-4, use: small, system_prompt: Be brief.}
  - {model_name: "text-embedding-*", use: embedder, examples: [text-embedding-3-small]}
routing: {default: gpt-4, unknown_model: error}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    return path


def run(config: Path, *arguments: object) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments), "--config", str(config)])


def test_the_names_are_listed_with_what_answers_to_them(config: Path) -> None:
    assert run(config, "models", "list").stdout.splitlines() == [
        "gpt-4                   small  (model_list[0] gpt-4)",
        "text-embedding-3-small  embedder  (model_list[1] text-embedding-*)",
        "small                   small  (models small)",
    ]


def test_the_names_are_listed_for_programs(config: Path) -> None:
    first = json.loads(run(config, "models", "list", "--json").stdout.splitlines()[0])
    assert first == {"name": "gpt-4", "kind": "chat", "model": "small", "rule": "model_list[0] gpt-4"}


def test_a_name_is_explained(config: Path) -> None:
    assert run(config, "models", "resolve", "openai/gpt-4").stdout.splitlines() == [
        "requested:                openai/gpt-4",
        "served:                   small",
        "kind:                     chat",
        "rule:                     model_list[0] gpt-4",
        "tried:                    name openai/gpt-4; model openai/gpt-4; like openai/gpt-4",
        "params:                   temperature 0.5",
        "system_prompt:            Be brief.",
        "retrieval:                auto",
        "cache:                    True",
        "echo:                     openai/gpt-4",
    ]


def test_a_name_is_explained_for_programs(config: Path) -> None:
    told = json.loads(
        run(config, "models", "resolve", "text-embedding-ada-002", "--kind", "embedding", "--json").stdout
    )
    assert (told["served"], told["rule"]) == ("embedder", "model_list[1] text-embedding-*")


def test_an_unknown_name_is_refused(config: Path) -> None:
    done = run(config, "models", "resolve", "gpt-9")
    said = "Error: No model is called 'gpt-9'. Known names: gpt-4, small.\n"
    assert (done.exit_code, done.stdout, done.stderr) == (1, "", said)


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    path = tmp_path / "foreign.json"
    path.write_text('{"models": [{"model": "a.gguf", "model_alias": "gpt-4", "chat_format": "x"}]}')
    return path


def test_an_imported_file_is_written_and_what_is_lost_is_told(config: Path, foreign: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine.yaml"
    done = run(config, "import-config", foreign, "--out", out)
    lost = "models[0] gpt-4: not carried over: chat_format\n"
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", lost)
    assert read_config(out).models["gpt-4"].path == "a.gguf"


def test_an_imported_file_goes_to_a_pipe(config: Path, foreign: Path, tmp_path: Path) -> None:
    (tmp_path / "piped.yaml").write_text(run(config, "import-config", foreign).stdout)
    assert read_config(tmp_path / "piped.yaml").default_model == "gpt-4"


def test_an_import_replaces_no_file(config: Path, foreign: Path) -> None:
    done = run(config, "import-config", foreign, "--out", config)
    said = f"Error: {config}: cannot be written (File exists); expected the name of a new file\n"
    assert (done.exit_code, done.stderr, config.read_text()) == (1, said, CONFIG)


@pytest.mark.parametrize("text", ["", "a: 1", "{", "\x00"])
def test_a_file_of_nobody_is_refused_in_one_line(config: Path, foreign: Path, text: str) -> None:
    foreign.write_text(text)
    done = run(config, "import-config", foreign)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(f"Error: {foreign}:")
