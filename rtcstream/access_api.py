"""The OpenAPI description of signing in: `access`'s own paths, and what the others ask for."""

from .signaling.openapi import ANYBODY, Json, Security, content, problems, read

TOKENS: Security = ({"token": ()}, {"cookie": ()})
"""Where tokens are known: one of them, or the cookie of signing in."""

PAGE = {"type": "string", "pattern": "^<!doctype html>"}
BACK = {
    "name": "to",
    "in": "query",
    "description": "Where to go then, relative to this page: `./effect/`",
    "schema": {"type": "string", "maxLength": 2000},
}
FORM = {
    "required": True,
    "content": {
        "application/x-www-form-urlencoded": {
            "schema": {
                "type": "object",
                "required": ["token"],
                "properties": {"token": {"type": "string"}, "to": BACK["schema"]},
            }
        }
    },
}


def paths() -> Json:
    """The paths of the sign-in page."""
    page = content("It", "text/html", PAGE)
    of_page = read("the page where people sign in", {"200": page, **problems(403)})
    for operation in of_page.values():
        operation.update(parameters=[BACK], security=ANYBODY)
    return {"/sign-in": {**of_page, "post": _sign_in()}, "/sign-out": {"post": _sign_out()}}


def _sign_in() -> Json:
    refused = problems(400, 401, 403, 408, 413, 415, 429, accept="Accept-Post")
    for status in ("401", "429"):  # which a wrong token gets as the page again
        refused[status]["content"]["text/html"] = {"schema": PAGE}
    return {
        "summary": "exchange a token for a cookie, which is good for twelve hours",
        "security": ANYBODY,
        "requestBody": FORM,
        "responses": {"303": _redirected("To where `to` says"), **refused},
    }


def _sign_out() -> Json:
    return {
        "summary": "give the cookie up",
        "security": ANYBODY,
        "responses": {"303": _redirected("To the sign-in page"), **problems(403, 429)},
    }


def _redirected(where: str) -> Json:
    text = {"schema": {"type": "string"}}
    headers = {"Location": {**text, "required": True}, "Set-Cookie": {**text, "required": True}}
    return {"description": where, "headers": headers}
