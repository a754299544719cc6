"""What a visitor sees of a page whose function, scripts or camera fail, and after that."""

import threading
from collections.abc import Iterator
from typing import Annotated

import numpy as np
from playwright.async_api import Route, expect

from rtcstream import Image, Label, Session, Stream
from tests.browser import Pages
from tests.conftest import Serve
from tests.footage import Watch, counted, left, loaded, loopback, notice, start, stop, until, visit

LATER = """
const now = performance.now.bind(performance);
window.later = 0;
performance.now = () => now() + later;
"""
"""`later` moves the page's clock on, in milliseconds."""

CAMERAS = """
window.cameras = [];
window.asked = 0;
const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wish) => {
  asked += 1;
  const stream = await open(wish);
  asked -= 1;
  cameras.push(...stream.getTracks());
  return stream;
};
"""

WELL = "heard.filter((each) => each.type === 'stats').at(-1)?.fps_out > 5"

# What cannot be loaded


async def test_what_cannot_be_loaded(serve: Serve, pages: Pages) -> None:
    """The page says what failed, its camera is off and its session over; Try again begins anew."""

    class Model:
        tries = 0

        def __init__(self) -> None:
            Model.tries += 1
            if Model.tries == 1:
                raise ModuleNotFoundError("No module named 'detector'")

        def __call__(self, image: Image) -> Image:
            return image

    async with counted(serve, Stream(Model)) as (url, sessions):
        page = await visit(pages, url, CAMERAS)
        await page.click("#start")
        words = notice(page, "could not be loaded")
        await expect(words).to_contain_text("Your camera is off")
        await expect(words).to_contain_text("No module named 'detector'")
        await expect(page.locator("#notices .notice")).to_have_count(1)
        await expect(page.locator("#status")).to_have_text("Failed to load")
        await expect(page.locator("#placeholder")).to_have_text("It could not be loaded")
        assert await page.evaluate("cameras.map((each) => each.readyState)") == ["ended"]
        await left(sessions, 0)

        await page.get_by_role("button", name="Try again").click()
        await until(page, "document.querySelector('#output').videoWidth")
        await expect(page.locator("#notices .notice")).to_have_count(0)
        await stop(page)
        await expect(page.locator("#start")).to_have_text("Start")


async def test_a_generator_that_fails_at_once(serve: Serve, pages: Pages) -> None:
    """It is told as failed rather than as finished; run again, its error is past."""
    runs: list[int] = []

    def grey() -> Iterator[Image]:
        runs.append(1)
        if len(runs) == 1:
            raise RuntimeError("the film is missing")
        while True:
            yield np.full((48, 64, 3), 90, np.uint8)

    async with serve(Stream(grey)) as url:
        page = await visit(pages, url, LATER)
        await page.click("#start")
        await expect(notice(page, "the film is missing")).to_be_visible()
        await expect(page.locator("#placeholder")).to_have_text("It failed: see the message below")
        await page.click("#again")
        await until(page, "document.querySelector('#output').videoWidth")
        await page.evaluate("later += 3000")
        await expect(notice(page, "film is missing")).to_contain_text("a moment ago")
        await stop(page)


# What was wrong


async def test_errors_grow_old(serve: Serve, pages: Pages) -> None:
    """An error is past when pictures come again, comes back with its count, and goes in the end;
    what the function says in other words stays."""
    fails = threading.Event()
    fails.set()

    def shaky(image: Image, session: Session) -> Image:
        if fails.is_set():
            raise ValueError("a bad frame")
        session.info("all is well")
        return image

    async with serve(Stream(shaky)) as url:
        page = await visit(pages, url, LATER)
        await page.click("#start")
        error = notice(page, "a bad frame")
        await expect(error.locator(".count")).not_to_have_text("")
        await expect(error).not_to_have_attribute("data-past", "")
        fails.clear()
        await page.evaluate("heard.length = 0")
        await until(page, WELL)
        await page.evaluate("later += 3000")
        await expect(error).to_have_attribute("data-past", "", timeout=8000)
        await expect(error).to_contain_text("a moment ago")
        count = await error.locator(".count").inner_text()
        fails.set()
        await expect(error).not_to_have_attribute("data-past", "")
        assert await error.locator(".count").inner_text() != count
        fails.clear()
        await page.evaluate("heard.length = 0")
        await until(page, WELL)
        await page.evaluate("later += 30_000")
        await expect(error).to_contain_text("30 s ago")
        await page.evaluate("later += 30_000")
        await expect(error).to_have_count(0)
        await expect(notice(page, "all is well")).to_be_visible()
        await stop(page)


# Scripts


