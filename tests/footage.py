"""What the browser tests look at: the frames that a page shows, and of which camera picture."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pytest
from aiohttp import web
from numpy.typing import NDArray
from playwright.async_api import Locator, Page, expect

from rtcstream import Image, Stream, signaling
from rtcstream.negotiator import Sessions
from rtcstream.signaling import Negotiator
from rtcstream.stream import STATIC
from tests.browser import Pages
from tests.conftest import Serve

Picture = NDArray[np.uint8]

# Before the page's own scripts: what the server says on the data channel, the connections, and the
# goodbyes that have no answer yet.
LISTEN = """
window.heard = [];
window.connections = [];
window.goodbyes = 0;
const request = window.fetch;
window.fetch = async (url, options) => {
  if (options?.method !== "DELETE") return request(url, options);
  goodbyes += 1;
  try {
    return await request(url, options);
  } finally {
    goodbyes -= 1;
  }
};
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...options) {
    super(...options);
    connections.push(this);
  }
  createDataChannel(...options) {
    const channel = super.createDataChannel(...options);
    channel.addEventListener("message", ({ data }) => heard.push(JSON.parse(data)));
    return channel;
  }
};
"""

# A frame is asked for its own time: the element may have gone on to the next one by the time that
# the callback runs, and `drawImage(video)` would then draw that one.
WATCH = """
(video, [width, height]) => {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  window.shown = [];
  const look = (_, { rtpTimestamp, mediaTime }) => {
    video.requestVideoFrameCallback(look);
    let same = false;
    try {
      const frame = new VideoFrame(video);
      context.drawImage(frame, 0, 0, width, height);
      same = Math.abs(frame.timestamp - 1e6 * mediaTime) < 1000;
      frame.close();
    } catch {  // the element is paused, but still shows it
      context.drawImage(video, 0, 0, width, height);
    }
    const pixels = context.getImageData(0, 0, width, height).data;
    shown.push({ rtp: rtpTimestamp, same, pixels });
    if (shown.length > 600) shown.shift();
  };
  video.requestVideoFrameCallback(look);
}
"""

TAKE = """
() => shown.splice(0).map(({ rtp, same, pixels }) => {
  let text = "";
  for (let at = 0; at < pixels.length; at += 8192) {
    text += String.fromCharCode(...pixels.subarray(at, at + 8192));
  }
  return [rtp, same, btoa(text)];
})
"""


@dataclass(frozen=True)
class Shown:
    """A frame that a video element has presented: BGR, scaled down."""

    rtp: int | None
    """What `requestVideoFrameCallback` said of it; None for frames that came over no network."""
    same: bool
    """Whether the pixels are of the very frame that the callback was about, not of a later one."""
    picture: Picture


class Watch:
    """Every frame that a page's video element presents, from now on."""

    def __init__(self, page: Page, size: tuple[int, int]) -> None:
        self._page = page
        self._width, self._height = size

    @classmethod
    async def on(
        cls, page: Page, selector: str = "#output", size: tuple[int, int] = (64, 48)
    ) -> "Watch":
        """Begin, best before the session does."""
        await page.locator(selector).evaluate(WATCH, list(size))
        return cls(page, size)

    async def so_far(self) -> list[Shown]:
        """The frames since the last call."""
        return [
            Shown(rtp, same, self._picture(base64.b64decode(pixels)))
            for rtp, same, pixels in await self._page.evaluate(TAKE)
        ]

    async def next(self, count: int, timeout: float = 20.0) -> list[Shown]:
        """At least so many frames that are shown after the call of this."""
        await self.so_far()
        return await self.at_least(count, timeout)

    async def at_least(self, count: int, timeout: float = 20.0) -> list[Shown]:
        """The frames since the last call, and more until there are so many."""
        await until(self._page, f"shown.length >= {count}", timeout)
        return await self.so_far()

    def _picture(self, pixels: bytes) -> Picture:
        rgba = np.frombuffer(pixels, np.uint8).reshape(self._height, self._width, 4)
        return np.asarray(cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGR), np.uint8)


def loopback(image: Image) -> Image:
    """As it came."""
    return image


async def until(page: Page, condition: str, timeout: float = 10.0) -> Any:
    """Wait for a JavaScript expression to become true, and return it.

    Playwright's `wait_for_function` evaluates strings inside the page, which its
    Content-Security-Policy forbids.
    """
    try:
        async with asyncio.timeout(timeout):
            while True:
                if value := await page.evaluate(condition):
                    return value
                await asyncio.sleep(0.05)
    except TimeoutError:
        body = " ".join((await page.inner_text("body")).split())
        pytest.fail(f"not within {timeout:g} s: {condition}; the page says: {body[:1500]}")


async def visit(pages: Pages, url: str, *scripts: str, **options: Any) -> Page:
    """A new page at the URL that listens to the server; `scripts` run before its own do."""
    page = await pages.open(**options)
    for script in (LISTEN, *scripts):
        await page.add_init_script(script)
    await page.goto(url)
    return page


async def loaded(page: Page) -> None:
    """Wait until the page has been made from `stream.json`."""
    await until(page, "document.querySelector('#size').options.length > 0")


