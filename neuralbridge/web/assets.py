"""The page's files: those of one folder and no others, read once and kept with their compressed form."""

import asyncio
import gzip
import os
import re
import stat
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from aiohttp import hdrs, web

KEPT_FILE_BYTES = 4 * 1024 * 1024  # what is larger is streamed, and not kept
KEPT_BYTES = 64 * 1024 * 1024  # of all files, compressed ones included
PAGE = "index.html"
LANGUAGES = b'data-languages=""'  # in the page: the server says which there are
LANGUAGE = re.compile(r"([A-Za-z0-9-]+)\.js")
NO_GZIP = re.compile(r"0(\.0*)?")
TEXTS = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".mjs": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".webmanifest": "application/manifest+json",
}
OTHERS = {".ico": "image/x-icon", ".png": "image/png", ".woff2": "font/woff2"}

Stamp = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Form:
    """A file's content as it is sent. `etag` tells it from every other content and form."""

    body: bytes
    headers: dict[str, str]

    @property
    def etag(self) -> str:
        return self.headers[hdrs.ETAG]


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it was when its `stamp` was taken. `small` is None where compressing would gain nothing."""

    stamp: Stamp
    plain: Form
    small: Form | None

    @property
    def size(self) -> int:
        return len(self.plain.body) + (len(self.small.body) if self.small else 0)


class Assets:
    """The regular files below a folder. Links are not followed and hidden files are not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: OrderedDict[str, Asset] = OrderedDict()  # those used last stand last
        self._reading = asyncio.Lock()  # one at a time: many who ask for the same do not read it many times

    async def answer(self, request: web.Request, name: str) -> web.StreamResponse:
        """The file of that name, "css/tokens.css". Raises HTTPNotFound."""
        path = self._folder / name
        status = self._status(name)
        if status.st_size > KEPT_FILE_BYTES:
            headers = {hdrs.CONTENT_TYPE: content_type(name), hdrs.CACHE_CONTROL: "no-cache"}
            return web.FileResponse(path, headers=headers)
        asset = await self._asset(name, path, status)
        form = asset.small if asset.small and takes_gzip(request) else asset.plain
        if is_known(request, form.etag):
            return web.Response(status=304, headers=form.headers)
        return web.Response(body=form.body, headers=form.headers)

    def _status(self, name: str) -> os.stat_result:
        """Of the file itself. Raises HTTPNotFound, with the same words whether there is something outside or not."""
        parts = name.split("/")
        path = str(self._folder)
        status = None
        for number, part in enumerate(parts, 1):
            if not part or part.startswith(".") or "\\" in part:
                raise web.HTTPNotFound
            path = f"{path}/{part}"
            try:
                status = os.lstat(path)  # blocks for some microseconds: these files were just read, or are kept
            except (OSError, ValueError):
                raise web.HTTPNotFound from None
            wanted = stat.S_ISREG if number == len(parts) else stat.S_ISDIR
            if not wanted(status.st_mode):
                raise web.HTTPNotFound
        assert status is not None
        return status

    async def _asset(self, name: str, path: Path, status: os.stat_result) -> Asset:
        languages = self.languages() if name == PAGE else ""
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino, languages)
        kept = self._kept.get(name)
        if kept is None or kept.stamp != stamp:
            async with self._reading:
                kept = self._kept.get(name)
                if kept is None or kept.stamp != stamp:
                    try:
                        kept = await asyncio.to_thread(read, path, stamp, languages)
                    except FileNotFoundError:  # gone since
                        raise web.HTTPNotFound from None
                    self._keep(name, kept)
        self._kept.move_to_end(name)
        return kept

    def _keep(self, name: str, asset: Asset) -> None:
        self._kept[name] = asset
        while sum(each.size for each in self._kept.values()) > KEPT_BYTES and len(self._kept) > 1:
            self._kept.popitem(last=False)

    def languages(self) -> str:
        """Those that the page has words for."""
        try:
            found = [LANGUAGE.fullmatch(path.name) for path in (self._folder / "js" / "i18n").iterdir()]
        except OSError:
            found = []
        return " ".join(sorted(match[1] for match in found if match)) or "en"


ASSETS = web.AppKey("assets", Assets)


def add_asset_routes(app: web.Application, folder: Path) -> None:
    app[ASSETS] = Assets(folder)
    app.router.add_get("/", page)
    app.router.add_get("/sw.js", service_worker)
    app.router.add_get("/static/{name:(?s:.*)}", asset)


async def page(request: web.Request) -> web.StreamResponse:
    return await request.app[ASSETS].answer(request, PAGE)


async def service_worker(request: web.Request) -> web.StreamResponse:
    """Here and not below /static: a service worker is for the paths below its own."""
    return await request.app[ASSETS].answer(request, "sw.js")


async def asset(request: web.Request) -> web.StreamResponse:
    return await request.app[ASSETS].answer(request, request.match_info["name"])


def read(path: Path, stamp: Stamp, languages: str) -> Asset:
    body = path.read_bytes()
    if languages:
        body = body.replace(LANGUAGES, LANGUAGES.replace(b'""', f'"{languages}"'.encode()), 1)
    etag = sha256(body).hexdigest()[:32]
    headers: dict[str, str] = {
        hdrs.CONTENT_TYPE: content_type(path.name),
        hdrs.CACHE_CONTROL: "no-cache",  # revalidated: an update must not mix with old files
        hdrs.VARY: hdrs.ACCEPT_ENCODING,
    }
    plain = Form(body, {**headers, hdrs.ETAG: f'"{etag}"'})
    small = gzip.compress(body, mtime=0) if path.suffix in TEXTS else body
    if len(small) >= len(body):
        return Asset(stamp, plain, None)
    return Asset(stamp, plain, Form(small, {**headers, hdrs.ETAG: f'"{etag}-gzip"', hdrs.CONTENT_ENCODING: "gzip"}))


def content_type(name: str) -> str:
    ending = Path(name).suffix
    if ending in TEXTS:
        return f"{TEXTS[ending]}; charset=utf-8"
    return OTHERS.get(ending, "application/octet-stream")


def takes_gzip(request: web.Request) -> bool:
    for each in request.headers.get(hdrs.ACCEPT_ENCODING, "").lower().split(","):
        coding, _, quality = each.partition(";")
        if coding.strip() == "gzip":
            return not NO_GZIP.fullmatch(quality.partition("=")[2].strip())
    return False


def is_known(request: web.Request, etag: str) -> bool:
    """Whether the client has this very form already."""
    known = request.headers.get(hdrs.IF_NONE_MATCH, "")
    return any(each.strip().removeprefix("W/") in (etag, "*") for each in known.split(","))
