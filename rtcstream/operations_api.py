"""The OpenAPI description of what an operator asks a server: `admin`'s paths."""

from .signaling.openapi import ANYBODY, Json, Security, content, file, path, problems, read

OPERATOR: Security = ({"operator": ()}, {"operatorCookie": ()})
FLAG = {"type": "object", "additionalProperties": {"const": True}, "minProperties": 1}


def paths(*, with_admin: bool) -> Json:
    """The paths, from the server's root; those of the page with an admin token only."""
    found = _of_a_server()
    if with_admin:
        found |= _of_the_page()
    for item in found.values():
        for operation in item.values():
            if isinstance(operation, dict):
                operation.setdefault("security", ANYBODY)
    return found


def _of_a_server() -> Json:
    return {
        "/healthz": _looked_at("whether the server lives", "application/json", FLAG),
        "/readyz": _looked_at("whether it takes sessions", "application/json", FLAG, 503),
        "/metrics": _metrics(),
    }


def _of_the_page() -> Json:
    moved = {"307": {"description": "The page is at `/admin/`"}, **problems(403)}
    state = content("State and history", "application/json", {"type": "object"})
    since = {"name": "since", "in": "query", "schema": {"type": "number"}}
    since["description"] = "UNIX time in seconds: samples after it only"
    done = {"204": {"description": "Done"}}
    return {
        "/admin": read("to the operator's page", moved),
        "/admin/": file("the operator's page", "text/html"),
        "/admin/static/{file}": {"parameters": [path("file")], **file("its files", "*/*", 404)},
        "/admin/state.json": {
            "get": {
                "summary": "what the page shows",
                "security": OPERATOR,
                "parameters": [since],
                "responses": {"200": state, **problems(400, 401, 403)},
            }
        },
        "/admin/sign-in": {
            "post": {
                "summary": "exchange the token in `Authorization` for a cookie",
                "security": [{"operator": []}],
                "responses": {**done, **problems(401, 403, 429)},
            }
        },
        "/admin/sign-out": {
            "post": {"summary": "give the cookie up", "responses": {**done, **problems(403, 429)}}
        },
        "/admin/sessions/{id}": {
            "parameters": [path("id")],
            "delete": {
                "summary": "end a session, by the beginning of its id that the page shows",
                "security": OPERATOR,
                "responses": {**done, **problems(401, 403, 404)},
            },
        },
    }


def _metrics() -> Json:
    found = _looked_at("metrics for Prometheus", "text/plain", None, 501)
    for operation in found.values():  # without the token, from this machine only
        operation["security"] = [*ANYBODY, *OPERATOR]
    return found


def _looked_at(summary: str, media_type: str, schema: Json | None, *refusals: int) -> Json:
    return read(summary, {"200": content(summary, media_type, schema), **problems(403, *refusals)})
