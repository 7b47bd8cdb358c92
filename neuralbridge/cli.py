"""The command line. Failures are one line on standard error and exit status 1; wrong usage is 2."""

import asyncio
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Literal, TextIO

import click
from pydantic import ValidationError

from neuralbridge import __version__, logs, offline
from neuralbridge.config import Config, Server, read_config
from neuralbridge.engine.probe import probe
from neuralbridge.errors import BridgeError, ConfigInvalid
from neuralbridge.yaml_file import read_text

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


@main.group("models")
def models_group() -> None:
    """The names that clients may ask for, and what answers to them."""


@models_group.command("list")
@config_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line: name, kind, model, rule.")
def models_list_command(config_path: Path, as_json: bool) -> None:
    """Every listed name, the model behind it, and the rule that says so.

    \b
    neuralbridge models list
    neuralbridge models list --json | jq -r .name
    """
    from neuralbridge.catalog.names import Names

    entries = Names(read_config(config_path)).entries
    width = max((len(entry.name) for entry in entries), default=0)
    for entry in entries:
        line = f"{entry.name:{width}}  {entry.model}  ({entry.rule})"
        click.echo(json.dumps(asdict(entry), ensure_ascii=False) if as_json else line)


@models_group.command("resolve")
@click.argument("name")
@config_option
@click.option("--kind", type=click.Choice(["chat", "embedding"]), default="chat", help="What is asked of the model.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def models_resolve_command(name: str, config_path: Path, kind: Literal["chat", "embedding"], as_json: bool) -> None:
    """Tell which model answers to NAME, by which rule, and with which settings.

    \b
    neuralbridge models resolve gpt-4o-2024-08-06
    neuralbridge models resolve text-embedding-3-small --kind embedding --json
    """
    from neuralbridge.catalog.names import Names

    told = asdict(Names(read_config(config_path)).explain(name, kind))
    if as_json:
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    for fact, value in told.items():
        if isinstance(value, dict):
            value = ", ".join(f"{setting} {set_to}" for setting, set_to in value.items())
        shown = "; ".join(value) if isinstance(value, tuple) else value
        if shown not in (None, ""):
            click.echo(f"{fact + ':':26}{shown}")


@main.command("import-config")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@config_option
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="A new file to write; stdout unless given."
)
def import_config_command(file: Path, config_path: Path, out: Path | None) -> None:
    """Make a config.yaml of a FILE of LiteLLM, llama-swap or llama-cpp-python.

    Says on standard error what could not be carried over. Where FILE names no model files, the models of the present
    configuration answer.

    \b
    neuralbridge import-config litellm.yaml --out mine.yaml
    neuralbridge serve --config mine.yaml
    """
    from neuralbridge.catalog.import_config import import_config

    imported = import_config(read_text(file), file, read_config(config_path))
    if out is None:
        click.echo(imported.text, nl=False)
    else:
        write_new(out, imported.text)
    for note in imported.notes:
        click.echo(note, err=True)


def write_new(path: Path, text: str) -> None:
    """Raises BridgeError where there is such a file already, or none can be."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise BridgeError(f"{path}: cannot be written ({error.strerror}); expected the name of a new file") from error


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