async def start(page: Page, timeout: float = 15.0) -> None:
    """Press Start, and wait until the result is seen."""
    await page.click("#start")
    await until(page, "document.querySelector('#output').videoWidth", timeout)


async def stop(page: Page) -> None:
    """Press Stop, and wait until the page says that it is ready again, and its server has heard."""
    await page.click("#start")
    await expect(page.locator("#status")).to_have_text("Ready")
    await until(page, "!window.goodbyes")


async def heard(page: Page, type: str) -> list[dict[str, Any]]:
    """The messages of a type that the server has sent to a page that was opened by `visit`."""
    messages: list[dict[str, Any]] = await page.evaluate(
        "type => heard.filter((each) => each.type === type)", type
    )
    return messages


def notice(page: Page, words: str) -> Locator:
    """The notice on the page that has these words in it, in any case."""
    return page.locator("#notices .notice", has_text=words)


@contextlib.asynccontextmanager
async def counted(serve: Serve, stream: Stream) -> AsyncIterator[tuple[str, Sessions]]:
    """Serve a stream, and give its URL and its sessions, to be counted with `len`."""
    sessions = stream.sessions()
    async with serve(application(sessions, sessions)) as url:
        yield url, sessions


def application(negotiator: Negotiator, sessions: Sessions) -> web.Application:
    """The page and its routes, with a negotiator of the test's own in front of the sessions."""
    app = web.Application()
    signaling.setup(app, negotiator, page=STATIC / "index.html", static=STATIC)

    async def end(app: web.Application) -> None:
        await sessions.end_all("the server stopped")

    app.on_shutdown.append(end)
    return app


async def left(sessions: Sessions, count: int, timeout: float = 5.0) -> None:
    """Wait until the server has so many sessions."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while (found := len(sessions)) != count:
        assert loop.time() < deadline, f"{found} sessions, not {count}, after {timeout:g} s"
        await asyncio.sleep(0.02)


class Film:
    """What a function makes of a camera's pictures, to find a shown frame in.

    Compared are brightnesses, scaled down and smoothed: the codec on the way there and back blurs,
    and WebRTC may send fewer pixels.
    """

    SIZE = (80, 60)

    def __init__(
        self, pictures: Iterable[Picture], function: Callable[[Picture], Any] = lambda image: image
    ) -> None:
        self._small = [self._scaled(function(picture.copy())) for picture in pictures]
        self._rows = np.stack([self._row(small) for small in self._small])

    def likeness(self, picture: Picture) -> float:
        """The normalised correlation with the picture that it is most like: 1 is the same."""
        return float((self._rows @ self._row(self._scaled(picture))).max())

    def difference(self, picture: Picture) -> float:
        """How far it is from the picture that it is most like: mean over all colours, in levels."""
        small = self._scaled(picture)
        nearest = self._small[int((self._rows @ self._row(small)).argmax())]
        return float(np.abs(small - nearest).mean())

    def median(self, frames: Sequence[Shown]) -> float:
        """The likeness of the frame in the middle."""
        return float(np.median([self.likeness(frame.picture) for frame in frames]))

    @classmethod
    def _scaled(cls, picture: NDArray[Any]) -> NDArray[np.float32]:
        colour = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR) if picture.ndim == 2 else picture
        small = cv2.resize(colour, cls.SIZE, interpolation=cv2.INTER_AREA)
        return cv2.GaussianBlur(small, (0, 0), 1.0).astype(np.float32)

    @staticmethod
    def _row(small: NDArray[np.float32]) -> NDArray[np.float32]:
        row = small.mean(axis=2).ravel()
        row -= row.mean()
        length = float(np.linalg.norm(row))
        return np.asarray(row / length if length else row, np.float32)


async def matching(
    watch: Watch, film: Film, least: float, *, count: int = 10, timeout: float = 25.0
) -> list[Shown]:
    """The first frames in a row of which the middle one is like the film; the rest was other.

    The first seconds of a call are blurred, until the browser knows how much it can send.
    """
    scores: list[float] = []
    try:
        async with asyncio.timeout(timeout):
            while True:
                frames = await watch.next(count)
                scores.append(film.median(frames))
                if scores[-1] >= least:
                    return frames
    except TimeoutError:
        pytest.fail(f"nothing like the film ({least}) in {timeout:g} s: {scores}")


def off(picture: Picture, colour: tuple[int, int, int]) -> int:
    """How far the pixel that is least of this colour (BGR) is from it, in levels."""
    return int(np.abs(picture.astype(np.int16) - np.array(colour, np.int16)).max())


async def begin(page: Page, *, processing: bool = True) -> None:
    """Press Start, with the microphone as it is unless `processing`, and wait for the session."""
    if not processing:
        await until(page, "document.querySelector('#size').options.length > 0")
        await page.locator("#processing").uncheck()
    await page.click("#start")
    await expect(page.locator("#status")).to_have_text("Connected")


async def sounding(page: Page, selector: str = "#sound") -> None:
    """Wait until an element has sound to play."""
    await until(page, f"document.querySelector('{selector}').srcObject?.getAudioTracks().length")
