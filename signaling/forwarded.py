"""What proxies say of the client, believed of those only that are named.

Of addresses that were passed on, the rightmost that is no proxy of ours counts: each proxy appends
whom it saw, so all that stands left of it may be the client's own invention.
"""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from .hosts import host_name
from .problem import Problem

TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
QUOTED = r'"(?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[\t\x20-\x7e])*"'
PAIR = re.compile(rf"[ \t]*(?:({TOKEN})=({TOKEN}|{QUOTED}))?[ \t]*(;|,|$)")  # RFC 7239 section 4
LONGEST = 4096
"""Characters of a header that is read; a chain of proxies takes a few hundred."""
NAMES = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host")

PASSED_ON = web.RequestKey("rtcstream_passed_on", bool)
"""Whether a request says that it was passed on, whoever is believed: `Proxies` takes that away."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Hop:
    """What one proxy says of whom it served; None is what it does not say."""

    address: str | None = None
    scheme: str | None = None
    host: str | None = None


def parse_forwarded(header: str) -> list[Hop]:
    """The hops of a ``Forwarded`` header (RFC 7239), in its order. Raises ValueError."""
    if len(header) > LONGEST:
        raise ValueError(f"Forwarded has more than {LONGEST} characters")
    hops: list[Hop] = []
    pairs: dict[str, str] = {}
    at, separator = 0, ","
    while separator:
        match = PAIR.match(header, at)
        if match is None:
            raise ValueError(f"Forwarded is not of RFC 7239 at character {at}")
        name, value, separator = match.groups()
        at = match.end()
        if name:
            name = name.lower()
            if name in pairs:
                raise ValueError(f"Forwarded says {name!r} twice of one proxy")
            pairs[name] = re.sub(r"\\(.)", r"\1", value[1:-1]) if value[0] == '"' else value
        if separator != ";":
            if pairs:  # an empty element of a list is none (RFC 9110 section 5.6.1)
                hops.append(
                    Hop(parse_node(pairs.get("for", "")), pairs.get("proto"), pairs.get("host"))
                )
            pairs = {}
    return hops


def parse_node(node: str) -> str | None:
    """The address of ``192.0.2.1``, ``192.0.2.1:80``, ``2001:db8::1`` or ``[2001:db8::1]:80``.

    None for anything else: names that hide it ("_secret"), "unknown", and what is none.
    """
    node = node.strip()
    match = re.fullmatch(r"\[([^\[\]]*)\](?::[0-9A-Za-z._-]{1,64})?", node)
    if match is None:
        match = re.fullmatch(r"([0-9.]+):[0-9A-Za-z._-]{1,64}", node)
    try:
        address = ipaddress.ip_address(match[1] if match else node)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def parse_x_forwarded(headers: Mapping[str, Sequence[str]]) -> list[Hop]:
    """The hops of the ``X-Forwarded-`` headers, each given as all its lines.

    Schemes and hosts go with the addresses from the right; many proxies write one only.
    Raises ValueError.
    """
    lists = []
    for name in NAMES[1:]:
        joined = ",".join(headers.get(name, ()))
        if len(joined) > LONGEST:
            raise ValueError(f"{name} has more than {LONGEST} characters")
        lists.append([part.strip() for part in joined.split(",")] if joined else [])
    addresses, schemes, hosts = lists
    hops = []
    if not addresses and (schemes or hosts):  # the nearest proxy tells no more than these
        addresses = [""]
    for back in range(1, len(addresses) + 1):
        # Where each replaces what the last said, there is one for all.
        scheme = schemes[-back] if back <= len(schemes) else schemes[0] if schemes else None
        host = hosts[-back] if back <= len(hosts) else hosts[0] if hosts else None
        hops.append(Hop(parse_node(addresses[-back]), scheme, host))
    return hops[::-1]


class Proxies:
    """The proxies that are believed, by address (``10.0.0.1``) or network (``10.0.0.0/8``).

    Raises ValueError for what is neither.
    """

    def __init__(self, trusted: Sequence[str]) -> None:
        self._networks: list[Network] = []
        for text in trusted:
            try:
                self._networks.append(ipaddress.ip_network(text.strip(), strict=False))
            except ValueError:
                raise ValueError(
                    f"{text!r} is not a proxy's address: write an IP address or a network, such "
                    "as 127.0.0.1 or 10.0.0.0/8"
                ) from None

    def trusts(self, address: str | None) -> bool:
        parsed = parse_node((address or "").partition("%")[0])
        return parsed is not None and any(
            ipaddress.ip_address(parsed) in network for network in self._networks
        )

    def client(self, remote: str | None, headers: Mapping[str, Sequence[str]]) -> Hop:
        """Who a request is of, that came from ``remote`` with these headers, each with all lines.

        All of ``Hop`` is None but the address where nobody is to be believed; where a proxy does
        not tell, or two headers differ, the address is the last that is known: the proxy's own.
        """
        if not self.trusts(remote):
            return Hop(remote)
        try:
            standard = parse_forwarded(",".join(headers.get("Forwarded", ())))
            common = parse_x_forwarded(headers)
        except ValueError:
            return Hop(remote)
        found = [self._first_outside(remote, hops) for hops in (standard, common) if hops]
        # A proxy that writes one of the two passes on what a client writes into the other.
        if len(found) == 2 and found[0].address != found[1].address:
            return Hop(remote)
        return found[-1] if found else Hop(remote)

    def _first_outside(self, remote: str | None, hops: Sequence[Hop]) -> Hop:
        last = Hop(remote)
        for hop in reversed(hops):
            if hop.address is None:  # a proxy of ours hides it: there is no looking behind that
                return Hop(last.address, hop.scheme, hop.host)
            last = hop
            if not self.trusts(hop.address):
                break
        return last

    def middleware(self) -> Middleware:
        """A middleware that gives handlers the request as the client made it: its address, scheme
        and `Host`. What anybody else says of these is left out."""

        @web.middleware
        async def believe(request: web.Request, handler: Handler) -> web.StreamResponse:
            said = {name: request.headers.getall(name) for name in NAMES if name in request.headers}
            client = self.client(request.remote, said)
            if not said:
                return await handler(request)
            headers = request.headers.copy()
            for name in said:
                del headers[name]
            if not_utf8 := [name for name, value in headers.items() if not _is_utf8(value)]:
                return Problem(
                    400,
                    "Header not UTF-8",
                    f"Send the header {not_utf8[0]!r} as ASCII, or as UTF-8.",
                ).response()  # aiohttp could not make the request below
            if client.host and _is_utf8(client.host) and host_name(client.host):
                headers["Host"] = client.host
            scheme = (client.scheme or "").lower()
            made = request.clone(
                headers=headers,
                scheme=scheme if scheme in ("http", "https") else request.scheme,
                remote=client.address or "",
            )
            made[PASSED_ON] = True
            return await handler(made)

        return believe


def _is_utf8(value: str) -> bool:
    """Whether a header was UTF-8: of others, aiohttp gives lone surrogates (PEP 383)."""
    return not any("\ud800" <= character <= "\udfff" for character in value)
