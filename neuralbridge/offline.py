"""Counts attempts to reach anything beyond this machine, so that "nothing leaves the house" can be looked up.

An audit hook sees what Python does, not native code; the test without a network is the proof for that. Where the
server was told to make its name known on the LAN, what it says there by mDNS is no attempt.
"""

import logging
import sys
from ipaddress import IPv6Address, ip_address
from typing import Any

logger = logging.getLogger(__name__)

MDNS_PORT = 5353  # datagrams from it are mDNS, RFC 6762
MDNS_GROUPS = {ip_address("224.0.0.251"), ip_address("ff02::fb")}  # routers pass neither on

_attempts = 0  # of the process, as the hook is: it cannot be removed
_mdns = False


def watch() -> None:
    """Count from now on, for the life of the process."""
    sys.addaudithook(_notice)


def attempts() -> int:
    return _attempts


def answer_mdns() -> None:
    """From now on, what mDNS says on the LAN is what was asked for."""
    global _mdns
    _mdns = True


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
    if isinstance(target, str | bytes) and not stays_here(target) and not (_mdns and is_mdns(event, args[0], target)):
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


def is_mdns(event: str, sender: Any, target: str | bytes) -> bool:
    """Whether this is a datagram of our responder to all of the LAN, or its answer to somebody there."""
    if event not in ("socket.sendto", "socket.sendmsg") or sender.getsockname()[1] != MDNS_PORT:
        return False
    name = target.decode("ascii", "replace") if isinstance(target, bytes) else target
    address = ip_address(name.partition("%")[0])
    return address in MDNS_GROUPS or address.is_link_local or address.is_private
