"""Counts attempts to reach anything beyond this machine, so that "nothing leaves the house" can be looked up.

An audit hook sees what Python does, not native code; the test without a network is the proof for that.
"""

import logging
import sys
from ipaddress import IPv6Address, ip_address
from typing import Any

logger = logging.getLogger(__name__)

_attempts = 0  # of the process, as the hook is: it cannot be removed


def watch() -> None:
    """Count from now on, for the life of the process."""
    sys.addaudithook(_notice)


def attempts() -> int:
    return _attempts


def _notice(event: str, args: tuple[Any, ...]) -> None:
    if not event.startswith("socket."):
        return
    match event:
        case "socket.connect" | "socket.sendto" | "socket.sendmsg":
            address = args[1]
        case "socket.getnameinfo":
            address = args[0]
        case "socket.getaddrinfo" | "socket.gethostbyname" | "socket.gethostbyaddr":
            address = args[:1]
        case _:
            return
    # Unix sockets have no tuple, netlink numbers in it; None is a socket's own peer, or this machine
    target = address[0] if isinstance(address, tuple) else None
    if isinstance(target, str | bytes) and not stays_here(target):
        global _attempts
        _attempts += 1
        logger.warning("an attempt to leave this machine", extra={"event": event, "target": str(target)[:200]})


def stays_here(host: str | bytes) -> bool:
    name = (host.decode("ascii", "replace") if isinstance(host, bytes) else host).lower()
    if name in ("localhost", ""):
        return True
    try:
        address = ip_address(name.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    return address.is_loopback or address.is_unspecified
