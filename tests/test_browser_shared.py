"""A shared stream on its page: one sends, the others watch, and the controls are everybody's."""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from playwright.async_api import Page, Route, expect

from rtcstream import Image, Live, Stream
from rtcstream.examples import broadcast
from tests.browser import Pages
from tests.conftest import Serve
from tests.footage import (
    Watch,
    counted,
    left,
    loaded,
    loopback,
    notice,
    start,
    stop,
    until,
    visit,
)

ENDED = "The broadcast has ended; waiting for it to begin again"

NO_CAMERA = """
navigator.mediaDevices.getUserMedia = async () => { throw new Error("the camera was asked for"); };
"""


async def watch(page: Page) -> None:
    """Press Watch, and wait until the pictures are seen."""
    await page.click("#watch")
    await until(page, "document.querySelector('#output').videoWidth")


async def pictures(page: Watch) -> dict[int, Any]:
    """Forty frames or more that a page presents from now on, by timestamp."""
    frames = await page.next(40)
    return {frame.rtp: frame.picture for frame in frames if frame.rtp is not None and frame.same}


async def test_one_camera_and_two_viewers(serve: Serve, pages: Pages) -> None:
    """Two who watch see the very pictures that the source sees; one who joins late sees one within
    a second; all are told when the source has left, and see it when it is back."""
    async with counted(serve, broadcast.stream) as (url, sessions):
        source, first, second = [
            await visit(pages, url, *scripts) for scripts in ([], [NO_CAMERA], [NO_CAMERA])
        ]
        watches = [await Watch.on(page) for page in (source, first, second)]
        await loaded(source)
        await expect(source.locator("#start")).to_have_text("Send the camera")
        await start(source)
        await expect(source.locator("#watch")).to_be_hidden()
        await watch(first)
        await expect(first.locator("#preview")).to_be_hidden()

        await watches[0].next(30)
        waited = await second.evaluate(
            """() => new Promise((resolve) => {
              const since = performance.now();
              const video = document.querySelector("#output");
              video.requestVideoFrameCallback(() => resolve(performance.now() - since));
              document.querySelector("#watch").click();
            })"""
        )
        print(f"joined late: a picture after {waited:.0f} ms")
        assert waited < 1000

        shown = await asyncio.gather(*map(pictures, watches))
        common = set(shown[0]) & set(shown[1]) & set(shown[2])
        assert len(common) > 5, [len(each) for each in shown]
        for at in common:
            for other in shown[1:]:
                assert np.abs(shown[0][at].astype(int) - other[at]).mean() < 2

        caption = first.get_by_label("Caption")
        await caption.fill("Hello")
        await caption.press("Enter")
        for page in (source, second):
            await expect(page.get_by_label("Caption")).to_have_value("Hello")

        await source.click("#start")
        for page in (first, second):
            await expect(page.locator("#placeholder")).to_have_text(ENDED)
            await expect(page.locator("#status")).to_have_text("Waiting for a source")
        await start(source)
        for page in (first, second):
            await until(page, "document.querySelector('#output').videoWidth")
            await expect(page.locator("#status")).to_have_text("Connected")
        caption = second.get_by_label("Caption")
        await caption.fill("Again")
        await caption.press("Enter")
        await expect(first.get_by_label("Caption")).to_have_value("Again")
        for page in (first, second, source):
            await stop(page)
        await left(sessions, 0)


async def test_nobody_is_sending_yet(serve: Serve, pages: Pages) -> None:
    """Who watches before anybody sends is told so, and sees the picture when somebody does."""
    pages.expect_error("/session.*status of 409")
    async with serve(Stream(loopback, shared=True)) as url:
        viewer = await visit(pages, url, NO_CAMERA)
        await loaded(viewer)
        asked: list[str] = []
        viewer.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
        await viewer.click("#watch")
        await expect(viewer.locator("#placeholder")).to_contain_text("Nobody is sending yet")
        await expect(viewer.locator("#status")).to_have_text("Waiting for a source")
        async with viewer.expect_request("**/stream.json"):
            pass
        assert asked == ["session", "stream.json"], "an offer is dear"
        source = await visit(pages, url)
        await start(source)
        await until(viewer, "document.querySelector('#output').videoWidth")
        await viewer.click("#start")
        await expect(viewer.locator("#status")).to_have_text("Ready")
        await viewer.click("#watch")
        await viewer.click("#start")
        await expect(viewer.locator("#status")).to_have_text("Ready")
        await source.click("#start")


