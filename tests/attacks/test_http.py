"""Section 2.2 of the catalogue of attacks: what is sent to an HTTP port that is no honest request."""

import asyncio
import gzip
import itertools
import json
import random
import re
from pathlib import Path

from neuralbridge.listener import FIELD_BYTES, HEADERS, LINE_BYTES, MALFORMED
from neuralbridge.web.v1.doors import BODY_BYTES
from tests.attacks.conftest import Logged
from tests.attacks.exchange import connect, ended, exchange, request, status_of
from tests.attacks.probe import serves
from tests.attacks.smuggled import CANARY, CHAT, HEALTH, JSON, smuggled
from tests.conftest import Served

NOISE = 2_000
MOST_LINES = 200
HELLO = b"\x16\x03\x01\x00\xdc\x01\x00\x00\xd8\x03\x03" + bytes(range(214))


async def refused(served: Served, sent: dict[str, bytes], *statuses: int) -> None:
    """Each is answered once, with one of these statuses and none of its own words, and the connection ends."""
    for name, each in sent.items():
        answer = await exchange(served, each)
        assert status_of(answer) in statuses, (name, answer)
        assert CANARY.encode() not in answer, (name, answer)


async def test_h3_a_huge_head_is_refused_without_an_echo(served: Served, logged: Logged) -> None:
    """H3"""
    heads = {
        "line": request(served, "GET", f"/{CANARY}" + "a" * LINE_BYTES),
        "field": request(served, "GET", HEALTH, f"X: {CANARY}" + "a" * FIELD_BYTES),
        "headers": request(served, "GET", HEALTH, *(f"X{number}: {CANARY}" for number in range(200))),
        "one header more": request(served, "GET", HEALTH, *(f"X{number}: a" for number in range(HEADERS))),
        "cookie": request(served, "GET", HEALTH, f"Cookie: {CANARY}=b; " + "a=b; " * 8000),
    }
    await refused(served, heads, 400)
    assert CANARY not in logged()
    assert logged().count("\n") <= len(heads) + 1
    assert "Traceback" not in logged()
    await serves(served)


async def test_h4_smuggling_gets_one_answer_and_a_closed_connection(served: Served, logged: Logged) -> None:
    """H4"""
    sent = smuggled(served)
    await refused(served, sent, 400)
    assert "Traceback" not in logged()
    assert logged().count("\n") <= len(sent)
    await serves(served)


