"""One file of known size and sha256 over HTTP, going on where an earlier try stopped. Knows nothing of models.

Part of set-up, never of the running server.
"""

import http.client
import os
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path

from neuralbridge.catalog.weights import sha256_of
from neuralbridge.errors import BridgeError

TRIES = 5  # in a row, none of them getting further than the ones before
SILENCE_SECONDS = 60
CHUNK_BYTES = 1 << 16

Heard = Callable[[int], None]
Pause = Callable[[float], None]


class DownloadFailed(BridgeError):
    """The file did not arrive; what did arrive is kept, unless it was wrong."""


class NotServed(DownloadFailed):
    """The server gave us nothing at all: no permission, no trusted certificate, no connection, no such file."""


class _Lost(Exception):
    """The connection ended before the file did; worth another try."""


class _NoSuchPart(_Lost):
    """The server's file ends before the place we asked for, so what we have is of another file."""


def download(url: str, part: Path, *, size: int, sha256: str, heard: Heard, pause: Pause = time.sleep) -> None:
    """Makes `part` that file, starting from the bytes already in it; `heard` is told how many there are."""
    went_on = _bring(url, part, size, heard, pause)
    found = sha256_of(part)
    if found != sha256 and went_on:
        # Bytes of two different files, or of a disk that lost power: once more from the first byte.
        part.unlink()
        _bring(url, part, size, heard, pause)
        found = sha256_of(part)
    if found != sha256:
        part.unlink()
        raise DownloadFailed(f"{url} has the sha256 {found}; the catalogue says {sha256}.")


def _bring(url: str, part: Path, size: int, heard: Heard, pause: Pause) -> bool:
    """Fills `part` up to `size` bytes; true when they come from more than one answer of the server."""
    furthest = _length(part)
    if furthest > size:
        part.unlink()
        furthest = 0
    went_on, tries = furthest > 0, 0
    while (present := _length(part)) < size:
        try:
            for grown in _answer(url, part, present, size):
                heard(grown)
        except _Lost as error:
            if isinstance(error, _NoSuchPart):
                part.unlink()
            present = _length(part)
            went_on = went_on or present > 0
            tries = 1 if present > furthest else tries + 1
            furthest = max(furthest, present)
            if tries == TRIES:
                reason = f"{url} ended at {furthest:,} of {size:,} bytes, {tries} times: {error}."
                raise (DownloadFailed if furthest else NotServed)(reason) from error
            pause(2**tries)
    return went_on


def _answer(url: str, part: Path, present: int, size: int) -> Iterator[int]:
    """Adds what one answer of the server brings; yields the length of `part` as it grows."""
    request = urllib.request.Request(url, headers={"Accept-Encoding": "identity", "User-Agent": "neuralbridge-setup"})
    if present:
        request.add_header("Range", f"bytes={present}-")
    with _open(request) as response:
        begins_at = _begin(response)
        if begins_at not in (0, present):
            raise _Lost(f"asked for byte {present:,}, the server began at {begins_at:,}")
        # Written at its place rather than appended: a server that ignores Range starts the file anew.
        with part.open("r+b" if part.exists() else "wb") as file:
            file.truncate(begins_at)
            file.seek(begins_at)
            while begins_at < size and (chunk := _read(response, min(CHUNK_BYTES, size - begins_at))):
                file.write(chunk)
                begins_at += len(chunk)
                yield begins_at
    if begins_at < size:
        raise _Lost("the connection closed")


def _open(request: urllib.request.Request) -> http.client.HTTPResponse:
    opener = urllib.request.build_opener(
        urllib.request.HTTPSHandler(context=_trust()), urllib.request.ProxyHandler(_proxies())
    )
    try:
        response: http.client.HTTPResponse = opener.open(request, timeout=SILENCE_SECONDS)
    except urllib.error.HTTPError as error:
        reason = f"{request.full_url} answered {error.code} {error.reason}"
        match error.code:
            case HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise _NoSuchPart(reason) from error
            case HTTPStatus.TOO_MANY_REQUESTS | 500 | 502 | 503 | 504:
                raise _Lost(reason) from error
            case _:
                raise NotServed(reason) from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise NotServed(f"{request.full_url}: {error.reason.verify_message}") from error
        raise _Lost(str(error.reason)) from error
    except (OSError, http.client.HTTPException) as error:
        raise _Lost(str(error) or type(error).__name__) from error
    return response


def _read(response: http.client.HTTPResponse, limit: int) -> bytes:
    try:
        return response.read(limit)
    except (OSError, http.client.HTTPException) as error:
        raise _Lost(str(error) or type(error).__name__) from error


def _begin(response: http.client.HTTPResponse) -> int:
    """The place in the file of the answer's first byte."""
    if response.status != HTTPStatus.PARTIAL_CONTENT:
        return 0
    given = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    if given is None:
        raise _Lost("the server sent a part without saying which")
    return int(given[1])


def _length(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _trust() -> ssl.SSLContext:
    """The certificates that pip is told to trust, in pip's order; otherwise the machine's (and SSL_CERT_FILE)."""
    for name in ("PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if place := os.environ.get(name):
            bundle = Path(place)
            return ssl.create_default_context(
                cafile=str(bundle) if bundle.is_file() else None, capath=str(bundle) if bundle.is_dir() else None
            )
    return ssl.create_default_context()


def _proxies() -> dict[str, str]:
    """The proxies of the environment, and the one pip is told to use."""
    if proxy := os.environ.get("PIP_PROXY"):
        return {"http": proxy, "https": proxy}
    return urllib.request.getproxies()
