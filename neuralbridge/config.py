"""config.yaml as typed settings. `config.yaml` itself is the manual; every setting here is explained there.

A mistake is one line: the file, line and column in it, the setting, what it holds, and what was expected.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from os.path import normpath
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from neuralbridge.errors import ConfigInvalid
from neuralbridge.patterns import matches
from neuralbridge.sections import (
    Answers,
    Auth,
    Cache,
    Cascade,
    Contradiction,
    Documents,
    FilePath,
    Limits,
    Logs,
    Model,
    Name,
    Retention,
    Routing,
    Section,
    Server,
)
from neuralbridge.yaml_file import Where, legible, parse, place_of, read_text, shorten

MAX_MODELS = 2  # loaded at once
MAX_STEPS = 4  # from a name over others to a model
EMBEDDER = "embedder"  # the word of `use` for the model of documents.embedder
SECRETS = ("token", "jwt_secret")
EXPECTED = {  # in the words of the file, where pydantic's are those of Python
    "missing": "a value",
    "model_type": "settings of its own",
    "dict_type": "settings of its own",
    "tuple_type": "a list",
}


class Config(Section):
    version: int
    data_dir: FilePath = "data"
    server: Server = Server()
    models: dict[str, Model]
    model_list: tuple[Name, ...] = ()
    routing: Routing
    auth: Auth = Auth()
    limits: Limits = Limits()
    logs: Logs = Logs()
    retention: Retention = Retention()
    documents: Documents = Documents()
    cascade: dict[str, Cascade] = Field(default_factory=dict)
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
    def nobody_comes_in_from_the_lan_unasked(self) -> "Config":
        if self.server.on_lan and self.auth.required is False:
            raise Contradiction(
                ("auth", "required"), "false", f"true or null, as the server listens on {self.server.host}"
            )
        return self

    @model_validator(mode="after")
    def each_load_once(self) -> "Config":
        first: dict[tuple[str, int, int], str] = {}
        for key, model in self.models.items():
            if key == EMBEDDER:
                raise Contradiction(("models", key), key, "another name: this one is the model of documents.embedder")
            load = (normpath(model.path), model.n_ctx, model.parallel)
            if load in first:
                other = f"another file than models.{first[load]}: names of model_list give one model many settings"
                raise Contradiction(("models", key, "path"), model.path, other)
            first[load] = key
        return self

    @model_validator(mode="after")
    def names_stand_once(self) -> "Config":
        taken: set[str] = set()
        for where, name in self._names():
            if name.model_name in taken:
                raise Contradiction(where, name.model_name, "each name once")
            taken.add(name.model_name)
        taken |= {*self.models, EMBEDDER}
        for key, model in self.models.items():
            for place, alias in enumerate(model.aliases):
                if alias in taken:
                    raise Contradiction(("models", key, "aliases", place), alias, "each name once")
                taken.add(alias)
        return self

    @model_validator(mode="after")
    def names_lead_somewhere(self) -> "Config":
        ways = self.ways
        for where, name in self._names():
            place = where[:2] if where[0] == "model_list" else where
            check_use(ways, place, name)
            for number, example in enumerate(name.examples):
                if "*" not in name.model_name or not matches(name.model_name, example):
                    fitting = f"a name that {name.model_name} stands for"
                    raise Contradiction((*place, "examples", number), example, fitting)
        return self

    @model_validator(mode="after")
    def routing_leads_somewhere(self) -> "Config":
        ways = self.ways
        check_chat(ways, ("routing", "default"), self.routing.default)
        for setting in ("fallbacks", "context_window_fallbacks"):
            for place, entry in enumerate(getattr(self.routing, setting)):
                for name, others in entry.items():
                    check_chat(ways, ("routing", setting, place, name), name)
                    for number, other in enumerate(others):
                        check_chat(ways, ("routing", setting, place, name, number), other)
        return self

    @model_validator(mode="after")
    def cascades_lead_on(self) -> "Config":
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
        return self.ways.follow(self.routing.default)[1]

    @property
    def ways(self) -> "Ways":
        """Where each name leads."""
        aliases = {alias: key for key, model in self.models.items() for alias in model.aliases}
        models = {**{key: key for key in self.models}, **aliases, EMBEDDER: EMBEDDER}
        return Ways({name.model_name: name for _, name in self._names()}, models)

    def _names(self) -> Iterator[tuple[Where, Name]]:
        """Each name, and where it stands in the file."""
        for place, name in enumerate(self.model_list):
            yield ("model_list", place, "model_name"), name
        for alias, target in self.routing.model_group_alias.items():
            name = Name(model_name=alias, use=target.model, hidden=target.hidden)
            yield ("routing", "model_group_alias", alias), name


@dataclass(frozen=True, slots=True)
class Ways:
    """All names with settings of their own, in the order of the file, and what else leads to a model.

    `models` are keys and aliases -> the key of `models`, or EMBEDDER.
    """

    names: dict[str, Name]
    models: dict[str, str]

    def follow(self, name: str) -> tuple[tuple[Name, ...], str]:
        """The names that lead from `name` to a model, and that model (a key of `models`, or EMBEDDER).

        A name of model_list stands before a model that is called the same. Raises ValueError saying what is expected.
        """
        passed: list[Name] = []
        while name in self.names and not (passed and name in self.models):
            path = [*(each.model_name for each in passed), name]
            if name in path[:-1]:
                raise ValueError(f"no circle: {' -> '.join(path)}")
            if len(passed) == MAX_STEPS:
                raise ValueError(f"at most {MAX_STEPS} steps to a model: {' -> '.join(path)}")
            passed.append(self.names[name])
            name = passed[-1].use
        if name not in self.models:
            keys = ", ".join(dict.fromkeys(self.models.values()))
            raise ValueError(f"one of models: {keys}; or a name of model_list")
        return tuple(passed), self.models[name]


def check_use(ways: Ways, place: Where, name: Name) -> None:
    """Raises Contradiction, where `name` leads to no model. `place` is where it stands."""
    where = place if place[0] == "routing" else (*place, "litellm_params" if name.litellm_params else "use")
    if name.litellm_params and name.litellm_params.model != name.use:
        raise Contradiction(where, name.litellm_params.model, f"what use says: {name.use}")
    try:
        ways.follow(name.model_name)
    except ValueError as error:
        raise Contradiction(where, name.use, str(error)) from error


def check_chat(ways: Ways, where: Where, name: str) -> None:
    """Raises Contradiction, where `name` does not lead to a model that chats."""
    try:
        model = ways.follow(name)[1]
    except ValueError as error:
        known = "a name of model_list or models" if name not in ways.names else str(error)
        raise Contradiction(where, name, known) from error
    if model == EMBEDDER:
        raise Contradiction(where, name, "a name of model_list or models that leads to no embedder")


def read_config(path: Path) -> Config:
    """Read and check a configuration file. Raises ConfigInvalid with one line for a person."""
    return config_from(read_text(path), path)


def config_from(text: str, path: Path) -> Config:
    """The configuration that the text of the file `path` is. Raises ConfigInvalid as `read_config` does."""
    root, settings = parse(text, path)
    try:
        return Config.model_validate(settings)
    except ValidationError as error:
        raise ConfigInvalid(describe(error, root, path)) from error


def describe(error: ValidationError, root: yaml.Node, path: Path) -> str:
    """The first mistake as `file:line:column: setting: what it holds; expected what`."""
    # A misspelt setting is also a missing one; only the spelling helps.
    first = min(error.errors(), key=lambda mistake: mistake["type"] != "extra_forbidden")
    where = first["loc"]
    held = "missing" if first["type"] == "missing" else shorten(first["input"])
    mistake = first.get("ctx", {}).get("error")
    if isinstance(mistake, Contradiction):
        where, held = mistake.where, shorten(mistake.value)
    if where[-1] in SECRETS and isinstance(first["input"], str):  # terminals and logs are read by others
        held = f"a text of {len(first['input'].encode())} bytes"
    place = f"{path}:{place_of(root, where)}: {'.'.join(legible(str(part)) for part in where)}"
    if first["type"] == "extra_forbidden":
        return f"{place}: unknown setting; expected one of {known_settings(where)}"
    return f"{place}: {held}; expected {EXPECTED.get(first['type']) or expectation(first['msg'])}"


def expectation(message: str) -> str:
    """Pydantic's sentence as what follows "expected"."""
    return re.sub(r"^\w+ should ", "it to ", re.sub(r"^(Value error, |Input should be )", "", message))


def known_settings(where: Where) -> str:
    """The names allowed beside an unknown one."""
    section: Any = Config
    for part in where[:-1]:
        section = section.model_fields[str(part)].annotation if is_section(section) else entry_of(section)
    return ", ".join((section if is_section(section) else entry_of(section)).model_fields)


def is_section(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def entry_of(kind: object) -> Any:
    """The section that every entry of a list or mapping is, or that may be left out."""
    return next(inner for part in get_args(kind) for inner in (part, *get_args(part)) if is_section(inner))
