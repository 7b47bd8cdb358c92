"""config.yaml as typed settings. `config.yaml` itself is the manual; every setting here is explained there.

A mistake is one line: the file, the line in it, the setting, what it holds, and what was expected.
"""

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from neuralbridge.errors import ConfigInvalid
from neuralbridge.types import Params

MAX_CONFIG_BYTES = 256 * 1024
Path_ = tuple[str | int, ...]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Model(Section):
    """A model file and how it is run."""

    path: str
    n_ctx: Annotated[int, Field(ge=256, le=1_048_576)] = 8192
    parallel: Annotated[int, Field(ge=1, le=256)] = 16
    params: Params = Params()
    system_prompt: str | None = None


class Name(Section):
    """A name that clients ask for."""

    model_name: Annotated[str, Field(min_length=1, max_length=200)]
    use: str
    params: Params = Params()
    system_prompt: str | None = None


class Routing(Section):
    default: str
    unknown_model: Literal["default", "error"] = "default"


class Server(Section):
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 4000
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    longpoll: bool = True
    max_frame_bytes: Annotated[int, Field(ge=1024, le=64 * 1024 * 1024)] = 1024 * 1024
    idle_seconds: Annotated[float, Field(gt=0)] = 60.0

    @field_validator("allowed_hosts", "allowed_origins", mode="before")
    @classmethod
    def lists(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("host")
    @classmethod
    def loopback(cls, value: str) -> str:
        # Whoever reaches the port is the local user: until there is authentication, only this machine may.
        try:
            alone = value == "localhost" or ip_address(value).is_loopback
        except ValueError:
            alone = False
        if not alone:
            raise ValueError("a loopback address (127.0.0.1, ::1 or localhost): there is no authentication yet")
        return value


class Limits(Section):
    waiting_questions: Annotated[int, Field(ge=1, le=100_000)] = 64
    waiting_per_conversation: Annotated[int, Field(ge=1, le=1_000)] = 8
    unwatched_seconds: Annotated[float, Field(gt=0)] = 300.0
    resume_seconds: Annotated[float, Field(ge=0)] = 300.0


class Config(Section):
    version: Literal[1]
    data_dir: str = "data"
    server: Server = Server()
    models: Annotated[dict[str, Model], Field(min_length=1, max_length=1)]
    model_list: tuple[Name, ...] = ()
    routing: Routing
    limits: Limits = Limits()

    @field_validator("model_list", mode="before")
    @classmethod
    def lists(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def names_lead_somewhere(self) -> "Config":
        known = ", ".join(self.models)
        for name in self.model_list:
            if name.use not in self.models:
                raise ValueError(f"model_list: {name.model_name} uses {name.use!r}; expected one of models: {known}")
        names = [name.model_name for name in self.model_list]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"model_list: {twice} stands twice; expected each name once")
        if self.routing.default not in [*names, *self.models]:
            raise ValueError(f"routing.default is {self.routing.default!r}; expected a name of model_list or models")
        return self


def read_config(path: Path) -> Config:
    """Read and check a configuration file. Raises ConfigInvalid with one line for a person."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigInvalid(f"{path}: cannot be read ({error.strerror}); expected a configuration file") from error
    if len(raw) > MAX_CONFIG_BYTES:
        raise ConfigInvalid(f"{path}: {len(raw):,} bytes; expected at most {MAX_CONFIG_BYTES:,}")
    try:
        root = yaml.compose(raw, Loader=yaml.SafeLoader)
        if not isinstance(root, yaml.MappingNode):
            raise ConfigInvalid(f"{path}:1: expected settings such as 'version: 1'")
        reject_repeats(root, path)
        settings = yaml.safe_load(raw)
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigInvalid(f"{path}:{place_of(error)}: not YAML; expected {problem_of(error)}") from error
    try:
        return Config.model_validate(settings)
    except ValidationError as error:
        raise ConfigInvalid(describe(error, root, path)) from error


def reject_repeats(root: yaml.Node, path: Path) -> None:
    """YAML takes the last of two equal keys in silence; a person should hear of it."""
    for node in nodes(root):
        if isinstance(node, yaml.MappingNode):
            seen: dict[str, int] = {}
            for key, _ in node.value:
                line = key.start_mark.line + 1
                if key.value in seen:
                    where = seen[key.value]
                    raise ConfigInvalid(
                        f"{path}:{line}: {key.value} stands here again after line {where}; expected it once"
                    )
                seen[key.value] = line


def nodes(root: yaml.Node) -> Iterator[yaml.Node]:
    """A node and all below it; an alias is visited once."""
    visited: set[int] = set()
    queue = [root]
    while queue:
        node = queue.pop()
        if id(node) in visited:
            continue
        visited.add(id(node))
        yield node
        if isinstance(node, yaml.MappingNode):
            queue += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            queue += node.value


def describe(error: ValidationError, root: yaml.Node, path: Path) -> str:
    """The first mistake as `file:line: setting: what it holds; expected what`."""
    first = error.errors()[0]
    where = tuple(part for part in first["loc"] if part != "[key]")
    dotted = ".".join(map(str, where))
    line = line_of(root, where)
    if first["type"] == "extra_forbidden":
        return f"{path}:{line}: {dotted}: unknown setting; expected one of {known_settings(where)}"
    if first["type"] == "missing":
        return f"{path}:{line}: {dotted}: missing; expected a value"
    expected = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if not where:
        return f"{path}:{line}: {expected}"
    return f"{path}:{line}: {dotted}: {shorten(first['input'])}; expected {expected}"


def known_settings(where: Path_) -> str:
    """The names allowed beside an unknown one."""
    section: Any = Config
    for part in where[:-1]:
        if isinstance(section, type) and issubclass(section, BaseModel):
            section = section.model_fields[str(part)].annotation
            section = {dict[str, Model]: Model, tuple[Name, ...]: Name}.get(section, section)
    return ", ".join(section.model_fields)


def line_of(root: yaml.Node, where: Path_) -> int:
    """The line (from 1) of the deepest part of `where` that the file has."""
    node, line = root, root.start_mark.line + 1
    for part in where:
        if isinstance(node, yaml.MappingNode):
            pair = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if pair is None:
                break
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line


def place_of(error: Exception) -> int:
    mark = getattr(error, "problem_mark", None)
    return mark.line + 1 if mark is not None else 1


def problem_of(error: Exception) -> str:
    return f"something else: {getattr(error, 'problem', None) or 'nesting is too deep'}"


def shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
