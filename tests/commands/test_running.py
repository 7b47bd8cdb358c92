"""Where a command finds its server: the one that runs, or the application in its own process."""

import asyncio
import json
import sys
from pathlib import Path

import pytest
import yaml

from neuralbridge.commands.running import address_of, server_that_runs, to_its_end
from neuralbridge.config import Config
from neuralbridge.data_folder import claim
from neuralbridge.errors import ServerUnusable
from neuralbridge.sections import Server
from tests.commands.command import run, terminal
from tests.conftest import SETTINGS, Served

ROOT = Path(__file__).parents[2]
FAKES = (sys.executable, "-m", "tests.cli_with_fakes")


@pytest.fixture
def alone(tmp_path: Path) -> list[object]:
    """Options of commands that find no server."""
    path = tmp_path / "config.yaml"
    documents = {"embedder": str(ROOT / "models" / "all-minilm-l6-v2")}
    path.write_text(yaml.safe_dump({**SETTINGS, "server": {"port": 1}, "documents": documents}))
    return ["--config", path, "--data-dir", tmp_path / "data"]


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "http://127.0.0.1:4000"), ("localhost", "http://localhost:4000"), ("::1", "http://[::1]:4000")],
)
def test_the_address_is_the_configurations(host: str, address: str) -> None:
    assert address_of(Server(host=host)) == address


def configured(port: int) -> Config:
    return Config.model_validate({**SETTINGS, "server": {"port": port}})


async def test_the_server_at_the_configurations_address_is_found_without_being_named(
    served: Served, tmp_path: Path
) -> None:
    port = int(served.url.rpartition(":")[2])
    async with server_that_runs(configured(port), tmp_path, None) as session:
        assert session is not None
    async with server_that_runs(configured(1), tmp_path, None) as session:
        assert session is None


async def test_without_a_server_a_question_is_answered_all_the_same_and_kept(alone: list[object]) -> None:
    arguments = ["ask", "why?", "--session", "trip", "--json", *alone]
    for messages in (1, 2):
        status, out, err = await run(*arguments, program=FAKES)
        assert (status, err) == (0, "")
        told = json.loads(out)
        assert told["response"] == "You asked: why?"
        assert told["metadata"]["tokens"]["prompt"] > 60 * (messages - 1)  # the second has the first before it


async def test_without_a_server_a_conversation_is_one_process(alone: list[object]) -> None:
    done = await run("chat", *alone, program=FAKES, piped=b"one\ntwo\n")
    assert done == (0, "You asked: one\nYou asked: two\n", "")


async def test_documents_that_are_there_are_asked_and_searched_without_a_server(
    alone: list[object], tmp_path: Path
) -> None:
    (tmp_path / "pump.md").write_text("The warranty of the XK-204 pump lasts 27 months.")
    assert (await run("ingest", tmp_path / "pump.md", *alone, program=FAKES))[0] == 0
    status, out, err = await run("search", "warranty", *alone, program=FAKES)
    assert (status, err) == (0, "")
    assert out.startswith("1. pump.md (")
    _, out, _ = await run("ask", "How long is the warranty of the pump?", "--json", *alone, program=FAKES)
    assert [source["source_document"] for source in json.loads(out)["metadata"]["sources"]] == ["pump.md"]


@pytest.mark.parametrize("command", [("ask", "why?"), ("search", "why"), ("ingest", ROOT / "README.md")])
async def test_a_data_folder_in_use_asks_where_its_server_listens(
    command: tuple[object, ...], alone: list[object], tmp_path: Path
) -> None:
    with claim(tmp_path / "data"):
        status, out, err = await run(*command, *alone, program=FAKES)
    assert (status, out) == (1, "")
    assert [line for line in err.splitlines() if line.startswith("Error: ") and "--url" in line]
    assert "Traceback" not in err


async def test_a_model_that_is_missing_is_one_line(alone: list[object]) -> None:
    status, out, err = await run("ask", "why?", *alone)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "the model file is missing. Run: scripts/setup" in err


async def test_at_a_terminal_it_says_what_takes_so_long(alone: list[object]) -> None:
    async with terminal("ask", "why?", *alone) as shown:
        assert await shown.status() == 1
    assert "No server runs, so small is loaded for this alone." in shown.seen


async def test_a_start_that_is_given_up_comes_to_its_end_before_that_is_told() -> None:
    begun, go_on, ended = asyncio.Event(), asyncio.Event(), False

    async def start() -> None:
        nonlocal ended
        begun.set()
        await go_on.wait()
        ended = True

    starting = asyncio.create_task(to_its_end(start()))
    await begun.wait()
    starting.cancel()
    asyncio.get_running_loop().call_soon(go_on.set)
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert ended


async def test_a_start_that_fails_says_so() -> None:
    async def start() -> None:
        raise ServerUnusable("it failed")

    with pytest.raises(ServerUnusable, match="it failed"):
        await to_its_end(start())


@pytest.mark.model
async def test_the_real_model_answers_without_a_server(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    model = {"path": str(ROOT / "models" / "smollm2-135m-instruct-q4_1.gguf"), "params": {"max_tokens": 8}}
    settings = {**SETTINGS, "server": {"port": 1}, "models": {"small": model}, "documents": {"enabled": False}}
    path.write_text(yaml.safe_dump(settings))
    status, out, err = await run("ask", "Say hello.", "--config", path, "--data-dir", tmp_path / "data")
    assert (status, err) == (0, "")
    assert out.strip()
