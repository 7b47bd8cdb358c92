"""How the command line presents itself: every command is found, explained and completed, and none of that is slow."""

import errno
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from neuralbridge.cli import SECTIONS, main
from neuralbridge.commands.usage import SHELLS, Commands
from neuralbridge.errors import AnswerFailed

ROOT = Path(__file__).parents[2]
SLOW = {"aiohttp", "jinja2", "llama_cpp", "numpy", "rich", "sqlite3", "torch"}


def commands(group: click.Group, *above: str) -> Iterator[tuple[str, ...]]:
    """All that can be called, by their words."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *above, name)
        else:
            yield (*above, name)


ALL = sorted(commands(main))


def told(*arguments: str) -> str:
    done = CliRunner().invoke(main, [*arguments, "--help"], prog_name="neuralbridge")
    assert done.exit_code == 0
    return done.stdout


def test_help_lists_every_command_once_and_in_a_section() -> None:
    listed = re.findall(r"^  ([a-z][a-z-]*)  +\S", told(), re.MULTILINE)
    assert sorted(listed) == sorted(main.commands)
    assert [title for title in SECTIONS if f"\n{title}:\n" in told()] == [*SECTIONS]


@pytest.mark.parametrize("command", ALL, ids=" ".join)
def test_every_command_has_an_example_that_is_a_call_of_it(command: tuple[str, ...]) -> None:
    assert re.search(rf"Examples?:\n(.*\n)*?.*neuralbridge {' '.join(command)}\b", told(*command))


@pytest.mark.parametrize("command", ALL, ids=" ".join)
def test_every_command_and_every_option_of_it_is_on_the_page(command: tuple[str, ...]) -> None:
    page = (ROOT / "docs" / "cli.md").read_text("utf-8")
    assert f"`neuralbridge {' '.join(command)}" in page
    found: click.Command = main
    for name in command:
        assert isinstance(found, click.Group)
        found = found.commands[name]
    options = [option for parameter in found.params for option in parameter.opts if option.startswith("--")]
    assert [option for option in options if option not in page] == []


@pytest.mark.parametrize("command", ALL, ids=" ".join)
def test_wrong_usage_of_any_command_ends_with_2(command: tuple[str, ...]) -> None:
    assert CliRunner().invoke(main, [*command, "--colour"]).exit_code == 2


def test_help_and_completion_wait_for_nothing_heavy() -> None:
    look = "import sys, neuralbridge.cli; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert SLOW & {*loaded.split()} == set()


# The exit status


def ending_with(error: BaseException) -> click.testing.Result:
    @click.group(cls=Commands, sections={})
    def group() -> None:
        pass

    @group.command()
    def fail() -> None:
        raise error

    return CliRunner().invoke(group, ["fail"])


def test_a_failure_of_ours_is_one_line_and_1() -> None:
    done = ending_with(AnswerFailed("It failed."))
    assert (done.exit_code, done.stdout, done.stderr) == (1, "", "Error: It failed.\n")


def test_a_failure_of_ours_out_of_a_group_of_tasks_is_one_line_and_1() -> None:
    done = ending_with(ExceptionGroup("tasks", [AnswerFailed("It failed.")]))
    assert (done.exit_code, done.stderr) == (1, "Error: It failed.\n")


def test_an_interrupt_is_130_without_a_word() -> None:
    done = ending_with(KeyboardInterrupt())
    assert (done.exit_code, done.output) == (130, "")


@pytest.mark.parametrize("mistake", [ZeroDivisionError("a mistake"), ExceptionGroup("tasks", [KeyError("a mistake")])])
def test_a_mistake_of_ours_is_told_whole_and_70(mistake: Exception) -> None:
    done = ending_with(mistake)
    assert (done.exit_code, done.stdout) == (70, "")
    assert done.stderr.startswith(("Traceback", "  + Exception Group Traceback"))
    assert "a mistake" in done.stderr


def test_a_reader_of_ours_that_has_left_is_no_mistake() -> None:
    assert ending_with(BrokenPipeError(errno.EPIPE, "Broken pipe")).exit_code == 1


def test_letters_that_the_terminal_does_not_have_are_no_mistake() -> None:
    code = "from neuralbridge.cli import main\n@main.command()\ndef say(): print('Olhão 💥')\nmain(['say'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, b"Olh?o ?\n")


# Completion


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with the command `neuralbridge`, of this package."""
    command = tmp_path / "neuralbridge"
    lines = ["import sys", f"sys.path.insert(0, {str(ROOT)!r})", "from neuralbridge.cli import main", "main()"]
    command.write_text("\n".join([f"#!{sys.executable}", *lines]))
    command.chmod(0o755)
    return tmp_path


BASH = """
eval "$(neuralbridge completion bash)"
COMP_WORDS=({words}); COMP_CWORD={at}
$(complete -p neuralbridge | sed 's/.*-F \\([^ ]*\\) .*/\\1/') neuralbridge
echo "${{COMPREPLY[@]}}"
"""


@pytest.mark.parametrize(
    ("words", "at", "offered"),
    [
        ("neuralbridge ba", 1, ["backup"]),
        ("neuralbridge ask --ret", 2, ["--retrieval"]),
        ("neuralbridge ask --retrieval s", 3, ["strict"]),
        ("neuralbridge completion f", 2, ["fish"]),
    ],
)
def test_bash_completes_commands_options_and_values(installed: Path, words: str, at: int, offered: list[str]) -> None:
    path = {"PATH": f"{installed}{os.pathsep}{os.environ['PATH']}"}
    script = ["bash", "-c", BASH.format(words=words, at=at)]
    done = subprocess.run(script, capture_output=True, text=True, env={**os.environ, **path})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == offered


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_has_its_script(shell: str) -> None:
    done = CliRunner().invoke(main, ["completion", shell])
    assert done.exit_code == 0
    assert f"_NEURALBRIDGE_COMPLETE={shell}_complete" in done.stdout


def test_of_a_shell_that_is_not_known_the_known_ones_are_listed() -> None:
    done = CliRunner().invoke(main, ["completion", "tcsh"])
    assert done.exit_code == 2
    assert all(shell in done.stderr for shell in SHELLS)
