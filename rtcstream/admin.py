"""What an operator asks a server over HTTP: whether it is well, its metrics, the page at /admin."""

import hashlib
import hmac
import logging
import time
from collections.abc import Iterable
from dataclasses import astuple
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from . import operations_api
from .host import Host
from .negotiator import Sessions
from .operations import Operations
from .overload import available_cores
from .session import MediaSession
from .signaling import PASSED_ON, SAME_ORIGIN, Problem, add_paths
from .signaling.hosts import host_name
from .transport.network import network

logger = logging.getLogger("rtcstream.admin")

STATIC = Path(__file__).parent / "static"
FILES = ("admin.css", "admin.js", "canvas.js", "favicon.svg", "history.js", "style.css")
"""What the page consists of: it must be there wherever a stream's own files are."""

COOKIE = "rtcstream_admin"
SIGNED_IN = 12 * 3600
"""Seconds after which the operator is asked for the token again."""
LEAST_TOKEN = 16
"""Characters of a token: guessing is then in vain, however often somebody tries."""
SHOWN = 12
"""Characters of a session's id that the page is told: they name it, but do not open it."""

NO_STORE = {"Cache-Control": "no-store"}
PAGE_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
BY_PROXIES = ("X-Real-IP", "Via")
"""What only a proxy adds, beside what makes a request ``PASSED_ON``: who asks through one is not on
this machine."""


def check_token(token: str) -> None:
    """Raises ValueError for a token that could be guessed, or that no header can carry."""
    if len(token) < LEAST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError(
            f"the admin token must have at least {LEAST_TOKEN} ASCII characters and no spaces; "
            "make one with: python -c 'import secrets; print(secrets.token_urlsafe(24))'"
        )


class Operator:
    """Knows who is the operator: by the token, or by the cookie that it was exchanged for."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    def knows(self, request: web.Request) -> bool:
        """Whether a request is the operator's."""
        return self.has_token(request) or self._has_cookie(request)

    def has_token(self, request: web.Request) -> bool:
        """Whether a request carries the token itself (RFC 6750 section 2.1)."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        given = token.strip().encode("utf-8", "surrogateescape")
        return scheme.lower() == "bearer" and hmac.compare_digest(given, self._token)

    def sign_in(self, response: web.StreamResponse, secure: bool) -> None:
        """Give the browser a cookie in the token's place, for a while."""
        expires = str(int(time.time()) + SIGNED_IN)
        # No path: the browser takes that of the address, whatever prefix a proxy gives it.
        response.set_cookie(
            COOKIE,
            f"{expires}.{self._signature(expires)}",
            max_age=SIGNED_IN,
            path="",
            httponly=True,
            samesite="Strict",
            secure=secure,
        )

    def _has_cookie(self, request: web.Request) -> bool:
        expires, _, signature = request.cookies.get(COOKIE, "").partition(".")
        if not (expires.isascii() and expires.isdigit()) or int(expires[:12]) < time.time():
            return False
        return hmac.compare_digest(signature.encode(), self._signature(expires).encode())

    def _signature(self, expires: str) -> str:
        return hmac.new(self._token, f"{COOKIE} {expires}".encode(), hashlib.sha256).hexdigest()


def setup(app: web.Application, operations: Operations, token: str | None) -> None:
    """Add ``/healthz``, ``/readyz``, ``/metrics`` and ``/admin`` to an application, after its own
    routes; without a token there is no ``/admin``."""
    routes = _Routes(operations, None if token is None else Operator(token))

    def add(method: str, path: str, handler: Handler) -> None:
        try:
            app.router.add_route(method, path, _Answering(handler).answer)
        except RuntimeError:  # the application's own, as its last route
            logger.info("%s is the application's own", path)

    for method in ("GET", "HEAD"):
        add(method, "/healthz", routes.health)
        add(method, "/readyz", routes.readiness)
        add(method, "/metrics", routes.metrics)
        add(method, "/admin", routes.add_slash)
        add(method, "/admin/", routes.page)
        add(method, "/admin/static/{file}", routes.static)
    add("GET", "/admin/state.json", routes.state)
    add("POST", "/admin/sign-in", routes.sign_in)
    add("POST", "/admin/sign-out", routes.sign_out)
    add("DELETE", "/admin/sessions/{id}", routes.close)
    add_paths(app, operations_api.paths(with_admin=token is not None))
    app.middlewares.insert(0, _counting(operations))


