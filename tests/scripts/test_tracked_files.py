"""What is committed works anywhere: it names no registry, no place on one machine, and locks all it installs."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Put together here, so that this file does not name them either.
REGISTRIES = ("pypi" + ".org", "python" + "hosted.org", "npm" + "js.org", "npm" + "js.com", "deb." + "debian.org")
PLACES = ("/ro" + "ot/", "/wo" + "rk/", "/ho" + "me/", "/Us" + "ers/", "/opt/wh" + "eels")


@pytest.fixture(scope="module")
def tracked() -> dict[str, str]:
    """The text of every committed file, by its path."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git repository")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]
    return {str(file.relative_to(ROOT)): file.read_bytes().decode(errors="replace") for file in files}


@pytest.mark.parametrize("words", [REGISTRIES, PLACES], ids=["registries", "places on one machine"])
def test_no_committed_file_names(tracked: dict[str, str], words: tuple[str, ...]) -> None:
    found = [f"{name}: {word}" for name, text in tracked.items() for word in words if word in text]
    assert found == []


def test_no_weights_are_committed(tracked: dict[str, str]) -> None:
    assert [name for name in tracked if name.endswith((".gguf", ".safetensors", ".part", ".onnx"))] == []


@pytest.mark.parametrize("name", ["build", "engine", "node", "runtime", "test"])
def test_every_locked_package_has_one_version_and_a_hash(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.lock").read_text().replace("\\\n", "")
    packages = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    loose = [line for line in packages if not re.match(r"[a-z0-9-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line)]
    assert packages
    assert loose == []


def test_the_lock_has_every_dependency_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locks = [(ROOT / "requirements" / f"{name}.lock").read_text().lower() for name in ("runtime", "engine")]
    names = [re.split(r"[=<>]", dependency)[0].lower() for dependency in project["dependencies"]]
    assert [name for name in names if not any(f"\n{name}==" in lock for lock in locks)] == []


@pytest.mark.parametrize("name", ["setup", "serve", "test", "check", "lock"])
def test_a_command_can_be_typed_as_it_stands(name: str) -> None:
    assert (ROOT / "scripts" / name).stat().st_mode & 0o111
