"""The `Origin` rule: which web pages may use this server, and the CORS headers for them."""

import re
from collections.abc import Mapping, Sequence

from aiohttp import web

from .problem import Problem

ORIGIN = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<authority>[^/?#@:\s][^/?#@\s]*)", re.I)
DEFAULT_PORTS = {"http": ":80", "https": ":443"}

EXPOSED = "Location, ETag, Link, Retry-After, Accept-Patch"


def without_default_port(scheme: str, authority: str) -> str:
    return authority.strip().lower().removesuffix(DEFAULT_PORTS.get(scheme.lower(), ""))


def normalized(origin: str) -> str:
    """Return an origin in the form that browsers send (RFC 6454 section 6.2).

    Raises `ValueError` for what is not `scheme://host[:port]`.
    """
    match = ORIGIN.fullmatch(origin.strip().removesuffix("/"))
    if match is None:
        raise ValueError(
            f"{origin!r} is not an origin: write a scheme, a host and a port if it is not the "
            "usual one, such as https://example.com or http://localhost:3000, or * for all"
        )
    scheme, authority = match["scheme"], match["authority"]
    return f"{scheme.lower()}://{without_default_port(scheme, authority)}"


class Origins:
    """Admits our own pages, clients that are no pages, and pages of the `allowed` origins."""

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        self._all = "*" in allowed
        self._allowed = {normalized(origin) for origin in allowed if origin != "*"}

    def check(self, headers: Mapping[str, str]) -> None:
        """Raise `Problem` (403) if the request comes from a page of a foreign origin."""
        origin = headers.get("Origin")
        if origin is None or self._is_own(origin, headers) or self._is_allowed(origin):
            return
        name = "*" if origin == "null" else origin if ORIGIN.fullmatch(origin) else "ORIGIN"
        raise Problem(
            403,
            "Origin not allowed",
            f"Pages from {origin[:300]!a} may not use this server. To allow them, start it "
            f"with --cors-origin {ascii(name[:300])[1:-1]}.",
        )

    def response_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the CORS headers that an answer to a request with these headers needs."""
        if not (self._all or self._allowed):
            return {}
        origin = headers.get("Origin")
        # The answer differs by origin even where there is none: caches must know.
        vary = {"Vary": "Origin"}
        if origin is None or not self._is_allowed(origin):
            return vary
        return vary | {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": EXPOSED,
        }

    def _is_allowed(self, origin: str) -> bool:
        if self._all:
            return True
        try:
            return normalized(origin) in self._allowed
        except ValueError:  # "null": sandboxed frames and file: pages, of whoever
            return False

    @staticmethod
    def _is_own(origin: str, headers: Mapping[str, str]) -> bool:
        # Browsers write Sec-Fetch-Site; scripts cannot (it is a forbidden header name).
        if headers.get("Sec-Fetch-Site") == "same-origin":
            return True
        match = ORIGIN.fullmatch(origin)
        if match is None:
            return False
        # Of a proxy that rewrites Host and is trusted, `Proxies` has put the browser's back here.
        scheme, host = match["scheme"], headers.get("Host", "")
        return without_default_port(scheme, match["authority"]) == without_default_port(
            scheme, host
        )


SAME_ORIGIN = Origins()
CORS_ORIGINS = web.AppKey("rtcstream_cors_origins", Origins)
"""Who else may use an application, and those mounted in it; nobody (`SAME_ORIGIN`) without it."""


def origins_of(request: web.Request) -> Origins:
    """The rule of the innermost application that a request is for, wherever it is asked."""
    for app in reversed(request.match_info.apps):
        if CORS_ORIGINS in app:
            return app[CORS_ORIGINS]
    return SAME_ORIGIN
