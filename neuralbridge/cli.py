"""The command line. What a command needs is imported when it runs, so that --help and completion are quick."""

import asyncio
import json
import logging
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO

import click
from pydantic import ValidationError

from neuralbridge import __version__, logs, offline, process
from neuralbridge.commands.usage import SHELLS, Commands, completion_script
from neuralbridge.config import Config, read_config
from neuralbridge.data_folder import listens
from neuralbridge.engine.probe import probe
from neuralbridge.errors import BridgeError, ConfigInvalid, InvalidParams
from neuralbridge.sections import Server
from neuralbridge.types import LOCAL_OWNER
from neuralbridge.yaml_file import read_text

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from neuralbridge.access.users import Role

DEFAULT_CONFIG = Path(__file__).parent.parent / "config.yaml"
SETUP = "scripts/setup"

config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    default=DEFAULT_CONFIG,
    help="The configuration file; the project's config.yaml unless given.",
)


url_option = click.option("--url", help="The server to use; that of the configuration if it runs, unless given.")
data_option = click.option(
    "--data-dir", type=click.Path(path_type=Path), help="The data folder to use where no server runs."
)
model_option = click.option("--model", help="A name that the configuration knows; its default unless given.")
retrieval_option = click.option(
    "--retrieval",
    type=click.Choice(["auto", "off", "strict"]),
    help="Whether your documents are asked: where they fit, never, or nothing but them.",
)

SECTIONS = {
    "Ask": ("ask", "chat", "search"),
    "Documents": ("ingest",),
    "What is kept": ("backup", "restore", "export", "import", "forget"),
    "The server": ("serve", "doctor", "models", "import-config"),
    "Who may come in": ("token", "pair"),
}


@click.group(
    cls=Commands,
    sections=SECTIONS,
    epilog="Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted. Each command has a --help with examples.",
)
@click.version_option(__version__)
def main() -> None:
    """NeuralBridge: an assistant that stays in the house.

    \b
    Examples:
      neuralbridge serve
      neuralbridge ask "Why is the sea salty?"
      cat notes.txt | neuralbridge ask "Summarise this."
    """


@main.command("ask")
@click.argument("question", required=False)
@model_option
@click.option("--session", help="The conversation to go on with; a new one unless given.")
@retrieval_option
@click.option("--json", "as_json", is_flag=True, help="One line of JSON: session_id, response, metadata, timestamp.")
@url_option
@config_option
@data_option
def ask_command(
    question: str | None,
    model: str | None,
    session: str | None,
    retrieval: str | None,
    as_json: bool,
    url: str | None,
    config_path: Path,
    data_dir: Path | None,
) -> None:
    """Ask one question.

    The answer grows on a terminal, with its sources and its confidence underneath on standard error. Elsewhere it comes
    whole and alone. What is piped in stands before QUESTION, or is the question; - reads it from standard input.
    Without a running server, the model is loaded for this alone. Ctrl-C stops the answer.

    \b
    Examples:
      neuralbridge ask "Why is the sea salty?"
      cat notes.txt | neuralbridge ask "Summarise this."
      neuralbridge ask --retrieval strict --json "When is the rent due?" | jq -r .response
      neuralbridge ask --session trip "And by train?"
    """
    from neuralbridge.commands.ask import ask, question_from
    from neuralbridge.commands.talk import Asked, new_conversation
    from neuralbridge.commands.view import Object, view_for

    text = question_from(question, sys.stdin)
    if text is None or not text.strip():
        raise click.UsageError("Missing argument 'QUESTION': say it, or pipe it in.")
    asked = Asked(session or new_conversation(), text, model, retrieval)
    view = Object(sys.stdout, asked.conversation) if as_json else view_for(sys.stdout)
    asyncio.run(ask(some_server_of(url, config_path, data_dir), asked, view))


@main.command("chat")
@model_option
@click.option("--session", help="The conversation to go on with; a new one unless given.")
@retrieval_option
@url_option
@config_option
@data_option
def chat_command(
    model: str | None,
    session: str | None,
    retrieval: str | None,
    url: str | None,
    config_path: Path,
    data_dir: Path | None,
) -> None:
    """Converse at the terminal.

    Each line is a question; /help says what else there is. Ctrl-C stops the answer, Ctrl-D leaves.

    \b
    Examples:
      neuralbridge chat
      neuralbridge chat --session trip --retrieval strict
    """
    from neuralbridge.commands.chat import chat
    from neuralbridge.commands.talk import Asked, new_conversation
    from neuralbridge.commands.view import view_for

    first = Asked(session or new_conversation(), "", model, retrieval)
    chat(some_server_of(url, config_path, data_dir), first, view_for(sys.stdout))


