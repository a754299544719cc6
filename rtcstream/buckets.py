"""How often, and from whom: token buckets, and the address that each counts for."""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

UNKNOWN = "unknown"
"""What everybody counts for whose address is not known, such as by a Unix socket."""
NETWORK = 64
"""Bits of an IPv6 address that name who has it: one household or machine has all of a /64."""


def account(address: str | None) -> str:
    """Whom an address counts for: itself; of IPv6 its /64, and the IPv4 one that it stands for."""
    try:
        parsed = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return UNKNOWN
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, NETWORK), strict=False))


class Bucket:
    """A token bucket: ``burst`` at once, and then ``rate`` a second."""

    def __init__(
        self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._tokens = burst
        self._at = clock()

    def take(self) -> float:
        """Take a token: 0.0, or the seconds until there is one, and then none is taken."""
        if wait := self.wait():
            return wait
        self._tokens -= 1
        return 0.0

    def wait(self) -> float:
        """Seconds until there is a token; 0.0 if there is one."""
        self._fill()
        return max(0.0, 1 - self._tokens) / self._rate

    def _fill(self) -> None:
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now


class Buckets:
    """A bucket for each name; of those who were not heard for the longest only ``most`` are kept.

    Who is forgotten begins with a full bucket again, so a flood from more names than that is not
    held by this: it is for one, or a few thousand.
    """

    def __init__(
        self,
        rate: float,
        burst: float,
        *,
        most: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate = rate
        self._burst = burst
        self._most = most
        self._clock = clock
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def wait(self, name: str) -> float:
        """As ``Bucket.wait``, of the bucket of that name."""
        bucket = self._buckets.get(name)
        return bucket.wait() if bucket is not None else 0.0

    def take(self, name: str) -> float:
        """As ``Bucket.take``, of the bucket of that name."""
        bucket = self._buckets.pop(name, None) or Bucket(self._rate, self._burst, self._clock)
        self._buckets[name] = bucket
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return bucket.take()
