"""A saved file applies to new questions; what needs a restart is named, and a broken file changes nothing."""

import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from neuralbridge.config import Config
from neuralbridge.engine.runner import Runner
from neuralbridge.settings import LOOK_SECONDS, applicable, changed, waiting
from tests.conftest import SETTINGS, Serve, Served
from tests.fakes import FakeRunner
from tests.phoenix_client import PhoenixClient

PATIENCE_SECONDS = 20.0  # on a machine that has much else to do
TWO: dict[str, Any] = {
    "version": 1,
    "models": {"small": {"path": "small.gguf"}, "large": {"path": "large.gguf"}},
    "model_list": [{"model_name": "gpt-4", "use": "small"}],
    "routing": {"default": "gpt-4"},
}


def config(**sections: Any) -> Config:
    return Config.model_validate({**TWO, **sections})


BEFORE = config()
LIVE: list[dict[str, Any]] = [
    {"model_list": [{"model_name": "gpt-4", "use": "large", "params": {"top_k": 1}, "system_prompt": "Rhyme."}]},
    {"routing": {"default": "large", "unknown_model": "error", "echo": "served"}},
    {"cascade": {"small": {"to": "large"}}},
    {"answers": {"extract_below": 0}},
    {"documents": {"retrieval": "strict"}},
    {"models": {**TWO["models"], "small": {"path": "small.gguf", "aliases": ["s"], "params": {"top_k": 3}}}},
    {"models": {**TWO["models"], "small": {"path": "small.gguf", "system_prompt": "Be brief."}}},
]


@pytest.mark.parametrize("sections", LIVE, ids=lambda sections: next(iter(sections)))
def test_what_needs_no_restart_applies_and_waits_for_none(sections: dict[str, Any]) -> None:
    saved = config(**sections)
    assert applicable(BEFORE, saved) == saved
    assert list(waiting(BEFORE, saved)) == []


WAITING: list[tuple[dict[str, Any], list[str]]] = [
    ({"server": {"port": 4001, "host": "::1"}}, ["server.host", "server.port"]),
    ({"limits": {"waiting_questions": 9}}, ["limits.waiting_questions"]),
    ({"cache": {"enabled": False}}, ["cache.enabled"]),
    ({"data_dir": "elsewhere"}, ["data_dir"]),
    ({"documents": {"retrieval": "off", "threshold": 0.9}}, ["documents.threshold"]),
    (
        {"models": {**TWO["models"], "small": {"path": "other.gguf", "n_ctx": 512}}},
        ["models.small.path", "models.small.n_ctx"],
    ),
    ({"models": {**TWO["models"], "small": {"path": "small.gguf", "parallel": 2}}}, ["models.small.parallel"]),
    ({"models": {"small": TWO["models"]["small"]}}, ["models.large"]),
    ({"models": {"small": TWO["models"]["small"], "other": {"path": "o.gguf"}}}, ["models.large", "models.other"]),
]


@pytest.mark.parametrize(("sections", "settings"), WAITING, ids=lambda value: str(value)[:30])
def test_what_needs_a_restart_stays_as_it_was_and_is_named(sections: dict[str, Any], settings: list[str]) -> None:
    saved = config(**sections)
    applied = applicable(BEFORE, saved)
    assert applied is not None
    assert list(waiting(BEFORE, saved)) == settings
    assert (applied.server, applied.limits, applied.cache) == (BEFORE.server, BEFORE.limits, BEFORE.cache)
    for key, model in applied.models.items():
        assert changed(model, BEFORE.models[key]) == ()


def test_a_name_that_leads_to_a_model_not_loaded_yet_keeps_everything_as_it_was() -> None:
    models = {"small": TWO["models"]["small"], "other": {"path": "o.gguf"}}
    assert applicable(BEFORE, config(models=models, model_list=[{"model_name": "gpt-4", "use": "other"}])) is None


def test_a_file_is_read_soon_enough_to_apply_within_two_seconds() -> None:
    longest = 2 * LOOK_SECONDS  # just missed by one look, seen by the next, and by the one after that as it was
    assert longest + 1.0 <= 2.0


