"""Requested model names to local models: which one answers, with which parameters. Pure."""

from dataclasses import dataclass

from neuralbridge.config import Config, Name
from neuralbridge.errors import ModelNotFound
from neuralbridge.types import Params, Retrieval, Sampling


@dataclass(frozen=True, slots=True)
class Target:
    """What a requested name leads to. `requested` is the name as asked for, or the default's when none was."""

    requested: str
    model: str
    system_prompt: str | None
    params: tuple[Params, ...]  # the widest first
    retrieval: Retrieval
    cache: bool = True
    rule: str = ""
    fallbacks: tuple[str, ...] = ()  # models to fall back on when this one cannot be loaded
    overflow: tuple[str, ...] = ()  # ... and when a prompt does not fit it

    def sampling(self, request: Params) -> Sampling:
        """Model defaults, overridden by the name's, overridden by the request's."""
        values: dict[str, object] = {}
        for params in (*self.params, request):
            values |= params.model_dump(exclude_none=True)
        return Sampling(**values)  # type: ignore[arg-type]  # Sampling has Params' fields, checked by test_names


class Names:
    """The mapping as configured. Resolution ends for every name: with a target or ModelNotFound."""

    def __init__(self, config: Config) -> None:
        self._models = config.models
        self._names = {name.model_name: name for name in config.model_list}
        self._routing = config.routing
        self._retrieval = config.documents.retrieval
        self._cache = config.cache.enabled

    @property
    def listed(self) -> list[str]:
        return [*self._names, *(model for model in self._models if model not in self._names)]

    def resolve(self, requested: str | None) -> Target:
        """The target for a requested name, None being the default. Raises ModelNotFound listing the names."""
        name = requested or self._routing.default
        if name not in self._names and name not in self._models:
            if self._routing.unknown_model == "error":
                raise ModelNotFound(f"No model is called {shorten(name)!r}. Known names: {', '.join(self.listed)}.")
            return self._target(self._routing.default, requested=name)
        return self._target(name, requested=name)

    def _target(self, name: str, requested: str) -> Target:
        rule = self._names.get(name) or Name(model_name=name, use=name)
        model = self._models[rule.use]
        system_prompt = model.system_prompt if rule.system_prompt is None else rule.system_prompt
        retrieval = rule.retrieval or self._retrieval
        cache = self._cache and rule.cache is not False
        return Target(requested, rule.use, system_prompt, (model.params, rule.params), retrieval, cache)


def shorten(name: str) -> str:
    return name if len(name) <= 80 else name[:77] + "..."
