"""The configuration as it applies to new questions, while its file may be edited.

What can change without a restart is swapped as one immutable object; questions under way keep the one they began with.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from neuralbridge.catalog.names import Names
from neuralbridge.config import Config, config_from
from neuralbridge.errors import ConfigInvalid
from neuralbridge.sections import Answers, Auth, Cascade, Section
from neuralbridge.yaml_file import read_text

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.4  # how often the file is looked at; it is read when two looks in a row see the same
# What applies without a restart: of the configuration, of a model, and of the documents
LIVE = ("model_list", "routing", "cascade", "answers", "auth")
LIVE_OF_MODEL = ("params", "system_prompt", "aliases")
LIVE_OF_DOCUMENTS = ("retrieval",)

Stamp = tuple[int, int, int, int] | None


@dataclass(frozen=True, slots=True)
class Applied:
    """What a question goes by, from its beginning to its end."""

    names: Names
    cascade: Mapping[str, Cascade]
    answers: Answers
    auth: Auth

    @classmethod
    def of(cls, config: Config) -> "Applied":
        return cls(Names(config), config.cascade, config.answers, config.auth)


class Settings:
    """Follows the file `path` of a server that runs with `config`, which is `written` there but for the command line.

    `error` is what is wrong with the file as it is now: then nothing of it applies. `pending` are the settings in it
    that wait for a restart.
    """

    def __init__(self, config: Config, path: Path | None = None, written: Config | None = None) -> None:
        self.applied = Applied.of(config)
        self.error: str | None = None
        self.pending: tuple[str, ...] = ()
        self._running = config
        self._current = config
        self._written = written or config
        self._path = path
        self._text: str | None = None
        self._following: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to follow the file, if there is one."""
        if self._path is not None:
            self._following = asyncio.create_task(self._follow(self._path))

    async def stop(self) -> None:
        if self._following is not None:
            self._following.cancel()
            with suppress(asyncio.CancelledError):
                await self._following
            self._following = None

    async def _follow(self, path: Path) -> None:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, "settings") as reader:
            read: tuple[Stamp] | None = None
            before = await loop.run_in_executor(reader, stamp, path)
            while True:
                await asyncio.sleep(LOOK_SECONDS)
                now = await loop.run_in_executor(reader, stamp, path)
                if now == before and read != (now,):  # nobody is in the middle of writing it
                    read = (now,)
                    await self._read(path, reader)
                before = now

    async def _read(self, path: Path, reader: ThreadPoolExecutor) -> None:
        """Apply what the file says now, if that is anything new."""
        loop = asyncio.get_running_loop()
        try:
            text = await loop.run_in_executor(reader, read_file, path)
            if text == self._text:
                return
            self._text = text
            saved = await loop.run_in_executor(reader, config_from, text, path)
        except ConfigInvalid as error:
            self._text = None  # the same again would be news
            self.error = str(error).replace(str(path), path.name, 1)
            logger.error("the configuration stays as it was", extra={"why": str(error)})
            return
        current = applicable(self._running, saved)
        pending = (*waiting(self._written, saved), *(() if current else changed(self._current, saved, LIVE)))
        news = self.error is not None or pending != self.pending
        if current is not None and current != self._current:
            applied = await loop.run_in_executor(reader, Applied.of, current)
            self.applied, self._current, news = applied, current, True
        self.error, self.pending = None, pending
        if news:
            logger.info("the configuration was read anew", extra={"pending": ", ".join(pending) or "nothing"})


def read_file(path: Path) -> str:
    """Raises ConfigInvalid. A pipe in the place of the file would be waited for, and nothing followed any more."""
    if path.exists() and not path.is_file():
        raise ConfigInvalid(f"{path}: not a file; expected a configuration file")
    return read_text(path)


def stamp(path: Path) -> Stamp:
    """What differs after a file was written, or replaced by another; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def applicable(running: Config, saved: Config) -> Config | None:
    """`running` with everything of `saved` that needs no restart; None where that leads to a model that does."""
    models = {
        key: running.models[key].model_copy(update={name: getattr(model, name) for name in LIVE_OF_MODEL})
        for key, model in saved.models.items()
        if key in running.models
    }
    documents = running.documents.model_copy(
        update={name: getattr(saved.documents, name) for name in LIVE_OF_DOCUMENTS}
    )
    live = {name: getattr(saved, name) for name in LIVE}
    try:
        return Config.model_validate({**dict(running), **live, "models": models, "documents": documents})
    except ValidationError:  # saved is sound: what is missing is a model that is only loaded after a restart
        return None


def waiting(written: Config, saved: Config) -> Iterator[str]:
    """The settings that differ and need a restart, as `section.setting`."""
    for name in Config.model_fields:
        before, after = getattr(written, name), getattr(saved, name)
        if name == "models":
            yield from waiting_models(written, saved)
        elif name == "documents":
            yield from (f"{name}.{each}" for each in changed(before, after) if each not in LIVE_OF_DOCUMENTS)
        elif isinstance(before, Section) and name not in LIVE:
            yield from (f"{name}.{each}" for each in changed(before, after))
        elif before != after and name not in LIVE:
            yield name


def waiting_models(written: Config, saved: Config) -> Iterator[str]:
    for key in dict.fromkeys([*written.models, *saved.models]):
        before, after = written.models.get(key), saved.models.get(key)
        if before is None or after is None:
            yield f"models.{key}"
        else:
            yield from (f"models.{key}.{each}" for each in changed(before, after) if each not in LIVE_OF_MODEL)


def changed(before: Section, after: Section, names: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The settings of a section that differ, among `names` if there are any."""
    fields = names or tuple(type(before).model_fields)
    return tuple(name for name in fields if getattr(before, name) != getattr(after, name))
