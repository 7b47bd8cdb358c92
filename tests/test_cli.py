"""What a person at a terminal sees: one line that says what is wrong, or where the server listens."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import yaml

from neuralbridge import __version__

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "models" / "smollm2-135m-instruct-q4_1.gguf"
RUN = [sys.executable, "-m", "neuralbridge"]
SECONDS = 120
LOG_LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO .*")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration in a folder of its own, whose model is missing."""
    path = tmp_path / "config.yaml"
    path.write_text("version: 1\nmodels:\n  small:\n    path: models/small.gguf\nrouting:\n  default: small\n")
    (tmp_path / "models").mkdir()
    return path


@pytest.fixture
def whole(config: Path) -> Path:
    """The same with the real model, once more for each test that needs it."""
    if not MODEL.exists():
        pytest.skip(f"{MODEL} is missing")
    (config.parent / "models" / "small.gguf").symlink_to(MODEL)
    return config


def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [*RUN, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)


def refusal(*arguments: object) -> str:
    """The one line that refuses to serve, next to what is logged on the way there."""
    done = run("serve", *arguments)
    said = [line for line in done.stderr.splitlines() if not LOG_LINE.fullmatch(line)]
    assert (done.returncode, done.stdout, len(said)) == (1, "", 1), done.stderr
    return said[0].removeprefix("Error: ")


def replaced(config: Path, right: str, wrong: str) -> Path:
    text = config.read_text()
    assert right in text
    config.write_text(text.replace(right, wrong))
    return config


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("version: 1", "version: 1\ncolour: red", "2:1: colour: unknown setting; expected one of version, data_dir, "),
        ("path:", "pfad:", "4:5: models.small.pfad: unknown setting; expected one of path, n_ctx, "),
        ("version: 1", "version: one", "1:1: version: 'one'; expected a valid integer"),
        ("default: small", "default: large", "6:3: routing.default: 'large'; expected a name of model_list or models"),
        ("version: 1", "version: @", "1:10: not YAML that is understood here ("),
    ],
)
def test_a_wrong_configuration_is_refused_with_its_line(config: Path, right: str, wrong: str, said: str) -> None:
    assert refusal("--config", replaced(config, right, wrong)).startswith(f"{config}:{said}")


def test_a_missing_configuration_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"
    said = f"{path}: cannot be read (No such file or directory); expected a configuration file"
    assert refusal("--config", path) == said


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--port", "65536", "less than or equal to 65535"),
        ("--port", "-1", "greater than or equal to 0"),
        ("--host", "0.0.0.0:80", "an address, such as 127.0.0.1 (this machine alone) or 0.0.0.0 (the LAN)"),
        ("--host", "", "an address, such as 127.0.0.1 (this machine alone) or 0.0.0.0 (the LAN)"),
    ],
)
def test_a_wrong_option_is_refused_by_its_name(config: Path, option: str, value: str, expected: str) -> None:
    assert refusal("--config", config, option, value) == f"{option} {value}: expected {expected}"


