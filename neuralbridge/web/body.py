"""The body of a request while it comes: in plain bytes, and at a pace. Whatever reads it hears when that fails."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import hdrs, web

from neuralbridge.errors import BodyTooSlow, EncodingRefused
from neuralbridge.sections import Limits

LOOKS = 10  # at the body, in the time that it may stand still


def refuse_encoded(request: web.Request) -> None:
    """A few compressed bytes may be a thousand times as many. Raises EncodingRefused."""
    encoding = request.headers.get(hdrs.CONTENT_ENCODING, "identity").strip()
    if encoding.lower() not in ("identity", ""):
        raise EncodingRefused(f"The body must not be compressed, as Content-Encoding says: {encoding[:60]!r}.")


@contextmanager
def arriving(request: web.Request, limits: Limits) -> Iterator[None]:
    """Within, whoever reads the body gets BodyTooSlow when its sender is."""
    if request.content.is_eof():
        yield
        return
    pace = Pace(request, limits)
    try:
        yield
    finally:
        pace.stop()


class Pace:
    """Looks at a body now and then. Time counts while we would take more of it, and only as often as we look: neither
    a reader of ours that is slow nor a loop that stood still is the sender's fault.
    """

    def __init__(self, request: web.Request, limits: Limits) -> None:
        self._content = request.content
        self._transport = request.transport
        self._limits = limits
        self._seconds = limits.body_idle_seconds / LOOKS
        self._seen = 0
        self._still = 0.0
        self._whole = 0.0
        self._content.on_eof(self.stop)
        self._wait()

    def stop(self) -> None:
        self._next.cancel()

    def _wait(self) -> None:
        self._next = asyncio.get_running_loop().call_later(self._seconds, self._look)

    def _look(self) -> None:
        if self._transport is not None and self._transport.is_reading():
            came = self._content.total_bytes - self._seen
            self._still = 0.0 if came else self._still + self._seconds
            self._whole += self._seconds
        self._seen = self._content.total_bytes
        if why := self._too_slow():
            self._content.set_exception(BodyTooSlow(why))
        else:
            self._wait()

    def _too_slow(self) -> str | None:
        limits = self._limits
        if self._still >= limits.body_idle_seconds:
            return f"Nothing of the body came for {limits.body_idle_seconds:g} seconds."
        allowed = limits.body_seconds + self._seen / limits.body_bytes_per_second
        if self._whole >= allowed:
            return f"The body was not whole after {allowed:.1f} seconds, with {self._seen:,} bytes of it here."
        return None