@main.command("search")
@click.argument("query")
@click.option("--limit", type=click.IntRange(1, 100), default=10, show_default=True, help="Passages to show.")
@click.option("--json", "as_json", is_flag=True, help='One line of JSON, as of "GET /api/knowledge/search".')
@url_option
@config_option
@data_option
def search_command(
    query: str, limit: int, as_json: bool, url: str | None, config_path: Path, data_dir: Path | None
) -> None:
    """Search your documents, by meaning and by words.

    \b
    Examples:
      neuralbridge search "notice period"
      neuralbridge search 'file:"lease" +deposit before:2024 interest' --limit 3
      neuralbridge search --json XK-204 | jq -r '.results[].source_document'
    """
    quiet()
    from neuralbridge.commands.lookup import listed, look_up

    config, data = configured(config_path, data_dir)
    found = asyncio.run(look_up(query, limit, config, config_path.parent, data, url))
    if as_json:
        click.echo(found.model_dump_json())
        return
    for entry in listed(found, sys.stdout.isatty()):
        click.echo(entry)
    if not found.results:
        click.echo("No passage fits.", err=True)


@main.command("serve")
@config_option
@click.option("--host", help="The address to listen on; 0.0.0.0 is the LAN.")
@click.option("--port", type=int, help="The port; 0 takes any free one.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where conversations and documents are kept.")
def serve_command(config_path: Path, host: str | None, port: int | None, data_dir: Path | None) -> None:
    """Start the server and open it at http://localhost:4000.

    Prints "listening on http://HOST:PORT" when it accepts connections.

    \b
    Examples:
      neuralbridge serve
      neuralbridge serve --port 0 --data-dir /srv/chat
    """
    logs.to_stderr()
    offline.watch()
    written, data = configured(config_path, data_dir)
    config = override(written, host, port)
    process.prepare(config.limits.connections)
    model_path = model_file(config, config_path)
    with ThreadPoolExecutor(1) as prober:  # the probe is a process of its own: it runs while the imports go on here
        probed = prober.submit(probe, model_path, SETUP)
        from neuralbridge.server import serve
        from neuralbridge.settings import Settings

        settings = Settings(config, config_path, written)
        asyncio.run(serve(config, data, config_path.parent, probed, settings))


@main.command("ingest")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@config_option
@url_option
@data_option
def ingest_command(paths: tuple[Path, ...], config_path: Path, url: str | None, data_dir: Path | None) -> None:
    """Read files and folders into the library, so that questions find them.

    What is there already, unchanged, costs nothing. Exit status 0 means that all of it can be found.

    \b
    Examples:
      neuralbridge ingest ~/notes report.pdf
      neuralbridge ingest --url http://127.0.0.1:4001 letters/
    """
    logs.to_stderr()
    offline.watch()
    os.umask(0o077)
    config, data = configured(config_path, data_dir)
    from neuralbridge.commands.ingest import ingest

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
    """Rated answers with their conversations, as JSON Lines in chat format for fine-tuning.

    \b
    Example:
      neuralbridge export feedback --out rated.jsonl
    """
    from neuralbridge.commands.export import feedback_lines

    lines = list(feedback_lines(configured(config_path, data_dir)[1]))
    out.write("".join(f"{line}\n" for line in lines))  # the file is opened here: an error leaves it as it was


@export_group.command("conversations")
@config_option
@click.option("--data-dir", type=click.Path(path_type=Path), help="The data folder to read, also while a server runs.")
@click.option("--session", help="One conversation, by its name; all of them unless given.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "markdown"]),
    default="jsonl",
    help="jsonl can be imported again, markdown is for people.",
)
@click.option(
    "--out", type=click.File("w", encoding="utf-8"), default="-", help="The file to write; stdout unless given."
)
def export_conversations_command(
    config_path: Path, data_dir: Path | None, session: str | None, form: Literal["jsonl", "markdown"], out: TextIO
) -> None:
    """Conversations with all their branches, or as texts to read.

    \b
    Examples:
      neuralbridge export conversations --out all.jsonl
      neuralbridge export conversations --session holidays --format markdown | less
    """
    from neuralbridge.commands.export import conversation_texts

    texts = conversation_texts(configured(config_path, data_dir)[1], LOCAL_OWNER, session, form)
    first = next(texts, "")  # what goes wrong does so before the file is opened, which empties it
    out.write(first)
    out.writelines(texts)


