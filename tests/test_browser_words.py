"""What goes wrong between a page and its server, in the page's words."""

import re
import socket
from collections.abc import Iterator

import pytest
from aiohttp import web
from playwright.async_api import Page, expect

from rtcstream import Stream
from rtcstream.negotiator import Sessions
from rtcstream.signaling import Answer, Fragment, Problem
from tests.browser import Pages, Setup
from tests.conftest import Serve
from tests.footage import (
    application,
    counted,
    left,
    loaded,
    loopback,
    visit,
)


async def refused(page: Page, *words: str) -> None:
    """The page says all of this in one notice, and is ready for another Start."""
    await expect(page.locator("#start")).to_have_text("Start")
    await expect(page.locator("#notices .notice")).to_have_count(1)
    text = await page.inner_text("#notices .notice")
    for word in words:
        assert re.search(word, text, re.IGNORECASE), f"no {word!r} in {text!r}"
    await expect(page.locator("#status")).to_have_text("Ready")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("NotAllowedError", ["refused|denied", "allow", "Start"]),
        ("NotFoundError", ["no camera", "plug", "Start"]),
        ("NotReadableError", ["in use", "close", "Start"]),
    ],
)
async def test_camera_cannot_be_opened(
    serve: Serve, pages: Pages, name: str, words: list[str]
) -> None:
    """Each reason that a browser gives is said in words of its own, with what to do."""
    async with counted(serve, Stream(loopback)) as (url, sessions):
        page = await visit(
            pages,
            url,
            "navigator.mediaDevices.getUserMedia = async () => {"
            f"  throw new DOMException('in the browser\\'s words', '{name}'); }}",
        )
        await page.click("#start")
        await refused(page, *words)
        assert len(sessions) == 0


@pytest.mark.parametrize(
    ("setup", "words"),
    [
        (Setup(flags=("--use-fake-ui-for-media-stream=deny",)), ["refused|denied", "allow"]),
        (
            Setup(
                camera=None,
                flags=("--use-fake-device-for-media-stream=device-count=0",),
            ),
            ["no camera", "plug"],
        ),
    ],
    ids=["refused", "absent"],
)
async def test_browser_without_a_camera(
    serve: Serve, pages: Pages, setup: Setup, words: list[str]
) -> None:
    """A browser that refuses the camera, or has none, is told so by the page."""
    async with serve(Stream(loopback)) as url:
        page = await visit(pages, url, setup=setup)
        await page.click("#start")
        await refused(page, *words)


async def test_page_is_not_on_https(serve: Serve, pages: Pages) -> None:
    """Where browsers withhold the camera, the page names HTTPS and localhost."""
    async with serve(Stream(loopback)) as url:
        page = await visit(
            pages,
            url,
            "Object.defineProperty(Navigator.prototype, 'mediaDevices', { value: undefined });",
        )
        await page.click("#start")
        await refused(page, "https", "localhost")


async def test_server_gone_on_start(serve: Serve, pages: Pages) -> None:
    """Start with a server that has gone says so, and that one may start again."""
    pages.expect_error("ERR_CONNECTION_REFUSED")
    async with serve(Stream(loopback)) as url:
        page = await visit(pages, url)
        await loaded(page)
    await page.click("#start")
    await refused(page, "server", "gone|does not answer", "Start")


class Refusing:
    """Describes the stream, and refuses every session."""

    def __init__(self, sessions: Sessions, problem: Problem) -> None:
        self.describe = sessions.describe
        self.trickle = sessions.trickle
        self.abandon = sessions.abandon
        self.upload = sessions.upload
        self.download = sessions.download
        self.close = sessions.close
        self.queue = sessions.queue
        self.ice_servers = sessions.ice_servers
        self.owner = sessions.owner
        self._problem = problem

    async def open(self, offer: str, parameters: dict[str, str], request: web.Request) -> Answer:
        raise self._problem


async def test_session_is_refused(serve: Serve, pages: Pages) -> None:
    """A refusal is shown in the server's own words, with when to try again."""
    pages.expect_error("/session.*status of 503")
    sessions = Stream(loopback).sessions()
    problem = Problem(503, "All seats are taken", "Wait until one leaves.", {"Retry-After": "7"})
    async with serve(application(Refusing(sessions, problem), sessions)) as url:
        page = await visit(pages, url)
        await page.click("#start")
        await refused(page, "All seats are taken", "Wait until one leaves", r"7 s")


class Unreachable:
    """Answers as the sessions do, but with candidates behind which nobody answers."""

    def __init__(self, sessions: Sessions, port: int) -> None:
        self.describe = sessions.describe
        self.ice_servers = sessions.ice_servers
        self.owner = sessions.owner
        self.abandon = sessions.abandon
        self.upload = sessions.upload
        self.download = sessions.download
        self.close = sessions.close
        self.queue = sessions.queue
        self._sessions = sessions
        self._candidate = f"a=candidate:1 1 udp 2130706431 127.0.0.1 {port} typ host"

    async def open(self, offer: str, parameters: dict[str, str], request: web.Request) -> Answer:
        unknown = re.sub(r"a=candidate:.*\r\n", "", offer)
        answer = await self._sessions.open(unknown, parameters, request)
        sdp = re.sub(r"a=candidate:[^\r\n]*", self._candidate, answer.sdp)
        return Answer(answer.session, sdp, answer.etag)

    async def trickle(self, session: str, fragment: Fragment) -> None:
        """Where the browser could be reached is not told to the session."""


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A UDP port on the loopback interface that takes everything and answers nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.mark.slow
async def test_no_path_for_media(serve: Serve, pages: Pages, silent_port: int) -> None:
    """Without a path for media the page names what was tried, and what usually is in the way."""
    sessions = Stream(loopback).sessions()
    async with serve(application(Unreachable(sessions, silent_port), sessions)) as url:
        page = await visit(pages, url)
        await page.click("#start")
        await expect(page.locator("#status")).to_have_text("Connecting")
        await expect(page.locator("#notices .notice")).to_have_count(1, timeout=20_000)
        await refused(page, "no path", "firewall", "UDP", "TURN", rf"127\.0\.0\.1 {silent_port}")
        local, remote = await page.locator("#notices pre").all_inner_texts()
        assert "udp" in local and str(silent_port) not in local
        assert str(silent_port) in remote
        await left(sessions, 0)
