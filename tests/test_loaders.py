"""Nothing that is read can become a program: no loader that runs what it loads, anywhere in our code. By `ast`."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted([*(ROOT / "neuralbridge").rglob("*.py"), *(ROOT / "scripts").glob("*.py")])
EMBEDDER = ROOT / "models" / "all-minilm-l6-v2"

MODULES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "jsonpickle", "marshal", "shelve", "hickle"}
CALLS = {"eval", "exec", "compile", "execfile", "__import__"}
METHODS = {  # of a module, or of what it was imported from
    "torch.load",
    "torch.hub.load",
    "yaml.load",
    "yaml.load_all",
    "yaml.full_load",
    "yaml.full_load_all",
    "yaml.unsafe_load",
    "yaml.unsafe_load_all",
    "yaml.Loader",
    "yaml.FullLoader",
    "yaml.UnsafeLoader",
    "pandas.read_pickle",
    "pandas.eval",
}
NEVER_TRUE = {"trust_remote_code", "allow_dangerous_deserialization", "allow_pickle", "allow_dangerous_code"}
ALWAYS_TRUE = {"weights_only", "use_safetensors"}


def offences(tree: ast.Module) -> Iterator[str]:
    """What of it loads more than data, with its line."""
    short: dict[str, str] = {}  # names in this file: what they are called at home
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    short[alias.asname or alias.name.partition(".")[0]] = (
                        alias.name if alias.asname else alias.name.partition(".")[0]
                    )
                    if alias.name.partition(".")[0] in MODULES:
                        yield f"{node.lineno}: import {alias.name}"
            case ast.ImportFrom(module=str(module), names=names):
                for alias in names:
                    short[alias.asname or alias.name] = f"{module}.{alias.name}"
                if module.partition(".")[0] in MODULES:
                    yield f"{node.lineno}: from {module} import"
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in CALLS and name not in short:
                yield f"{node.lineno}: {name}"
            case ast.Attribute() | ast.Name():
                first, _, rest = ast.unparse(node).partition(".")
                if ".".join(filter(None, (short.get(first, first), rest))) in METHODS:
                    yield f"{node.lineno}: {ast.unparse(node)}"
            case ast.keyword(arg=str(name), value=value):
                yield from wrong_switch(name, value, node.value.lineno)
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values, strict=True):
                    if isinstance(key, ast.Constant):
                        yield from wrong_switch(str(key.value), value, node.lineno)


def wrong_switch(name: str, value: ast.expr, line: int) -> Iterator[str]:
    """Anything but the plain word that is safe: what is computed may come out either way."""
    safe = False if name in NEVER_TRUE else True if name in ALWAYS_TRUE else None
    if safe is not None and not (isinstance(value, ast.Constant) and value.value is safe):
        yield f"{line}: {name}={ast.unparse(value)}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_loads_more_than_data(path: Path) -> None:
    assert [*offences(ast.parse(path.read_text("utf-8")))] == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "import marshal as m",
        "import shelve",
        "import torch\ntorch.load('x')",
        "from torch import load as get\nget('x')",
        "import torch as t\nt.load('x')",
        "import yaml\nyaml.load('x', Loader=yaml.SafeLoader)",
        "from yaml import unsafe_load\nunsafe_load('x')",
        "import yaml\nclass Mine(yaml.FullLoader): pass",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "np.load('x', allow_pickle=flag)",
        "model(trust_remote_code=True)",
        "model(model_kwargs={'trust_remote_code': True})",
        "model(model_kwargs={'use_safetensors': False})",
        "load(allow_dangerous_deserialization=True)",
        "eval('1')",
        "exec('1')",
        "__import__('os')",
    ],
)
def test_every_such_loader_would_be_found(code: str) -> None:
    assert [*offences(ast.parse(code))]


@pytest.mark.parametrize(
    "code",
    [
        "re.compile('x')",
        "# pickle",
        "'eval(x)'",
        "model.eval()",
        "yaml.safe_load('x')",
        "model(trust_remote_code=False)",
    ],
)
def test_what_only_looks_like_one_is_not(code: str) -> None:
    assert [*offences(ast.parse(code))] == []


def test_the_embedding_model_is_numbers_and_text() -> None:
    suffixes = {path.suffix for path in EMBEDDER.rglob("*") if path.is_file()}
    assert {".safetensors", ".json"} <= suffixes <= {".safetensors", ".json", ".txt"}
