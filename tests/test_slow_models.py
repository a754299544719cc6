"""A model that takes long to load, and whose first pictures take long: nobody else is held up, and
nothing raw is seen meanwhile."""

import asyncio
import statistics
import threading
import time

from aiohttp import web
from playwright.async_api import expect

from rtcstream import Image, Progress, Stream, testing
from rtcstream.testing import TestPeer
from tests.browser import Pages
from tests.conftest import Serve
from tests.footage import Watch, heard, loopback, off, start, stop, until, visit
from tests.pictures import plain, scene

LOADING = 2.0
STEPS = 10
FIRST = 0.2
"""Seconds of each of the first calls."""
RED = (20, 30, 200)


class Model:
    """Takes two seconds to load, or until it is seen loading, and then 0.2 s for each of five
    pictures; each becomes red."""

    def __init__(self) -> None:
        self.calls = 0
        self.seen = threading.Event()
        self.seen.set()

    def load(self, progress: Progress) -> None:
        for step in range(STEPS):
            progress(step / STEPS, f"Reading part {step + 1} of {STEPS}")
            time.sleep(LOADING / STEPS)
            assert self.seen.wait(20)

    def apply(self, image: Image) -> Image:
        self.calls += 1
        if self.calls <= 5:
            time.sleep(FIRST)
        image[:] = RED
        return image


async def round_trips(peer: TestPeer, seconds: float) -> list[float]:
    """How long each picture of that time took there and back, at 20 a second."""
    took = []
    end = time.monotonic() + seconds
    while (began := time.monotonic()) < end:
        await peer.apply(scene(160, 120))
        took.append(time.monotonic() - began)
        await asyncio.sleep(max(began + 0.05 - time.monotonic(), 0))
    return took


async def test_other_sessions_keep_their_latency() -> None:
    """While a model loads, and while its first calls take long, another session's pictures take as
    long as before."""
    model = Model()
    async with testing.connect(Stream(loopback)) as other:
        await other.apply(scene(160, 120))
        before = await round_trips(other, 0.7)
        slow = Stream(model.apply, lifespan=model.load)
        async with testing.connect(slow, timeout=20) as peer:
            await peer.message("state", value="loading")
            peer.send(scene(160, 120))
            loading = await round_trips(other, 1.2)
            assert not peer.pictures and not model.calls
            told = [m["value"] for m in peer.messages if m["type"] == "progress"]
            assert len(told) > 3 and told == sorted(told)
            await peer.message("state", value="running")
            first = asyncio.ensure_future(other_pictures(peer, 3))
            calling = await round_trips(other, 0.7)
            await first
            assert all(off(picture, RED) < 40 for _, picture in peer.pictures)
    bound = 2 * statistics.median(before) + 0.015
    assert statistics.median(loading) < bound
    assert statistics.median(calling) < bound


async def other_pictures(peer: TestPeer, count: int) -> None:
    for number in range(count):
        await peer.apply(plain((40 * number, 90, 90), 160, 120))


async def test_the_page_says_that_it_loads(serve: Serve, pages: Pages) -> None:
    """The page says how far the model is, and shows no picture until there is one of the function's
    own; another page's video goes on at its pace meanwhile."""
    model = Model()
    model.seen.clear()  # it begins to load before the page is there
    app = web.Application()
    app.add_subapp("/plain/", Stream(loopback).app())
    slow = Stream(model.apply, lifespan=model.load)
    async with serve(app) as url:
        other = await visit(pages, f"{url}plain/")
        watch = await Watch.on(other)
        await start(other)
        await watch.next(10)
        began = time.monotonic()
        usual = len(await watch.next(20)) / (time.monotonic() - began)
        async with serve(slow) as there:
            page = await visit(pages, there)
            shown = await Watch.on(page)
            await page.click("#start")
            await expect(page.locator("#placeholder")).to_have_text("Loading…", timeout=15_000)
            await expect(page.locator("#progress-text")).to_contain_text(f"of {STEPS}")
            assert 0 <= await page.locator("#progress-bar").evaluate("bar => bar.value") < 1
            model.seen.set()
            assert not await page.evaluate("document.querySelector('#output').videoWidth")
            began = time.monotonic()
            meanwhile = len(await watch.next(10)) / (time.monotonic() - began)
            await until(page, "document.querySelector('#output').videoWidth", 15)
            await expect(page.locator("#progress")).to_be_hidden()
            frames = await shown.at_least(5)
            assert max(off(frame.picture, RED) for frame in frames) < 48
            assert {m["value"] for m in await heard(page, "state")} >= {"loading", "running"}
            await stop(page)
        assert meanwhile > 0.5 * usual
        await stop(other)
