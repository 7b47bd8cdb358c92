"""Set-up says what is missing, does each stage once, and takes up what was interrupted. Without the network."""

import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
BASE_PYTHON = getattr(sys, "_base_executable", sys.executable)
TOOLS = ("dirname", "git")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository of which only set-up itself is there."""
    root = tmp_path / "a clone"
    (root / "scripts").mkdir(parents=True)
    for name in ("setup", "setup.py"):
        shutil.copy(ROOT / "scripts" / name, root / "scripts" / name)
    return root


@pytest.fixture
def setup(clone: Path) -> ModuleType:
    """scripts/setup.py of that clone, with its folder for stamps made."""
    spec = importlib.util.spec_from_file_location("setup_of_a_clone", clone / "scripts" / "setup.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (clone / ".venv" / "setup").mkdir(parents=True)
    return module


def path_of(clone: Path, programs: dict[str, str]) -> str:
    """A PATH with set-up's helpers and those programs: a link to a file, or a shell script."""
    folder = clone / "programs"
    folder.mkdir()
    for tool in TOOLS:
        (folder / tool).symlink_to(shutil.which(tool) or tool)
    for name, content in programs.items():
        if content.startswith("#!"):
            (folder / name).write_text(content)
            (folder / name).chmod(0o755)
        else:
            (folder / name).symlink_to(content)
    return str(folder)


