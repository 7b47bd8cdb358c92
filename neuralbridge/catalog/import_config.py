"""Configurations of LiteLLM, llama-swap and llama-cpp-python as one of ours, and what of them has no place here. Pure.

Keys and tokens of others are neither carried over nor told: only the names of settings are.
"""

import json
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from os.path import normpath
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from neuralbridge.config import EMBEDDER, MAX_MODELS, Config, config_from
from neuralbridge.errors import ConfigInvalid
from neuralbridge.sections import Model, Name, Server
from neuralbridge.types import Params
from neuralbridge.yaml_file import legible, parse

MACROS_IN_MACROS = 8  # how deep llama-swap's macros are followed
MOST_LETTERS = 100_000  # ... and how long a command may become
MACRO = re.compile(r"\$\{([^{}]+)\}")
# Options of llama-server -> a setting of a model, or a parameter
SERVER_OPTIONS = {
    **dict.fromkeys(("-m", "--model"), "path"),
    **dict.fromkeys(("-c", "--ctx-size"), "n_ctx"),
    **dict.fromkeys(("-np", "--parallel"), "parallel"),
    **dict.fromkeys(("-a", "--alias"), "aliases"),
    **dict.fromkeys(("-s", "--seed"), "seed"),
    **dict.fromkeys(("-n", "--predict", "--n-predict"), "max_tokens"),
    **dict.fromkeys(("--temp", "--temperature"), "temperature"),
    "--top-k": "top_k",
    "--top-p": "top_p",
    "--min-p": "min_p",
    "--repeat-penalty": "repeat_penalty",
    "--presence-penalty": "presence_penalty",
    "--frequency-penalty": "frequency_penalty",
}
ADDRESS = {"--port", "--host"}  # of a server that is not started any more
OTHER_WORDS = {"max_completion_tokens": "max_tokens"}


@dataclass(frozen=True, slots=True)
class Imported:
    """A configuration of ours as `text`, and a sentence for everything of the other that is not in it."""

    made_by: str
    text: str
    notes: tuple[str, ...]


class Foreign(BaseModel):
    """What we understand of something; the rest is in `model_extra`."""

    model_config = ConfigDict(frozen=True, extra="allow")

    @property
    def rest(self) -> list[str]:
        return sorted(self.model_extra or {})


Texts = Annotated[tuple[str, ...], BeforeValidator(lambda value: value.split(",") if isinstance(value, str) else value)]


class LitellmTarget(Foreign):
    model: str


class ModelInfo(Foreign):
    mode: str | None = None


class LitellmName(Foreign):
    model_name: str
    litellm_params: LitellmTarget
    model_info: ModelInfo = ModelInfo()


class AliasTarget(Foreign):
    model: str
    hidden: bool = False


class RouterSettings(Foreign):
    model_group_alias: dict[str, str | AliasTarget] = {}
    fallbacks: list[dict[str, list[str]]] = []
    context_window_fallbacks: list[dict[str, list[str]]] = []
    default_fallbacks: list[str] = []


class Litellm(Foreign):
    model_list: list[LitellmName]
    router_settings: RouterSettings = RouterSettings()
    litellm_settings: RouterSettings = RouterSettings()


class Filters(Foreign):
    stripParams: Texts = ()  # noqa: N815  # llama-swap's spelling
    setParams: dict[str, Any] = {}  # noqa: N815
    setParamsByID: dict[str, dict[str, Any]] = {}  # noqa: N815


class LlamaSwapModel(Foreign):
    cmd: str
    aliases: list[str] = []
    unlisted: bool = False
    filters: Filters = Filters()
    macros: dict[str, str | int | float | bool] = {}


class LlamaSwap(Foreign):
    models: dict[str, LlamaSwapModel]
    macros: dict[str, str | int | float | bool] = {}


class LlamaCppModel(Foreign):
    model: str
    model_alias: str | None = None
    n_ctx: int | None = None
    embedding: bool = False


class LlamaCpp(Foreign):
    models: list[LlamaCppModel]
    host: str | None = None
    port: int | None = None


