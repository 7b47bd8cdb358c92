"""The page's files over HTTP: those of their folder and no others, sent once, small, and never an old one."""

import asyncio
import gzip
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, make_mocked_request

from neuralbridge.web import assets
from neuralbridge.web.assets import ASSETS, KEPT_FILE_BYTES, add_asset_routes
from tests.conftest import Served
from tests.web.raw import RawSocket

PAGE = '<!doctype html>\n<html lang="en" data-languages="">\n<title>é</title>\n'
SCRIPT = "export const word = 'sea';\n" * 100
CANARY = "SECRET"
SAME = {"Accept-Encoding": "identity"}
LOOP_MS = 0.5


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """static/ with a page in it, and beside it what must never be served."""
    folder = tmp_path / "static"
    files = {
        "index.html": PAGE,
        "sw.js": "// worker",
        "js/main.js": SCRIPT,
        "vendor/x.mjs": "export {};",
        "css/a.css": "a {}",
        "icon.svg": "<svg/>",
        "app.webmanifest": "{}",
        "icon.png": "\x89PNG",
        "vendor/x.bin": "?",
        ".hidden": CANARY,
        ".git/config": CANARY,
        "../secret.js": CANARY,
        "../static_x/secret.js": CANARY,
    }
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    (folder / "link.js").symlink_to(tmp_path / "secret.js")
    (folder / "linked").symlink_to(tmp_path / "static_x")
    os.mkfifo(folder / "pipe.js")
    return folder


@pytest.fixture
async def app(folder: Path) -> web.Application:
    app = web.Application()
    add_asset_routes(app, folder)
    return app


@pytest.fixture
async def http(app: web.Application) -> AsyncIterator[aiohttp.ClientSession]:
    async with TestServer(app) as server, aiohttp.ClientSession(server.make_url("/"), headers=SAME) as http:
        yield http


async def text(http: aiohttp.ClientSession, path: str) -> str:
    async with http.get(path) as reply:
        assert reply.status == 200
        return await reply.text("utf-8")


# What is sent


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/sw.js", "text/javascript; charset=utf-8"),
        ("/static/js/main.js", "text/javascript; charset=utf-8"),
        ("/static/vendor/x.mjs", "text/javascript; charset=utf-8"),
        ("/static/css/a.css", "text/css; charset=utf-8"),
        ("/static/icon.svg", "image/svg+xml; charset=utf-8"),
        ("/static/app.webmanifest", "application/manifest+json; charset=utf-8"),
        ("/static/icon.png", "image/png"),
        ("/static/vendor/x.bin", "application/octet-stream"),
    ],
)
async def test_a_file_is_sent_with_its_kind_and_has_to_be_asked_for_again(
    http: aiohttp.ClientSession, path: str, kind: str
) -> None:
    async with http.get(path) as reply:
        assert (reply.status, reply.headers["Content-Type"]) == (200, kind)
        assert (reply.headers["Cache-Control"], reply.headers["Vary"]) == ("no-cache", "Accept-Encoding")


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip", "gzip"),
        ("br, GZIP;q=0.5", "gzip"),
        ("deflate,gzip , br", "gzip"),
        ("gzip;q=0", None),
        ("gzip; q=0.000", None),
        ("br", None),
        ("x-gzip-like", None),
        ("", None),
    ],
)
async def test_who_takes_gzip_gets_it_and_nobody_else(
    app: web.Application, accepted: str, encoding: str | None
) -> None:
    async with (
        TestServer(app) as server,
        RawSocket(str(server.make_url("/")), "/static/js/main.js", headers={"Accept-Encoding": accepted}) as raw,
    ):
        assert raw.headers.get("content-encoding") == encoding
        body = gzip.decompress(raw.body) if encoding else raw.body
        assert body.decode() == SCRIPT


async def test_what_compressing_makes_no_smaller_is_sent_as_it_is(http: aiohttp.ClientSession) -> None:
    for path in ("/static/css/a.css", "/static/icon.png"):
        async with http.get(path, headers={"Accept-Encoding": "gzip"}) as reply:
            assert "Content-Encoding" not in reply.headers


async def test_head_says_what_get_would_without_the_body(app: web.Application) -> None:
    async with TestServer(app) as server:
        url = str(server.make_url("/"))
        for path in ("/", "/sw.js", "/static/js/main.js"):
            async with RawSocket(url, path) as got, RawSocket(url, path, "HEAD") as asked:
                assert {**got.headers, "date": ""} == {**asked.headers, "date": ""}
                assert int(asked.headers["content-length"]) == len(got.body)


@pytest.mark.parametrize("path", ["/", "/sw.js", "/static/js/main.js", "/static/nothing.js"])
async def test_other_methods_are_not_allowed(http: aiohttp.ClientSession, path: str) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        async with http.request(method, path) as reply:
            assert (reply.status, reply.headers["Allow"]) == (405, "GET,HEAD")