# A server whose file is edited


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    save(path)
    return path


def save(path: Path, **sections: Any) -> None:
    write(path, yaml.safe_dump({**SETTINGS, **sections}, sort_keys=False))


def write(path: Path, text: str) -> None:
    path.write_text(text)


def moved(path: Path, to: Path) -> Path:
    return path.rename(to)


class Beginning(str):
    """Equals what begins with it."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and other.startswith(str(self))

    __hash__ = str.__hash__


def named(**settings: Any) -> dict[str, Any]:
    return {"model_list": [{"model_name": "gpt-4", "use": "small", **settings}]}


async def health(served: Served) -> dict[str, Any]:
    async with aiohttp.ClientSession() as http, http.get(f"{served.url}/api/proxy/health") as response:
        told: dict[str, Any] = await response.json()
        return told


async def until_told(served: Served, **facts: Any) -> dict[str, Any]:
    """Wait until the health says so; all it says then."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            told = await health(served)
            if all(fact == {**told, **told["config"]}[name] for name, fact in facts.items()):
                return told
            await asyncio.sleep(0.05)


async def ask(served: Served, session: str = "s", **payload: Any) -> tuple[str, dict[str, Any]]:
    """The event that ends it, and its payload."""
    async with served.client() as client:
        await client.join(f"proxy:{session}")
        await client.push(f"proxy:{session}", "query", {"query": "Why?", **payload})
        frame = (await client.until("response", "error"))[-1]
        return frame[3], frame[4]


async def test_a_saved_file_applies_to_new_questions(serve: Serve, file: Path) -> None:
    served = await serve(config_file=file)
    assert (await health(served))["config"] == {"error": None, "pending": []}
    await ask(served)
    save(file, model_list=[{"model_name": "poet", "use": "small", "params": {"top_k": 3}}], routing={"default": "poet"})
    await until_told(served, models=["poet", "small"])
    await ask(served)
    assert [sampler.sampling.top_k for sampler in served.runner.samplers] == [40, 3]


async def test_a_file_that_is_replaced_applies_too(serve: Serve, file: Path) -> None:
    served = await serve(config_file=file)
    save(other := file.with_name("new.yaml"), **named(model_name="poet"), routing={"default": "poet"})
    moved(other, file)
    await until_told(served, models=["poet", "small"])


async def test_a_file_saved_while_the_server_started_applies(serve: Serve, file: Path) -> None:
    served = await serve(config_file=file)
    save(file, **named(model_name="poet"), routing={"default": "poet"})
    os.utime(file, ns=(0, 0))
    await until_told(served, models=["poet", "small"])


BROKEN = [
    ("version: 1\nmodels: {", "config.yaml:2:10: not YAML"),
    ("model_list:\n  - {model_name: *, use: small}\nversion: 1\n", "config.yaml:2:18: not YAML"),
    ("version: 1\nmodels: {small: {path: x}}\nrouting: {default: y}\n", "config.yaml:3:11: routing.default: 'y'"),
    ("version: 1\nversion: 1\n", "config.yaml:2:1: version stands here again"),
    ("", "config.yaml:1:1: expected settings"),
]


@pytest.mark.parametrize(("text", "said"), BROKEN, ids=range(len(BROKEN)))
async def test_a_broken_file_changes_nothing_and_is_told_with_its_place(
    serve: Serve, file: Path, caplog: pytest.LogCaptureFixture, text: str, said: str
) -> None:
    served = await serve(config_file=file)
    write(file, text)
    told = await until_told(served, error=Beginning(said), models=["gpt-4", "small"])
    assert told["config"]["pending"] == []
    assert any(f"{file.parent}/{said}" in getattr(record, "why", "") for record in caplog.records)
    assert (await ask(served))[0] == "response"
    save(file)
    await until_told(served, error=None)