WAITS = """async () => {
  const { RtcStream } = await import("./static/rtcstream.js");
  window.own = new RtcStream();
  window.told = [];
  for (const type of ["source", "reconnecting", "failure"]) own.on(type, () => told.push(type));
  const end = (error) => told.push(error.code);
  own.start({ watch: true, reconnect: true }).then(() => told.push("started"), end);
}"""


async def test_how_waiting_for_a_source_ends(serve: Serve, pages: Pages) -> None:
    """A page of one's own that is told to wait learns how that ends from its `start()`, once: that
    it was stopped while the server was away, and that another program came back."""
    pages.expect_error("/session.*status of 409")
    pages.expect_error("stream.json")
    answers: list[str] = []

    async def answer(route: Route) -> None:
        if answers:
            await route.fulfill(body=answers[0], content_type="application/json")
        else:
            await route.abort()

    async with serve(Stream(loopback, shared=True)) as url:
        for stopped in (True, False):
            page = await visit(pages, url)
            await page.evaluate(WAITS)
            await until(page, "told.length")
            if stopped:
                await page.route("**/stream.json", answer)
                await until(page, "told.includes('reconnecting')")
                await page.evaluate("own.stop()")
            else:
                description = await page.evaluate("own.describe()")
                answers.append(json.dumps({**description, "name": "another", "source": True}))
                await page.route("**/stream.json", answer)
            end = "stopped" if stopped else "changed"
            await until(page, f"told.at(-1) === '{end}'")
            assert "failure" not in await page.evaluate("told")


async def test_a_pause_that_is_cut(serve: Serve, pages: Pages) -> None:
    """To try at once counts for the next pause, where there is none just now: also after one that
    was given up."""
    async with serve(Stream(loopback)) as url:
        page = await visit(pages, url)
        waited = await page.evaluate(
            """async () => {
              const pause = new (await import("./static/reconnect.js")).Pause();
              const stopped = new AbortController();
              const given = pause.wait(60_000, stopped.signal).catch((reason) => reason);
              stopped.abort("stopped");
              const reason = await given;
              pause.cut();
              const since = performance.now();
              await pause.wait(5000, new AbortController().signal);
              return [reason, performance.now() - since];
            }"""
        )
        assert waited[0] == "stopped" and waited[1] < 1000


async def test_somebody_sends_already(serve: Serve, pages: Pages) -> None:
    """Who wants to send when another does is told so, and may watch instead."""
    pages.expect_error("/session.*status of 409")
    async with serve(Stream(loopback, shared=True)) as url:
        source, other = await visit(pages, url), await visit(pages, url)
        await start(source)
        await other.click("#start")
        await expect(notice(other, "Somebody is sending already")).to_be_visible()
        await watch(other)
        await expect(other.locator("#notices .notice")).to_have_count(0)


async def test_shared_generator(serve: Serve, pages: Pages) -> None:
    """A shared generator is started as any other; its page says whose the controls are."""

    def shade(level: Live[int] = Live(50)) -> Iterator[Image]:
        while True:
            yield np.full((48, 64, 3), level.value, np.uint8)
            time.sleep(0.02)

    async with serve(Stream(shade, shared=True)) as url:
        first, second = await visit(pages, url), await visit(pages, f"{url}?level=90")
        await loaded(first)
        await expect(first.locator("#start")).to_have_text("Start")
        await expect(first.locator("#watch")).to_be_hidden()
        await expect(first.locator("#everybodys")).to_be_visible()
        await start(first)
        await start(second)
        # It was the first one's to begin with.
        await expect(second.get_by_label("Level")).to_have_value("50")
        await second.get_by_label("Level").fill("200")
        await second.get_by_label("Level").press("Enter")
        await expect(first.get_by_label("Level")).to_have_value("200")
