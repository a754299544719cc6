"""The OpenAPI 3.1 description of a stream's HTTP side, written by hand and kept true by tests.

Its paths are relative to where the stream is mounted. What the applications around it serve
(`/healthz`, `/sign-in` and the like) they add themselves, by `add_paths`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from aiohttp import web

from .components import COMPONENTS

Json = dict[str, Any]
Security: TypeAlias = Sequence[Mapping[str, Sequence[str]]]
"""What a request needs one of: names of `securitySchemes`."""

OPENAPI_PATHS = web.AppKey("rtcstream_openapi_paths", Mapping[str, Any])
"""Paths of an application, for the descriptions of the streams that are mounted in it."""
OPENAPI_SECURITY = web.AppKey("rtcstream_openapi_security", Security)
"""What requests to such an application need."""

ANYBODY: Security = ({},)
NO_PATHS: Mapping[str, Any] = {}

SDP = "application/sdp"
SDPFRAG = "application/trickle-ice-sdpfrag"
PROBLEM = {"$ref": "#/components/schemas/Problem"}
BOUNDS = {"integer": 2**53 - 1, "number": 1.7e308}
TEXT = 10_000
PLACE = r"^(0(\.[0-9]{1,9})?|1),(0(\.[0-9]{1,9})?|1)$"

WHAT = {
    400: "What was sent is malformed, or a value is not accepted: the detail says which and why",
    401: "Who this is of is not known: send `Authorization: Bearer TOKEN`, or sign in",
    403: "The page's origin, or the name that the server was asked by, is not allowed",
    404: "There is no such session (or it is somebody else's), file or page",
    408: "The body did not come within 10 s",
    409: "There is nothing to view yet (with `Retry-After`), somebody sends already, or another "
    "file is on its way",
    412: "`If-Match` or `If-Unmodified-Since` does not hold for the file",
    413: "The body is too large",
    415: "Another media type, or a compressed body",
    416: "The file has no such `Range`",
    422: "An ICE restart, or candidates of another ICE generation: open a new session",
    429: "Too many requests or sessions of this address, or wrong tokens",
    501: "The server lacks the extra `metrics`",
    507: "The server cannot store the file",
    503: "No room, too much load, stopping: come again after `Retry-After`, or wait at `queue`",
}


def _text(description: str) -> Json:
    return {"description": description, "schema": {"type": "string"}}


SECONDS = {
    "description": "Seconds after which to come again",
    "schema": {"type": "string", "pattern": "^[0-9]+$"},
}
HEADERS: dict[int, Json] = {
    401: {"WWW-Authenticate": {**_text("`Bearer` (RFC 6750)"), "required": True}},
    409: {"Retry-After": SECONDS},
    429: {"Retry-After": {**SECONDS, "required": True}},
    503: {"Retry-After": {**SECONDS, "required": True}},
}


def problems(*statuses: int, accept: str | None = None) -> Json:
    """The refusals of an operation, each an RFC 9457 problem; ``accept`` names the header in which
    a 415 says what is taken. 401 and 403 may come of any that is not public."""
    found: Json = {}
    for status in statuses:
        headers = dict(HEADERS.get(status, {}))
        if status == 415 and accept is not None:
            headers[accept] = _text("The media type that is taken")
        content = {"application/problem+json": {"schema": PROBLEM}}
        found[str(status)] = {"description": WHAT[status], "headers": headers, "content": content}
    return found


def content(description: str, media_type: str, schema: Json | None = None, **headers: Json) -> Json:
    """A response with a body."""
    said = {name.replace("_", "-"): header for name, header in headers.items()}
    return {
        "description": description,
        "headers": said,
        "content": {media_type: {} if schema is None else {"schema": schema}},
    }


def file(description: str, media_type: str = "*/*", *refusals: int) -> Json:
    """GET and HEAD of a file, which knows conditions and ranges (RFC 9110 sections 13 and 14)."""
    responses = {
        "200": content(description, media_type, ETag=_text("Names this version")),
        "206": content("The range that was asked for", media_type),
        "304": {"description": "It has not changed"},
        "412": {"description": WHAT[412]},
        "416": {"description": WHAT[416]},
        **problems(401, 403, *refusals),
    }
    return read(description, responses)


def read(summary: str, responses: Json) -> Json:
    """GET, and HEAD, which is the same without a body; a person who opens it in a browser without
    having signed in is shown the way."""
    if "401" in responses:
        responses = {**responses, "303": {"description": "To the sign-in page"}}
    bare = {
        status: {name: value for name, value in response.items() if name != "content"}
        for status, response in responses.items()
    }
    return {
        "get": {"summary": summary, "responses": responses},
        "head": {"summary": summary, "responses": bare},
    }


def add_paths(app: web.Application, paths: Mapping[str, Any], server: str = "/") -> None:
    """Have these paths of an application described, beside those that it has there already;
    ``server`` is what they are below, from where the description is."""
    servers = [{"url": server}]
    more = {name: {"servers": servers, **item} for name, item in paths.items()}
    app[OPENAPI_PATHS] = {**paths_of(app), **more}


def paths_of(app: web.Application) -> Mapping[str, Any]:
    """What an application has described, besides streams."""
    found: Mapping[str, Any] = app.get(OPENAPI_PATHS, NO_PATHS)
    return found


def described(description: Mapping[str, Any], more: Mapping[str, Any], security: Security) -> Json:
    """The description of a stream, by its `stream.json`; ``more`` are paths of others."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": str(description.get("title", "rtcstream")),
            "description": (
                "WebRTC signaling over HTTP, after WHIP (RFC 9725): an offer's direction decides "
                "whether it publishes, views, or both."
            ),
            "version": str(description["version"]),
        },
        "servers": [{"url": "./", "description": "Where the stream is mounted"}],
        "security": security,
        "paths": {**_paths(description.get("controls", ())), **more},
        "components": COMPONENTS,
    }


def _paths(controls: Iterable[Mapping[str, Any]]) -> Json:
    return {
        "/": file("the page", "text/html"),
        "/static/{file}": {"parameters": [path("file")], **file("a file of the page", "*/*", 404)},
        "/stream.json": _json("the stream", {"$ref": "#/components/schemas/Stream"}),
        "/openapi.json": _json("this description", {"type": "object", "required": ["openapi"]}),
        "/download/{key}": {
            "parameters": [path("key")],
            **file("a file that a session offers, as a result of type `download`", "*/*", 404),
        },
        "/queue": {"get": QUEUE},
        "/session": {
            "post": {**OPEN, "parameters": [*_parameters(controls), *OPEN["parameters"]]},
            "options": _options("Accept-Post"),
        },
        "/session/{id}": {
            "parameters": [path("id")],
            "patch": TRICKLE,
            "delete": CLOSE,
            "options": _options("Accept-Patch"),
        },
        "/session/{id}/file/{control}/{name}": {
            "parameters": [path("id"), path("control"), path("name")],
            "put": UPLOAD,
        },
    }


def path(name: str) -> Json:
    """A segment of a path."""
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {"type": "string", "minLength": 1},
    }


def _json(description: str, schema: Json) -> Json:
    body = content(description, "application/json", schema)
    return read(description, {"200": body, **problems(401, 403)})


def _options(accept: str) -> Json:
    return {
        "summary": "What may be asked here; the preflight of CORS",
        "security": ANYBODY,
        "responses": {
            "204": {
                "description": "The methods, and the media type that is taken",
                "headers": {
                    "Allow": {**_text("The methods"), "required": True},
                    accept: {**_text("The media type"), "required": True},
                    "Access-Control-Allow-Origin": _text("To pages of an origin that is allowed"),
                    "Access-Control-Allow-Methods": _text("To a preflight"),
                    "Access-Control-Allow-Headers": _text("To a preflight"),
                },
            },
            **problems(401, 403),
        },
    }


