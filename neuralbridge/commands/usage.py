"""How the command line presents itself: commands in sections, failures as one line, the exit status, completion."""

import sys
import traceback
from collections.abc import Mapping, Sequence
from io import TextIOWrapper
from typing import Any, NoReturn

import click
from click.shell_completion import get_completion_class

from neuralbridge.errors import BridgeError

INTERRUPTED = 130
CRASHED = 70  # EX_SOFTWARE: a mistake of ours, which another start may get past; a refusal of ours (1) it would not
SHELLS = ("bash", "zsh", "fish")
REST = "More"


class Commands(click.Group):
    """Lists its commands in `sections`, and turns failures we raise on purpose into their sentence."""

    def __init__(self, *args: Any, sections: Mapping[str, Sequence[str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sections = sections

    def invoke(self, ctx: click.Context) -> object:
        if isinstance(sys.stdout, TextIOWrapper):  # what the terminal's encoding has no letter for must not end us
            sys.stdout.reconfigure(errors="replace")
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            if sys.stderr.isatty():
                click.echo(err=True)  # what comes next begins a line of its own
            ctx.exit(INTERRUPTED)
        except BridgeError as error:
            raise click.ClickException(str(error)) from error
        except ExceptionGroup as group:  # from the server's tasks
            first = group.exceptions[0]
            if isinstance(first, BridgeError):
                raise click.ClickException(str(first)) from group
            crash(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception:  # noqa: BLE001  # it is told whole
            crash(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        listed = {name for names in self.sections.values() for name in names}
        rest = [name for name in self.list_commands(ctx) if name not in listed]
        for title, names in [*self.sections.items(), (REST, rest)]:
            commands = [(name, self.get_command(ctx, name)) for name in names]
            rows = [(name, command.get_short_help_str(70)) for name, command in commands if command is not None]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def crash(ctx: click.Context) -> NoReturn:
    """End with what went wrong, all of it, and a status that tells it from a refusal."""
    traceback.print_exc()
    ctx.exit(CRASHED)


def completion_script(group: click.Group, program: str, shell: str) -> str:
    """What makes a shell complete the commands and options of `program`."""
    kind = get_completion_class(shell)
    assert kind is not None
    return kind(group, {}, program, f"_{program.upper()}_COMPLETE").source()
