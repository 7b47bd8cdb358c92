"""Simon Willison's `llm`, unmodified, as people type it."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import yaml

from tests.conftest import Served

Type = Callable[..., Awaitable[str]]
WAIT_SECONDS = 60.0


@pytest.fixture
def type_in(tmp_path: Path) -> Type:
    """Type `llm ...`; gives what it prints. All that it keeps is in a folder of the test's."""
    folder = tmp_path / "llm"
    folder.mkdir()
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "LLM_USER_PATH": str(folder)}

    async def run(*words: str, said: str = "") -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "llm", *words),
            env=environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(WAIT_SECONDS):
            printed, complaints = await process.communicate(said.encode())
        assert process.returncode == 0, complaints.decode()
        return printed.decode()

    return run


def known(served: Served, folder: Path) -> None:
    """Make the server's gpt-4 one of llm's own models, `bridge`."""
    model = {
        "model_id": "bridge",
        "model_name": "gpt-4",
        "api_base": f"{served.url}/v1",
        "supports_schema": True,
        "supports_tools": True,
    }
    (folder / "extra-openai-models.yaml").write_text(yaml.safe_dump([model]))


async def test_a_prompt_to_an_endpoint(served: Served, type_in: Type) -> None:
    endpoint = ("openai", "endpoint", f"{served.url}/v1")
    assert await type_in(*endpoint, "hello", "-m", "gpt-4") == "You asked: hello\n"
    assert await type_in(*endpoint, "-m", "gpt-4", "--no-stream", said="from a pipe") == "You asked: from a pipe\n"
    assert "gpt-4" in (await type_in(*endpoint, "--models")).split()


async def test_a_conversation_goes_on(served: Served, type_in: Type, tmp_path: Path) -> None:
    known(served, tmp_path / "llm")
    assert await type_in("hello", "-m", "bridge") == "You asked: hello\n"
    assert await type_in("and now?", "-c") == "You asked: and now?\n"
    logged = json.loads(await type_in("logs", "--json"))
    first, second = sorted(logged, key=lambda each: each["id"])
    assert first["conversation_id"] == second["conversation_id"]
    assert second["input_tokens"] > first["input_tokens"]  # it holds the first
    assert first["output_tokens"] == len("You asked: hello") + 1


async def test_functions_are_called(with_tools: Served, type_in: Type, tmp_path: Path) -> None:
    call = '<tool_call>\n{"name": "weather", "arguments": {"city": "Olhão"}}\n</tool_call>'
    with_tools.runner.reply = lambda asked: call if asked == "How is the weather?" else f"I hear: {asked}"
    known(with_tools, tmp_path / "llm")
    functions = 'def weather(city: str) -> str:\n    "Tell the weather."\n    return "sunny in " + city'
    said = await type_in("How is the weather?", "-m", "bridge", "--functions", functions)
    assert "I hear: tool\nsunny in Olhão" in said


@pytest.mark.model
async def test_a_schema_holds(real_url: str, type_in: Type) -> None:
    endpoint = ("openai", "endpoint", f"{real_url}/v1", "-m", "gpt-4", "-o", "temperature", "0")
    said = json.loads(await type_in(*endpoint, "--schema", "legs int, wild bool", "Describe a lion."))
    assert {name: type(value) for name, value in said.items()} == {"legs": int, "wild": bool}
