"""The OpenAPI description of signing in: `access`'s own paths, and what the others ask for."""

from collections.abc import Mapping, Sequence
from typing import Any

from .signaling.openapi import Json, content, problems, read

TOKENS: Sequence[Mapping[str, Sequence[str]]] = ({"token": ()}, {"cookie": ()})
"""What a request needs one of, where tokens are known: itself, or the cookie of signing in."""

ANYBODY: list[Json] = [{}]
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


def paths(server: str) -> dict[str, Any]:
    """The paths of the sign-in page, below ``server``, relative or not."""
    of_page = read("the page where people sign in", {"200": _page("It"), **problems(403)})
    of_page["get"] |= {"parameters": [BACK], "security": ANYBODY}
    of_page["head"] |= {"parameters": [BACK], "security": ANYBODY}
    found = {"/sign-in": {**of_page, "post": _sign_in()}, "/sign-out": {"post": _sign_out()}}
    return {name: {"servers": [{"url": server}], **item} for name, item in found.items()}


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


def _page(what: str) -> Json:
    return content(what, "text/html", PAGE)


def _redirected(where: str) -> Json:
    text = {"schema": {"type": "string"}}
    headers = {"Location": {**text, "required": True}, "Set-Cookie": {**text, "required": True}}
    return {"description": where, "headers": headers}
