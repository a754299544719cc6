"""ICE servers whose credentials end: asked for as visitors come, and kept while they are good."""

import asyncio
import base64
import hashlib
import hmac
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias
from urllib.parse import quote

from .transport.ice import IceOptions, Server, parse_server

logger = logging.getLogger("rtcstream")

Call: TypeAlias = Callable[[str | None], Awaitable[Iterable[str | Mapping[str, Any]]]]
"""Gives the servers of a visitor by its identity (None for whom nobody asked who it is)."""
CALL_TIMEOUT = 5.0
"""Seconds that the call may take; the visitor waits for it."""
RETRY = 5.0
"""Seconds until a call that failed is tried again."""
MOST = 1000
"""Visitors whose servers are kept."""


@dataclass
class Kept:
    servers: tuple[Server, ...]
    given: float


class IceServers:
    """Servers that an async function gives, good for ``ttl`` seconds.

    ``call`` gets the visitor's identity and returns what ``ice_servers`` may be; it is called once
    for all who ask meanwhile. What it gave is given for half of ``ttl``, so that a visitor can use
    it for the other half. When it fails, what is still good is used; when nothing is, the visitor
    connects without servers, ``stream.json`` says ``"iceServersFailed": true``, the log why, and it
    is called again after 5 s. Raises ValueError for a ``ttl`` under 1.
    """

    def __init__(
        self, call: Call, *, ttl: float = 3600.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if not ttl >= 1:
            raise ValueError(f"a ttl is 1 second or more, not {ttl!r}")
        self._call = call
        self._ttl = ttl
        self._clock = clock
        self._kept: OrderedDict[str | None, Kept] = OrderedDict()
        self._asking: dict[str | None, asyncio.Task[tuple[Server, ...] | None]] = {}
        self._failed: OrderedDict[str | None, float] = OrderedDict()

    @classmethod
    def of_secret(cls, urls: Iterable[str], secret: str, *, ttl: float = 86_400.0) -> "IceServers":
        """TURN servers that share a secret with us: coturn's ``use-auth-secret``.

        ``urls`` are ``turn:host:3478`` and the like. The user name is ``EXPIRY:IDENTITY``, the
        password base64(HMAC-SHA1(secret, user name)) (draft-uberti-behave-turn-rest-00), good for
        ``ttl`` seconds. Raises ValueError.
        """
        kept = [parse_server(url, credentials=False) for url in urls]
        if not secret or not kept:
            raise ValueError("a TURN secret needs a TURN server without user and password")

        async def sign(identity: str | None) -> list[Server]:
            return [
                server
                if str(server["urls"]).startswith("stun")
                else server | credentials(secret, identity, time.time() + ttl)
                for server in kept
            ]

        return cls(sign, ttl=ttl)

    async def servers(self, identity: str | None) -> tuple[Server, ...] | None:
        """A visitor's servers; None when they cannot be had now."""
        kept = self._kept.get(identity)
        age = self._clock() - kept.given if kept is not None else self._ttl
        if kept is not None and age < self._ttl / 2:
            return kept.servers
        failed = self._failed.get(identity)
        if failed is None or self._clock() - failed >= RETRY:
            asking = self._asking.get(identity)
            if asking is None:
                asking = self._asking[identity] = asyncio.create_task(self._ask(identity))
                asking.add_done_callback(lambda _: self._asking.pop(identity, None))
            fresh = await asyncio.shield(asking)  # others wait for it, too
            if fresh is not None:
                return fresh
        return kept.servers if kept is not None and age < self._ttl else None

    async def _ask(self, identity: str | None) -> tuple[Server, ...] | None:
        given = self._clock()
        try:
            async with asyncio.timeout(CALL_TIMEOUT):
                servers = IceOptions.of(await self._call(identity)).servers
        except Exception as error:
            # The words of some errors carry what was sent, which may be a secret: not on the page.
            logger.error("the ICE servers could not be had: %r", error, exc_info=error)
            _remember(self._failed, identity, given)
            return None
        self._failed.pop(identity, None)
        _remember(self._kept, identity, Kept(servers, given))
        return servers


def credentials(secret: str, identity: str | None, expires: float) -> dict[str, str]:
    """A user name and password of coturn's REST API, good until a Unix time in seconds."""
    username = f"{int(expires)}:{quote(identity or 'visitor', safe='@')}"
    mac = hmac.digest(secret.encode(), username.encode(), hashlib.sha1)
    return {"username": username, "credential": base64.b64encode(mac).decode()}


def ice_options(
    servers: Iterable[str | Mapping[str, Any]] | Call | IceServers, secret: str | None = None
) -> IceOptions:
    """What ``ice_servers`` of a server may be. Raises ValueError."""
    if isinstance(servers, IceServers):
        return IceOptions(source=servers)
    if callable(servers):
        return IceOptions(source=IceServers(servers))
    if secret is None:
        return IceOptions.of(servers)
    urls = list(servers)
    if not all(isinstance(url, str) for url in urls):
        raise ValueError("with a TURN secret, name the servers as text, such as turn:HOST:PORT")
    return IceOptions(source=IceServers.of_secret([str(url) for url in urls], secret))


async def resolved(ice: IceOptions, identity: str | None) -> IceOptions | None:
    """The options with a visitor's servers in them; None when these cannot be had now."""
    if ice.source is None:
        return ice
    servers = await ice.source.servers(identity)
    return None if servers is None else replace(ice, servers=servers, source=None)


def _remember(where: OrderedDict[str | None, Any], identity: str | None, what: Any) -> None:
    where[identity] = what
    where.move_to_end(identity)
    if len(where) > MOST:
        where.popitem(last=False)
