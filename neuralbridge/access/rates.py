"""How often somebody may do something, counted in memory over a sliding window."""

import math
import time
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from neuralbridge.errors import RateLimited
from neuralbridge.sections import Limits

RATES = ("failed_sign_ins", "requests", "messages", "uploads", "erasures")
HOME_BITS = 64  # of an IPv6 address: the rest is its owner's to choose


class Rates:
    """The rates of `limits`, by the name of the setting."""

    def __init__(self, limits: Limits) -> None:
        self._counter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._rates: dict[str, RateLimitItem] = {name: parse(getattr(limits, name)) for name in RATES}

    def count(self, name: str, who: str) -> None:
        """Count one more of `who`. Raises RateLimited when there were too many of late."""
        rate = self._rates[name]
        if not self._counter.hit(rate, name, who):
            wait = self._counter.get_window_stats(rate, name, who).reset_time - time.time()
            seconds = max(1, math.ceil(wait))
            told = f"{rate.amount:,} {name.replace('_', ' ')} per {rate.GRANULARITY.name} are allowed"
            raise RateLimited(f"{told}; try again in {seconds} s.", seconds * 1000)


def address_of(peer: str) -> str:
    """An address as rates count it: mapped IPv4 as IPv4, and IPv6 by the network that its owner has."""
    try:
        address: IPv4Address | IPv6Address = ip_address(peer.partition("%")[0])
    except ValueError:
        return peer  # of a Unix socket
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ip_network((address, HOME_BITS), strict=False).network_address)
    return str(address)


def is_loopback(peer: str) -> bool:
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return True  # of a Unix socket
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback
