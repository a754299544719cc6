"""The HTTP routes of one stream: its page, its description and its sessions.

Every path is relative to where the application is mounted, and so is every address in an
answer: behind `add_subapp` or a proxy with a path prefix nothing needs to be configured.
"""

import functools
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Handler

from .body import read_chunks, read_text
from .events import send_events
from .files import file_in
from .negotiator import Negotiator, identity_of
from .openapi import ANYBODY, OPENAPI_SECURITY, described, paths_of
from .origins import CORS_ORIGINS, SAME_ORIGIN, Origins
from .problem import Problem, session_not_found
from .sdpfrag import FragmentError, parse_fragment

logger = logging.getLogger(__name__)

GALLERY = web.AppKey("rtcstream_gallery", bool)
"""Set in a stream's own application: whether a gallery with more of them is one folder up."""

SDP = "application/sdp"
SDPFRAG = "application/trickle-ice-sdpfrag"

NO_CACHE = {"Cache-Control": "no-cache"}  # ask each time; ETag makes asking cheap
PAGE_HEADERS = NO_CACHE | {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob: mediastream:; "
        "connect-src 'self'; style-src 'self'; object-src 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # Not "no-referrer": some browsers then send "Origin: null" with our page's own requests.
    "Referrer-Policy": "same-origin",
}
PREFLIGHT_HEADERS = {
    "Access-Control-Allow-Headers": (
        "Content-Type, Authorization, If-Match, Rtcstream-Ticket, Rtcstream-Resume"
    ),
    "Access-Control-Max-Age": "600",
}


def setup(
    app: web.Application,
    negotiator: Negotiator,
    *,
    page: Path,
    static: Path,
    cors_origins: Sequence[str] | None = None,
) -> None:
    """Add a stream's routes to `app`, which may be mounted with `add_subapp`.

    `page` is the file served at the mount point, `static` the folder of its scripts and
    styles. `cors_origins` are further origins ("https://example.com", "*" for all) whose
    pages may use the stream; a malformed one raises `ValueError`. None leaves it to the
    applications that `app` is mounted in, whose `CORS_ORIGINS` counts.
    """
    routes = _Routes(negotiator, page, static)
    if cors_origins is not None:
        app[CORS_ORIGINS] = Origins(cors_origins)

    def add(path: str, accept: Mapping[str, str], **handlers: Handler) -> None:
        # Not a middleware: the application may have routes that are not ours.
        allow = {"Allow": ", ".join([*handlers, "OPTIONS"])}
        handlers |= {"OPTIONS": _options(allow, accept), "*": _refuse_method(allow)}
        resource = app.router.add_resource(path)
        for method, handler in handlers.items():
            resource.add_route(method, _guarded(handler))

    add("/", {}, GET=routes.page, HEAD=routes.page)
    # The mount point without its slash. In an application that is not mounted, aiohttp takes
    # "" for "/", where the route above comes first.
    add("", {}, GET=routes.add_slash, HEAD=routes.add_slash)
    add(r"/static/{file:[\s\S]+}", {}, GET=routes.static, HEAD=routes.static)
    add("/stream.json", {}, GET=routes.describe, HEAD=routes.describe)
    add("/openapi.json", {}, GET=routes.describe_http, HEAD=routes.describe_http)
    add("/queue", {}, GET=routes.queue)  # no HEAD: it would take a place
    add("/download/{key}", {}, GET=routes.download, HEAD=routes.download)
    add("/session", {"Accept-Post": SDP}, POST=routes.open)
    add("/session/{id}/file/{control}/{name}", {}, PUT=routes.upload)
    add("/session/{id}", {"Accept-Patch": SDPFRAG}, PATCH=routes.trickle, DELETE=routes.close)


