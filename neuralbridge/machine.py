"""The names and addresses that this machine has on its networks."""

import platform
import re
from ipaddress import IPv4Address, IPv6Address, ip_address

import ifaddr

Address = IPv4Address | IPv6Address
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")  # RFC 1123


def url_of(host: str, port: int, encrypted: bool) -> str:
    """The address of a server that listens there."""
    return f"http{'s' if encrypted else ''}://{f'[{host}]' if ':' in host else host}:{port}"


def names() -> list[str]:
    """The name of this machine, and the one it has in mDNS; none where it has no name that a host may have."""
    name = platform.node().lower().rstrip(".")
    first = name.partition(".")[0]
    if not all(LABEL.fullmatch(label) for label in name.split(".")):
        return []
    return list(dict.fromkeys([name, f"{first}.local"]))


def addresses(host: str) -> list[Address]:
    """Where a server that listens on `host`, an address, is reached from other machines.

    Those of a link alone (fe80::) are left out: they mean nothing without the name of an interface.
    """
    listening = ip_address(host)
    if listening.is_loopback:
        return []
    if not listening.is_unspecified:
        return [listening]
    own = [
        ip_address(each.ip if isinstance(each.ip, str) else each.ip[0])
        for adapter in ifaddr.get_adapters()
        for each in adapter.ips
    ]
    found = [each for each in own if not each.is_loopback and not (each.version == 6 and each.is_link_local)]
    # A socket of IPv6 is one of IPv6 alone: asyncio sees to that
    return sorted({each for each in found if each.version == listening.version}, key=int)