async def test_h6_a_big_or_lying_body_is_413_before_it_is_kept(served: Served) -> None:
    """H6"""
    declared = request(served, "POST", CHAT, JSON, f"Content-Length: {2 * BODY_BYTES}")
    endless = request(served, "POST", CHAT, JSON, f"Content-Length: {10**12}", body=b"{}")
    for sent in (declared, endless):
        reader, writer = await connect(served)
        writer.write(sent)
        async with asyncio.timeout(30):
            assert b" 413 " in await reader.readuntil(b"\r\n")
        writer.close()
    reader, writer = await connect(served)
    writer.write(request(served, "POST", CHAT, JSON, "Transfer-Encoding: chunked"))
    for _ in range(BODY_BYTES // 2**20 + 2):
        writer.write(b"100000\r\n" + b" " * 2**20 + b"\r\n")
    assert b" 413 " in await reader.readuntil(b"\r\n")
    writer.close()
    await serves(served)


async def test_h8_a_compressed_body_is_415_whatever_is_in_it(served: Served) -> None:
    """H8"""
    bomb = gzip.compress(bytes(50_000_000), 9)
    paths = (CHAT, "/api/knowledge/ingest", "/api/conversations/import", "/api/proxy/query")
    codings, bodies = ("gzip", "deflate", "br", "x"), (bomb, b"\x1f\x8bnonsense", b"")
    for path, coding, body in itertools.product(paths, codings, bodies):
        lines = (JSON, f"Content-Encoding: {coding}", f"Content-Length: {len(body)}")
        sent = request(served, "POST", path, *lines, body=body)
        assert status_of(await exchange(served, sent)) == 415, (path, coding)
    await serves(served)


async def test_h8_a_form_that_is_none_is_400(served: Served) -> None:
    """H8: not 500, as bare aiohttp says."""
    for path, kind in itertools.product(
        ("/api/knowledge/ingest", "/api/conversations/import"),
        ("multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=" + "x" * 100),
    ):
        sent = request(served, "POST", path, f"Content-Type: {kind}", "Content-Length: 4", body=b"abcd")
        assert status_of(await exchange(served, sent)) == 400, (path, kind)
    await serves(served)


BODIES = [
    b"null",
    b"[]",
    b'"x"',
    b"7",
    b"",
    b"{",
    b"\xff\xfe",
    b"\xef\xbb\xbf{}",
    b'{"messages": NaN}',
    b'{"messages": [{"role": "user", "content": "hi"}], "temperature": 1e400}',
    b'{"messages": [{"role": "user", "content": "hi"}], "temperature": Infinity}',
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"messages": ' + b"9" * 5_000 + b"}",
    b'{"messages": [], "messages": 7}',
]


async def test_h10_json_that_is_no_request_is_400_in_openais_words(served: Served) -> None:
    """H10"""
    for body in BODIES:
        sent = request(served, "POST", CHAT, JSON, f"Content-Length: {len(body)}", body=body)
        answer = await exchange(served, sent)
        assert status_of(answer) == 400, (body[:60], answer)
        error = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
        assert error["type"] == "invalid_request_error", body[:60]
        assert " " in error["message"], body[:60]
        assert len(error["message"]) < 400, body[:60]
    await serves(served)


LINES = {
    "TRACE / HTTP/1.1": (405,),
    "PUT / HTTP/1.1": (405,),
    "CONNECT evil.example:443 HTTP/1.1": (400, 404, 405),
    "OPTIONS * HTTP/1.1": (404, 405),
    "get / HTTP/1.1": (400,),
    "GET / HTTP/2.0": (505,),
    "GET / HTTP/1.2": (400,),
    "GET / HTTP/0.9": (400, 505),
    "GET /": (400, 505),
    "PRI * HTTP/2.0": (400, 505),
}


async def test_h11_methods_and_versions(served: Served) -> None:
    """H11"""
    for line, statuses in LINES.items():
        head = f"{line}\r\nHost: {served.url.removeprefix('http://')}\r\nConnection: close\r\n\r\n"
        assert int((await exchange(served, head.encode())).split(b" ")[1]) in statuses, line
    await serves(served)


async def test_h11_head_has_no_body_anywhere(served: Served) -> None:
    """H11"""
    routes = [route.resource.canonical for route in served.server.app.router.routes() if route.resource]
    paths = {re.sub(r"\{[^}]*\}", "x", path) for path in routes}
    for path in sorted(paths - {"/socket/longpoll", "/socket/longpoll/"}):
        answer = await exchange(served, request(served, "HEAD", path))
        assert status_of(answer) < 500, path
        assert answer.endswith(b"\r\n\r\n"), (path, answer)
        assert answer.count(b"\r\n\r\n") == 1, (path, answer)
    await serves(served)


OUTSIDE = (
    *("/static/../config.yaml", "/static/..%2fconfig.yaml", "/static/%2e%2e/config.yaml", "/static/....//config.yaml"),
    *("/static/..%252fconfig.yaml", "/static/..%5cconfig.yaml", "/static/js/../../config.yaml", "/static/%00"),
    *("/static/js%2f..%2f..%2fconfig.yaml", "/static//etc/passwd", "/static/index.html%00/../../config.yaml"),
    *("/../config.yaml", "/..%2fconfig.yaml", "/%2e%2e/config.yaml", "/..%252fconfig.yaml", "/....//config.yaml"),
    *("/..%5cconfig.yaml", "/js/../../config.yaml", "/config.yaml%00.js", "/%00", "//etc/passwd", "/static_x/a"),
    *("/js%2f..%2f..%2fconfig.yaml", "/.%00./config.yaml", "/etc/passwd", "/C:/config.yaml", "/\\..\\config.yaml"),
)


async def test_h12_nothing_outside_is_told_apart_from_nothing(served: Served) -> None:
    """H12: config.yaml is there, beside static; symlinks: tests/web/test_assets.py."""
    for path in OUTSIDE:
        answer = await exchange(served, request(served, "GET", path))
        missing = await exchange(served, request(served, "GET", path.replace("config", "nothing")))
        assert status_of(answer) in (400, 404), path
        assert b"model_list" not in answer, path
        undated = [re.sub(rb"Date: [^\r]*", b"", each) for each in (answer, missing)]
        assert undated[0] == undated[1], path


async def test_h13_nobody_is_sent_elsewhere(served: Served) -> None:
    """H13"""
    for target in ("//evil.example/", "/\\evil.example", "/%2f%2fevil.example", "/%5cevil.example/.."):
        answer = await exchange(served, request(served, "GET", target))
        assert status_of(answer) == 404, target
        assert b"location:" not in answer.lower(), target


async def test_h13_a_foreign_host_is_never_repeated(served: Served) -> None:
    """H13"""
    for target in ("/", HEALTH, "/v1/models", "/openapi.json"):
        answer = await exchange(served, request(served, "GET", target, "Host: evil.example", host=False))
        assert status_of(answer) == 421, target
        assert b"evil.example" not in answer, target


async def test_h15_what_was_asked_is_no_html_and_no_line_of_the_log(served: Served, logged: Logged) -> None:
    """H15"""
    script = "<script>1</script>"
    for place in ("/", "/v1/", "/api/knowledge/documents/", "/socket/longpoll?token="):
        target = place + script
        answer = await exchange(served, request(served, "GET", target.replace("<", "%3C")))
        head, _, body = answer.partition(b"\r\n\r\n")
        assert status_of(answer) < 500, target
        assert b"nosniff" in head, target
        assert b"text/html" not in head, target
        assert script.encode() not in body or b"application/json" in head, target
    for agent in ("a\x1b[31mred", "a\rb", "a\x7f"):
        await refused(served, {agent: request(served, "GET", HEALTH, f"User-Agent: {agent}")}, 400)
    for cookie in ('a b="\\', "é=ü", "=;=;=", "a=b" * 500):
        assert status_of(await exchange(served, request(served, "GET", HEALTH, f"Cookie: {cookie}"))) == 200
    assert "\x1b" not in logged()
    assert script not in logged()
    assert logged().count("\n") < 10
    await serves(served)


def open_files() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


async def test_h16_noise_at_the_port_costs_a_few_lines(served: Served, logged: Logged) -> None:
    """H16: TLS greetings and random bytes."""
    generator = random.Random(16)

    async def noise() -> bytes:
        reader, writer = await connect(served)
        writer.write(HELLO if generator.random() < 0.5 else generator.randbytes(300) + b"\r\n\r\n")
        writer.write_eof()
        heard = await ended(reader)
        writer.close()
        return heard

    before = open_files()
    for _ in range(NOISE // 50):
        for heard in await asyncio.gather(*(noise() for _ in range(50))):
            assert heard in (b"", heard[: -len(MALFORMED)] + MALFORMED.encode())
    assert logged().count("\n") < MOST_LINES
    assert "Traceback" not in logged()
    await serves(served)
    assert open_files() < before + 10


async def test_h4_h11_what_the_pure_python_parser_would_let_in_is_not_used() -> None:
    """H4 with AIOHTTP_NO_EXTENSIONS, and CVE-2026-111750: the compiled parser is the one that is there."""
    from aiohttp.http_parser import HttpRequestParser, HttpRequestParserPy

    assert HttpRequestParser is not HttpRequestParserPy