def import_config(text: str, path: Path, base: Config) -> Imported:
    """What the text of the file `path` says, in our words. Models of `base` answer where it has no model files.

    Raises ConfigInvalid for a file that cannot be read or is none of the three.
    """
    settings = parse_foreign(text, path)
    models = settings.get("models")
    draft = Draft(base)
    try:
        if "model_list" in settings:
            made_by = "LiteLLM"
            take_litellm(Litellm.model_validate(settings), draft)
        elif isinstance(models, dict) and any("cmd" in each for each in models.values() if isinstance(each, dict)):
            made_by = "llama-swap"
            take_llama_swap(LlamaSwap.model_validate(settings), draft)
        elif isinstance(models, list):
            made_by = "llama-cpp-python"
            take_llama_cpp(LlamaCpp.model_validate(settings), draft)
        else:
            raise ConfigInvalid(f"{path}: expected a file of LiteLLM, llama-swap or llama-cpp-python")
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(legible(str(part)) for part in first["loc"])
        raise ConfigInvalid(f"{path}: {where}: {first['msg']}") from error
    head = f"# Made by neuralbridge import-config of {legible(path.name)} ({made_by}). docs/names.md explains it.\n\n"
    dumped = yaml.dump(draft.settings(), Dumper=Plain, sort_keys=False, allow_unicode=True, width=110)
    config_from(dumped, path)  # a file that we would refuse is of no use to anybody
    return Imported(made_by, head + dumped, tuple(draft.notes))


def parse_foreign(text: str, path: Path) -> dict[str, Any]:
    """JSON where it looks like that (YAML forbids tabs that JSON allows), YAML otherwise. Raises ConfigInvalid."""
    if not text.lstrip().startswith("{"):
        return parse(text, path)[1]
    try:
        settings: dict[str, Any] = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigInvalid(f"{path}:{error.lineno}:{error.colno}: not JSON ({error.msg})") from error
    except (RecursionError, ValueError) as error:
        raise ConfigInvalid(
            f"{path}:1:1: not JSON that is understood here (nested too deeply, or a huge number)"
        ) from error
    return settings