async def test_a_file_that_went_away_changes_nothing_and_may_come_back(serve: Serve, file: Path) -> None:
    served = await serve(config_file=file)
    await until_told(served, error=None)
    away = moved(file, file.with_name("away"))
    gone = "config.yaml: cannot be read (No such file or directory); expected a configuration file"
    await until_told(served, error=gone, models=["gpt-4", "small"])
    moved(away, file)
    await until_told(served, error=None)


async def test_a_pipe_in_the_place_of_the_file_holds_nothing_up(serve: Serve, file: Path) -> None:
    served = await serve(config_file=file)
    pipe = file.with_name("pipe")
    os.mkfifo(pipe)
    pipe.replace(file)
    await until_told(served, error="config.yaml: not a file; expected a configuration file")
    moved(file, pipe)
    save(file, **named(system_prompt="Rhyme."))
    await until_told(served, error=None)


async def test_what_waits_for_a_restart_is_told_until_it_is_taken_back(serve: Serve, file: Path) -> None:
    served = await serve(config_file=file)
    save(file, limits={"waiting_questions": 3}, data_dir="elsewhere")
    await until_told(served, pending=["data_dir", "limits.waiting_questions"], error=None)
    save(file)
    await until_told(served, pending=[])


async def test_a_mapping_to_a_model_not_loaded_yet_waits_as_a_whole(serve: Serve, file: Path) -> None:
    served = await serve(config_file=file)
    models = {**SETTINGS["models"], "large": {"path": "large.gguf"}}
    save(file, models=models, **named(use="large"))
    await until_told(served, pending=["models.large", "model_list"], models=["gpt-4", "small"])
    event, answer = await ask(served)
    assert (event, answer["metadata"]["model_used"]) == ("response", "small")


async def test_a_reload_under_eight_streams_disturbs_none(serve: Serve, file: Path) -> None:
    story = "It was a dark and stormy night. " * 3
    save(file, **named(system_prompt="Old.", params={"top_k": 1}))
    served = await serve(FakeRunner(slots=8, cells=16_384, reply=lambda _: story), config_file=file)
    served.runner.hold()
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(served.client()) for _ in range(8)]
        for number, client in enumerate(clients):
            await client.join(f"proxy:{number}")
            await client.push(f"proxy:{number}", "stream_query", {"query": f"Tell {number}"})
        beginnings = [await begun(served, client) for client in clients]
        save(
            file, **named(model_name="poet", params={"top_k": 2}), routing={"default": "poet", "unknown_model": "error"}
        )
        await until_told(served, models=["poet", "small"])
        assert (await ask(served, "other", model="gpt-4"))[1]["error"] == "model_not_found"
        served.runner.release()
        texts = [
            told + tokens(await client.until("stream_complete"))
            for told, client in zip(beginnings, clients, strict=True)
        ]
    assert texts == [story] * 8
    assert [sampler.sampling.top_k for sampler in served.runner.samplers] == [1] * 8
    assert (await ask(served, "new"))[0] == "response"
    assert served.runner.samplers[-1].sampling.top_k == 2


async def begun(served: Served, client: PhoenixClient) -> str:
    """Let steps happen until this stream has said something; that."""
    while True:
        served.runner.step(8)
        frames = await client.until("stream_start", "stream_token")
        if told := tokens(frames):
            return told


def tokens(frames: list[list[Any]]) -> str:
    return "".join(frame[4]["token"] for frame in frames if frame[3] == "stream_token")


class Loads(dict[str, Runner]):
    """No runners of its own; remembers for which models one was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.append(name)
        return default


async def test_two_names_on_one_file_take_one_load(serve: Serve) -> None:
    loads = Loads()
    names = [{"model_name": "one", "use": "small"}, {"model_name": "two", "use": "one", "params": {"top_k": 2}}]
    served = await serve(others=loads, model_list=names, routing={"default": "one"})
    for name in ["one", "two", "one", "small"]:
        event, answer = await ask(served, name, model=name)
        assert (event, answer["metadata"]["model_used"]) == ("response", "small")
    assert [sampler.sampling.top_k for sampler in served.runner.samplers] == [40, 2, 40, 40]
    assert loads.asked == ["small"]