class _Answering:
    """A handler of ours, whose problems become answers."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    async def answer(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._handler(request)
        except Problem as problem:
            return problem.response()


def is_own(request: web.Request) -> bool:
    """Whether a request is for what is here, which decides itself who may: what guards the
    streams has nothing to add. A path alone does not tell, it may be the application's own."""
    return isinstance(getattr(request.match_info.handler, "__self__", None), _Answering)


def _counting(operations: Operations) -> Any:
    @web.middleware
    async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = await handler(request)
        except web.HTTPException as error:
            operations.answers[error.status] += 1
            raise
        except Exception:
            operations.answers[500] += 1
            raise
        operations.answers[response.status] += 1
        return response

    return count


class _Routes:
    def __init__(self, operations: Operations, operator: Operator | None) -> None:
        self._operations = operations
        self._operator = operator

    async def health(self, request: web.Request) -> web.StreamResponse:
        # The event loop itself answers: it is alive, or nobody hears of it.
        return web.json_response({"alive": True}, headers=NO_STORE)

    async def readiness(self, request: web.Request) -> web.StreamResponse:
        if why := self._operations.obstacle():
            raise Problem(503, "Not ready", why, {"Retry-After": "5"})
        return web.json_response({"ready": True}, headers=NO_STORE)

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        if not is_local(request) and not (self._operator and self._operator.knows(request)):
            raise Problem(
                403,
                "Metrics not public",
                "Ask from the server's own machine, not through a proxy, or with the admin token: "
                "Authorization: Bearer TOKEN, with the server's --admin-token.",
            )
        try:
            from .exporter import exported
        except ImportError:
            raise Problem(
                501,
                "Metrics not installed",
                "Install the server's extra: pip install 'rtcstream[metrics]'.",
            ) from None
        await self._operations.look()
        body, media_type = exported(self._operations, request.headers.get("Accept", ""))
        return web.Response(body=body, headers=NO_STORE | {"Content-Type": media_type})

    # The page

    def _here(self) -> Operator:
        if self._operator is None:
            raise Problem(
                404,
                "No operator's page",
                "Start the server with --admin-token, or RTCSTREAM_ADMIN_TOKEN in its environment.",
            )
        return self._operator

    def _for_operator(self, request: web.Request) -> None:
        if not self._here().knows(request):
            raise _not_signed_in("Sign in on the page, or send Authorization: Bearer TOKEN.")

    async def add_slash(self, request: web.Request) -> web.StreamResponse:
        self._here()
        return web.Response(status=307, headers={"Location": "./admin/"})

    async def page(self, request: web.Request) -> web.StreamResponse:
        self._here()
        return web.FileResponse(STATIC / "admin.html", headers=PAGE_HEADERS)

    async def static(self, request: web.Request) -> web.StreamResponse:
        self._here()
        if (name := request.match_info["file"]) not in FILES:
            raise Problem(404, "File not found", "Look at the address: there is no such file.")
        return web.FileResponse(STATIC / name, headers=PAGE_HEADERS)

    async def sign_in(self, request: web.Request) -> web.StreamResponse:
        operator = self._here()
        _check_origin(request)
        if not operator.has_token(request):
            logger.warning("a wrong admin token came from %s", request.remote)
            raise _not_signed_in("This is not the token that the server was started with.")
        response = web.Response(status=204, headers=NO_STORE)
        operator.sign_in(response, secure=request.scheme == "https")
        return response

    async def sign_out(self, request: web.Request) -> web.StreamResponse:
        self._here()
        _check_origin(request)
        response = web.Response(status=204, headers=NO_STORE)
        response.set_cookie(COOKIE, "", max_age=0, path="", httponly=True, samesite="Strict")
        return response

    async def state(self, request: web.Request) -> web.StreamResponse:
        self._for_operator(request)
        try:
            since = float(request.query.get("since", "0"))
        except ValueError:
            raise Problem(400, "Not a time", "Give since= as seconds of UNIX time.") from None
        await self._operations.look()
        return web.json_response(state(self._operations, since), headers=NO_STORE)

    async def close(self, request: web.Request) -> web.StreamResponse:
        self._for_operator(request)
        _check_origin(request)
        name = request.match_info["id"]
        found = [each for _, each in self._operations.sessions() if each.id[:SHOWN] == name]
        if not found:
            raise Problem(404, "Session not found", "It has ended, or never was.")
        for session in found:
            await session.end("closed by the operator")
        return web.Response(status=204)


