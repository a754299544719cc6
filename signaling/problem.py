"""The one form in which every refusal leaves: an RFC 9457 problem."""

import json
from collections.abc import Mapping
from types import MappingProxyType

from aiohttp import web

NO_HEADERS: Mapping[str, str] = MappingProxyType({})

# The rest of the request's body is not wanted, so the connection cannot carry another one.
BODY_UNREAD = {408, 413}


class Problem(Exception):
    """A refusal with an HTTP status; `detail` tells the client what to do about it."""

    def __init__(
        self, status: int, title: str, detail: str, headers: Mapping[str, str] = NO_HEADERS
    ) -> None:
        super().__init__(f"{status} {title}: {detail}")
        self.status = status
        self.title = title
        self.detail = detail
        self.headers = headers

    def response(self) -> web.Response:
        """Return the problem as an HTTP response."""
        # "about:blank" says that there is no more to a problem than its status
        # (RFC 9457 section 4.2.1).
        body = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        response = web.Response(
            status=self.status,
            body=json.dumps(body).encode(),
            content_type="application/problem+json",
            headers={"Cache-Control": "no-store", **self.headers},
        )
        if self.status in BODY_UNREAD:
            response.force_close()
        return response


def session_not_found() -> Problem:
    """The one answer for a session that is unknown, and for one of somebody else's."""
    return Problem(
        404, "Session not found", "It has ended, or never was; open a new one with POST."
    )
