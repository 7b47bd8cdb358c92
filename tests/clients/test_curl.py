"""curl, as documentation shows it."""

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable

import pytest

from tests.conftest import Serve, Served

Curl = Callable[..., Awaitable[str]]
JSON = ("-H", "Content-Type: application/json", "-H", "Authorization: Bearer none")
HELLO = '{"model": "gpt-4", "messages": [{"role": "user", "content": "hello"}]}'
WAIT_SECONDS = 30.0


@pytest.fixture
def curl() -> Curl:
    """Type `curl -sS ...`; gives what it prints."""
    program = shutil.which("curl")
    if program is None:
        pytest.fail("curl is missing; type: sudo apt-get install curl")

    async def run(*words: str) -> str:
        process = await asyncio.create_subprocess_exec(
            program,
            "-q",
            "-sS",
            "--noproxy",
            "*",
            *words,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(WAIT_SECONDS):
            printed, complaints = await process.communicate()
        assert process.returncode == 0, complaints.decode()
        return printed.decode()

    return run


async def test_a_chat(served: Served, curl: Curl) -> None:
    told = json.loads(await curl(f"{served.url}/v1/chat/completions", *JSON, "-d", HELLO))
    assert told["choices"][0]["message"]["content"] == "You asked: hello"


async def test_a_stream(served: Served, curl: Curl) -> None:
    wanted = HELLO.replace("{", '{"stream": true, ', 1)
    lines = (await curl("-N", f"{served.url}/v1/chat/completions", *JSON, "-d", wanted)).split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    parts = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    assert "".join(part["choices"][0]["delta"].get("content", "") for part in parts) == "You asked: hello"


async def test_an_error_with_its_headers(serve: Serve, curl: Curl) -> None:
    served = await serve(routing={"default": "gpt-4", "unknown_model": "error"})
    wanted = HELLO.replace("gpt-4", "gtp-4")
    head, _, body = (await curl("-i", f"{served.url}/v1/chat/completions", *JSON, "-d", wanted)).partition("\r\n\r\n")
    first, *headers = head.lower().split("\r\n")
    assert first == "http/1.1 404 not found"
    assert "content-type: application/json; charset=utf-8" in headers
    error = json.loads(body)["error"]
    assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert "gpt-4" in error["message"]


async def test_a_body_that_says_it_is_a_form_is_told_what_it_must_be(served: Served, curl: Curl) -> None:
    """What curl does with -d alone."""
    told = json.loads(await curl(f"{served.url}/v1/chat/completions", "-d", HELLO))
    assert "application/json" in told["error"]["message"]
