"""What `neuralbridge doctor` finds: what is installed, which models are there and whole, and what mends the rest."""

import sqlite3
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from neuralbridge.catalog.weights import (
    Altered,
    Catalog,
    Incomplete,
    Missing,
    Presence,
    Present,
    Weights,
    check,
    check_folder,
    read_catalog,
)
from neuralbridge.config import read_config
from neuralbridge.engine.probe import probe
from neuralbridge.errors import BridgeError

ROOT = Path(__file__).parents[2]
PACKAGES = ["aiohttp", "llama-cpp-python", "pydantic", "jinja2"]
DOCUMENT_PACKAGES = ["torch", "sentence-transformers", "faiss-cpu", "semantic-text-splitter", "pypdfium2"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `mend` is the command that helps where it is not good."""

    subject: str
    good: bool
    detail: str
    mend: str | None = None

    def __str__(self) -> str:
        mark = "ok     " if self.good else "MISSING"
        return f"{mark}  {self.subject}: {self.detail}" + (f"\n         run: {self.mend}" if self.mend else "")


def examine(config_path: Path, mend: str) -> list[Finding]:
    """Everything a server needs, in the order it needs it; `mend` is the command that sets up what is missing."""
    findings = [Finding("python", True, sys.version.split()[0]), Finding("sqlite", True, sqlite3.sqlite_version)]
    findings += [examine_package(name, mend) for name in PACKAGES]
    vendored = ROOT / "static" / "vendor" / "phoenix.mjs"
    there = vendored.is_file()
    findings.append(Finding("browser modules", there, str(vendored), None if there else mend))
    try:
        config = read_config(config_path)
        catalog = read_catalog(ROOT / "models" / "catalog.yaml")
    except BridgeError as error:
        return [*findings, Finding("configuration", False, str(error))]
    findings.append(Finding("configuration", True, str(config_path)))
    return [
        *findings,
        *(examine_model(name, config_path.parent / model.path, catalog, mend) for name, model in config.models.items()),
        *(examine_documents(config_path.parent / config.documents.embedder, catalog, mend)),
    ]


def examine_documents(folder: Path, catalog: Catalog, mend: str) -> list[Finding]:
    """The second stage of set-up. Without all of it there is chat alone, which may be what is wanted."""
    packages = [examine_package(name, mend) for name in DOCUMENT_PACKAGES]
    if not any(finding.good for finding in packages):
        return [Finding("documents", True, f"not set up, chat works without; {mend} --documents brings them")]
    known = next((embedder for embedder in catalog.embedders if embedder.folder == folder.name), None)
    if known is None:
        there = (folder / "model.safetensors").is_file()
        detail = "not in the catalogue" if there else "the embedding model is missing"
        return [*packages, Finding("embedding model", there, f"{folder}: {detail}")]
    state = check_folder(folder, known, thoroughly=True)
    if isinstance(state, Present):
        return [*packages, Finding("embedding model", True, f"{folder}: {known.licence}, checksums are right")]
    return [*packages, Finding("embedding model", False, f"{folder}: {told_of_folder(state)}", mend)]


def told_of_folder(state: Presence) -> str:
    match state:
        case Altered(found):
            return f"the embedding model is not the one of the catalogue: {found}"
        case _:
            return "the embedding model is missing, or a part of it is"


def examine_package(name: str, mend: str) -> Finding:
    try:
        return Finding(name, True, version(name))
    except PackageNotFoundError:
        return Finding(name, False, "not installed", mend)


def examine_model(name: str, path: Path, catalog: Catalog, mend: str) -> Finding:
    """A known file by its checksum, any file by whether llama.cpp can load it."""
    known = next((weights for weights in catalog.models if weights.file == path.name), None)
    state = check(path, known, thoroughly=True) if known else Present()
    if known is not None and not isinstance(state, Present):
        return Finding(f"model {name}", False, f"{path}: {told(state, known)}", mend)
    try:
        probe(path, mend)
    except BridgeError as error:
        return Finding(f"model {name}", False, str(error))
    origin = f"{known.licence}, checksum is right" if known else "not in the catalogue"
    return Finding(f"model {name}", True, f"{path}: {origin}, llama.cpp can load it")


def told(state: Presence, known: Weights) -> str:
    match state:
        case Missing():
            return "the model file is missing"
        case Incomplete(bytes_present):
            return f"the model file is incomplete ({bytes_present / 1e6:.0f} of {known.size / 1e6:.0f} MB)"
        case Altered(found):
            return f"the model file is not the one of the catalogue: {found}"
        case Present():
            return "the model file is whole"
