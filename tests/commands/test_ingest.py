"""`neuralbridge ingest`: straight into a data folder, or to a running server; what it says and how it ends."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from tests.conftest import Served

pytestmark = pytest.mark.model
ROOT = Path(__file__).parents[2]


async def command(*arguments: str | Path) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "neuralbridge", "ingest", *map(str, arguments)), cwd=ROOT, stdout=PIPE, stderr=PIPE
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.md").write_text("# Apples\n\nApples are red.")
    (folder / "deep" / "b.txt").write_text("Pears are green.")
    (folder / ".secret").write_text("not for anybody")
    return folder


async def test_a_running_server_takes_what_is_new_and_says_what_it_refuses(served: Served, notes: Path) -> None:
    status, out, _ = await command(notes, "--url", served.url)
    assert (status, out) == (0, "2 taken in (2 passages), 0 here already, 0 refused\n")
    status, out, err = await command(notes, "--url", served.url)
    assert status == 0
    (notes / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 50)
    status, out, err = await command(notes, "--url", served.url)
    assert status == 1
    assert "1 refused" in out
    assert [line for line in err.splitlines() if "picture.png" in line]


async def test_without_a_server_it_writes_the_data_folder_and_embeds_nothing_twice(notes: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    text = (ROOT / "config.yaml").read_text().replace("port: 4000", "port: 1")
    config.write_text(text.replace("models/all", f"{ROOT}/models/all"))
    arguments = [notes, "--config", config, "--data-dir", tmp_path / "data"]
    assert (await command(*arguments))[:2] == (0, "2 taken in (2 passages), 0 here already, 0 refused\n")
    assert (await command(*arguments))[:2] == (0, "0 taken in (0 passages), 2 here already, 0 refused\n")


async def test_a_server_that_is_not_there_is_one_line(notes: Path) -> None:
    status, _, err = await command(notes, "--url", "http://127.0.0.1:1")
    assert status == 1
    assert "no NeuralBridge server answers there" in err