class Plain(yaml.SafeDumper):
    """Writes what is the same twice out twice: our files have no anchors."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True


@dataclass
class Draft:
    """A configuration in the making, sound at every moment."""

    base: Config
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    names: dict[str, dict[str, Any]] = field(default_factory=dict)
    routing: dict[str, Any] = field(default_factory=dict)
    server: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def note(self, where: str, said: str) -> None:
        self.notes.append(f"{where}: {said}")

    def left_out(self, where: str, settings: Iterable[str]) -> None:
        """Note settings that have no place here."""
        if told := ", ".join(legible(name) for name in settings):
            self.note(where, f"not carried over: {told}")

    @property
    def first_model(self) -> str:
        """What answers to names whose own model cannot be had."""
        return next(iter(self.models), None) or self.borrow(self.base.default_model)

    def borrow(self, key: str) -> str:
        """The key of a model of `base`, which stands here too from now on."""
        if key not in self.models:
            model = self.base.models[key]
            self.models[key] = model.model_dump(mode="json", exclude_unset=True, exclude={"aliases"})
            self.note(f"models.{key}", "taken from the present configuration; its path starts at the new file's folder")
        return key

    def model(self, where: str, path: str, key: str, settings: dict[str, Any]) -> str:
        """The key of the model in the file `path`, which is new unless that stands here already."""
        if not self.sound(where, Model, {"path": path}, {}):
            return self.first_model
        for known, model in self.models.items():
            if normpath(model["path"]) == normpath(path):
                differing = [name for name, value in settings.items() if model.get(name) != value]
                self.left_out(f"{where} (the file of {known}, which is loaded once)", differing)
                return known
        if len(self.models) == MAX_MODELS:
            self.note(where, f"at most {MAX_MODELS} models can be used; its names lead to {self.first_model}")
            return self.first_model
        while key == EMBEDDER or key in self.models or key in self.names:
            key = f"{key}-model"
        self.models[key] = {"path": path, **self.sound(where, Model, settings, {"path": path})}
        return key

    def name(self, where: str, name: str, use: str, **settings: Any) -> None:
        """A name of model_list; none where it stands here already, or leads to the same without being told."""
        settings = {key: value for key, value in settings.items() if value}
        if name in self.names or (name in self.models and name != use):
            self.note(where, f"{legible(name)} stands here again; the first one answers, there is nothing to balance")
        elif name != use or settings:
            sound = self.sound(where, Name, settings, {"model_name": "n", "use": use})
            if self.sound(where, Name, {"model_name": name}, {"use": use}):
                self.names[name] = {"model_name": name, "use": use, **sound}

    def params(self, where: str, given: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """The sampling parameters among these, and the names of the others."""
        renamed = {OTHER_WORDS.get(name, name): value for name, value in given.items()}
        ours = {name: value for name, value in renamed.items() if name in Params.model_fields and value is not None}
        return self.sound(where, Params, ours, {}), sorted(given.keys() - ours.keys() - OTHER_WORDS.keys())

    def leads_to_chat(self, name: str) -> bool:
        return name in self.models or (name in self.names and self.names[name]["use"] != EMBEDDER)

    def settings(self) -> dict[str, Any]:
        """All of it as config.yaml has it."""
        told = (name for name, rule in self.names.items() if "*" not in name and not rule.get("hidden"))
        default = next(filter(self.leads_to_chat, told), None) or self.first_model
        routing = {"default": default, **self.routing}
        sections = {
            "server": self.server,
            "models": self.models,
            "model_list": [*self.names.values()],
            "routing": routing,
        }
        return {"version": 1, **{name: section for name, section in sections.items() if section}}

    def sound(
        self, where: str, section: type[BaseModel], given: dict[str, Any], needed: dict[str, Any]
    ) -> dict[str, Any]:
        """Those of the settings that the section takes; the others are noted."""
        taken: dict[str, Any] = {}
        for name, value in given.items():
            try:
                section.model_validate({**needed, name: value})
            except ValidationError:
                self.note(where, f"{name} has a value that cannot be used here")
            else:
                taken[name] = value
        return taken


def take_litellm(file: Litellm, draft: Draft) -> None:
    """Names stay; what they called over the network is answered here."""
    for place, entry in enumerate(file.model_list):
        where = f"model_list[{place}] {legible(entry.model_name)}"
        params, others = draft.params(where, entry.litellm_params.model_extra or {})
        called = entry.litellm_params.model
        embedding = entry.model_info.mode == "embedding" or "embed" in called
        here = draft.base.ways.models.get(called.rpartition("/")[2])
        if here in draft.base.models:
            use = draft.borrow(here)
        else:
            use = EMBEDDER if embedding else draft.first_model
            draft.note(where, f"{legible(called)} is not called any more; {use} answers")
        draft.name(where, entry.model_name, use, params=params)
        draft.left_out(where, [f"litellm_params.{name}" for name in others] + entry.rest)
    for section, settings in (("router_settings", file.router_settings), ("litellm_settings", file.litellm_settings)):
        take_routing(section, settings, draft)
    draft.routing["unknown_model"] = "error"  # as LiteLLM does
    draft.left_out("the file", file.rest)


def take_routing(section: str, settings: RouterSettings, draft: Draft) -> None:
    for alias, target in settings.model_group_alias.items():
        name, hidden = (target, False) if isinstance(target, str) else (target.model, target.hidden)
        told = {"model": name, "hidden": True} if hidden else name
        if name not in draft.names or alias in draft.names:
            draft.note(f"{section}.model_group_alias", f"{legible(alias)} leads to no name of the list, or is one")
        elif draft.sound(f"{section}.model_group_alias", Name, {"model_name": alias}, {"use": name}):
            draft.routing.setdefault("model_group_alias", {})[alias] = told
    every = [{key: settings.default_fallbacks} for key in draft.models if settings.default_fallbacks]
    for setting, entries in (
        ("fallbacks", settings.fallbacks + every),
        ("context_window_fallbacks", settings.context_window_fallbacks),
    ):
        for entry in entries:
            named = [*entry, *(other for others in entry.values() for other in others)]
            lost = [name for name in named if not draft.leads_to_chat(name)]
            draft.left_out(f"{section}.{setting} (names that lead to no model)", lost)
            kept = {name: [o for o in others if o not in lost] for name, others in entry.items() if name not in lost}
            if any(kept.values()):
                draft.routing.setdefault(setting, []).append(kept)
    draft.left_out(section, settings.rest)


def take_llama_swap(file: LlamaSwap, draft: Draft) -> None:
    """Each command's model file is loaded here; its filters become settings of its names."""
    for key, model in file.models.items():
        where = f"models.{legible(key)}"
        macros = {**file.macros, **model.macros, "MODEL_ID": key}
        words, others = options(expanded(model.cmd, macros))
        path, aliases = words.pop("path", None), [*model.aliases, *str(words.pop("aliases", "")).split(",")]
        settings = {name: words.pop(name) for name in ("n_ctx", "parallel") if words.get(name)}
        params, _ = draft.params(where, words)
        if path is None:
            use = draft.first_model
            draft.note(where, f"its command names no model file (-m); {use} answers")
        else:
            use = draft.model(where, str(path), key, {**settings, "params": params} if params else settings)
        take_filtered(where, key, [alias.strip() for alias in aliases if alias.strip()], use, model, draft)
        draft.left_out(where, [*others, *model.rest])
    draft.routing["unknown_model"] = "error"  # as llama-swap does
    draft.left_out("the file", file.rest)


