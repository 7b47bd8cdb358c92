"""Every mistake in a configuration is one line: the file, the line in it, the setting, its value, what was expected."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from neuralbridge.config import Config, read_config
from neuralbridge.errors import ConfigInvalid
from neuralbridge.sections import Limits, Model, Name, Routing, Server
from neuralbridge.types import Params, Sampling
from neuralbridge.yaml_file import MAX_BYTES, STAR

SHIPPED = Path(__file__).parents[1] / "config.yaml"
RIGHT = """\
# A configuration in which everything can be made wrong.
version: 1
data_dir: data
server:
  host: 127.0.0.1
  port: 4000
  allowed_hosts: [a, b]
  longpoll: true
  idle_seconds: 60
models:
  small:
    path: small.gguf
    n_ctx: 8192
    params:
      temperature: 0.7
      stop: ["x", "y"]
model_list:
  - model_name: gpt-4
    use: small
  - model_name: gpt-5
    use: small
    params:
      top_k: 40
routing:
  default: gpt-4
  unknown_model: default
limits:
  waiting_questions: 64
"""
PARAMS = "temperature, top_p, top_k, min_p, repeat_penalty, frequency_penalty, presence_penalty, seed, stop, max_tokens"
HERE = "¶"  # marks the line that is to be named; it is not part of the file

UNKNOWN = [
    ("version: 1", "version: 1\n¶colour: red", "colour", ", ".join(Config.model_fields)),
    ("  port: 4000", "  ¶prot: 4000", "server.prot", ", ".join(Server.model_fields)),
    ("    n_ctx: 8192", "    ¶ctx: 8192", "models.small.ctx", ", ".join(Model.model_fields)),
    ("    path: small.gguf", "    ¶file: small.gguf", "models.small.file", ", ".join(Model.model_fields)),
    ("temperature: 0.7", "¶temprature: 0.7", "models.small.params.temprature", PARAMS),
    ("  - model_name: gpt-5", "  - ¶name: gpt-5", "model_list.1.name", ", ".join(Name.model_fields)),
    ("      top_k: 40", "      ¶topk: 40", "model_list.1.params.topk", PARAMS),
    ("  unknown_model: default", "  ¶unknown: default", "routing.unknown", ", ".join(Routing.model_fields)),
    ("  waiting_questions: 64", "  ¶waiting: 64", "limits.waiting", ", ".join(Limits.model_fields)),
    ("version: 1", 'version: 1\n¶"a\\nb": 1', "'a\\nb'", ", ".join(Config.model_fields)),
]


@pytest.mark.parametrize(("right", "wrong", "setting", "known"), UNKNOWN)
def test_an_unknown_setting_is_named_with_those_known_beside_it(
    tmp_path: Path, right: str, wrong: str, setting: str, known: str
) -> None:
    assert mistake(tmp_path, right, wrong) == f"{setting}: unknown setting; expected one of {known}"


VALUES = [
    ("version: 1", "¶version: 2", "version: 2; expected 1"),
    ("version: 1", "¶version: true", "version: True; expected a valid integer"),
    ("version: 1", "¶version: 1.0", "version: 1.0; expected a valid integer"),
    ("data_dir: data", "¶data_dir: 5", "data_dir: 5; expected a valid string"),
    ("data_dir: data", '¶data_dir: ""', "data_dir: ''; expected the path of a file or folder"),
    ("path: small.gguf", '¶path: "a\\0b"', "models.small.path: 'a\\x00b'; expected the path of a file or folder"),
    ("path: small.gguf", '¶path: "\\ud800"', "models.small.path: '\\ud800'; expected the path of a file or folder"),
    ("port: 4000", "¶port: true", "server.port: True; expected a valid integer"),
    ("port: 4000", '¶port: "4000"', "server.port: '4000'; expected a valid integer"),
    ("port: 4000", "¶port: 4000.0", "server.port: 4000.0; expected a valid integer"),
    ("port: 4000", "¶port:", "server.port: None; expected a valid integer"),
    ("port: 4000", "¶port: 65536", "server.port: 65536; expected less than or equal to 65535"),
    ("port: 4000", "¶port: -1", "server.port: -1; expected greater than or equal to 0"),
    ("longpoll: true", "¶longpoll: 1", "server.longpoll: 1; expected a valid boolean"),
    ("longpoll: true", "¶longpoll: 'yes'", "server.longpoll: 'yes'; expected a valid boolean"),
    ("idle_seconds: 60", "¶idle_seconds: true", "server.idle_seconds: True; expected a valid number"),
    ("idle_seconds: 60", "¶idle_seconds: .nan", "server.idle_seconds: nan; expected a finite number"),
    ("idle_seconds: 60", "¶idle_seconds: .inf", "server.idle_seconds: inf; expected a finite number"),
    ("idle_seconds: 60", "¶idle_seconds: 0", "server.idle_seconds: 0; expected greater than 0"),
    ("[a, b]", "[a,\n    ¶3]", "server.allowed_hosts.1: 3; expected a valid string"),
    ("allowed_hosts: [a, b]", "¶allowed_hosts: a", "server.allowed_hosts: 'a'; expected a list"),
    ("n_ctx: 8192", "¶n_ctx: 255", "models.small.n_ctx: 255; expected greater than or equal to 256"),
    ("temperature: 0.7", "¶temperature: true", "models.small.params.temperature: True; expected a valid number"),
    ("temperature: 0.7", "¶temperature: 3", "models.small.params.temperature: 3; expected less than or equal to 2"),
    ('["x", "y"]', '["x",\n   ¶""]', "models.small.params.stop.1: ''; expected it to have at least 1 character"),
    (
        "top_k: 40",
        f"¶seed: {2**32 - 1}",
        "model_list.1.params.seed: 4294967295; expected less than or equal to 4294967294",
    ),
    ("top_k: 40", "¶top_k: 0.5", "model_list.1.params.top_k: 0.5; expected a valid integer"),
    (
        "unknown_model: default",
        "¶unknown_model: maybe",
        "routing.unknown_model: 'maybe'; expected 'default', 'error' or 'nearest'",
    ),
    (
        "    use: small\n  -",
        "    ¶use: large\n  -",
        "model_list.0.use: 'large'; expected one of models: small, embedder; or a name of model_list",
    ),
    ("gpt-5", "¶gpt-4", "model_list.1.model_name: 'gpt-4'; expected each name once"),
    ("default: gpt-4", "¶default: gpt-3", "routing.default: 'gpt-3'; expected a name of model_list or models"),
    ("  small:\n", "  ¶small: 1\n  x:\n", "models.small: 1; expected settings of its own"),
    ("routing:\n  default: gpt-4", "¶routing:", "routing.default: missing; expected a value"),
]


@pytest.mark.parametrize(("right", "wrong", "said"), VALUES)
def test_a_wrong_value_is_named_with_its_line_and_what_was_expected(
    tmp_path: Path, right: str, wrong: str, said: str
) -> None:
    assert mistake(tmp_path, right, wrong) == said


@pytest.mark.parametrize("host", ["example.com", "", "127.1", "localhost.example", "0.0.0.0:80"])
def test_a_host_is_an_address(tmp_path: Path, host: str) -> None:
    said = mistake(tmp_path, "host: 127.0.0.1", f"¶host: '{host}'")
    expected = "expected an address, such as 127.0.0.1 (this machine alone) or 0.0.0.0 (the LAN)"
    assert said == f"server.host: '{host}'; {expected}"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2"])
def test_on_the_lan_everybody_has_to_sign_in(tmp_path: Path, host: str) -> None:
    config = read_config(written(tmp_path, RIGHT.replace("127.0.0.1", f"'{host}'")))
    assert config.server.on_lan
    assert config.auth.asked_for(config.server.on_lan)


def test_bind_is_a_word_for_the_host(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, RIGHT.replace("host: 127.0.0.1", "bind: lan")))
    assert config.server.host == "0.0.0.0"
    assert mistake(tmp_path, "host: 127.0.0.1", "¶bind: everywhere") == (
        "server.bind: 'everywhere'; expected one of loopback, lan"
    )
    assert mistake(tmp_path, "host: 127.0.0.1", "host: 127.0.0.1\n  ¶bind: lan") == (
        "server.bind: 'lan'; expected either bind or host"
    )


def test_a_weak_secret_is_refused_and_not_repeated(tmp_path: Path) -> None:
    said = mistake(tmp_path, "server:", "auth:\n  ¶token: hunter2\nserver:")
    assert said.startswith("auth.token: a text of 7 bytes; expected at least 32 bytes that nobody can guess")


@pytest.mark.parametrize("wrong", ["30", "0/minute", "1/week", "-1/minute", "1.5/second", "many"])
def test_a_rate_is_a_number_per_time(tmp_path: Path, wrong: str) -> None:
    said = mistake(tmp_path, "limits:\n", f"limits:\n  ¶requests: '{wrong}'\n")
    assert said == (
        f"limits.requests: '{wrong}'; expected a number of times per second, minute, hour or day, such as 30/minute"
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_on_this_machine_alone_nobody_has_to(tmp_path: Path, host: str) -> None:
    config = read_config(written(tmp_path, RIGHT.replace("127.0.0.1", f"'{host}'")))
    assert config.server.host == host
    assert not config.auth.asked_for(config.server.on_lan)


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ("{}", "models: {}; expected one model, or two"),
        ("[]", "models: []; expected settings of its own"),
        (
            "{a: {path: x}, b: {path: y}, c: {path: z}}",
            "models: {'a': {'path': 'x'}, 'b': {'path': 'y'}, 'c': {'path': 'z'}}; expected one model, or two",
        ),
    ],
)
def test_there_are_one_or_two_models(tmp_path: Path, models: str, said: str) -> None:
    path = written(tmp_path, f"version: 1\nmodels: {models}\nrouting: {{default: a}}\n")
    assert refusal(path) == f"{path}:2:1: {said}"


@pytest.mark.parametrize(
    ("cascade", "said"),
    [
        ("{z: {to: b}}", "cascade.z: 'z'; expected one of models: a, b"),
        ("{a: {to: z}}", "cascade.a.to: 'z'; expected another one of models: a, b"),
        ("{a: {to: a}}", "cascade.a.to: 'a'; expected another one of models: a, b"),
        ("{a: {to: b, below: 1}}", "cascade.a.below: 1; expected"),
        ("{a: {below: 0.5}}", "cascade.a.to: missing; expected a value"),
    ],
)
def test_a_cascade_leads_to_another_model(tmp_path: Path, cascade: str, said: str) -> None:
    models = "{a: {path: x}, b: {path: y}}"
    path = written(tmp_path, f"version: 1\nmodels: {models}\nrouting: {{default: a}}\ncascade: {cascade}\n")
    assert re.sub(r":4:\d+: ", ":4: ", refusal(path) or "").startswith(f"{path}:4: {said}")


NAMES = """\
version: 1
models:
  a: {path: a.gguf, aliases: [x]}
  b: {path: b.gguf}