async def test_a_script_that_does_not_load(serve: Serve, pages: Pages) -> None:
    """A page one of whose modules is missing, or held back, says so beside a Start that is grey."""
    pages.expect_error("words.js")

    async def missing(route: Route) -> None:
        await route.fulfill(status=404)

    async def blocked(route: Route) -> None:
        await route.abort()

    async with serve(Stream(loopback)) as url:
        for answer in (missing, blocked):
            page = await pages.open()
            await page.route("**/static/words.js", answer)
            await page.goto(url)
            await expect(page.get_by_role("alert")).to_contain_text("scripts did not load")
            await expect(page.locator("#start")).to_be_disabled()
        page = await visit(pages, url)
        await expect(page.locator("#start")).to_be_enabled()
        await expect(page.locator("#broken")).to_be_hidden()


# Camera


REFUSES = """
window.refuses = true;
const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wish) => {
  if (refuses) throw new DOMException("no", "NotAllowedError");
  return open(wish);
};
"""

UNPLUG = """
window.lost = cameras.at(-1);
lost.stop();
lost.dispatchEvent(new Event("ended"));
"""
PLUG_IN = "navigator.mediaDevices.dispatchEvent(new Event('devicechange'))"


async def test_a_camera_that_is_refused_and_then_allowed(serve: Serve, pages: Pages) -> None:
    """The next Start is as good as a first one, and nothing of the refusal stays."""
    async with counted(serve, Stream(loopback)) as (url, sessions):
        page = await visit(pages, url, REFUSES)
        await page.click("#start")
        await expect(notice(page, "camera was refused")).to_be_visible()
        await expect(page.locator("#status")).to_have_text("Ready")
        assert len(sessions) == 0
        await page.evaluate("refuses = false")
        await start(page)
        await expect(page.locator("#notices .notice")).to_have_count(0)
        await stop(page)


async def test_start_and_stop_in_a_hurry(serve: Serve, pages: Pages) -> None:
    """However often it is pressed, the last press counts; then no camera is left open, and no
    session."""
    async with counted(serve, Stream(loopback)) as (url, sessions):
        page = await visit(pages, url, CAMERAS)
        await loaded(page)
        await page.focus("#start")
        for presses in (4, 6):
            for _ in range(presses):
                await page.keyboard.press("Enter")
            await expect(page.locator("#status")).to_have_text("Ready")
            await until(page, "cameras.length && !asked")
            assert set(await page.evaluate("cameras.map((each) => each.readyState)")) == {"ended"}
        await left(sessions, 0)


async def test_a_page_that_is_put_away(serve: Serve, pages: Pages) -> None:
    """The camera is off while the browser keeps a page to go back to, which then begins anew."""
    async with counted(serve, Stream(loopback)) as (url, sessions):
        page = await visit(pages, url, CAMERAS)
        await start(page)
        for event in ("pagehide", "pageshow"):
            await page.evaluate(
                f"dispatchEvent(new PageTransitionEvent('{event}', {{ persisted: true }}))"
            )
            await expect(page.locator("#status")).to_have_text("Ready")
            await expect(page.locator("#start")).to_have_text("Start")
            assert await page.evaluate("cameras.map((each) => each.readyState)") == ["ended"]
        await left(sessions, 0)
        await start(page)
        await stop(page)


async def test_a_camera_that_is_unplugged(serve: Serve, pages: Pages) -> None:
    """The page says so, and goes on in the same session when that very camera is there again; not
    after Stop."""
    async with counted(serve, Stream(loopback)) as (url, sessions):
        page = await visit(pages, url, CAMERAS)
        watch = await Watch.on(page)
        await start(page)
        await page.evaluate(UNPLUG)
        await expect(notice(page, "camera has gone")).to_contain_text("Plug it in again")
        await page.evaluate(PLUG_IN)
        await expect(page.locator("#notices .notice")).to_have_count(0)
        await watch.next(10)
        assert await page.evaluate("cameras.map((each) => each.readyState)") == ["ended", "live"]
        assert await page.evaluate("connections.length") == 1
        await page.evaluate(UNPLUG)
        await stop(page)
        await page.evaluate(PLUG_IN)
        await start(page)
        assert await page.evaluate("cameras.length") == 3
        await stop(page)
        await left(sessions, 0)


async def test_a_value_that_is_refused(serve: Serve, pages: Pages) -> None:
    """What a control says of it goes when the control has another value, whoever has set it."""

    def shade(level: Annotated[int, Label("Level")] = 3) -> Iterator[Image]:
        yield np.full((48, 64, 3), level, np.uint8)

    async with serve(Stream(shade, shared=True)) as url:
        pair = [await visit(pages, url) for _ in range(2)]
        for page in pair:
            await start(page)
        field = pair[0].get_by_label("Level")
        message = pair[0].locator(".control-message")
        await field.fill("1.5")
        await expect(message).to_contain_text("whole")
        await pair[1].get_by_label("Level").fill("7")
        await expect(message).to_have_text("")