def take_filtered(where: str, key: str, aliases: list[str], use: str, model: LlamaSwapModel, draft: Draft) -> None:
    """The names of a llama-swap model, with what it sets and strips."""
    filters = model.filters
    strip = [name.strip() for name in filters.stripParams if name.strip()]
    force, others = draft.params(where, filters.setParams)
    drop = [name for name in strip if name in Params.model_fields]
    for name in [key, *aliases]:
        draft.name(where, name, use, drop_params=drop, force_params=force, hidden=model.unlisted)
    for pattern, values in filters.setParamsByID.items():
        more, unknown = draft.params(where, values)
        name = pattern.replace("${MODEL_ID}", key)
        others += unknown
        if name in draft.names:
            draft.names[name]["force_params"] = {**draft.names[name].get("force_params", {}), **more}
        else:
            draft.name(where, name, use, drop_params=drop, force_params={**force, **more}, hidden=model.unlisted)
    draft.left_out(
        where, [f"filters.{name}" for name in [*others, *(n for n in strip if n not in drop), *filters.rest]]
    )


def take_llama_cpp(file: LlamaCpp, draft: Draft) -> None:
    """Each model with its alias; two aliases of one file are names of one model here."""
    for place, entry in enumerate(file.models):
        stem = PurePosixPath(entry.model.replace("\\", "/")).stem
        name = entry.model_alias or stem
        where = f"models[{place}] {legible(name)}"
        if entry.embedding:
            draft.note(where, "embeddings are those of documents.embedder")
            use = EMBEDDER
        else:
            use = draft.model(where, entry.model, name, {"n_ctx": entry.n_ctx} if entry.n_ctx else {})
        draft.name(where, name, use)
        draft.left_out(where, entry.rest)
    draft.server |= draft.sound(
        "server", Server, {k: v for k, v in (("host", file.host), ("port", file.port)) if v}, {}
    )
    draft.left_out("the file", file.rest)


def expanded(command: str, macros: dict[str, Any]) -> str:
    """A command of llama-swap with its macros filled in, as deep as is sensible."""
    for _ in range(MACROS_IN_MACROS):
        filled = [str(macros.get(name, "")) for name in MACRO.findall(command)]
        if not any(filled) or len(command) + sum(map(len, filled)) > MOST_LETTERS:
            break
        command = MACRO.sub(lambda found: str(macros.get(found[1], found[0])), command)
    return command


def options(command: str) -> tuple[dict[str, Any], list[str]]:
    """The options of a command that are settings here, and the names of the others."""
    lines = (line for line in command.splitlines() if not line.lstrip().startswith("#"))
    try:
        words = shlex.split(" ".join(line.removesuffix("\\") for line in lines))
    except ValueError:
        return {}, ["a command with an open quote"]
    found: dict[str, Any] = {}
    others: list[str] = []
    for word, following in pairwise([*words, ""]):
        option, _, value = word.partition("=")
        if option in SERVER_OPTIONS:
            found[SERVER_OPTIONS[option]] = number(value or following)
        elif re.match(r"--?[a-z]", option) and option not in ADDRESS:
            others.append(option)
    return found, others


def number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
