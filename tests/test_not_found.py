"""Addresses at which nothing is: what a program is answered, and what a person sees."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from rtcstream import Image, Stream
from rtcstream.gallery import Gallery
from rtcstream.not_found import PLACES, Place
from rtcstream.server import ServerOptions, listening

BROWSER = {"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Mode": "navigate"}
PROBLEM = "application/problem+json"
OUTSIDE = (
    *("static/%2e%2e/gallery.py", "static/..%2fgallery.py", "static/"),
    *("gallery/%00", "gallery/" + "x" * 300),
)


def flip(image: Image) -> Image:
    return image[::-1]


async def own(request: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound(text="no such cat")


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """A server as the gallery is one, with one stream."""
    app = web.Application()
    app.add_subapp("/webcam_filter/", Stream(flip).app())
    app.router.add_get("/cats", own)
    app[PLACES] = [Place("webcam_filter", "Webcam <filter>"), Place("tone", "Tone")]
    async with listening(app, ServerOptions(port=0)) as url:
        yield url


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        (
            "GET",
            "webcam_fliter/",
            404,
            "at /webcam_fliter/. Did you mean ./../webcam_filter/?",
        ),
        ("GET", "Webcam-Filter", 404, "Did you mean ./webcam_filter/?"),
        ("POST", "quite/another", 404, "There is nothing at /quite/another. Look at the address."),
        ("GET", "webcam_filter/nothing", 404, "There is nothing at /webcam_filter/nothing."),
        ("GET", "%ff%00" + "x" * 200, 404, "There is nothing at /"),
        ("POST", "cats", 405, "Use GET, HEAD here, not POST."),
    ],
)
async def test_a_program_gets_a_problem(
    method: str, path: str, status: int, words: str, url: str, client: aiohttp.ClientSession
) -> None:
    """RFC 9457, with what to do about it, outside of streams as within them."""
    async with client.request(method, url + path) as response:
        problem: dict[str, Any] = await response.json(content_type=PROBLEM)
    assert response.status == problem["status"] == status
    assert problem["detail"].startswith(words) or words in problem["detail"]
    assert len(problem["detail"]) < 300
    assert status == 404 or response.headers["Allow"] == "GET, HEAD"


async def test_a_page_that_may_ask_gets_it_too(client: aiohttp.ClientSession) -> None:
    """A page of an origin that is allowed can read the problem."""
    options = ServerOptions(port=0, cors_origins=["https://example.com"])
    origin = {"Origin": "https://example.com"}
    async with (
        listening(Stream(flip), options) as url,
        client.get(url + "nothing", headers=origin) as response,
    ):
        assert response.status == 404
        assert response.headers["Access-Control-Allow-Origin"] == "https://example.com"


async def test_a_person_sees_what_there_is(url: str, client: aiohttp.ClientSession) -> None:
    """A browser gets a page with the nearest name, all names, and the way back, in no markup but
    its own."""
    async with client.get(url + "webcam_flter/<b>", headers=BROWSER) as response:
        page = await response.text()
    assert response.status == 404 and response.content_type == "text/html"
    assert 'Did you mean <a href="./../webcam_filter/">Webcam &lt;filter&gt;</a>?' in page
    assert '<li><a href="./../tone/">Tone</a></li>' in page and 'href="./../"' in page
    assert "<strong>/webcam_flter/&lt;b&gt;</strong>" in page
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]


async def test_a_lone_stream_has_the_way_to_its_start(client: aiohttp.ClientSession) -> None:
    """Where there are no names to choose from there is the way to the page."""
    async with (
        listening(Stream(flip), ServerOptions(port=0)) as url,
        client.get(url + "nothing/here", headers=BROWSER) as response,
    ):
        page = await response.text()
    assert '<a href="./../">To the start</a>' in page
    assert "<section hidden>" in page and "<span hidden>" in page


async def test_what_an_application_says_itself_stays(
    url: str, client: aiohttp.ClientSession
) -> None:
    """A handler's own words of what it has not are passed on."""
    async with client.get(url + "cats", headers=BROWSER) as response:
        assert (response.status, await response.text()) == (404, "no such cat")


async def test_the_gallery_names_its_examples(client: aiohttp.ClientSession) -> None:
    """All examples are there to be named, with their titles; files that it has not are missed in
    the same manner, and those that are not its own are not served."""
    app = Gallery().app()
    assert Place("webcam_filter", "Webcam filter") in app[PLACES]
    statuses = {}
    async with listening(app, ServerOptions(port=0)) as url:
        for path in ("static/style.css", "gallery/webcam_filter.jpg", "static/no.js", *OUTSIDE):
            async with client.get(url + path) as response:
                statuses[path] = response.status
                assert response.content_type == PROBLEM or response.ok
    assert [*statuses.values()] == [200, 200, 404, *[404] * len(OUTSIDE)]