def run_setup(clone: Path, path: str) -> "subprocess.CompletedProcess[str]":
    command = [shutil.which("bash") or "bash", str(clone / "scripts" / "setup")]
    environment = {"PATH": path, "HOME": str(clone)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


WORKS = "#!/bin/sh\nexit 0\n"
COMPILERS = {"c++": WORKS, "cc": WORKS}
OLD_PYTHON = '#!/bin/sh\ncase "$2" in *version_info\\ \\<*) exit 1;; esac\n'
BARE_PYTHON = '#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; *print*) echo python3.12-venv;; esac\n'
BROKEN_COMPILER = "#!/bin/sh\nexit 1\n"


@pytest.mark.parametrize(
    ("programs", "said"),
    [
        ({"python3": BASE_PYTHON}, ["C and C++ compiler", "build-essential", "gcc-c++", "xcode-select --install"]),
        ({"python3": BASE_PYTHON, "c++": BROKEN_COMPILER, "cc": WORKS}, ["C and C++ compiler", "build-essential"]),
        ({"python3": BASE_PYTHON, "c++": WORKS}, ["C and C++ compiler"]),
        (COMPILERS, ["Python 3.11 or newer;", "install -y python3 python3-venv", "brew install python@3.13"]),
        (COMPILERS | {"python3": OLD_PYTHON}, ["Python 3.11 or newer (python3 is older)"]),
        (COMPILERS | {"python3": BARE_PYTHON}, ["venv and ensurepip modules of python3", "install -y python3.12-venv"]),
        (COMPILERS | {"python3": BASE_PYTHON, "git": BROKEN_COMPILER}, ["needs git.", "dnf install -y git"]),
    ],
    ids=["no compiler", "compiler that cannot", "no C", "no Python", "old Python", "no venv", "no git"],
)
def test_what_is_missing_is_told_with_the_line_to_type(clone: Path, programs: dict[str, str], said: list[str]) -> None:
    if "git" in programs:
        path = path_of(clone, {name: text for name, text in programs.items() if name != "git"})
        (Path(path) / "git").unlink()
    else:
        path = path_of(clone, programs)
    result = run_setup(clone, path)
    assert result.returncode == 1
    assert result.stderr.count("NeuralBridge needs") == 1
    assert [words for words in [*said, "Fedora", "WSL2"] if words not in result.stderr] == []
    assert not (clone / ".venv").exists()


def test_everything_missing_is_told_at_once(clone: Path) -> None:
    assert run_setup(clone, path_of(clone, {})).stderr.count("NeuralBridge needs") == 2


def test_a_stage_is_done_once_and_again_when_what_it_is_made_from_changes(setup: ModuleType) -> None:
    done: list[str] = []
    made_from = ["one"]
    stage = stage_of(setup, lambda shell: done.append(made_from[0]), inputs=lambda: list(made_from))
    setup.bring([stage])
    setup.bring([stage])
    made_from[0] = "two"
    setup.bring([stage])
    assert done == ["one", "two"]


def test_a_stage_is_done_again_when_what_it_made_is_lost(setup: ModuleType, clone: Path) -> None:
    product = clone / "product.mjs"
    stage = stage_of(setup, lambda shell: product.touch(), products=lambda: setup.prints(clone, "*.mjs"))
    setup.bring([stage])
    product.unlink()
    setup.bring([stage])
    assert product.exists()


def test_a_failed_stage_says_on_one_line_what_why_and_where(setup: ModuleType, clone: Path) -> None:
    script = "echo fetching; echo 'ERROR: no such package'; echo 'note: sorry'; exit 3"
    stage = stage_of(setup, lambda shell: shell("/bin/sh", "-c", script))
    with pytest.raises(setup.SetupFailed) as failed:
        setup.bring([stage])
    log = clone / ".venv" / "setup" / "stage.log"
    assert str(failed.value) == f'"stage" failed: ERROR: no such package - mend it so; the full log: {log}'


def test_pip_is_not_trusted_after_an_interruption(setup: ModuleType, clone: Path) -> None:
    python = clone / ".venv" / "bin" / "python"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    interrupted = [True, False]

    def install(shell: Callable[..., None]) -> None:
        setup.install(shell, "runtime")
        if interrupted.pop(0):
            raise KeyboardInterrupt

    stage = stage_of(setup, install)
    with pytest.raises(KeyboardInterrupt):
        setup.bring([stage])
    first = stage.log.read_text()
    setup.bring([stage])
    assert ("--force-reinstall" in first, "--force-reinstall" in stage.log.read_text()) == (False, True)


def test_a_second_set_up_waits_for_the_first(setup: ModuleType, clone: Path) -> None:
    script = f"import sys; sys.path.insert(0, {str(clone / 'scripts')!r}); import setup; setup.bring([])"
    with (clone / ".venv" / "setup" / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        second = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
        assert second.stderr is not None
        said = second.stderr.readline()
        fcntl.flock(held, fcntl.LOCK_UN)
    assert ("another one is running" in said, second.communicate(), second.returncode) == (True, (None, ""), 0)


def test_somebody_elses_environment_is_left_alone(setup: ModuleType, clone: Path) -> None:
    shutil.rmtree(clone / ".venv")
    (clone / ".venv" / "bin").mkdir(parents=True)
    with pytest.raises(setup.SetupFailed, match="was not made by scripts/setup: move it away"):
        setup.bring([])


def test_the_engines_arguments_are_remembered_until_others_are_given(
    setup: ModuleType, clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clone / ".venv" / "setup" / "cmake_args").write_text("-DGGML_CUDA=on")
    seen = []
    for given in (None, "-DGGML_VULKAN=on", ""):
        if given is None:
            monkeypatch.delenv("CMAKE_ARGS", raising=False)
        else:
            monkeypatch.setenv("CMAKE_ARGS", given)
        seen.append(setup.cmake_args())
    assert seen == ["-DGGML_CUDA=on", "-DGGML_VULKAN=on", ""]


def test_no_environment_variable_of_pythons_reaches_the_stages(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch, clone: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.fspath(clone))
    stage = stage_of(setup, lambda shell: shell("/bin/sh", "-c", 'echo "path is <$PYTHONPATH>"'))
    setup.bring([stage])
    assert "path is <>" in stage.log.read_text()


def test_a_second_run_does_nothing_and_says_nothing() -> None:
    command = [str(ROOT / "scripts" / "setup"), "--test"]
    unchanged = [sys.executable, "-I", str(ROOT / "scripts" / "setup.py"), "--unchanged", "--test"]
    if subprocess.run(unchanged, check=False).returncode != 0:
        pytest.skip("scripts/setup --test has something to do first")
    before = stamps()
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (again.stdout, again.stderr, stamps()) == ("", "", before)


def stamps() -> dict[str, int]:
    """When each stage was last done, and when it last said anything."""
    return {file.name: file.stat().st_mtime_ns for file in (ROOT / ".venv" / "setup").iterdir()}


def stage_of(setup: ModuleType, run: Callable[..., object], **other: object) -> object:
    """A stage of the clone's set-up that is made from nothing and leaves nothing, unless told."""
    return setup.Stage(**{"name": "stage", "says": "a stage", "run": run, "inputs": list, "mend": "mend it so"} | other)
