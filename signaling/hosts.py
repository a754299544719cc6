"""The `Host` rule: which names this server answers to, against DNS rebinding."""

import ipaddress
import re
from collections.abc import Sequence

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from .problem import Problem

AUTHORITY = re.compile(r"(?:[a-z][a-z0-9+.-]*://)?(\[[^\[\]]*\]|[^\[\]:/@\s]+)(?::\d*)?", re.I)


def host_name(authority: str) -> str:
    """Return the lower-case host of `host`, `host:port` or `scheme://host:port`.

    The brackets of an IPv6 address are dropped. Anything else gives "", which is no host.
    """
    match = AUTHORITY.fullmatch(authority.strip())
    return match[1].strip("[]").rstrip(".").lower() if match else ""


def is_local_name(host: str) -> bool:
    """Tell whether no public DNS record can have brought a browser here by this name."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def trusted_hosts(hosts: Sequence[str]) -> Middleware:
    """Return a middleware that refuses requests for a host name that is not ours.

    A page of `evil.example` whose DNS record changes to 127.0.0.1 is of the same origin
    as this server in the browser's eyes; only the `Host` header still gives it away.
    Addresses and localhost are always accepted, other names if they are in `hosts`:
    names or origins, their ports ignored; "*" accepts all.
    """
    known = {host_name(host) for host in hosts} - {""}

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        # Only a browser can be rebound, and a browser always sends Host.
        header = request.headers.get("Host")
        host = host_name(header or "")
        if header is None or "*" in known or host in known or is_local_name(host):
            return await handler(request)
        return Problem(
            403,
            "Host not known",
            f"This server does not know itself as {header[:300]!a}. Open it by its IP "
            f"address, or start it with --cors-origin https://{ascii(host[:300])[1:-1] or 'NAME'}.",
        ).response()

    return check