class _Routes:
    def __init__(self, negotiator: Negotiator, page: Path, static: Path) -> None:
        self._negotiator = negotiator
        self._page = page
        self._static = static

    async def page(self, request: web.Request) -> web.StreamResponse:
        return web.FileResponse(self._page, headers=PAGE_HEADERS)

    async def add_slash(self, request: web.Request) -> web.StreamResponse:
        # "./", so that a colon in the name is not taken for a scheme's.
        query = f"?{request.rel_url.raw_query_string}" if request.rel_url.raw_query_string else ""
        location = f"./{request.rel_url.raw_name}/{query}"
        return web.Response(status=307, headers={"Location": location})

    async def static(self, request: web.Request) -> web.StreamResponse:
        path = file_in(self._static, request.match_info["file"])
        if path is None:
            raise Problem(404, "File not found", "Look at the address: there is no such file.")
        return web.FileResponse(path, headers=NO_CACHE)

    async def describe(self, request: web.Request) -> web.StreamResponse:
        # A NaN would leave the page with a JSON error and no cause: better found here.
        dumps = functools.partial(json.dumps, allow_nan=False)
        description = await self._negotiator.describe(request)
        if request.app.get(GALLERY):
            description = {**description, "gallery": True}
        return web.json_response(description, dumps=dumps, headers=NO_CACHE)

    async def describe_http(self, request: web.Request) -> web.StreamResponse:
        description = await self._negotiator.describe(request)
        more: dict[str, Any] = {}
        for app in request.match_info.apps:
            more |= paths_of(app)
        security = request.config_dict.get(OPENAPI_SECURITY, ANYBODY)
        return web.json_response(described(description, more, security), headers=NO_CACHE)

    async def queue(self, request: web.Request) -> web.StreamResponse:
        # Before `_guarded` adds them, which is too late for an answer that has begun.
        origins = request.config_dict.get(CORS_ORIGINS, SAME_ORIGIN)
        headers = origins.response_headers(request.headers)
        return await send_events(request, self._negotiator.queue(request), headers)

    async def open(self, request: web.Request) -> web.StreamResponse:
        parameters = _unique(request)
        offer = await read_text(request, SDP, accept="Accept-Post")
        answer = await self._negotiator.open(offer, parameters, request)
        if request.transport is None:  # the client left: nobody could ever close the session
            with suppress(Problem):
                await self._negotiator.abandon(answer.session)
        # Bytes: a text would get a charset parameter, and some clients compare the whole header.
        response = web.Response(status=201, body=answer.sdp.encode(), content_type=SDP)
        response.headers["Location"] = f"session/{quote(answer.session, safe='')}"
        response.headers["ETag"] = f'"{answer.etag}"'
        response.headers["Cache-Control"] = "no-store"
        for link in _ice_server_links(await self._negotiator.ice_servers(request)):
            response.headers.add("Link", link)
        return response

    async def trickle(self, request: web.Request) -> web.StreamResponse:
        # RFC 9725 section 4.3.1 asks for If-Match. Widespread clients leave it out or send
        # the tag under another name, so the fragment's ufrag, which the negotiator compares,
        # is what tells ICE sessions apart.
        try:
            fragment = parse_fragment(await read_text(request, SDPFRAG, accept="Accept-Patch"))
        except FragmentError as error:
            raise Problem(400, "Malformed fragment", f"Correct {error}.") from None
        await self._negotiator.trickle(self._session(request), fragment)
        return web.Response(status=204)

    async def upload(self, request: web.Request) -> web.StreamResponse:
        # By its path, so that `curl -T clip.mp4 .../file/video/` needs nothing else.
        where = request.match_info
        value = await self._negotiator.upload(
            self._session(request),
            where["control"],
            where["name"],
            request.content_length,
            read_chunks(request),
        )
        return web.json_response(dict(value), status=201, headers={"Cache-Control": "no-store"})

    async def download(self, request: web.Request) -> web.StreamResponse:
        found = self._negotiator.download(request.match_info["key"], identity_of(request))
        if found is None or not found[0].is_file():
            raise Problem(404, "File not found", "It was offered by a session that has ended.")
        path, name = found
        headers = {
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
            "Content-Security-Policy": "sandbox",  # it is opened nowhere on this origin
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        }
        return web.FileResponse(path, headers=headers)

    async def close(self, request: web.Request) -> web.StreamResponse:
        await self._negotiator.close(self._session(request))
        return web.Response(status=200)

    def _session(self, request: web.Request) -> str:
        """The session that a request names, if it is of who opened it."""
        session = request.match_info["id"]
        if self._negotiator.owner(session) != identity_of(request):
            raise session_not_found()
        return session


def _guarded(handler: Handler) -> Handler:
    """Wrap a handler: the origin checked, CORS headers on every answer, errors as problems."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        origins = request.config_dict.get(CORS_ORIGINS, SAME_ORIGIN)
        try:
            origins.check(request.headers)
            response = await handler(request)
        except Problem as problem:
            response = problem.response()
        except Exception:
            logger.exception("%s %s failed", request.method, request.rel_url.raw_path)
            response = Problem(
                500, "Internal error", "Try again; the server's log has the cause."
            ).response()
        response.headers.update(origins.response_headers(request.headers))
        return response

    return guarded


def _options(allow: Mapping[str, str], accept: Mapping[str, str]) -> Handler:
    async def options(request: web.Request) -> web.StreamResponse:
        headers = {**allow, **accept}
        if "Access-Control-Request-Method" in request.headers:  # a CORS preflight
            headers |= {"Access-Control-Allow-Methods": allow["Allow"], **PREFLIGHT_HEADERS}
        return web.Response(status=204, headers=headers)

    return options


def _refuse_method(allow: Mapping[str, str]) -> Handler:
    async def refuse(request: web.Request) -> web.StreamResponse:
        detail = f"Use {allow['Allow']} here, not {request.method}."
        raise Problem(405, "Method not allowed", detail, allow)

    return refuse


def _unique(request: web.Request) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for name, value in request.query.items():
        if name in parameters:
            raise Problem(400, "Query name given twice", f"Give {name!r} one value only.")
        parameters[name] = value
    return parameters


def _ice_server_links(servers: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a `Link` header for each URL of each `RTCIceServer` (RFC 9725 section 4.6)."""
    for server in servers:
        urls = server["urls"]
        parameters = ['rel="ice-server"']
        if "username" in server:
            parameters += [
                f"username={_quoted(server['username'])}",
                f"credential={_quoted(server['credential'])}",
                'credential-type="password"',
            ]
        for url in [urls] if isinstance(urls, str) else urls:
            yield "; ".join([f"<{url}>", *parameters])


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
