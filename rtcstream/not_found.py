"""What is not here, or is not done so: a problem for programs, and for people a page."""

import difflib
import html
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from .pages import PlainPage
from .sign_in import relative_way, wants_page
from .signaling import Problem, origins_of

LONGEST = 100
"""Characters of an address that are repeated."""


class Place(NamedTuple):
    """A page of an application: ``name`` is its path below the root, ``title`` is for people."""

    name: str
    title: str


PLACES = web.AppKey("rtcstream_places", Sequence[Place])
"""The pages of an application, for who has mistyped the address of one."""


def not_found(app: web.Application) -> Middleware:
    """A middleware that answers in aiohttp's place where nothing of ``app``, or of what is mounted
    in it, is at an address (404), or takes such a method there (405).

    A program gets an RFC 9457 problem, who opens a page another page, with the way to those that
    there are. What handlers say in words of their own stays.
    """
    page = PlainPage("not-found.html")

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPMethodNotAllowed as error:
            if not _says_nothing(error):
                raise
            allowed = ", ".join(sorted(error.allowed_methods))
            problem = Problem(
                405,
                "Method not allowed",
                f"Use {allowed} here, not {request.method[:LONGEST]}.",
                {"Allow": allowed},
            )
        except web.HTTPNotFound as error:
            if not _says_nothing(error):
                raise
            places = app.get(PLACES, ())
            near = _nearest(request, places)
            if wants_page(request):
                return _page(page, request, places, near)
            hint = f"Did you mean {_way(request, near)}?" if near else "Look at the address."
            detail = f"There is nothing at {_shown(request)}. {hint}"
            problem = Problem(404, "Nothing here", detail)
        response = problem.response()
        response.headers.update(origins_of(request).response_headers(request.headers))
        return response

    return answer


def _says_nothing(error: web.HTTPException) -> bool:
    """Whether its words are aiohttp's, and no handler's own."""
    return error.text == f"{error.status}: {error.reason}"


def _nearest(request: web.Request, places: Sequence[Place]) -> Place | None:
    """The place that was meant, perhaps."""
    wanted = request.path.strip("/").partition("/")[0].lower()
    names = {each.name.lower(): each for each in places}
    found = difflib.get_close_matches(wanted, names, n=1)
    return names[found[0]] if found else None


def _way(request: web.Request, place: Place | None) -> str:
    """The relative reference to a place, or to the root."""
    end = "/" if place is None else f"/{quote(place.name)}/"
    return relative_way(request.rel_url.raw_path, end)


def _shown(request: web.Request) -> str:
    path = request.path
    return path if len(path) <= LONGEST else f"{path[:LONGEST]}..."


def _page(
    page: PlainPage, request: web.Request, places: Sequence[Place], near: Place | None
) -> web.Response:
    links = "\n".join(
        f'<li><a href="{html.escape(_way(request, each))}">{html.escape(each.title)}</a></li>'
        for each in places
    )
    words = {
        "path": _shown(request),
        "near": "" if near else "hidden",
        "near-way": _way(request, near),
        "near-title": near.title if near else "",
        "others": "" if places else "hidden",
        "root": _way(request, None),
        "back": "All examples, with pictures" if places else "To the start",
    }
    return page.response(words, markup={"links": links}, status=404)
