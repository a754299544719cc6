"""A stream with limits on its page: waiting in line, let in by itself, time that ends."""

import asyncio
import time

from playwright.async_api import Page, expect

from rtcstream import Stream
from rtcstream.negotiator import Sessions
from tests.browser import Pages
from tests.conftest import Serve
from tests.footage import counted, heard, left, loaded, loopback, notice, start, until, visit

# The moments at which the camera was asked for, and those at which a ticket came.
NOTE = """
window.asked = [];
const devices = navigator.mediaDevices;  // which about:blank has not
const open = devices?.getUserMedia.bind(devices);
if (devices) devices.getUserMedia = (wish) => {
  asked.push(performance.now());
  return open(wish);
};
"""
LIT = "document.querySelector('#preview').srcObject?.active ?? false"


async def waiting(sessions: Sessions, count: int) -> None:
    """Wait until so many stand in line."""
    async with asyncio.timeout(5):
        while sessions.door.admission.state.waiting != count:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def in_line(page: Page, words: str) -> None:
    """The page says where it stands, in the picture's place and as its status."""
    await expect(page.locator("#placeholder")).to_contain_text(words)
    await expect(page.locator("#status")).to_contain_text(words)


async def test_second_waits_and_is_let_in(serve: Serve, pages: Pages) -> None:
    """The second sees that it is next, its camera dark; the third that it is third, and leaves with
    Stop; the second is let in by itself when the first stops, and the camera comes on only then."""
    async with counted(serve, Stream(loopback, concurrency_limit=1)) as (url, sessions):
        first, second, third = [await visit(pages, url, NOTE) for _ in range(3)]
        await start(first)
        await second.click("#start")
        await in_line(second, "You are next in line")
        await third.click("#start")
        await in_line(third, "You are 2nd in line")
        for page in (second, third):
            assert await page.evaluate("asked.length") == 0
            assert not await page.evaluate(LIT)
        await third.click("#start")
        await expect(third.locator("#status")).to_have_text("Ready")
        await waiting(sessions, 1)

        stopped = time.monotonic()
        await first.click("#start")
        await until(second, "document.querySelector('#output').videoWidth")
        print(f"let in {time.monotonic() - stopped:.2f} s after the first stopped")
        assert await second.evaluate("asked.length") == 1
        await expect(second.locator("#status")).to_have_text("Connected")

        # Who comes now hears how long it may take: there has been a session.
        await first.click("#start")
        await in_line(first, "You are next in line, a")
        await second.close()
        await until(first, "document.querySelector('#output').videoWidth")
        await first.click("#start")
        await left(sessions, 0)


async def test_page_that_leaves_loses_its_place(serve: Serve, pages: Pages) -> None:
    """A closed page has left the line; those behind it move up."""
    async with counted(serve, Stream(loopback, concurrency_limit=1)) as (url, sessions):
        first, second, third = [await visit(pages, url, NOTE) for _ in range(3)]
        await start(first)
        await second.click("#start")
        await in_line(second, "You are next in line")
        await third.click("#start")
        await in_line(third, "You are 2nd in line")
        await second.close()
        await in_line(third, "You are next in line")
        await third.goto("about:blank")
        await waiting(sessions, 0)


async def test_time_is_up_and_nobody_waits(serve: Serve, pages: Pages) -> None:
    """A bar counts down; at the end the page goes straight on, and says so."""
    stream = Stream(loopback, time_limit=3, concurrency_limit=1)
    async with counted(serve, stream) as (url, sessions):
        page = await visit(pages, url, NOTE)
        await loaded(page)
        await expect(page.locator("#countdown")).to_be_hidden()
        await start(page)
        bar = page.get_by_label("Time left")
        await expect(bar).to_be_visible()
        assert await bar.get_attribute("max") == "3"
        await expect(page.locator("#remaining")).to_have_text("1 s left")
        await expect(notice(page, "nobody else is waiting")).to_be_visible(timeout=10_000)
        await until(page, "document.querySelector('#output').videoWidth")
        assert [each["reason"] for each in await heard(page, "end")] == ["time_limit"]
        assert await page.evaluate("asked.length") == 2
        await page.click("#start")
        await left(sessions, 0)


async def test_time_is_up_and_others_wait(serve: Serve, pages: Pages) -> None:
    """At the end of its time a page gives way to the one that waits, joins the line by itself, and
    goes on when that one's time is up: they take turns."""
    stream = Stream(loopback, time_limit=4, concurrency_limit=1)
    async with counted(serve, stream) as (url, sessions):
        first, second = [await visit(pages, url, NOTE) for _ in range(2)]
        await start(first)
        await second.click("#start")
        await in_line(second, "You are next in line")
        await until(second, "document.querySelector('#output').videoWidth")
        await in_line(first, "You are next in line")
        await expect(notice(first, "You have joined the line again")).to_be_visible()
        assert not await first.evaluate(LIT)
        await until(first, "document.querySelector('#output').videoWidth")
        await expect(notice(first, "Time is up")).to_be_hidden()
        await in_line(second, "You are next in line")
        for page in (first, second):
            await page.click("#start")
            await expect(page.locator("#status")).to_have_text("Ready")
        await left(sessions, 0)
        await waiting(sessions, 0)


async def test_without_a_limit_nobody_asks_for_a_place(serve: Serve, pages: Pages) -> None:
    """Where there is no limit the page asks for the camera first, and for no place in a line."""
    async with counted(serve, Stream(loopback)) as (url, sessions):
        page = await visit(pages, url, NOTE)
        await start(page)
        names = "performance.getEntriesByType('resource').map(({ name }) => name)"
        assert not await page.evaluate(f"{names}.some((name) => name.endsWith('/queue'))")
        await page.click("#start")
        await left(sessions, 0)