model_list:
  - {model_name: one, use: a}
  - {model_name: "w-*", use: embedder}
routing:
  default: one
"""
CIRCLE = """\
  - {model_name: p, use: q}
  - {model_name: q, use: r}
  - {model_name: r, use: p}
routing:"""
CHAIN = """\
  - {model_name: p, use: q}
  - {model_name: q, use: r}
  - {model_name: r, use: s}
  - {model_name: s, use: one}
routing:"""
GROUP = "  default: one\n  model_group_alias: "
KNOWN = "one of models: a, b, embedder; or a name of model_list"
ENDING = "1 to 40 characters as they stand, # for any digit, such as -####-##-##"
ONE_FILE = "names of model_list give one model many settings"
WRONG_NAMES = [
    ("use: a}", "use: c}", "6:23: model_list.0.use: 'c'; expected " + KNOWN),
    ("use: a}", "use: x/a}", "6:23: model_list.0.use: 'x/a'; expected " + KNOWN),
    ("routing:", CIRCLE, "8:21: model_list.2.use: 'q'; expected no circle: p -> q -> r -> p"),
    ("use: a}", "use: one}", "6:23: model_list.0.use: 'one'; expected no circle: one -> one"),
    ("routing:", CHAIN, "8:21: model_list.2.use: 'q'; expected at most 4 steps to a model: p -> q -> r -> s -> one"),
    ("use: a}", "litellm_params: {model: c}}", "6:23: model_list.0.litellm_params: 'c'; expected " + KNOWN),
    (
        "use: a}",
        "litellm_params: {model: a, api_base: c}}",
        "6:50: model_list.0.litellm_params.api_base: unknown setting; expected one of model",
    ),
    (
        "use: a}",
        "use: a, litellm_params: {model: b}}",
        "6:31: model_list.0.litellm_params: 'b'; expected what use says: a",
    ),
    ("use: a}", "litellm_params: {}}", "6:23: model_list.0.litellm_params.model: missing; expected a value"),
    ("use: a}", "use: a, examples: [c]}", "6:42: model_list.0.examples.0: 'c'; expected a name that one stands for"),
    ("embedder}", "a, examples: [v-1]}", "7:44: model_list.1.examples.0: 'v-1'; expected a name that w-* stands for"),
    (
        "use: a}",
        "use: a, drop_params: [thinking]}",
        "6:45: model_list.0.drop_params.0: 'thinking'; expected one of " + PARAMS,
    ),
    ("one, use", "'', use", "6:6: model_list.0.model_name: ''; expected it to have at least 1 character"),
    ("one, use", '"a\\nb", use', "6:6: model_list.0.model_name: 'a\\nb'; expected a name of printable characters"),
    ('"w-*"', "*", f"7:18: not YAML that is understood here ({STAR}); expected settings such as 'port: 4000'"),
    ("[x]", "[b]", "3:31: models.a.aliases.0: 'b'; expected each name once"),
    ("[x]", "[one]", "3:31: models.a.aliases.0: 'one'; expected each name once"),
    ("[x]", "[x, x]", "3:34: models.a.aliases.1: 'x'; expected each name once"),
    ("[x]", "[embedder]", "3:31: models.a.aliases.0: 'embedder'; expected each name once"),
    (
        "path: b.gguf",
        "path: ./a.gguf",
        "4:7: models.b.path: './a.gguf'; expected another file than models.a: " + ONE_FILE,
    ),
    (
        "  b:",
        "  embedder:",
        "4:3: models.embedder: 'embedder'; expected another name: this one is the model of documents.embedder",
    ),
    ("default: one", "default: x-1", "9:3: routing.default: 'x-1'; expected a name of model_list or models"),
    (
        "default: one",
        "default: w-*",
        "9:3: routing.default: 'w-*'; expected a name of model_list or models that leads to no embedder",
    ),
    ("  default: one", GROUP + "{y: c}", "10:23: routing.model_group_alias.y: 'c'; expected " + KNOWN),
    ("  default: one", GROUP + "{one: a}", "10:23: routing.model_group_alias.one: 'one'; expected each name once"),
    (
        "  default: one",
        GROUP + "{y: {name: c}}",
        "10:27: routing.model_group_alias.y.name: unknown setting; expected one of model, hidden",
    ),
    (
        "  default: one",
        "  default: one\n  fallbacks: [{one: [c]}]",
        "10:22: routing.fallbacks.0.one.0: 'c'; expected a name of model_list or models",
    ),
    (
        "  default: one",
        "  default: one\n  context_window_fallbacks: [{c: [a]}]",
        "10:31: routing.context_window_fallbacks.0.c: 'c'; expected a name of model_list or models",
    ),
    (
        "  default: one",
        "  default: one\n  fallbacks: {one: [a]}",
        "10:3: routing.fallbacks: {'one': ['a']}; expected a list",
    ),
    (
        "  default: one",
        "  default: one\n  strip_suffix: ['-\\d+$']",
        "10:18: routing.strip_suffix.0: '-\\\\d+$'; expected " + ENDING,
    ),
]


@pytest.mark.parametrize(("right", "wrong", "said"), WRONG_NAMES, ids=range(len(WRONG_NAMES)))
def test_a_name_that_leads_nowhere_is_refused_with_its_place(tmp_path: Path, right: str, wrong: str, said: str) -> None:
    assert NAMES.count(right) == 1
    path = written(tmp_path, NAMES.replace(right, wrong))
    assert refusal(path) == f"{path}:{said}"


def test_a_file_may_be_loaded_twice_where_that_makes_a_difference(tmp_path: Path) -> None:
    text = NAMES.replace("path: b.gguf", "path: a.gguf, n_ctx: 512")
    assert read_config(written(tmp_path, text)).models["b"].n_ctx == 512


def test_names_may_lead_over_four_steps_in_any_order_and_in_litellms_words(tmp_path: Path) -> None:
    chain = """\
  - {model_name: p, litellm_params: {model: q}}
  - {model_name: q, use: r}
  - {model_name: r, use: one}
