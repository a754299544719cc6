"""The page in a real Firefox."""

import asyncio
from pathlib import Path
from typing import Literal

from aiohttp import web

from rtcstream import Image, Stream, signaling
from rtcstream.stream import STATIC
from tests.conftest import Serve
from tests.firefox import firefox
from tests.pictures import plain

COLOURS = {"red": (40, 40, 200), "green": (40, 200, 40)}

MIDDLE = """(() => {
  const video = document.querySelector("#output");
  if (!video.videoWidth) return null;
  const canvas = new OffscreenCanvas(8, 8);
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0, 8, 8);
  const [red, green] = context.getImageData(4, 4, 1, 1).data;
  return red > 150 && green < 90 ? "red" : green > 150 && red < 90 ? "green" : "other";
})()"""


def paint(image: Image, colour: Literal["red", "green"] = "green") -> Image:
    return plain(COLOURS[colour], image.shape[1], image.shape[0])


async def test_firefox_shows_the_filter_and_sets_a_control(serve: Serve, tmp_path: Path) -> None:
    """Firefox's offer and its short candidate lines work; a control changes the picture."""
    stream = Stream(paint)
    sessions = stream.sessions()
    app = web.Application()
    signaling.setup(app, sessions, page=STATIC / "index.html", static=STATIC)
    async with serve(app) as url, firefox(tmp_path) as page:
        await page.open(url + "?colour=red")
        await page.wait_for("document.querySelector('[name=colour]')?.value === 'red'")
        await page.evaluate("document.querySelector('#start').click()")
        await page.wait_for(f"{MIDDLE} === 'red'")
        assert len(sessions) == 1
        await page.evaluate(
            "(() => { const s = document.querySelector('[name=colour]'); s.value = 'green';"
            "s.dispatchEvent(new Event('input', {bubbles: true}));"
            "s.dispatchEvent(new Event('change', {bubbles: true})); })()"
        )
        await page.wait_for(f"{MIDDLE} === 'green'")
        await page.evaluate("document.querySelector('#start').click()")
        async with asyncio.timeout(5):
            while len(sessions):  # noqa: ASYNC110 - the session's end is the server's affair
                await asyncio.sleep(0.02)
        await sessions.end_all("done")
