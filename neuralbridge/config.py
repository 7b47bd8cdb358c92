"""config.yaml as typed settings. `config.yaml` itself is the manual; every setting here is explained there.

A mistake is one line: the file, the line in it, the setting, what it holds, and what was expected.
"""

import re
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from neuralbridge.errors import ConfigInvalid
from neuralbridge.types import Params, Retrieval

MAX_CONFIG_BYTES = 256 * 1024
MAX_MODELS = 2  # loaded at once
Path_ = tuple[str | int, ...]
TEXT = "tag:yaml.org,2002:str"
EXPECTED = {  # in the words of the file, where pydantic's are those of Python
    "missing": "a value",
    "model_type": "settings of its own",
    "dict_type": "settings of its own",
    "tuple_type": "a list",
}


class Contradiction(ValueError):
    """Two settings do not go together. `where` is the one to correct."""

    def __init__(self, where: Path_, value: str, expected: str) -> None:
        super().__init__(expected)
        self.where = where
        self.value = value


def openable(value: str) -> str:
    """Refuses what the system cannot even be asked for: nothing, a NUL, half a surrogate pair."""
    if not value or not value.isprintable():
        raise ValueError("the path of a file or folder")
    return value


FilePath = Annotated[str, AfterValidator(openable)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Model(Section):
    """A model file and how it is run."""

    path: FilePath
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
    retrieval: Retrieval | None = None
    cache: bool | None = None


class Cascade(Section):
    """Which model gives a second opinion, and on answers of what confidence."""

    to: str
    below: Annotated[float, Field(gt=0, lt=1)] = 0.55


class Answers(Section):
    """What becomes of a weak answer."""

    extract_below: Annotated[float, Field(ge=0, lt=1)] = 0.3


class Cache(Section):
    """Answers that are given again."""

    enabled: bool = True
    entries: Annotated[int, Field(ge=1, le=1_000_000)] = 1_000
    hours: Annotated[float, Field(gt=0, le=100_000)] = 720.0
    rephrased: bool = False


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


class Documents(Section):
    """The user's documents: how they are read, and where they are looked for by themselves."""

    enabled: bool = True
    embedder: FilePath = "models/all-minilm-l6-v2"
    watch: tuple[FilePath, ...] = ()
    retrieval: Retrieval = "auto"
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    max_file_bytes: Annotated[int, Field(ge=1024, le=4 * 1024**3)] = 50 * 1024 * 1024
    max_passages: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    read_seconds: Annotated[float, Field(gt=0)] = 60.0
    read_memory_bytes: Annotated[int, Field(ge=256 * 1024**2)] = 1024 * 1024 * 1024
    waiting: Annotated[int, Field(ge=1, le=100_000)] = 1_000

    @field_validator("watch", mode="before")
    @classmethod
    def lists(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value


class Config(Section):
    version: int
    data_dir: FilePath = "data"
    server: Server = Server()
    models: dict[str, Model]
    model_list: tuple[Name, ...] = ()
    routing: Routing
    limits: Limits = Limits()
    documents: Documents = Documents()
    cascade: dict[str, Cascade] = {}
    answers: Answers = Answers()
    cache: Cache = Cache()

    @field_validator("model_list", mode="before")
    @classmethod
    def lists(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("version")
    @classmethod
    def understood(cls, value: int) -> int:
        if value != 1:
            raise ValueError("1")
        return value

    @field_validator("models")
    @classmethod
    def one_or_two(cls, value: dict[str, Model]) -> dict[str, Model]:
        if not 1 <= len(value) <= MAX_MODELS:
            raise ValueError("one model, or two")
        return value

    @model_validator(mode="after")
    def names_lead_somewhere(self) -> "Config":
        names: list[str] = []
        for place, name in enumerate(self.model_list):
            if name.use not in self.models:
                known = "one of models: " + ", ".join(self.models)
                raise Contradiction(("model_list", place, "use"), name.use, known)
            if name.model_name in names:
                raise Contradiction(("model_list", place, "model_name"), name.model_name, "each name once")
            names.append(name.model_name)
        if self.routing.default not in [*names, *self.models]:
            raise Contradiction(("routing", "default"), self.routing.default, "a name of model_list or models")
        for small, cascade in self.cascade.items():
            known = "one of models: " + ", ".join(self.models)
            if small not in self.models:
                raise Contradiction(("cascade", small), small, known)
            if cascade.to not in self.models or cascade.to == small:
                raise Contradiction(("cascade", small, "to"), cascade.to, "another " + known)
        return self

    @property
    def default_model(self) -> str:
        """The model that answers when nothing is asked for; it is loaded at the start."""
        names = {name.model_name: name.use for name in self.model_list}
        return names.get(self.routing.default, self.routing.default)


def read_config(path: Path) -> Config:
    """Read and check a configuration file. Raises ConfigInvalid with one line for a person."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_CONFIG_BYTES + 1)
    except OSError as error:
        raise ConfigInvalid(f"{path}: cannot be read ({error.strerror}); expected a configuration file") from error
    if len(raw) > MAX_CONFIG_BYTES:
        raise ConfigInvalid(f"{path}: too large; expected at most {MAX_CONFIG_BYTES:,} bytes")
    text = decode(raw, path)
    try:
        loader = Loader(text)
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            raise ConfigInvalid(f"{path}:1: expected settings such as 'version: 1'")
        check_keys(root, path)
        settings = loader.construct_document(root)
    except (yaml.YAMLError, RecursionError) as error:
        line, problem = trouble(error, text)
        raise ConfigInvalid(f"{path}:{line}: {problem}; expected settings such as 'port: 4000'") from error
    try:
        return Config.model_validate(settings)
    except ValidationError as error:
        raise ConfigInvalid(describe(error, root, path)) from error


class Loader(yaml.SafeLoader):
    """YAML without the parts settings have no use for.

    With aliases and tags, a few lines grow beyond all memory or stand for what no setting is.
    """

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # types-PyYAML has no signature for it
        if getattr(event, "anchor", None) is not None or getattr(event, "tag", None) is not None:
            raise yaml.composer.ComposerError(problem="found an anchor, alias or tag", problem_mark=event.start_mark)
        return super().compose_node(parent, index)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except ValueError as error:  # a date with a 13th month, a number of thousands of digits
            problem = f"{shorten(node.value)} cannot be read"
            raise yaml.constructor.ConstructorError(problem=problem, problem_mark=node.start_mark) from error


def decode(raw: bytes, path: Path) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = 1 + raw.count(b"\n", 0, error.start)
        raise ConfigInvalid(f"{path}:{line}: byte 0x{raw[error.start]:02x}; expected UTF-8 text") from error


def check_keys(root: yaml.Node, path: Path) -> None:
    """YAML takes anything for a key, and the last of two equal keys in silence; a person should hear of it."""
    for node in nodes(root):
        if isinstance(node, yaml.MappingNode):
            seen: dict[str, int] = {}
            for key, _ in node.value:
                line = key.start_mark.line + 1
                if key.tag != TEXT:
                    held = shorten(key.value) if isinstance(key, yaml.ScalarNode) else f"a {key.id}"
                    raise ConfigInvalid(f"{path}:{line}: {held}; expected the name of a setting")
                if key.value in seen:
                    again = f"stands here again after line {seen[key.value]}"
                    raise ConfigInvalid(f"{path}:{line}: {legible(key.value)} {again}; expected it once")
                seen[key.value] = line


def nodes(root: yaml.Node) -> Iterator[yaml.Node]:
    """A node and all below it, in the order of the file."""
    left = [root]
    while left:
        node = left.pop()
        yield node
        if isinstance(node, yaml.MappingNode):
            left += reversed([part for pair in node.value for part in pair])
        elif isinstance(node, yaml.SequenceNode):
            left += reversed(node.value)


def describe(error: ValidationError, root: yaml.Node, path: Path) -> str:
    """The first mistake as `file:line: setting: what it holds; expected what`."""
    # A misspelt setting is also a missing one; only the spelling helps.
    first = min(error.errors(), key=lambda mistake: mistake["type"] != "extra_forbidden")
    where = first["loc"]
    held = "missing" if first["type"] == "missing" else shorten(first["input"])
    mistake = first.get("ctx", {}).get("error")
    if isinstance(mistake, Contradiction):
        where, held = mistake.where, shorten(mistake.value)
    place = f"{path}:{line_of(root, where)}: {'.'.join(legible(str(part)) for part in where)}"
    if first["type"] == "extra_forbidden":
        return f"{place}: unknown setting; expected one of {known_settings(where)}"
    return f"{place}: {held}; expected {EXPECTED.get(first['type']) or expectation(first['msg'])}"


def expectation(message: str) -> str:
    """Pydantic's sentence as what follows "expected"."""
    return re.sub(r"^\w+ should ", "it to ", re.sub(r"^(Value error, |Input should be )", "", message))


def known_settings(where: Path_) -> str:
    """The names allowed beside an unknown one."""
    section: Any = Config
    for part in where[:-1]:
        entries = [entry for entry in get_args(section) if entry in (Model, Name, Cascade)]
        # dict[str, Model] and tuple[Name, ...] have the same below every key and place
        section = entries[0] if entries else section.model_fields[str(part)].annotation
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


def trouble(error: Exception, text: str) -> tuple[int, str]:
    """The line, and what is wrong with it as YAML."""
    match error:
        case yaml.MarkedYAMLError(problem=str(problem), problem_mark=yaml.Mark(line=line)):
            return line + 1, f"not YAML that is understood here ({problem})"
        case yaml.reader.ReaderError(position=position, character=int(character)):
            return 1 + text.count("\n", 0, position), f"character U+{character:04X}, which YAML forbids"
        case _:
            return 1, "nested too deeply"


def legible(name: str) -> str:
    """A name as it stands, unless it is too long for a line or more than one."""
    return name if name.isprintable() and len(name) <= 60 else shorten(name)


def shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
