"""Counts attempts to reach anything beyond this machine, so that "nothing leaves the house" can be looked up.

An audit hook sees what Python does, not native code; the test without a network is the proof for that.
"""

import logging
import sys
from ipaddress import ip_address
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
            target = args[1][0] if isinstance(args[1], tuple) else None  # no tuple: a Unix socket, or no address
        case "socket.getaddrinfo" | "socket.gethostbyname":
            target = args[0]
        case _:
            return
    if target is not None and not stays_here(target):
        global _attempts
        _attempts += 1
        logger.warning("an attempt to leave this machine", extra={"event": event, "target": str(target)[:200]})


def stays_here(host: Any) -> bool:
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    if name in ("localhost", ""):
        return True
    try:
        return ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return False
