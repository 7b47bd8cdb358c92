"""/openapi.json beside the server that it describes: the same routes, and what a fuzzer is told of them is true."""

import asyncio
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
from aiohttp import web
from jsonschema import Draft202012Validator
from schemathesis.specs.openapi.definitions import OPENAPI_31

from neuralbridge import __version__
from neuralbridge.protocol.openapi import document
from tests.conftest import Served

METHODS = {"get", "post", "put", "patch", "delete"}
DOCUMENT = document(__version__)
FUZZ_SECONDS = 240  # it takes about 20
# What is left out: that every field may have every value beside every other, and that /a and /{name} share no methods.
# Fields of forms are texts, whatever the fuzzer takes them for.
SETTINGS = """
[checks]
positive_data_acceptance.enabled = false
allow_header_conformance.enabled = false

[[operations]]
include-path = ["/api/knowledge/ingest", "/api/conversations/import", "/api/knowledge/documents/{id}"]
checks.negative_data_rejection.enabled = false
"""


def routes(app: web.Application) -> Iterator[tuple[str, str]]:
    """Method and path of what is for programs."""
    for route in app.router.routes():
        path = route.resource.canonical if route.resource else ""
        programs = path.startswith(("/v1/", "/api/")) or path == "/metrics"
        if programs and route.method.lower() in METHODS:
            yield route.method.lower(), path


async def test_every_route_is_in_the_document_and_nothing_else_is(served: Served) -> None:
    described = {(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert described == set(routes(served.server.app))


def test_the_document_is_openapi_3_1() -> None:
    """By the schema of the OpenAPI Initiative."""
    assert [error.message for error in Draft202012Validator(OPENAPI_31).iter_errors(DOCUMENT)] == []
    for name, schema in DOCUMENT["components"]["schemas"].items():
        assert list(Draft202012Validator(Draft202012Validator.META_SCHEMA).iter_errors(schema)) == [], name


def test_what_is_referred_to_is_there() -> None:
    referred = set(re.findall(r'"\$ref": "([^"]*)"', json.dumps(DOCUMENT)))
    assert referred == {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}


async def test_the_server_gives_the_document(served: Served) -> None:
    async with aiohttp.ClientSession(base_url=served.url) as http, http.get("/openapi.json") as reply:
        assert (reply.status, await reply.json()) == (200, DOCUMENT)


async def test_a_fuzzer_finds_what_the_document_says(served: Served, tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(SETTINGS)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{served.url}/openapi.json"),
        *("--phases", "coverage,fuzzing,stateful", "--max-examples", "10"),
        *("--generation-database", "none", "--no-shrink", "--seed", "1", "--no-color"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(FUZZ_SECONDS):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, said.decode()
