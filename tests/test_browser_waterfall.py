"""Where a picture's time goes on the server, as its page shows it."""

import asyncio
import json
from typing import Any

import pytest
from playwright.async_api import Page, expect

from rtcstream import Image, Stream
from tests.browser import Pages
from tests.conftest import Serve
from tests.footage import loopback, start, stop, until, visit

# Where each bar begins and how long it is, on the screen.
BARS = """
[...document.querySelectorAll("#waterfall .bar")].map((bar) => {
  const { left, width } = bar.getBoundingClientRect();
  return [left, width];
})
"""


async def slow(image: Image) -> Image:
    """Takes its time."""
    await asyncio.sleep(0.02)
    return image


async def rows(page: Page) -> dict[str, list[str]]:
    """What is written in each row: the median and the 95th percentile."""
    read = "[...document.querySelectorAll('#waterfall tr')].map((row) => row.innerText)"
    texts = [text.split() for text in await page.evaluate(read)]
    return {" ".join(text[:-2]): text[-2:] for text in texts[1:]}


async def show(page: Page, stages: dict[str, Any]) -> None:
    """Let the page's own waterfall show these times."""
    await page.evaluate(
        f"""async () => {{
          const {{ Waterfall }} = await import("./static/waterfall.js");
          new Waterfall(document.getElementById("waterfall")).show({json.dumps(stages)});
        }}"""
    )


async def test_stages_of_a_session(serve: Serve, pages: Pages) -> None:
    """A running filter shows how long each stage takes; nothing is left of it after Stop."""
    async with serve(Stream(slow)) as url:
        page = await visit(pages, url)
        await expect(page.locator("#waterfall")).to_be_hidden()
        await start(page)
        await until(page, "document.querySelector('#waterfall tbody')?.rows.length === 6")
        shown = await rows(page)
        first, *_, last = shown
        assert (first, last) == ("Decode", "Total")
        assert 19 < float(shown["Function"][0]) <= float(shown["Total"][0])
        await stop(page)
        await expect(page.locator("#waterfall")).to_be_hidden()


@pytest.mark.parametrize("width", [1280, 360])
async def test_bars_follow_each_other(serve: Serve, pages: Pages, width: int) -> None:
    """Each bar begins where the last one ends, all by one scale; it fits on a telephone."""
    stages = {"decode": [10, 12], "function": [20, 40], "encode": [10, 30], "total": [41, 70]}
    async with serve(Stream(loopback)) as url:
        page = await visit(pages, url, viewport={"width": width, "height": 900})
        await show(page, stages)
        (a, long_a), (b, long_b), (c, long_c) = await page.evaluate(BARS)
        assert long_b == pytest.approx(2 * long_a, rel=0.05)
        assert long_c == pytest.approx(long_a, rel=0.05)
        assert b == pytest.approx(a + long_a, abs=1) and c == pytest.approx(b + long_b, abs=1)
        assert await rows(page) == {
            "Decode": ["10.0", "12.0"],
            "Function": ["20.0", "40.0"],
            "Encode": ["10.0", "30.0"],
            "Total": ["41.0", "70.0"],
        }
        assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def test_nothing_to_show(serve: Serve, pages: Pages) -> None:
    """Without stages there is no waterfall."""
    async with serve(Stream(loopback)) as url:
        page = await visit(pages, url)
        await show(page, {"decode": [1, 2]})
        await expect(page.locator("#waterfall")).to_be_visible()
        await show(page, {})
        await expect(page.locator("#waterfall")).to_be_hidden()