def _parameters(controls: Iterable[Mapping[str, Any]]) -> Iterator[Json]:
    return (_parameter(control) for control in controls if control["type"] != "file")


def _parameter(control: Mapping[str, Any]) -> Json:
    """A control's first value, as a query parameter."""
    kind, choices, default = control["type"], control["choices"], control["default"]
    schema: Json = {"type": "string" if kind in ("choice", "point") else kind}
    if choices is not None:
        schema = {"type": "string", "enum": [str(choice) for choice in choices]}
    elif kind in BOUNDS:
        low, high = control["minimum"], control["maximum"]
        schema["minimum"] = -BOUNDS[kind] if low is None else low
        schema["maximum"] = BOUNDS[kind] if high is None else high
    elif kind == "string":
        schema["maxLength"] = TEXT
    elif kind == "point":
        schema["pattern"] = PLACE if default is not None else f"^$|{PLACE}"
        default = "" if default is None else f"{default['x']},{default['y']}"
    if choices is not None:
        default = str(default)
    return {
        "name": control["name"],
        "in": "query",
        "description": control["label"],
        "schema": {**schema, "default": default},
    }


def _header(name: str, description: str) -> Json:
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string"}}


def _body(media_type: str, description: str, example: str) -> Json:
    schema = {"type": "string", "minLength": 1, "maxLength": 65_536}
    taken = {media_type: {"schema": schema, "example": example}}
    return {"required": True, "description": description, "content": taken}


OPEN: Json = {
    "operationId": "openSession",
    "summary": "Open a session with an SDP offer; the query has the controls' first values",
    "parameters": [
        _header("Rtcstream-Ticket", "What waiting at `queue` has given"),
        _header("Rtcstream-Resume", "The id of a session whose connection was lost, to go on with"),
    ],
    "requestBody": _body(SDP, "The offer (RFC 8866)", "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\n"),
    "responses": {
        "201": content(
            "The session is open: here is the answer",
            SDP,
            {"type": "string", "pattern": "^v=0"},
            Location={**_text("The session's address, relative to this one"), "required": True},
            ETag={**_text("Names the ICE session"), "required": True},
            Link=_text('An ICE server for the client to use, `rel="ice-server"`'),
            Cache_Control=_text("`no-store`"),
        ),
        **problems(400, 401, 403, 408, 409, 413, 415, 429, 503, accept="Accept-Post"),
    },
}
TRICKLE: Json = {
    "operationId": "trickle",
    "summary": "Tell candidates that were found since (RFC 8840)",
    "parameters": [_header("If-Match", "The session's `ETag`; not needed")],
    "requestBody": _body(
        SDPFRAG, "The candidates", "a=mid:0\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n"
    ),
    "responses": {
        "204": {"description": "They are taken"},
        **problems(400, 401, 403, 404, 408, 413, 415, 422, accept="Accept-Patch"),
    },
}
CLOSE: Json = {
    "operationId": "closeSession",
    "summary": "End a session",
    "responses": {"200": {"description": "It has ended"}, **problems(401, 403, 404)},
}
QUEUE: Json = {
    "operationId": "queue",
    "summary": "Stand in line: position and estimate, then a ticket; closing it gives the place up",
    "responses": {
        "200": content("Server-sent events, each with a QueueEvent as data", "text/event-stream"),
        **problems(401, 403, 429, 503),
    },
}
UPLOAD: Json = {
    "operationId": "upload",
    "summary": "Give a control of type `file` its file, called as the path ends",
    "requestBody": {
        "required": True,
        "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
    },
    "responses": {
        "201": content(
            "The control's value from now on",
            "application/json",
            {
                "type": "object",
                "required": ["name", "size"],
                "properties": {"name": {"type": "string"}, "size": {"type": "integer"}},
            },
        ),
        **problems(400, 401, 403, 404, 408, 409, 413, 429, 507),
    },
}