@pytest.mark.parametrize("arguments", [("serve", "--colour"), ("serve", "--port", "x"), ("sing",)])
def test_wrong_usage_ends_with_2_and_help(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--help" in done.stderr


def test_a_missing_model_is_refused_with_the_command_that_brings_it(config: Path) -> None:
    path = config.parent / "models" / "small.gguf"
    assert refusal("--config", config) == f"{path}: the model file is missing. Run: scripts/setup"


CUT = [
    (b"", "not a GGUF file"),
    (b"<!DOCTYPE html>", "not a GGUF file"),
    (b"GGUF" + bytes(4000), "the model file is incomplete or damaged (4,004 bytes)"),
]


@pytest.mark.parametrize(("content", "said"), CUT)
def test_a_broken_model_is_refused_with_the_command_that_mends_it(config: Path, content: bytes, said: str) -> None:
    path = config.parent / "models" / "small.gguf"
    path.write_bytes(content)
    assert refusal("--config", config) == f"{path}: {said}. Run: scripts/setup"


def test_a_refused_start_leaves_no_data_folder(config: Path) -> None:
    refusal("--config", config)
    assert not (config.parent / "data").exists()


# With the real model


@contextmanager
def serving(config: Path, *arguments: object) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """A server that listens: its url, and its process."""
    command = [*RUN, "serve", "--config", str(config), "--port", "0", *map(str, arguments)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()  # its end is not waited for: the line has to be flushed
            listening = re.fullmatch(r"listening on (http://\S+:\d+)\n", line)
            assert listening, line
            yield listening[1], server
        finally:
            server.kill()


def has_ipv6() -> bool:
    with suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


HOSTS = [
    ("127.0.0.1", "127.0.0.1"),
    ("localhost", "localhost"),
    pytest.param("::1", "[::1]", marks=pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")),
]


@pytest.mark.model
@pytest.mark.parametrize(("host", "shown"), HOSTS)
def test_the_server_says_where_it_listens_when_it_does(whole: Path, host: str, shown: str) -> None:
    with serving(whole, "--host", host) as (url, _):
        port = int(url.rpartition(":")[2])
        assert url == f"http://{shown}:{port}"
        with socket.create_connection((host, port), timeout=10) as connection:
            connection.sendall(f"GET /api/proxy/health HTTP/1.1\r\nHost: {shown}:{port}\r\n\r\n".encode())
            assert connection.recv(12) == b"HTTP/1.1 200"


@pytest.mark.model
def test_a_taken_port_is_refused(whole: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refusal("--config", whole, "--port", port)
    assert said.startswith(f"127.0.0.1:{port} cannot be listened on (")
    assert "address already in use" in said


@pytest.mark.model
def test_a_second_server_on_the_data_folder_is_refused_and_the_first_goes_on(whole: Path) -> None:
    with serving(whole) as (url, server):
        said = refusal("--config", whole, "--port", 0)
        assert said == f"{whole.parent / 'data'}: another server (process {server.pid}) is using this data folder."
        port = int(url.rpartition(":")[2])
        socket.create_connection(("127.0.0.1", port), timeout=10).close()


@pytest.mark.model
def test_a_data_folder_given_by_option_stands_over_the_configuration(whole: Path, tmp_path: Path) -> None:
    with serving(whole, "--data-dir", tmp_path / "elsewhere"):
        assert (tmp_path / "elsewhere" / "neuralbridge.db").exists()
        assert not (whole.parent / "data").exists()


@pytest.mark.model
def test_what_is_kept_is_readable_for_this_user_alone(whole: Path) -> None:
    with serving(whole):
        data = whole.parent / "data"
        assert {path.stat().st_mode & 0o077 for path in [data, *data.iterdir()]} == {0}


@pytest.mark.model
def test_a_damaged_database_is_refused_in_one_line(whole: Path) -> None:
    (whole.parent / "data").mkdir()
    path = whole.parent / "data" / "neuralbridge.db"
    path.write_bytes(b"x" * 10_000)
    assert refusal("--config", whole, "--port", 0).startswith(f"{path}: the database cannot be used (")


@pytest.mark.model
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_without_a_word(whole: Path, number: signal.Signals) -> None:
    with serving(whole) as (_, server):
        # the whole group, as a terminal does it
        os.killpg(server.pid, number)
        said, logged = server.communicate(timeout=SECONDS)
    assert (server.returncode, said) == (0, "")
    assert [line for line in logged.splitlines() if not LOG_LINE.fullmatch(line)] == []


# doctor


def diagnosis(config: Path) -> tuple[int, dict[str, str]]:
    """Its exit status, and by subject what it found."""
    done = run("doctor", "--config", config)
    found = re.findall(r"^(?:ok     |MISSING)  ([^:]+): (.*(?:\n {9}run: .*)?)$", done.stdout, re.MULTILINE)
    assert done.stderr == ""
    return done.returncode, dict(found)


def test_doctor_names_a_missing_model_and_the_command_that_brings_it(config: Path) -> None:
    status, found = diagnosis(config)
    path = config.parent / "models" / "small.gguf"
    assert (status, found["configuration"]) == (1, str(config))
    assert found["browser modules"].startswith(str(ROOT / "static"))
    assert f"{path}: the model file is missing" in found["model small"]
    assert "scripts/setup" in found["model small"]


def test_doctor_names_a_wrong_configuration_and_still_tells_the_rest(config: Path) -> None:
    status, found = diagnosis(replaced(config, "version: 1", "version: 2"))
    assert (status, found["configuration"]) == (1, f"{config}:1:1: version: 2; expected 1")
    assert found["python"] == sys.version.split()[0]


def test_doctor_names_a_known_model_that_is_not_whole(config: Path) -> None:
    known = yaml.safe_load((ROOT / "models" / "catalog.yaml").read_text())["models"][0]["file"]
    path = config.parent / "models" / known
    path.write_bytes(b"GGUF" + bytes(2_000_000))
    status, found = diagnosis(replaced(config, "small.gguf", known))
    assert status == 1
    assert re.fullmatch(
        rf"{re.escape(str(path))}: the model file is incomplete \(2 of 98 MB\)\n +run: scripts/setup",
        found["model small"],
    )


@pytest.mark.model
def test_doctor_finds_nothing_wrong_with_a_model_that_loads(whole: Path) -> None:
    _, found = diagnosis(whole)
    path = whole.parent / "models" / "small.gguf"
    assert found["model small"] == f"{path}: not in the catalogue, llama.cpp can load it"


def test_the_version_is_told() -> None:
    assert run("--version").stdout.split()[-1] == __version__