# What is not sent again


@pytest.mark.parametrize("accepted", ["gzip", "identity"])
async def test_a_form_that_the_client_has_is_not_sent_again(http: aiohttp.ClientSession, accepted: str) -> None:
    async with http.get("/static/js/main.js", headers={"Accept-Encoding": accepted}) as reply:
        etag = reply.headers["ETag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        headers = {"Accept-Encoding": accepted, "If-None-Match": known}
        async with http.get("/static/js/main.js", headers=headers) as reply:
            assert (reply.status, await reply.read(), reply.headers["ETag"]) == (304, b"", etag)
            assert (reply.headers["Cache-Control"], reply.headers["Vary"]) == ("no-cache", "Accept-Encoding")


async def test_the_forms_of_a_file_have_etags_of_their_own(http: aiohttp.ClientSession) -> None:
    async with http.get("/static/js/main.js", headers={"Accept-Encoding": "gzip"}) as reply:
        headers = {"If-None-Match": reply.headers["ETag"]}
    async with http.get("/static/js/main.js", headers=headers) as reply:
        assert (reply.status, await reply.text()) == (200, SCRIPT)


async def test_a_file_that_was_changed_is_sent_anew(http: aiohttp.ClientSession, folder: Path) -> None:
    script = folder / "js" / "main.js"
    async with http.get("/static/js/main.js") as reply:
        headers = {"If-None-Match": reply.headers["ETag"]}
    at = script.stat().st_mtime_ns
    for content, moment in (("longer than before" * 500, at), ("same length" * 9, at + 1), ("like length" * 9, at + 2)):
        script.write_text(content)
        os.utime(script, ns=(moment, moment))
        async with http.get("/static/js/main.js", headers=headers) as reply:
            assert (reply.status, await reply.text()) == (200, content)


async def test_a_touched_file_of_the_same_content_keeps_its_etag(http: aiohttp.ClientSession, folder: Path) -> None:
    async with http.get("/static/js/main.js") as reply:
        headers = {"If-None-Match": reply.headers["ETag"]}
    os.utime(folder / "js" / "main.js", (1, 1))
    async with http.get("/static/js/main.js", headers=headers) as reply:
        assert reply.status == 304


async def test_a_file_that_went_is_gone(http: aiohttp.ClientSession, folder: Path) -> None:
    await text(http, "/sw.js")
    (folder / "sw.js").unlink()
    async with http.get("/sw.js") as reply:
        assert reply.status == 404


# Languages


async def test_the_page_is_told_the_languages_that_there_are(http: aiohttp.ClientSession, folder: Path) -> None:
    assert await text(http, "/") == PAGE.replace('data-languages=""', 'data-languages="en"')
    words = folder / "js" / "i18n"
    words.mkdir()
    told = []
    for name in ("pt-BR.js", "en.js", "README.md", '"><script>.js', "de.js"):
        (words / name).write_text("export default {};")
        told.append((await text(http, "/")).split('data-languages="')[1].split('"')[0])
    assert told == ["pt-BR", *["en pt-BR"] * 3, "de en pt-BR"]
    (words / "en.js").unlink()
    assert 'data-languages="de pt-BR"' in await text(http, "/")


async def test_the_page_of_other_languages_is_another_page(http: aiohttp.ClientSession, folder: Path) -> None:
    async with http.get("/") as reply:
        headers = {"If-None-Match": reply.headers["ETag"]}
    (folder / "js" / "i18n").mkdir()
    (folder / "js" / "i18n" / "pt-BR.js").write_text("")
    async with http.get("/", headers=headers) as reply:
        assert reply.status == 200


# What is not there

OUTSIDE = [
    *("../secret.js", "..%2fsecret.js", "%2e%2e/secret.js", "%2e%2e%2fsecret.js", "..%252fsecret.js"),
    *("....//secret.js", "..%5csecret.js", "..\\secret.js", "js/../../secret.js", "js/..%2f..%2fsecret.js"),
    *("../static_x/secret.js", "..%2fstatic_x%2fsecret.js", "link.js", "linked/secret.js", "linked%2fsecret.js"),
    *("%2fetc%2fpasswd", "/etc/passwd", "//etc/passwd", "js/main.js%00", "%00", "%0a", "js/main.js%0a", "%ff%fe"),
    *(".hidden", ".git/config", "js/./main.js", "./js/main.js", "js//main.js", "js/main.js/", "js/main.js/x"),
    *("", "js", "js/", "pipe.js", "x" * 5_000, "a/" * 2_000),
]


@pytest.mark.parametrize("name", OUTSIDE, ids=lambda name: name[:30] or "nothing")
async def test_what_is_no_file_of_the_folder_is_told_like_what_is_nowhere(app: web.Application, name: str) -> None:
    async with TestServer(app) as server:
        url = str(server.make_url("/"))
        async with RawSocket(url, f"/static/{name}") as raw, RawSocket(url, "/static/nothing.js") as nothing:
            assert (raw.status, raw.body) == (nothing.status, nothing.body) == (404, b"404: Not Found")
            assert CANARY.encode() not in raw.body
            assert raw.headers.keys() == nothing.headers.keys()


@pytest.mark.parametrize(
    "target", ["//evil.example/", "/\\evil.example", "/%2f%2fevil.example", "/static//evil.example"]
)
async def test_nobody_is_sent_elsewhere(app: web.Application, target: str) -> None:
    async with TestServer(app) as server, RawSocket(str(server.make_url("/")), target) as raw:
        assert (raw.status, "location" in raw.headers) == (404, False)


# Memory and time


async def test_a_large_file_is_sent_and_not_kept(
    http: aiohttp.ClientSession, app: web.Application, folder: Path
) -> None:
    large = os.urandom(1024) * (KEPT_FILE_BYTES // 1024 + 1)
    (folder / "large.js").write_bytes(large)
    async with http.get("/static/large.js") as reply:
        assert (reply.status, await reply.read() == large) == (200, True)
        assert reply.headers["Content-Type"] == "text/javascript; charset=utf-8"
        assert reply.headers["Cache-Control"] == "no-cache"
    assert "large.js" not in app[ASSETS]._kept


async def test_what_is_kept_is_bounded_and_what_was_used_last_stays(
    http: aiohttp.ClientSession, app: web.Application, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assets, "KEPT_BYTES", 4_000)
    for number in range(5):
        (folder / f"{number}.bin").write_bytes(bytes([number]) * 1_000)
    for number in (0, 1, 2, 3, 0, 4):
        assert await text(http, f"/static/{number}.bin") == chr(number) * 1_000
    assert [*app[ASSETS]._kept] == ["2.bin", "3.bin", "0.bin", "4.bin"]


async def test_many_who_ask_for_a_new_file_have_it_read_once(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Path] = []
    read = assets.read

    def counted(path: Path, stamp: assets.Stamp, languages: str) -> assets.Asset:
        reads.append(path)
        return read(path, stamp, languages)

    monkeypatch.setattr(assets, "read", counted)
    assert {*await asyncio.gather(*(text(http, "/static/js/main.js") for _ in range(20)))} == {SCRIPT}
    assert len(reads) == 1


async def test_a_kept_file_costs_the_loop_well_under_a_millisecond(
    http: aiohttp.ClientSession, app: web.Application
) -> None:
    """Of our own code. The best of several: a neighbour that takes the core is not our doing."""
    for path, name in (("/", "index.html"), ("/static/js/main.js", "js/main.js")):
        await text(http, path)
        request = make_mocked_request("GET", path, headers={"Accept-Encoding": "gzip"}, app=app)
        times = []
        for _ in range(50):
            begun = time.perf_counter()
            await app[ASSETS].answer(request, name)
            times.append((time.perf_counter() - begun) * 1000)
        assert min(times) < LOOP_MS


# With the whole server

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'; worker-src 'self'; require-trusted-types-for 'script'; trusted-types nb dompurify"
)
EVERYWHERE = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-DNS-Prefetch-Control": "off",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/static/icon.svg", 200),
        ("/static/nothing", 404),
        ("/nothing", 404),
        ("/openapi.json", 200),
        ("/metrics", 200),
        ("/v1/models", 200),
        ("/v1/nothing", 404),
        ("/api/proxy/health", 200),
        ("/api/knowledge/documents/none", 404),
        ("/api/nothing", 404),
        ("/api/feedback", 405),
        ("/socket/websocket", 400),
    ],
)
async def test_every_answer_says_what_browsers_may_do_with_it(served: Served, path: str, status: int) -> None:
    async with aiohttp.ClientSession(served.url) as http, http.get(path) as reply:
        assert reply.status == status
        assert {name: reply.headers.get(name) for name in EVERYWHERE} == EVERYWHERE
        assert "Server" not in reply.headers
        if path.startswith("/api/"):
            assert reply.headers["Cache-Control"] == "no-store"


async def test_the_page_and_what_it_refers_to_is_served(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as http:
        page = await text(http, "/")
        parts = page.replace('src="', 'href="').split('href="/static/')[1:]
        referred = {part.split('"')[0].partition("#")[0] for part in parts}
        assert referred
        for name in referred:
            async with http.get(f"/static/{name}") as response:
                assert (response.status, len(await response.read()) > 0) == (200, True), name