@main.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@config_option
@click.option("--url", help="The server to send it to; that of the configuration if it runs, unless given.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="The data folder to write to where no server runs.")
def import_command(file: Path, config_path: Path, url: str | None, data_dir: Path | None) -> None:
    """Take in conversations: a FILE of `export conversations`, or of ChatGPT's export (conversations.json, or its zip).

    What is here already stays as it is, so doing it again adds nothing. Exit status 0 means that nothing was refused.

    \b
    Examples:
      neuralbridge import all.jsonl
      neuralbridge import chatgpt-export.zip
    """
    quiet()
    config, data = configured(config_path, data_dir)
    from neuralbridge.commands.importing import take_in

    report = asyncio.run(take_in(file, LOCAL_OWNER, config, data, url))
    for refusal in report.refusals:
        click.echo(f"{refusal.where}: {refusal.reason}", err=True)
    click.echo(
        f"{report.imported:,} taken in, {report.extended:,} went on, {report.unchanged:,} here already "
        f"({report.messages:,} messages), {report.refused:,} refused"
    )
    sys.exit(1 if report.refused else 0)


@main.command("doctor")
@config_option
def doctor_command(config_path: Path) -> None:
    """Tell what is installed, which models are whole, and what mends what is missing.

    \b
    Example:
      neuralbridge doctor --config my.yaml
    """
    from neuralbridge.commands.doctor import examine

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
    Examples:
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
    Examples:
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
    Examples:
      neuralbridge import-config litellm.yaml --out mine.yaml
      neuralbridge serve --config mine.yaml
    """
    from neuralbridge.catalog.import_config import import_config

    present = read_config(config_path)
    if out is not None:
        present = seen_from(out.parent, present, config_path.parent)
    imported = import_config(read_text(file), file, present)
    if out is None:
        click.echo(imported.text, nl=False)
    else:
        write_new(out, imported.text)
    for note in imported.notes:
        click.echo(note, err=True)


def seen_from(folder: Path, config: Config, home: Path) -> Config:
    """A configuration whose model files are named as from another folder."""
    models = {
        key: model.model_copy(update={"path": os.path.relpath(home / model.path, folder)})
        for key, model in config.models.items()
    }
    return config.model_copy(update={"models": models})


def write_new(path: Path, text: str) -> None:
    """Raises BridgeError where there is such a file already, or none can be."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise BridgeError(f"{path}: cannot be written ({error.strerror}); expected the name of a new file") from error


@main.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@config_option
@click.option("--data-dir", type=click.Path(path_type=Path), help="The data folder to save, also while a server runs.")
def backup_command(file: Path, config_path: Path, data_dir: Path | None) -> None:
    """Save conversations, documents and settings in one file.

    A running server is not disturbed. Models and files that are still waiting to be read are not in it.

    \b
    Examples:
      neuralbridge backup monday.zip
      neuralbridge backup "/mnt/disk/neuralbridge-$(date +%F).zip"
    """
    os.umask(0o077)
    from neuralbridge.commands.backup import back_up

    _, data = configured(config_path, data_dir)
    click.echo(str(back_up(file, data, config_path)))


@main.command("forget")
@click.argument("user")
@click.option("--yes", is_flag=True, help="Do not ask whether it is meant.")
@url_option
@config_option
@data_option
def forget_command(user: str, yes: bool, url: str | None, config_path: Path, data_dir: Path | None) -> None:
    """Delete everything of USER: conversations, documents and what was kept of them. It cannot be undone.

    A running server does it, which asks for the token of an admin; without one it is done in the data folder. Who
    asks without authentication is the user local. Tokens stay: `neuralbridge token` takes them back.

    \b
    Examples:
      neuralbridge forget ana
      neuralbridge forget --yes local
    """
    quiet()
    config, data = configured(config_path, data_dir)
    from neuralbridge.commands.forgetting import forget

    if not yes:
        click.confirm(f"Delete all conversations and documents of {user}?", abort=True, err=True)
    gone = asyncio.run(forget(user, config, data, url))
    click.echo(
        f"{gone.conversations:,} conversations ({gone.messages:,} messages), {gone.documents:,} documents deleted"
    )
    if not gone.scrubbed:
        click.echo(
            "Their text may still be in the database's file, which could not be written anew: try again.", err=True
        )
    for name in gone.backups:
        click.echo(f"{data / name} still has copies.", err=True)
    click.echo(gone.note, err=True)
    sys.exit(0 if gone.scrubbed else 1)


@main.command("restore")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@config_option
@click.option("--data-dir", type=click.Path(path_type=Path), help="The data folder; that of the settings in FILE.")
def restore_command(file: Path, config_path: Path, data_dir: Path | None) -> None:
    """Put back what a backup saved, in the place of what is there.

    The file is checked first, whole; where anything is wrong with it, nothing is replaced. What was there before is
    kept beside, in the data folder. No server may run on it.

    \b
    Examples:
      neuralbridge restore monday.zip
      neuralbridge restore monday.zip --config other.yaml --data-dir /srv/other
    """
    os.umask(0o077)
    from neuralbridge.commands.restore import restore

    before = restore(file, config_path, data_dir)
    click.echo(f"{file} is restored. What was there before is in {before}")


@main.group("token", cls=click.Group)
def token_command() -> None:
    """Say who may come in, where the server asks for tokens.

    A running server sees every change within seconds, and shows out whoever lost a token.

    \b
    Examples:
      neuralbridge token new --user ana --expires 30d
      neuralbridge token list
      neuralbridge token revoke 1f0c9a72
    """


user_option = click.option(
    "--user", default=LOCAL_OWNER, help="Whose it is; the owner of this machine's, unless given."
)
role_option = click.option(
    "--role", type=click.Choice(["admin", "user", "guest"]), help="user unless given; admin for the owner."
)


@token_command.command("new")
@user_option
@role_option
@click.option("--expires", help="How long it is good: 45m, 12h, 30d, 4w; for good unless given.")
@config_option
@data_option
def new_token_command(
    user: str, role: "Role | None", expires: str | None, config_path: Path, data_dir: Path | None
) -> None:
    """Make a token and print it. It is shown only now.

    \b
    Examples:
      neuralbridge token new
      neuralbridge token new --user ana --role guest --expires 12h
    """
    os.umask(0o077)
    from neuralbridge.commands.tokens import new_token

    config, data = configured(config_path, data_dir)
    try:
        token = new_token(data, user, role, expires)
    except InvalidParams as error:
        raise click.UsageError(str(error)) from error
    click.echo(token)
    if not config.auth.asked_for(config.server.on_lan):
        click.echo("Nobody is asked for it yet: say `auth: {required: true}` in config.yaml, or `bind: lan`.", err=True)


@token_command.command("list")
@config_option
@data_option
def list_tokens_command(config_path: Path, data_dir: Path | None) -> None:
    """List the tokens that are good: id, user, role, kind, since and until when.

    \b
    Examples:
      neuralbridge token list
    """
    from neuralbridge.access.tokens import Tokens
    from neuralbridge.commands.tokens import told

    for token in Tokens(configured(config_path, data_dir)[1]).listed():
        click.echo(told(token))


@token_command.command("revoke")
@click.argument("what")
@config_option
@data_option
def revoke_command(what: str, config_path: Path, data_dir: Path | None) -> None:
    """Take a token back by its id, or everything of a user, signed tokens included.

    Connections that it let in are closed within five seconds.

    \b
    Examples:
      neuralbridge token revoke 1f0c9a72
      neuralbridge token revoke ana
    """
    os.umask(0o077)
    from neuralbridge.access.tokens import Tokens

    gone = Tokens(configured(config_path, data_dir)[1]).revoke(what)
    if gone:
        click.echo(f"Taken back: {len(gone)} token{'' if len(gone) == 1 else 's'} of {what}.")
    else:
        click.echo(f"There is no token of a user {what}; signed ones made until now are good no longer.", err=True)


@main.command("pair")
@user_option
@role_option
@config_option
@data_option
def pair_command(user: str, role: "Role | None", config_path: Path, data_dir: Path | None) -> None:
    """Show a code that signs a phone in, once, within ten minutes.

    \b
    Examples:
      neuralbridge pair
      neuralbridge pair --user ana
    """
    os.umask(0o077)
    from neuralbridge.commands.tokens import pairing

    config, data = configured(config_path, data_dir)
    click.echo(pairing(data, config.server, user, role))


@main.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def completion_command(shell: str) -> None:
    """Print what makes a shell complete commands and options.

    \b
    Examples:
      eval "$(neuralbridge completion bash)"      # in ~/.bashrc
      eval "$(neuralbridge completion zsh)"       # in ~/.zshrc
      neuralbridge completion fish > ~/.config/fish/completions/neuralbridge.fish
    """
    click.echo(completion_script(main, "neuralbridge", shell))


def configured(config_path: Path, data_dir: Path | None) -> tuple[Config, Path]:
    """The configuration and the data folder, after a restore that was interrupted has come to its end.

    Where a server has that folder, its address is the one that it really has.
    """
    from neuralbridge.commands.restore import finish

    finish(config_path)
    config = read_config(config_path)
    data = data_dir or config_path.parent / config.data_dir
    if (where := listens(data)) is not None:
        config = override(config, *where)
    return config, data


def some_server_of(
    url: str | None, config_path: Path, data_dir: Path | None
) -> "AbstractAsyncContextManager[ClientSession]":
    """The server that answers: at `url`, where the configuration says, or one of our own."""
    quiet()
    from neuralbridge.commands.running import some_server
    from neuralbridge.commands.view import note, notes

    def waiting(what: str) -> None:
        if sys.stderr.isatty():
            note(notes(), what)

    config, data = configured(config_path, data_dir)
    return some_server(config, config_path.parent, data, url, waiting)


def quiet() -> None:
    """Only what goes wrong is logged: standard error is for whoever asked."""
    logs.to_stderr(logging.WARNING)
    offline.watch()
    os.umask(0o077)


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
