"""Requested model names to local models: which one answers, with which parameters, and why. Pure.

A name is looked for as it stands, then without regard to case, prefix and ending, then among the names with `*`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from neuralbridge.config import EMBEDDER, Config, Ways
from neuralbridge.errors import ModelNotFound
from neuralbridge.patterns import matches, specificity, without_ending
from neuralbridge.sections import Name
from neuralbridge.types import Params, Retrieval, Sampling

Kind = Literal["chat", "embedding"]

PREFIXES = 4  # of a name, such as openrouter/openai/, that are tried without
ENDINGS_AT_ONCE = 3  # ... and endings
FEW = 8  # known names that a refusal lists in full
NEAR = 5  # ... and how many of more
COMPARED = 200  # letters of a name that is compared with others: no configured one is longer


@dataclass(frozen=True, slots=True)
class Target:
    """What a requested name leads to. `requested` is the name as asked for, or the default's when none was.

    `model` is a key of `models`, or EMBEDDER.
    """

    requested: str
    model: str
    system_prompt: str | None
    params: tuple[Params, ...]  # the widest first
    retrieval: Retrieval
    cache: bool = True
    rule: str = ""  # what in the configuration says so: `model_list[2] gpt-4*`
    fallbacks: tuple[str, ...] = ()  # models to fall back on when this one cannot be loaded
    overflow: tuple[str, ...] = ()  # ... and when a prompt does not fit it
    echo: str = ""  # what answers call their model
    drop: frozenset[str] = frozenset()  # parameters that requests may not set
    force: Params = field(default_factory=Params)  # ... and those that are so whatever they say

    def sampling(self, request: Params) -> Sampling:
        """Model defaults, overridden by the name's, overridden by the request's, overridden by what is forced."""
        return Sampling(**self.settings(request))  # type: ignore[arg-type]  # Params are Sampling's, says test_names

    def settings(self, request: Params) -> dict[str, object]:
        """The parameters that anybody sets."""
        values: dict[str, object] = {}
        for params in self.params:
            values |= params.model_dump(exclude_none=True)
        values |= request.model_dump(exclude_none=True, exclude=set(self.drop))
        return values | self.force.model_dump(exclude_none=True)


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the configuration that names lead through. `name` may have `*`; `target` misses who asked."""

    place: str
    name: str
    kind: Kind
    target: Target
    listed: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return f"{self.place} {self.name}"


