"""What is decided before a socket opens (phoenix-protocol.md 1): version, parameters, token, origin, host. Pure."""

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

TOKEN_PROTOCOL = "base64url.bearer.phx."  # noqa: S105  # the prefix of a subprotocol's name
TOKEN_HEADERS = ("x-auth-token", "x-api-key", "x-phoenix-authtoken")  # the last is what phoenix.js sends to LongPoll
SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", re.ASCII)
HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s\[\]/?#@%:\\]+)(:\d{0,5})?", re.ASCII)  # no more than a name and a port
BRACKETED = re.compile(r"\[[^\[\]]*\](:\d*)?", re.ASCII)
DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
ABSENT = ("", "undefined", "null")  # what JavaScript clients make of a missing parameter


class Refused(Exception):
    """No socket; `status` is the HTTP status that says why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a client said of itself. Without configured authentication the token is not looked at."""

    version: int
    user_id: str | None
    token: str | None


def greet(query: Iterable[tuple[str, str]], protocols: list[str], headers: dict[str, str]) -> Greeting:
    """Read a socket's query string, offered subprotocols and headers (lower-case names). Raises Refused."""
    params = dict(query)  # of a repeated name the last one counts
    nested = {name.partition("[")[0] for name in params if "[" in name}
    token = token_of(protocols) or present(params.get("auth_token"))
    token = token or next((headers[name] for name in TOKEN_HEADERS if headers.get(name)), None)
    version = version_of("" if "vsn" in nested else params.get("vsn"))
    if "user_id" in nested or "auth_token" in nested:
        raise Refused(400, "user_id and auth_token are plain parameters")
    return Greeting(version, present(params.get("user_id")), token)


def version_of(vsn: str | None) -> int:
    """The serializer for a `vsn`; none means 1.0.0. Raises Refused."""
    match = SEMVER.fullmatch("1.0.0" if vsn is None else vsn)
    if match is None or match[1] not in ("1", "2") or match[2] != "0":
        raise Refused(403, "vsn is not supported")
    return int(match[1])


def token_of(protocols: list[str]) -> str | None:
    """The token that phoenix.js 1.8 puts among the subprotocols: base64 in either alphabet, without padding."""
    offered = [name.removeprefix(TOKEN_PROTOCOL) for name in protocols if name.startswith(TOKEN_PROTOCOL)]
    if len(offered) != 1:
        return None
    padded = offered[0].replace("-", "+").replace("_", "/") + "=" * (-len(offered[0]) % 4)
    try:
        return base64.b64decode(padded, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        raise Refused(403, "the token among the subprotocols cannot be decoded") from None


def present(value: object) -> str | None:
    """A text that says something."""
    return value if isinstance(value, str) and value not in ABSENT else None


@dataclass(frozen=True, slots=True)
class Doors:
    """Who may reach this server: the names it goes by, with its port, and the pages that may talk to it."""

    port: int
    host: str = "127.0.0.1"
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    names: tuple[str, ...] = ()  # of this machine, where others reach it

    def host_is_ours(self, host: str | None, local: str | None = None) -> bool:
        """Whether a Host header names us. A page that rebinds its own name to our address sends that name here.

        `local` is the address of ours that the client came in by: no name was resolved for that one.
        """
        place = split(f"//{host}") if host and HOST.fullmatch(host) else None
        if place is None or place.hostname is None:
            return False
        usual = DEFAULT_PORTS["https"] if self.port == DEFAULT_PORTS["https"] else DEFAULT_PORTS["http"]
        ours = place.hostname in (local, *self.names) or (place.hostname == self.host and not is_any(self.host))
        if host_is_loopback(place.hostname) or ours:
            return (place.port or usual) == self.port
        return any(matches(f"//{allowed}", f"http://{host}") for allowed in self.allowed_hosts)

    def origin_is_welcome(self, origin: str | None, host: str | None) -> bool:
        """Whether a page may connect: ours, one on a loopback origin of any port, or a listed one.

        Programs that are no browsers send no Origin and are let through.
        """
        if origin is None or origin in self.allowed_origins:  # listed word for word: also app://obsidian.md
            return True
        place = split(origin)
        if place is None or not place.hostname or place.scheme not in ("http", "https"):
            return False
        if host_is_loopback(place.hostname) or origin in (f"http://{host}", f"https://{host}"):
            return True
        return any(matches(allowed, origin) for allowed in self.allowed_origins)


def is_any(host: str) -> bool:
    """Whether it stands for all addresses of a machine; browsers take it for this one."""
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False


def host_is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def matches(allowed: str, origin: str) -> bool:
    """Whether an origin fits an entry such as `https://h`, `//h:888`, `//h` or `//*.h`. What is left out fits all."""
    want, have = split(allowed), split(origin)
    if want is None or have is None or not want.hostname or not have.hostname:
        return False
    if want.scheme and want.scheme != have.scheme:
        return False
    port = want.port or DEFAULT_PORTS.get(want.scheme)
    if port and port != (have.port or DEFAULT_PORTS.get(have.scheme)):
        return False
    if want.hostname.startswith("*."):
        return have.hostname == want.hostname[2:] or have.hostname.endswith(want.hostname[1:])
    return have.hostname == want.hostname


def split(url: str) -> SplitResult | None:
    """A URL in its parts, None when it is none; the port is checked too."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    if "[" in parts.netloc and not BRACKETED.fullmatch(parts.netloc):  # urlsplit takes [::1].evil.example for ::1
        return None
    return parts
