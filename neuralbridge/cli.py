"""The command line. Failures are one line on standard error and exit status 1; wrong usage is 2."""

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TextIO

import click
from pydantic import ValidationError

from neuralbridge import __version__, logs, offline
from neuralbridge.config import Config, Server, read_config
from neuralbridge.engine.probe import probe
from neuralbridge.errors import BridgeError, ConfigInvalid

DEFAULT_CONFIG = Path(__file__).parent.parent / "config.yaml"
SETUP = "scripts/setup"

config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    default=DEFAULT_CONFIG,
    help="The configuration file; the project's config.yaml unless given.",
)


class Commands(click.Group):
    """Turns failures we raise on purpose into their sentence."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BridgeError as error:
            raise click.ClickException(str(error)) from error
        except ExceptionGroup as group:  # from the server's tasks
            first = group.exceptions[0]
            if isinstance(first, BridgeError):
                raise click.ClickException(str(first)) from group
            raise


@click.group(cls=Commands)
@click.version_option(__version__)
def main() -> None:
    """NeuralBridge: an assistant that stays in the house."""


@main.command("serve")
@config_option
@click.option("--host", help="A loopback address to listen on.")
@click.option("--port", type=int, help="The port; 0 takes any free one.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where conversations are kept.")
def serve_command(config_path: Path, host: str | None, port: int | None, data_dir: Path | None) -> None:
    """Start the server and open it at http://localhost:4000.

    Prints "listening on http://HOST:PORT" when it accepts connections.
    """
    logs.to_stderr()
    offline.watch()
    os.umask(0o077)
    written = read_config(config_path)
    config = override(written, host, port)
    model_path = model_file(config, config_path)
    data = data_dir or config_path.parent / config.data_dir
    with ThreadPoolExecutor(1) as prober:  # the probe is a process of its own: it runs while the imports go on here
        probed = prober.submit(probe, model_path, SETUP)
        from neuralbridge.server import serve
        from neuralbridge.settings import Settings

        settings = Settings(config, config_path, written)
        asyncio.run(serve(config, data, config_path.parent, probed, settings))


@main.command("ingest")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@config_option
@click.option("--url", help="The server to send them to; that of the configuration if it runs, unless given.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="The data folder to write to where no server runs.")
def ingest_command(paths: tuple[Path, ...], config_path: Path, url: str | None, data_dir: Path | None) -> None:
    """Read files and folders into the library, so that questions find them.

    What is there already, unchanged, costs nothing. Exit status 0 means that all of it can be found.
    """
    logs.to_stderr()
    offline.watch()
    os.umask(0o077)
    config = read_config(config_path)
    from neuralbridge.ingest import ingest

    data = data_dir or config_path.parent / config.data_dir
    outcome = asyncio.run(ingest(paths, config, config_path.parent, data, url))
    for refusal in outcome.refused:
        click.echo(refusal, err=True)
    click.echo(
        f"{outcome.taken:,} taken in ({outcome.passages:,} passages), {outcome.unchanged:,} here already, "
        f"{len(outcome.refused):,} refused"
    )
    sys.exit(1 if outcome.refused else 0)


@main.group("export")
def export_group() -> None:
    """Write what is kept in forms that other programs read."""


@export_group.command("feedback")
@config_option
@click.option("--data-dir", type=click.Path(path_type=Path), help="The data folder to read, also while a server runs.")
@click.option(
    "--out", type=click.File("w", encoding="utf-8"), default="-", help="The file to write; stdout unless given."
)
def export_feedback_command(config_path: Path, data_dir: Path | None, out: TextIO) -> None:
    """Rated answers with their conversations, as JSON Lines in chat format for fine-tuning."""
    from neuralbridge.export import feedback_lines

    lines = list(feedback_lines(data_dir or config_path.parent / read_config(config_path).data_dir))
    out.write("".join(f"{line}\n" for line in lines))  # the file is opened here: an error leaves it as it was


@main.command("doctor")
@config_option
def doctor_command(config_path: Path) -> None:
    """Tell what is installed, which models are present and intact, and what mends what is missing."""
    from neuralbridge.doctor import examine

    findings = examine(config_path, SETUP)
    for finding in findings:
        click.echo(str(finding))
    sys.exit(0 if all(finding.good for finding in findings) else 1)


def override(config: Config, host: str | None, port: int | None) -> Config:
    """The configuration with what the command line says. Raises ConfigInvalid naming the option."""
    server = config.server
    for name, value in (("host", host), ("port", port)):
        if value is not None:
            try:
                server = Server.model_validate({**server.model_dump(), name: value})
            except ValidationError as error:
                raise ConfigInvalid(f"--{name} {value}: expected {expectation(error)}") from error
    return config.model_copy(update={"server": server})


def expectation(error: ValidationError) -> str:
    return error.errors()[0]["msg"].removeprefix("Value error, ").removeprefix("Input should be ")


def model_file(config: Config, config_path: Path) -> Path:
    return config_path.parent / config.models[config.default_model].path
