"""Which model files are known (`models/catalog.yaml`) and whether a file on disk is one of them.

Only reads; `neuralbridge.catalog.fetch` is what downloads.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, model_validator

from neuralbridge.errors import ModelUnusable, StartRefused

# A name without a folder in it: a catalogue never writes outside models/.
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class CatalogInvalid(StartRefused):
    """The catalogue of models is missing, is not YAML, or says something we do not understand."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class WheelSource(_Entry):
    """A Python wheel that carries the weights as one of its members."""

    package: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.!+]+$")]
    size: PositiveInt
    sha256: Sha256
    member: str


class Weights(_Entry):
    """One known model file."""

    name: FileName
    kind: Literal["chat"]
    licence: str
    file: FileName
    size: PositiveInt
    sha256: Sha256
    source: WheelSource
    default: bool = False


class FolderFile(_Entry):
    """One file of an embedding model, by its path in the folder."""

    # Weights as safetensors, and text: nothing that loading would run
    path: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]*(/[A-Za-z0-9_-]+)?\.(safetensors|json|txt)$")]
    size: PositiveInt
    sha256: Sha256


class EmbedderFolder(_Entry):
    """One known embedding model: a folder of sentence-transformers."""

    name: FileName
    licence: str
    folder: FileName
    source: WheelSource
    files: Annotated[tuple[FolderFile, ...], Field(strict=False)]

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for file in self.files)


class Catalog(_Entry):
    """Every known model file."""

    models: Annotated[tuple[Weights, ...], Field(strict=False)]  # YAML knows lists only
    embedders: Annotated[tuple[EmbedderFolder, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        for key in ("name", "file"):
            values = [getattr(weights, key) for weights in self.models]
            if twice := {value for value in values if values.count(value) > 1}:
                raise ValueError(f"two models have the {key} {min(twice)}")
        return self

    @property
    def defaults(self) -> tuple[Weights, ...]:
        """What set-up brings without being asked."""
        return tuple(weights for weights in self.models if weights.default)

    def named(self, name: str) -> Weights:
        """The model of that catalogue name."""
        for weights in self.models:
            if weights.name == name:
                return weights
        known = ", ".join(weights.name for weights in self.models)
        raise ModelUnusable(f"No model in the catalogue is named {name!r}; it knows {known}.")


def read_catalog(path: Path) -> Catalog:
    """The catalogue in that file."""
    try:
        return Catalog.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise CatalogInvalid(f"{path}: the catalogue of models cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CatalogInvalid(f"{path}: not YAML: {' '.join(str(error).split())}.") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(step) for step in first["loc"]) or "the whole file"
        raise CatalogInvalid(f"{path}: {place}: {first['msg']}.") from error


@dataclass(frozen=True, slots=True)
class Present:
    """The file is there, and is what the catalogue says as far as we looked."""


@dataclass(frozen=True, slots=True)
class Missing:
    """There is no such file."""


@dataclass(frozen=True, slots=True)
class Incomplete:
    """The file ends too early."""

    bytes_present: int


@dataclass(frozen=True, slots=True)
class Altered:
    """The file is not the one the catalogue means; `found` is what it has instead."""

    found: str


Presence = Present | Missing | Incomplete | Altered


def check(file: Path, weights: Weights, *, thoroughly: bool = False) -> Presence:
    """Is that file these weights? By its size, which takes no time; `thoroughly` reads all of it for its sha256."""
    if not file.is_file():
        return Missing()
    size = file.stat().st_size
    if size < weights.size:
        return Incomplete(size)
    if size > weights.size:
        return Altered(f"{size:,} bytes instead of {weights.size:,}")
    if thoroughly and (found := sha256_of(file)) != weights.sha256:
        return Altered(f"sha256 {found} instead of {weights.sha256}")
    return Present()


def check_folder(folder: Path, known: EmbedderFolder, *, thoroughly: bool = False) -> Presence:
    """Is that folder this embedding model? As `check`, for each of its files."""
    present = 0
    for file in known.files:
        path = folder / file.path
        if not path.is_file():
            return Missing() if not present else Incomplete(present)
        size = path.stat().st_size
        if size != file.size:
            return Altered(f"{file.path} has {size:,} bytes instead of {file.size:,}")
        if thoroughly and (found := sha256_of(path)) != file.sha256:
            return Altered(f"{file.path} has the sha256 {found} instead of {file.sha256}")
        present += size
    return Present()


def sha256_of(file: Path) -> str:
    """The file's sha256 in hexadecimal."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