@dataclass(frozen=True, slots=True)
class Listed:
    """A name that clients are told of."""

    name: str
    kind: Kind
    model: str
    rule: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a name leads where it does. `tried` are the looks that came before the one that found it."""

    requested: str
    served: str
    kind: Kind
    rule: str
    tried: tuple[str, ...]
    params: dict[str, object]
    drop_params: tuple[str, ...]
    force_params: dict[str, object]
    system_prompt: str | None
    retrieval: Retrieval
    cache: bool
    fallbacks: tuple[str, ...]
    context_window_fallbacks: tuple[str, ...]
    echo: str


class Names:
    """The mapping as configured. Resolution ends for every name: with a target or ModelNotFound."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._routing = config.routing
        self._endings = tuple(map(self._fold, self._routing.strip_suffix))
        rules = Rules(config)
        named, models = list(rules.of_names()), list(rules.of_models())
        self._by_name = {rule.name: rule for rule in named}
        self._by_model = {rule.name: rule for rule in models}
        self._folded: dict[str, list[Rule]] = {}
        for rule in [*named, *models]:
            self._folded.setdefault(self._fold(rule.name), []).append(rule)
        wild = [(self._fold(rule.name), rule) for rule in named if "*" in rule.name]
        self._wild = sorted(wild, key=lambda each: specificity(each[0]))
        hidden = {rule.name for rule in named if not rule.listed}
        told: dict[str, Listed] = {}
        for rule in [*named, *(rule for rule in models if rule.name not in hidden)]:
            for name in rule.listed:
                told.setdefault(name, Listed(name, rule.kind, rule.target.model, rule.label))
        self.entries = tuple(told.values())

    @property
    def listed(self) -> list[str]:
        """The names that clients are told of, for chat and for embeddings."""
        return [entry.name for entry in self.entries]

    def resolve(self, requested: str | None, kind: Kind = "chat") -> Target:
        """The target for a requested name, None being the default. Raises ModelNotFound listing the names."""
        return self._resolve(requested, kind)[0]

    def explain(self, requested: str | None, kind: Kind = "chat") -> Explanation:
        """How `resolve` comes to its target. Raises ModelNotFound as that does."""
        target, tried = self._resolve(requested, kind)
        return Explanation(
            requested=target.requested,
            served=target.model,
            kind=kind,
            rule=target.rule,
            tried=tuple(tried),
            params=target.settings(Params()),
            drop_params=tuple(sorted(target.drop)),
            force_params=target.force.model_dump(exclude_none=True),
            system_prompt=target.system_prompt,
            retrieval=target.retrieval,
            cache=target.cache,
            fallbacks=target.fallbacks,
            context_window_fallbacks=target.overflow,
            echo=target.echo,
        )

    def _resolve(self, requested: str | None, kind: Kind) -> tuple[Target, list[str]]:
        if not requested:
            rule = self._default(kind)
            return self._answering(rule, rule.name, f"routing.default {rule.name}"), []
        tried: list[str] = []
        for look, found in self._looks(requested):
            if found is not None and found.kind == kind:
                return self._answering(found, requested, found.label), tried
            tried.append(look if found is None else f"{look}: {found.label} is for {found.kind}")
        rule = self._unknown(requested, kind)
        return self._answering(
            rule, requested, f"routing.unknown_model {self._routing.unknown_model} {rule.name}"
        ), tried

    def _looks(self, requested: str) -> Iterator[tuple[str, Rule | None]]:
        """Every place where a name is looked for, in order, and what is there."""
        shown = shorten(requested)
        yield f"name {shown}", self._by_name.get(requested)
        yield f"model {shown}", self._by_model.get(requested)
        folded = list(forms(self._fold(requested), self._endings))
        for form in folded:
            yield from ((f"like {shorten(form)}", rule) for rule in self._folded.get(form, [None]))
        for pattern, rule in self._wild:
            fits = any(matches(pattern, form) for form in folded)
            yield f"pattern {rule.name}", rule if fits else None

    def _unknown(self, requested: str, kind: Kind) -> Rule:
        """What answers to a name that nothing fits. Raises ModelNotFound."""
        if self._routing.unknown_model == "default":
            return self._default(kind)
        known = [entry.name for entry in self.entries if entry.kind == kind]
        near = nearest(requested, known)
        if self._routing.unknown_model == "nearest":
            found = (rule for _, rule in self._looks(near[0]) if rule and rule.kind == kind) if near else iter(())
            return next(found, self._default(kind))
        what = "model" if kind == "chat" else "embedding model"
        told = (
            f"Known names: {', '.join(known)}." if len(known) <= FEW else few(near[:NEAR] or known[:NEAR], len(known))
        )
        raise ModelNotFound(f"No {what} is called {shorten(requested)!r}. {told}")

    def _default(self, kind: Kind) -> Rule:
        if kind == "embedding":
            return self._by_model[EMBEDDER]
        name = self._routing.default
        return self._by_name.get(name) or self._by_model[name]

    def _answering(self, rule: Rule, requested: str, why: str) -> Target:
        echo = requested if self._routing.echo == "requested" else rule.target.model
        return replace(rule.target, requested=requested, echo=echo, rule=why)

    def _fold(self, name: str) -> str:
        return name if self._routing.case_sensitive else name.casefold()


