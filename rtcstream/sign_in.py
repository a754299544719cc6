"""The page where people sign in: a form, without any script."""

import posixpath
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote

from aiohttp import web

from .pages import PlainPage
from .signaling import Problem, read_text

FORM = "application/x-www-form-urlencoded"
LONGEST_WAY = 2000

AGAIN = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0">
<title>One moment</title>
"""


@dataclass(frozen=True)
class Form:
    """What a visitor has sent: the token, and where to go then, relative to the sign-in page."""

    token: str
    to: str


class SignInPage:
    """Serves ``static/sign-in.html`` with what there is to say in it."""

    def __init__(self) -> None:
        self._page = PlainPage("sign-in.html")

    def send_there(self, request: web.Request, sign_in: str) -> web.Response:
        """Where a person goes who opens a page without having signed in."""
        # A strict cookie stays away from what another site's link opens; of our own page's
        # reloading it comes along, so that who has signed in is not asked to do so again.
        if request.headers.get("Sec-Fetch-Site") == "cross-site":
            headers = {"Cache-Control": "no-store"}
            return web.Response(text=AGAIN, content_type="text/html", headers=headers)
        there = way_and_back(request.path_qs, sign_in)
        return web.Response(status=303, headers={"Location": there, "Cache-Control": "no-store"})

    def response(
        self,
        request: web.Request,
        identity: str | None,
        *,
        wrong: Problem | None = None,
        to: str | None = None,
    ) -> web.Response:
        """The page: a form, or who one is and a way out; ``wrong`` is why the last try failed."""
        to = checked_way(request.query.get("to", "") if to is None else to)
        words = {
            "signed-in": "" if identity is not None else "hidden",
            "signed-out": "hidden" if identity is not None else "",
            "identity": identity or "",
            "to": to,
            "wrong": "" if wrong is None else wrong.detail,
            "no-error": "hidden" if wrong is None else "",
            "invalid": "false" if wrong is None else "true",
        }
        headers = {} if wrong is None else dict(wrong.headers)
        status = 200 if wrong is None else wrong.status
        if status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return self._page.response(words, status=status, headers=headers)

    async def read(self, request: web.Request) -> Form:
        """The form that was sent. Raises Problem."""
        body = await read_text(request, FORM, accept="Accept-Post")
        try:
            fields = dict(parse_qsl(body, keep_blank_values=True, max_num_fields=10))
        except ValueError:
            raise Problem(400, "Too many fields", "Send `token` and `to` only.") from None
        return Form(fields.get("token", "").strip(), checked_way(fields.get("to", "")))


def wants_page(request: web.Request) -> bool:
    """Whether it is a person who opens a page, and not a program that asks for something."""
    return (
        request.method in ("GET", "HEAD")
        and "Authorization" not in request.headers
        and request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate"
        and "text/html" in request.headers.get("Accept", "")
    )


def relative_way(start: str, end: str) -> str:
    """The relative reference from one path of a server to another, whose query is kept.

    A proxy may have taken a prefix off both: this leads there all the same.
    """
    path, mark, query = end.partition("?")
    way = posixpath.relpath(path or "/", posixpath.dirname(start) or "/")
    if path.endswith("/") and not way.endswith("/"):
        way += "/"
    return f"./{way}{mark}{query}"


def way_and_back(page: str, sign_in: str) -> str:
    """The relative reference from a page to the sign-in page, which leads back to that page."""
    back = quote(relative_way(sign_in, page), safe="")
    return f"{relative_way(page.partition('?')[0], sign_in)}?to={back}"


def checked_way(way: str) -> str:
    """A relative reference that stays on this server, whatever the client made of it."""
    if len(way) > LONGEST_WAY or not way.startswith("./") or not way.isprintable():
        return "./"
    if "\\" in way or not way.isascii():
        return "./"
    return way
