"""`GET /api/models`: what is on this machine, how it is, and which names lead to it."""

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from neuralbridge.assistant import models
from neuralbridge.config import Config
from neuralbridge.engine.runner import Runner
from neuralbridge.errors import ModelUnusable
from neuralbridge.protocol.models import LocalModels
from neuralbridge.settings import Applied
from neuralbridge.web.keys import SERVICES
from tests.conftest import SETTINGS, Serve, Served
from tests.fakes import FakeRunner
from tests.web.wire import TOPIC, connected


async def told(served: Served) -> dict[str, Any]:
    async with aiohttp.ClientSession(served.url) as http, http.get("/api/models") as reply:
        assert (reply.status, reply.headers["Cache-Control"]) == (200, "no-store")
        said: dict[str, Any] = await reply.json()
    assert LocalModels.model_validate(said).model_dump() == said
    return said


async def one(served: Served, name: str) -> dict[str, Any]:
    (found,) = [model for model in (await told(served))["models"] if model["name"] == name]
    assert isinstance(found, dict)
    return found


BROKEN = "large.gguf: not a GGUF file. Run: scripts/setup"
TWO = {
    "models": {
        "small": {"path": "models/small.gguf", "parallel": 3, "aliases": ["tiny"]},
        "large": {"path": "models/large.gguf"},
    },
    "model_list": [
        {"model_name": "gpt-4", "use": "small"},
        {"model_name": "gpt-4o", "use": "large"},
        {"model_name": "claude-*", "use": "large", "examples": ["claude-3"]},
        {"model_name": "secret", "use": "large", "hidden": True},
    ],
}


async def test_a_loaded_model_is_told_with_its_names(serve: Serve) -> None:
    served = await serve(FakeRunner(cells=2048), **TWO)
    await served.server.app[SERVICES].models.default.ready()
    assert await one(served, "small") == {
        "name": "small",
        "default": True,
        "where": "local",
        "file_bytes": None,
        "context": 2048,
        "parallel": 3,
        "loaded": True,
        "loading": False,
        "failure": None,
        "answers": 0,
        "names": ["gpt-4", "small", "tiny"],
    }


async def test_a_model_that_nobody_asked_for_is_neither_loaded_nor_loading(serve: Serve) -> None:
    served = await serve(**TWO)
    large = await one(served, "large")
    assert [large[name] for name in ("default", "context", "loaded", "loading", "failure")] == [
        *(False, None, False, False, None)
    ]


async def test_the_names_are_those_that_chats_are_told_of_and_one_is_the_default(serve: Serve) -> None:
    served = await serve(**TWO)
    said = await told(served)
    assert [each for each in said["names"] if each["default"]] == [{"name": "gpt-4", "model": "small", "default": True}]
    assert {each["name"]: each["model"] for each in said["names"]} == {
        **dict.fromkeys(("gpt-4", "small", "tiny"), "small"),
        **dict.fromkeys(("gpt-4o", "claude-3", "large"), "large"),
    }


async def test_a_model_is_loading_until_it_is_loaded(serve: Serve) -> None:
    runner = FakeRunner()
    runner.hold(load=True)
    served = await serve(runner)
    before = await one(served, "small")
    runner.release()
    await served.server.app[SERVICES].models.default.ready()
    after = await one(served, "small")
    assert [(each["loading"], each["loaded"]) for each in (before, after)] == [(True, False), (False, True)]


async def test_a_model_that_cannot_be_loaded_says_why(serve: Serve) -> None:
    def broken() -> FakeRunner:
        raise ModelUnusable(BROKEN)

    served = await serve(**TWO)
    large = served.server.app[SERVICES].models["large"]
    large.engine._worker._open_runner = broken
    with pytest.raises(ModelUnusable):
        await large.ready()
    found = await one(served, "large")
    assert [found[name] for name in ("failure", "loading", "loaded", "context")] == [BROKEN, False, False, None]


class Shelf(dict[str, Runner]):
    """Where the second model is missing until it is put there."""

    asked = 0

    def get(self, name: str, default: Any = None) -> Any:
        if name != "large":
            return default
        self.asked += 1
        if name not in self:
            raise ModelUnusable(BROKEN)
        return self[name]


async def test_a_second_model_that_comes_back_is_loaded_when_it_is_next_asked_for(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf()
    served = await serve(others=shelf, **TWO)
    async with connected(served, TOPIC) as client:

        async def answered() -> str:
            await client.push(TOPIC, "stream_query", {"query": "hi", "model": "large"})
            frame = (await client.until("stream_complete", "stream_error"))[-1]
            return str(frame[4].get("response") or frame[4]["message"])

        assert [await answered() for _ in range(3)] == [BROKEN] * 3
        assert shelf.asked == 1  # in a short time
        shelf["large"] = FakeRunner(reply=lambda _: "I am back.")
        monkeypatch.setattr(models, "RETRY_SECONDS", 0.0)
        assert await answered() == "I am back."
    found = await one(served, "large")
    assert [found[name] for name in ("failure", "loaded")] == [None, True]


async def test_answers_under_way_are_counted(served: Served) -> None:
    await served.server.app[SERVICES].models.default.ready()
    served.runner.hold()
    async with connected(served, TOPIC) as client:
        await client.push(TOPIC, "stream_query", {"query": "why?"})
        await client.expect("stream_start")
        during = await one(served, "small")
        served.runner.release()
        await client.until("stream_complete")
    assert (during["answers"], (await one(served, "small"))["answers"]) == (1, 0)


async def test_a_file_has_its_size_and_a_missing_one_none(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "small.gguf").write_bytes(b"x" * 1234)
    paths = {"small": {"path": str(tmp_path / "small.gguf")}, "large": {"path": str(tmp_path / "none.gguf")}}
    served = await serve(models=paths)
    assert [(await one(served, name))["file_bytes"] for name in ("small", "large")] == [1234, None]


async def test_memory_is_told_in_bytes(served: Served) -> None:
    has = (await told(served))["memory"]
    assert 10_000_000 < has["process_bytes"] < has["total_bytes"]
    assert 0 < has["available_bytes"] < has["total_bytes"]


async def test_another_default_is_told_as_soon_as_it_applies(serve: Serve) -> None:
    served = await serve(**TWO)
    edited = Config.model_validate({**SETTINGS, **TWO, "routing": {"default": "gpt-4o"}})
    served.server.app[SERVICES].settings.applied = Applied.of(edited)
    assert [each["name"] for each in (await told(served))["names"] if each["default"]] == ["gpt-4o"]
    assert [(await one(served, name))["default"] for name in ("small", "large")] == [False, True]
