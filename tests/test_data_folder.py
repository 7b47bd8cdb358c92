"""A data folder has one server at a time, and whoever comes second hears which process has it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from neuralbridge.data_folder import LISTENING, claim, listening, listens
from neuralbridge.errors import DataUnusable
from tests.unprivileged import unprivileged

ROOT = Path(__file__).parents[1]
CLAIM = """
import sys
from pathlib import Path
from neuralbridge.data_folder import claim
with claim(Path(sys.argv[1])):
    print("claimed", flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_made_for_this_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "some" / "where"
    with claim(folder):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_a_second_claim_is_refused_naming_the_process(tmp_path: Path) -> None:
    with claim(tmp_path), pytest.raises(DataUnusable) as refused:
        claim(tmp_path)
    assert str(refused.value) == f"{tmp_path}: another server (process {os.getpid()}) is using this data folder."


def test_a_folder_that_was_let_go_can_be_claimed_again(tmp_path: Path) -> None:
    with claim(tmp_path):
        pass
    with claim(tmp_path):
        assert (tmp_path / "lock").read_text() == str(os.getpid())


def test_the_claim_of_another_process_holds_until_it_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CLAIM, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "claimed\n"
        with pytest.raises(DataUnusable, match=rf"process {other.pid}\b"):
            claim(tmp_path)
        other.kill()
        other.wait()
        claim(tmp_path).close()


def test_the_number_of_an_earlier_process_is_replaced_whole(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("123456789012345")
    with claim(tmp_path):
        assert (tmp_path / "lock").read_text() == str(os.getpid())


def test_a_file_in_its_place_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_text("a file")
    with pytest.raises(DataUnusable) as refused:
        claim(path)
    assert str(refused.value) == f"{path}: the data folder cannot be written (File exists)."


def test_a_folder_that_may_only_be_read_is_refused_with_the_reason() -> None:
    with unprivileged() as folder:
        folder.chmod(0o500)
        with pytest.raises(DataUnusable, match="cannot be written \\(Permission denied\\)"):
            claim(folder)
        folder.chmod(0o700)


def test_a_server_says_where_it_is_as_long_as_it_has_the_folder(tmp_path: Path) -> None:
    assert listens(tmp_path) is None
    with claim(tmp_path):
        assert listens(tmp_path) is None
        with listening(tmp_path, "0.0.0.0", 4001):
            assert listens(tmp_path) == ("0.0.0.0", 4001)
        assert listens(tmp_path) is None


@pytest.mark.parametrize("left", ['["127.0.0.1", 4000]', "{}", "7", "[1", "\xff"])
def test_what_a_killed_server_left_says_nothing(tmp_path: Path, left: str) -> None:
    with claim(tmp_path):
        (tmp_path / LISTENING).write_text(left, "latin-1")
        assert (listens(tmp_path) is None) == (left[0] != "[" or left == "[1")
    assert listens(tmp_path) is None
