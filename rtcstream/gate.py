"""Who is still let in: requests and sessions of an address, and sessions not connected yet."""

import logging
import math
from collections import Counter
from typing import Any, Protocol

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from .buckets import Buckets, account
from .limits import Limits
from .signaling import Problem, origins_of
from .types import Peer
from .uploads import Quota

logger = logging.getLogger("rtcstream")

COUNTED = web.RequestKey("rtcstream_counted", bool)
BEHIND_A_PROXY = (
    "If all visitors come by one proxy, start the server with --trusted-proxy and its address."
)


class Guest(Protocol):
    """What a gate needs of a session."""

    id: str
    peer: Peer
    given_up: bool

    @property
    def checked(self) -> bool:
        """Whether a valid STUN check has come from its peer."""

    def end_soon(self, reason: str, lost: bool = False) -> None: ...

    def once(self, event: str, f: Any) -> Any: ...


class Gate:
    """A server's count of what it has; all of its streams share one."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.given_up = 0
        """Half-open sessions that made room for others."""
        self._posts = Buckets(limits.posts, limits.post_burst)
        self._sessions: Counter[str] = Counter()
        self._half_open: dict[str, Guest] = {}
        self._places: Counter[str] = Counter()
        self.files = Quota(limits.files * 1_000_000)
        """What visitors have uploaded."""

    def __len__(self) -> int:
        return self._sessions.total()

    @property
    def half_open(self) -> int:
        return len(self._half_open)

    def count_post(self, address: str | None) -> None:
        """Count a POST request. Raises Problem (429)."""
        if wait := self._posts.take(account(address)):
            seconds = math.ceil(wait)
            raise Problem(
                429,
                "Too many requests",
                f"Your address may send {self.limits.posts:g} POST requests a second: wait "
                f"{seconds} s. {BEHIND_A_PROXY}",
                {"Retry-After": str(seconds)},
            )

    def admit(self, address: str | None, instead: Guest | None = None) -> None:
        """Make room for a session of this address, in place of one that it ends with.
        Raises Problem: 429, or 503 for a full server.

        When too many are half-open, one that no valid check has come for is given up: the oldest
        of the address that has the most of these, so that who sends bad offers displaces his own.
        """
        same = instead is not None and account(instead.peer.address) == account(address)
        if self._sessions[account(address)] - same >= self.limits.sessions:
            raise Problem(
                429,
                "Too many sessions",
                f"Your address has {self.limits.sessions} sessions: end one of them first. "
                f"{BEHIND_A_PROXY}",
                {"Retry-After": "5"},
            )
        half_open = len(self._half_open) - (instead is not None and instead.id in self._half_open)
        if half_open < self.limits.half_open:
            return
        unchecked = [guest for guest in self._half_open.values() if not guest.checked]
        if not unchecked:
            raise Problem(
                503,
                "Too many visitors at once",
                "Others are just connecting: try again in a moment.",
                {"Retry-After": "2"},
            )
        held = Counter(account(guest.peer.address) for guest in unchecked)
        oldest = max(unchecked, key=lambda guest: held[account(guest.peer.address)])
        self._half_open.pop(oldest.id)
        self.given_up += 1
        oldest.given_up = True
        oldest.end_soon("it had not connected when others came", lost=True)

    def enter_line(self, address: str | None) -> None:
        """Count a place in line, until ``leave_line``. Raises Problem (429)."""
        name = account(address)
        if self._places[name] >= self.limits.places:
            raise Problem(
                429,
                "Too many in line",
                f"Your address has {self.limits.places} places in line: leave one of them first. "
                f"{BEHIND_A_PROXY}",
                {"Retry-After": "5"},
            )
        self._places[name] += 1

    def leave_line(self, address: str | None) -> None:
        """The place, and what was given for it, is no more."""
        name = account(address)
        self._places[name] -= 1
        if not self._places[name]:
            del self._places[name]

    def enter(self, session: Guest) -> None:
        """Count a session that was admitted just now, until it says "closed"."""
        name = account(session.peer.address)
        self._sessions[name] += 1
        self._half_open[session.id] = session

        def leave(reason: str) -> None:
            self._half_open.pop(session.id, None)
            self._sessions[name] -= 1
            if not self._sessions[name]:
                del self._sessions[name]

        session.once("connected", lambda: self._half_open.pop(session.id, None))
        session.once("closed", leave)

    def middleware(self, *, alone: bool = False) -> Middleware:
        """A middleware that counts POST requests, and PUT; ``alone``: those that no gate before
        has."""

        @web.middleware
        async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.method in ("POST", "PUT") and not (alone and COUNTED in request):
                request[COUNTED] = True
                try:
                    self.count_post(request.remote)
                except Problem as problem:
                    response = problem.response()
                    response.headers.update(origins_of(request).response_headers(request.headers))
                    response.force_close()  # its body is not read
                    return response
            return await handler(request)

        return count


GATE = web.AppKey("rtcstream_gate", Gate)
"""The gate of an application and of those mounted in it."""