class Rules:
    """What stands in the configuration, made ready to be looked up."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._ways = config.ways
        self._fallbacks = alternatives(self._ways, config.routing.fallbacks)
        self._overflow = alternatives(self._ways, config.routing.context_window_fallbacks)

    def of_names(self) -> Iterator[Rule]:
        """Those of model_list and of model_group_alias, in the order of the file."""
        for number, (text, name) in enumerate(self._ways.names.items()):
            listed = number < len(self._config.model_list)
            place = f"model_list[{number}]" if listed else "routing.model_group_alias"
            told = name.examples if "*" in text else (text,)
            target = self._target(text, *self._ways.follow(text))
            yield Rule(place, text, kind_of(target.model), target, () if name.hidden else told)

    def of_models(self) -> Iterator[Rule]:
        """Those of models by their keys and aliases; and the embedder, which nobody is told of by this word."""
        for text, key in self._ways.models.items():
            kind = kind_of(key)
            place = "documents" if kind == "embedding" else "models" if text == key else f"models.{key}.aliases"
            yield Rule(place, text, kind, self._target(text, (), key), (text,) if kind == "chat" else ())

    def _target(self, requested: str, names: tuple[Name, ...], key: str) -> Target:
        """What leads to the model `key` over `names`, the narrowest first; the narrower setting wins."""
        model = self._config.models.get(key)
        params = [model.params] if model else []
        system_prompt = model.system_prompt if model else None
        retrieval, cache, force = self._config.documents.retrieval, True, Params()
        for name in reversed(names):
            params.append(name.params)
            system_prompt = system_prompt if name.system_prompt is None else name.system_prompt
            retrieval = name.retrieval or retrieval
            cache = cache if name.cache is None else name.cache
            force = force.model_copy(update=name.force_params.model_dump(exclude_none=True))
        ways = [*(name.model_name for name in names), key]
        return Target(
            requested=requested,
            model=key,
            system_prompt=system_prompt,
            params=tuple(params),
            retrieval=retrieval,
            cache=cache and self._config.cache.enabled,
            fallbacks=narrowest(self._fallbacks, ways, key),
            overflow=narrowest(self._overflow, ways, key),
            drop=frozenset(dropped for name in names for dropped in name.drop_params),
            force=force,
        )


def alternatives(ways: Ways, fallbacks: Iterable[dict[str, tuple[str, ...]]]) -> dict[str, tuple[str, ...]]:
    """For names and keys of models, the models to try in their place."""
    said = {name: others for entry in fallbacks for name, others in entry.items()}
    return {
        name if name in ways.names else ways.models[name]: tuple(ways.follow(other)[1] for other in others)
        for name, others in said.items()
    }


def narrowest(alternatives: dict[str, tuple[str, ...]], ways: list[str], model: str) -> tuple[str, ...]:
    """What is said of the first of `ways` that anything is said of, without the model itself."""
    models = next((alternatives[way] for way in ways if way in alternatives), ())
    return tuple(dict.fromkeys(other for other in models if other != model))


def kind_of(model: str) -> Kind:
    return "embedding" if model == EMBEDDER else "chat"


def forms(name: str, endings: tuple[str, ...]) -> Iterator[str]:
    """A name, and what is left of it without prefixes (openai/) and endings, the least changed first; 20 at most."""
    for _ in range(1 + PREFIXES):
        bare = name
        yield bare
        for _ in range(ENDINGS_AT_ONCE):
            shorter = without_ending(bare, endings)
            if shorter == bare:
                break
            bare = shorter
            yield bare
        _, slash, name = name.partition("/")
        if not slash or not name:
            return


def nearest(name: str, known: list[str]) -> list[str]:
    """The known names that have anything in common with `name`, the most alike first."""
    wanted = pairs(name)
    alike = {
        other: 2 * len(wanted & theirs) / (len(wanted) + len(theirs)) for other in known for theirs in [pairs(other)]
    }
    return sorted((other for other in known if alike[other] > 0), key=lambda other: -alike[other])


def pairs(name: str) -> set[str]:
    """The letters of a name two by two, beginning and end among them."""
    text = f"\0{name[:COMPARED].casefold()}\0"
    return {text[place : place + 2] for place in range(len(text) - 1)}


def few(near: list[str], known: int) -> str:
    return f"Names like it: {', '.join(near)}; {known:,} are known."


def shorten(name: str) -> str:
    return name if len(name) <= 80 else name[:77] + "..."