def is_local(request: web.Request) -> bool:
    """Whether a request comes from this machine, and not through a proxy on it: as far as that
    can be told, by its address, by the name that it asks for, and by what proxies add."""
    try:
        from_here = ip_address(request.remote or "").is_loopback
    except ValueError:
        return False
    name = host_name(request.headers.get("Host", ""))
    asked_here = name in ("localhost", "::1") or name.startswith("127.")
    passed_on = request.get(PASSED_ON, False) or any(name in request.headers for name in BY_PROXIES)
    return from_here and asked_here and not passed_on


def _not_signed_in(detail: str) -> Problem:
    return Problem(401, "Not signed in", detail, {"WWW-Authenticate": "Bearer"})


def _check_origin(request: web.Request) -> None:
    """Nothing is changed for another site's page, whoever may use the streams."""
    try:
        SAME_ORIGIN.check(request.headers)
    except Problem:
        raise Problem(
            403, "Origin not allowed", "Only the server's own page may change anything here."
        ) from None


def state(operations: Operations, since: float) -> dict[str, Any]:
    """What the page shows, with the samples after a moment."""
    load = operations.overload.state
    return {
        "now": time.time(),
        "started": operations.started,
        "stopping": operations.stopping,
        "cores": available_cores(),
        "lag": load.lag,
        "cpu": load.cpu,
        "streams": [_stream(name, sessions) for name, sessions in operations.streams.items()],
        "sessions": [_session(name, session) for name, session in operations.sessions()],
        "history": [astuple(sample) for sample in operations.history(since)],
    }


def _stream(name: str, sessions: Sessions) -> dict[str, Any]:
    ledger = sessions.ledger
    total = ledger.total()
    return {
        "name": name,
        "open": len(sessions),
        "opened": ledger.opened,
        "closed": dict(ledger.closed),
        "errors": total.errors,
        "hangs": total.hangs,
        "frames": total.frames_out,
        "bytes": total.bytes_out,
    }


def _session(stream: str, session: MediaSession) -> dict[str, Any]:
    stats = session.stats()
    hosts = session.hosts
    round_trip = network(session.wiring.senders, session.wiring.receivers).round_trip
    return {
        "id": session.id[:SHOWN],
        "stream": stream,
        "address": session.peer.address,
        "age": time.monotonic() - session.opened_at,
        "state": _in_words(session, hosts),
        "fpsIn": stats.get("fps_in"),
        "fpsOut": stats.get("fps_out"),
        "bitrate": stats.get("bitrate"),
        "latency": stats.get("stages", {}).get("total"),
        "roundTrip": None if round_trip is None else round_trip * 1000,
        "dropped": stats.get("dropped", 0),
        "errors": sum(host.errors for host in hosts),
    }


def _in_words(session: MediaSession, hosts: Iterable[Host]) -> str:
    if not session.live:
        return "connecting"
    if any(host.hanging for host in hosts):
        return "not returning"
    return [host.doing for host in hosts][-1]