routing:"""
    config = read_config(written(tmp_path, NAMES.replace("routing:", chain).replace("default: one", "default: p")))
    assert config.default_model == "a"


REPEATED = [
    ("version: 1", 'version: 1\n¶"version": 1', "version stands here again after line 2; expected it once"),
    ("  port: 4000", "  port: 4000\n  ¶port: 4001", "port stands here again after line 6; expected it once"),
    ("[a, b]", "[{a: 1,\n  ¶a: 2}]", "a stands here again after line 7; expected it once"),
    ("  small:\n", "  small: {}\n  ¶small:\n", "small stands here again after line 11; expected it once"),
]


@pytest.mark.parametrize(("right", "wrong", "said"), REPEATED)
def test_a_setting_that_stands_twice_is_refused(tmp_path: Path, right: str, wrong: str, said: str) -> None:
    assert mistake(tmp_path, right, wrong) == said


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("1", "'1'"),
        ("true", "'true'"),
        ("~", "'~'"),
        ("2026-01-01", "'2026-01-01'"),
        ("<<", "'<<'"),
        ("? [a]\n", "a sequence"),
        ("? {a: 1}\n", "a mapping"),
    ],
)
def test_a_key_that_is_no_name_is_refused(tmp_path: Path, key: str, said: str) -> None:
    assert mistake(tmp_path, "version: 1", f"version: 1\n¶{key}: {{}}") == f"{said}; expected the name of a setting"


def not_yaml(problem: str) -> str:
    return f"not YAML that is understood here ({problem}); expected settings such as 'port: 4000'"


UNREADABLE = [
    ("  port: 4000", "¶\tport: 4000", not_yaml("found character '\\t' that cannot start any token")),
    ("port: 4000", "¶port: 2026-13-01", not_yaml("'2026-13-01' cannot be read")),
    ("port: 4000", "¶port: 0x_", not_yaml("'0x_' cannot be read")),
    ("port: 4000", f"¶port: {'1' * 5000}", not_yaml(f"'{'1' * 56}... cannot be read")),
    ("port: 4000", "¶port: !!int x", not_yaml("found an anchor or tag")),
    ("port: 4000", "¶port: !!python/object/apply:os.abort []", not_yaml("found an anchor or tag")),
    ("port: 4000", "¶port: &a 4000", not_yaml("found an anchor or tag")),
    ("port: 4000", "¶port: *a", not_yaml(STAR)),
    ("limits:", "¶---\nlimits:", not_yaml("but found another document")),
    ("port: 4000", "¶port: \x07", "character U+0007, which YAML forbids; expected settings such as 'port: 4000'"),
]


@pytest.mark.parametrize(("right", "wrong", "said"), UNREADABLE, ids=range(len(UNREADABLE)))
def test_what_cannot_be_read_is_named_by_its_line(tmp_path: Path, right: str, wrong: str, said: str) -> None:
    assert mistake(tmp_path, right, wrong) == said


def test_bytes_that_are_not_utf_8_are_named_by_their_line(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(RIGHT.replace("small.gguf", "modèle.gguf").encode("latin-1"))
    assert refusal(path) == f"{path}:12:14: byte 0xe8; expected UTF-8 text"


@pytest.mark.parametrize("text", ["", "# nothing\n", "- version: 1\n", "version\n"])
def test_a_file_that_is_no_settings_is_refused(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    assert refusal(path) == f"{path}:1:1: expected settings such as 'version: 1'"


def bomb(opening: str, first: str, layer: str) -> str:
    """Eight layers, each ten times the one before."""
    layers = [layer.format(name=name, inner=",".join(["*" + below] * 10)) for below, name in pairwise("abcdefghi")]
    return "\n".join([opening, first, *layers])


@pytest.mark.parametrize(
    "text",
    [
        bomb("models:", "- &a [x,x,x,x,x,x,x,x,x,x]", "- &{name} [{inner}]"),
        bomb("version: 1", "a: &a {k: 1}", "{name}: &{name} {{<<: [{inner}]}}"),
        "version: &a [*a]\n",
        "version: " + "[" * 100_000,
        "version: " + "[" * 100_000 + "]" * 100_000,
        "version:\n" + "\n".join(" " * depth + "a:" for depth in range(1, 600)),
    ],
    ids=["lists", "merges", "itself", "open brackets", "brackets", "indented"],
)
def test_a_small_file_that_grows_without_end_is_refused_at_once(tmp_path: Path, text: str) -> None:
    assert re.fullmatch(
        r".*config\.yaml:\d+:\d+: .*expected settings such as 'port: 4000'", refusal(written(tmp_path, text))
    )


@pytest.mark.parametrize(("size", "refused"), [(MAX_BYTES, False), (MAX_BYTES + 1, True)])
def test_the_file_may_have_256_kilobytes(tmp_path: Path, size: int, refused: bool) -> None:
    path = written(tmp_path, RIGHT + "#" * (size - len(RIGHT)))
    said = f"{path}: too large; expected at most 262,144 bytes"
    assert refusal(path) == (said if refused else None)


@pytest.mark.parametrize(("name", "why"), [("missing.yaml", "No such file or directory"), (".", "Is a directory")])
def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path, name: str, why: str) -> None:
    path = tmp_path / name
    assert refusal(path) == f"{path}: cannot be read ({why}); expected a configuration file"


def test_the_shipped_file_states_the_defaults() -> None:
    config = read_config(SHIPPED)
    (model,) = config.models.values()
    usual = Sampling()
    stated = model.params.model_dump(exclude_none=True)
    assert stated == {name: getattr(usual, name) for name in stated}
    plain = model.model_copy(update={"params": Params(), "system_prompt": None})
    assert plain == Model(path=model.path)
    bare = {"model_name", "use", "examples"}
    names = tuple(Name.model_validate(name.model_dump(include=bare)) for name in config.model_list)
    routing = Routing(default=config.routing.default)
    assert config == Config(version=1, models=config.models, model_list=names, routing=routing)


@pytest.mark.parametrize("section", [Config, Server, Model, Params, Name, Routing, Limits])
def test_every_setting_stands_in_the_shipped_file(section: type[BaseModel]) -> None:
    text = SHIPPED.read_text()
    absent = [name for name in section.model_fields if not re.search(rf"^ *(# |- )?{name}:", text, re.MULTILINE)]
    assert absent == []


def test_the_shipped_file_is_plain_yaml_for_others_too() -> None:
    assert Config.model_validate(yaml.safe_load(SHIPPED.read_text())) == read_config(SHIPPED)


def written(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path) -> str | None:
    """What is said against the file, in one line; None when it is accepted."""
    try:
        read_config(path)
    except ConfigInvalid as error:
        said = str(error)
        return said if len(said.splitlines()) == 1 else f"not one line: {said!r}"
    return None


def mistake(folder: Path, right: str, wrong: str) -> str:
    """What is said of the right configuration with one place made wrong, after the file and the marked line."""
    assert RIGHT.count(right) == 1, right
    marked = RIGHT.replace(right, wrong)
    line = 1 + marked[: marked.index(HERE)].count("\n")
    path = written(folder, marked.replace(HERE, ""))
    said = refusal(path)
    assert said is not None
    place = re.match(re.escape(f"{path}:{line}:") + r"\d+: ", said)
    assert place, said
    return said[place.end() :]


def test_nobody_comes_in_from_the_lan_unasked(tmp_path: Path) -> None:
    open_to_all = RIGHT.replace("127.0.0.1", "0.0.0.0")
    text = open_to_all + "auth:\n  required: false\n"
    with pytest.raises(
        ConfigInvalid, match=r"auth\.required: 'false'; expected true or null, as the server listens on"
    ):
        read_config(written(tmp_path, text))
