"""What the HTTP routes need from whoever makes the sessions."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web

from .sdpfrag import Fragment


@dataclass(frozen=True)
class Answer:
    """What a negotiator returns for an offer.

    `session` is an unguessable id that becomes the last segment of `Location`: whoever
    knows it may end the session. `etag` names the ICE session (RFC 9725 section 4.3.1)
    and is given without its quotes.
    """

    session: str
    sdp: str
    etag: str


class Negotiator(Protocol):
    """Answers offers and owns the sessions; each method may raise `Problem`.

    Any other exception is a fault of the server: it is logged and answered as a 500.
    """

    async def describe(self, request: web.Request) -> dict[str, Any]:
        """Return `stream.json`: JSON values only, no NaN and no infinities."""
        ...

    async def open(self, offer: str, parameters: dict[str, str], request: web.Request) -> Answer:
        """Answer an SDP offer; `parameters` is the query string, each name once.

        The request is there for its headers and its peer's address; its body is read. May be
        cancelled where the server cancels the handlers of clients that leave: nothing of the
        session may stay behind then.
        """
        ...

    def queue(self, request: web.Request) -> AsyncGenerator[Mapping[str, Any], None]:
        """Stand in line for a session: what the client is told, JSON values, as it happens.

        The first comes at once, or `Problem`. Closing it gives the place up.
        """
        ...

    async def trickle(self, session: str, fragment: Fragment) -> None:
        """Add the peer's late candidates; `Problem(404)` if the session is unknown."""
        ...

    async def upload(
        self,
        session: str,
        control: str,
        name: str,
        length: int | None,
        chunks: AsyncIterator[bytes],
    ) -> Mapping[str, Any]:
        """Take a file as the value of a session's control; returns that value, as JSON.

        `name` and `length` are what the client says of it; reading `chunks` may raise `Problem`.
        """
        ...

    def download(self, key: str, identity: str | None) -> tuple[Path, str] | None:
        """The path and name of a file that a session of this visitor offers by this key."""
        ...

    async def abandon(self, session: str) -> None:
        """End a session whose answer nobody was there to take; `Problem(404)` if it is unknown."""
        ...

    async def close(self, session: str) -> None:
        """End the session and free all of it; `Problem(404)` if it is unknown."""
        ...

    def owner(self, session: str) -> str | None:
        """Return the `identity_of` the request that opened a session; None if it is unknown."""
        ...

    async def ice_servers(self, request: web.Request) -> Sequence[Mapping[str, Any]]:
        """Return the `RTCIceServer` dictionaries that the client may use."""
        ...


IDENTITY = web.RequestKey("rtcstream_identity", str)
"""What a middleware that knows who a request is of stores in it."""


def identity_of(request: web.Request) -> str | None:
    """Who a request is of; None where nobody asked for it."""
    return request.get(IDENTITY)
