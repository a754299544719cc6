"""What a function found, drawn by the page: on the very picture that it was found in, or on the
live one with its age."""

import itertools
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.async_api import Page, expect

from rtcstream import Box, Image, Keypoints, Mask, Plot, Stream, Tag, Text
from tests.browser import FPS, HEIGHT, WIDTH, Pages, Setup
from tests.conftest import Serve
from tests.footage import start, stop, until, visit

STEP = 8
"""Pixels that the target moves from one picture to the next."""
SIDE = 96


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A camera on a bright square that goes to and fro on dark ground."""
    camera = tmp_path_factory.mktemp("camera") / "target.y4m"
    there = [*range(40, WIDTH - SIDE - 40, STEP)]
    with camera.open("wb") as out:
        out.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{FPS}:1 Ip A1:1 C420jpeg\n".encode())
        for x in [*there, *reversed(there)]:
            picture = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
            picture[200 : 200 + SIDE, x : x + SIDE] = 235
            yuv = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420)
            out.write(b"FRAME\n" + yuv.tobytes())
    return camera


def found(image: Image) -> Box:
    """Where the target is, to the pixel."""
    bright = image[:, :, 1] > 128
    (columns,), (rows,) = np.nonzero(bright.any(axis=0)), np.nonzero(bright.any(axis=1))
    if not len(columns):
        return Box(0, 0, 1, 1, "target", 0)
    x, y = columns[0], rows[0]
    return Box(x, y, columns[-1] + 1 - x, rows[-1] + 1 - y, "target", 0.97)


def detect(image: Image) -> tuple[Image, Box]:
    time.sleep(random.uniform(0.02, 0.08))
    return image, found(image)


def detect_only(image: Image) -> Box:
    time.sleep(random.uniform(0.02, 0.08))
    return found(image)


# At each repaint: where the target's left edge is in the picture on screen, and where the box's is;
# in pixels of the camera, for each picture once. Both canvases change in one task.
RECORD = """
(source) => {
  window.recorded = [];
  const scratch = new OffscreenCanvas(640, 480).getContext("2d", { willReadFrequently: true });
  const overlay = document.querySelector("canvas.overlay");
  const edge = (pixels, is) => {
    for (let at = 0; at < pixels.length; at += 4) if (is(pixels, at)) return at / 4;
    return null;
  };
  const look = () => {
    requestAnimationFrame(look);
    const picture = document.querySelector(source);
    if (!picture || picture.hidden) return;
    scratch.drawImage(picture, 0, 0, 640, 480);
    const seen = edge(scratch.getImageData(0, 250, 640, 1).data, (p, at) => p[at + 1] > 128);
    const middle = Math.round((overlay.height * 250) / 480);
    const row = overlay.getContext("2d").getImageData(0, middle, overlay.width, 1).data;
    const line = edge(row, (p, at) => p[at + 3] > 60);
    const scale = overlay.width / 640;
    const age = document.querySelector(".age")?.textContent ?? "";
    if (seen === null || line === null || recorded.at(-1)?.seen === seen) return;
    recorded.push({ seen, drawn: (line + 2 * devicePixelRatio) / scale, age: parseFloat(age) });
  };
  look();
}
"""

# Results come so many milliseconds later than they are sent.
DELAY = """
const listen = RTCDataChannel.prototype.addEventListener;
RTCDataChannel.prototype.addEventListener = function (type, listener, options) {
  const later = type === "message" ? (event) => setTimeout(() => listener(event), %d) : listener;
  return listen.call(this, type, later, options);
};
"""


async def recorded(page: Page, source: str, count: int) -> list[dict[str, float]]:
    await page.evaluate(RECORD, source)
    await until(page, f"recorded.length >= {count}", 30)
    pictures: list[dict[str, float]] = await page.evaluate("recorded")
    return pictures


@pytest.mark.parametrize(("delay", "count"), [(0, 100), (40, 25)], ids=["at once", "late"])
async def test_a_box_is_on_the_very_picture_it_was_found_in(
    serve: Serve, pages: Pages, target: Path, delay: int, count: int
) -> None:
    """With a detector of 20 to 80 ms and a moving target, no picture on screen has a box that is
    off by the movement of one frame; also where results come after their pictures."""
    async with serve(Stream(detect)) as url:
        scripts = [DELAY % delay] if delay else []
        page = await visit(pages, url, *scripts, setup=Setup(camera=target))
        await start(page)
        await until(page, "document.querySelector('.held')?.hidden === false")
        # Until three have met their results, none waits for its own.
        pictures = (await recorded(page, "canvas.held", count + 5))[5:]
        errors = np.abs([each["drawn"] - each["seen"] for each in pictures])
        assert errors.max() < STEP / 2, errors
        png = await page.locator(".screen-output .frame").screenshot()
        assert 0.5 < overlap(png) < 2
        await stop(page)
        await expect(page.locator(".held")).to_be_hidden()


def overlap(png: bytes) -> float:
    """On a picture of the page, the width of the box's line around the target beside the target's,
    with room for the line itself."""
    picture = np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR), np.int16)
    row = picture[round(picture.shape[0] * 250 / HEIGHT)]
    white = np.nonzero(row.min(axis=1) > 190)[0]
    line = np.nonzero(row[:, 1] - row[:, 2] > 60)[0]
    return float((line[-1] - line[0]) / (white[-1] - white[0]))


async def test_boxes_of_a_stream_without_a_picture_are_on_the_live_one(
    serve: Serve, pages: Pages, target: Path
) -> None:
    """Where only results come back they are drawn on the camera's own picture, which waits for
    nothing; the page says how old they are, and the target's movement since agrees."""
    async with serve(Stream(detect_only)) as url:
        page = await visit(pages, url, setup=Setup(camera=target))
        await page.click("#start")
        age = page.locator(".screen-preview .age")
        await expect(age).to_have_text(re.compile(r"^\d+ ms old$"))
        await until(
            page, "/[1-9]/.test(document.querySelector('[data-figure=roundTrip]').textContent)"
        )
        pictures = await recorded(page, "#preview", 60)
        lags = []
        for before, now in itertools.pairwise(pictures):
            way = now["seen"] - before["seen"]
            if STEP - 2 <= abs(way) <= STEP + 2:
                lags.append((now["seen"] - now["drawn"]) * np.sign(way) / STEP * 1000 / FPS)
        told = float(np.median([each["age"] for each in pictures]))
        assert 30 <= told <= 400, told
        assert abs(float(np.median(lags)) - told) < 70, (np.median(lags), told)
        await stop(page)
        await expect(age).to_be_hidden()


# What the page says of the age, each time that it changes, and whether that is exact.
AGES = """
window.ages = [];
addEventListener("DOMContentLoaded", () => {
  new MutationObserver(() => {
    const age = document.querySelector(".age");
    ages.push([parseInt(age.textContent), age.title.startsWith("How")]);
  }).observe(document.querySelector(".caption"), { subtree: true, childList: true });
});
"""


async def test_the_age_of_drawings_is_exact(serve: Serve, pages: Pages) -> None:
    """Drawings of a function of 80 ms are never said to be younger, and the middle one of 40 in a
    row not to be more than 60 ms older (it is 30), once the machine is not busy with others."""

    def slow(image: Image) -> Box:
        time.sleep(0.08)
        return Box(10, 10, 50, 50)

    async with serve(Stream(slow)) as url:
        page = await visit(pages, url, AGES)
        await page.click("#start")
        last = (
            "ages.filter(([, exact]) => exact).slice(-40).map(([age]) => age).sort((a, b) => a - b)"
        )
        await until(page, f"{last}[39] && {last}[20] <= 140", 30)
        ages = [age for age, exact in await page.evaluate("ages") if exact]
        assert min(ages) >= 80, ages
        await stop(page)


# The left edge of the first box that is drawn, in pixels of the camera.
LINE = """(() => {
  const { width, height } = document.querySelector("canvas.overlay");
  const context = document.querySelector("canvas.overlay").getContext("2d");
  const row = context.getImageData(0, Math.round(height * 250 / 480), width, 1).data;
  for (let x = 0; x < width; x += 1) if (row[4 * x + 3] > 60) return (x + 2) * 640 / width;
})()"""

BLIND = """
const ask = HTMLVideoElement.prototype.requestVideoFrameCallback;
HTMLVideoElement.prototype.requestVideoFrameCallback = function (callback) {
  return ask.call(this, (now, { rtpTimestamp, ...rest }) => callback(now, rest));
};
if (window.VideoFrame) VideoFrame.prototype.metadata = undefined;
"""


async def test_where_the_browser_does_not_tell_its_frames(
    serve: Serve, pages: Pages, target: Path
) -> None:
    """A browser that does not tell which picture is on screen gets the newest drawings at once, and
    is told that they may be of another."""
    async with serve(Stream(detect)) as url:
        page = await visit(pages, url, BLIND, setup=Setup(camera=target))
        await start(page)
        note = page.locator("[data-kind=drawings] .hint")
        await expect(note).to_contain_text("may be a moment early or late")
        await page.evaluate("heard.length = 0")
        await until(page, "heard.filter(({ type }) => type === 'result').length >= 10")
        newest = await page.evaluate(
            "new Promise((resolve) => requestAnimationFrame(() => resolve([" + LINE + ","
            "heard.findLast(({ type }) => type === 'result').data.x])))"
        )
        assert abs(newest[0] - newest[1]) <= 2, newest
        await stop(page)


async def test_drawings_stay_on_a_picture_that_stands_still(serve: Serve, pages: Pages) -> None:
    """What was found in a generator's last picture stays on it as long as that is shown; what was
    found in one that has gone does not outlive it by more than a second."""

    def last(times: int = 1) -> Iterator[tuple[Image, list[Box]]]:
        yield np.full((480, 640, 3), 90, np.uint8), [Box(100, 200, 100, 100)]
        for number in range(times - 1):
            time.sleep(0.1)
            yield np.full((480, 640, 3), number, np.uint8), []

    drawn = f"{LINE} !== undefined"
    async with serve(Stream(last)) as url:
        page = await visit(pages, url)
        await start(page)
        await until(page, drawn)
        await page.wait_for_timeout(1500)  # past the second
        assert await page.evaluate(drawn)
        await page.get_by_label("times").fill("20")
        await page.get_by_label("times").press("Enter")
        await until(page, f"!({drawn})")
        await stop(page)


def everything(image: Image) -> tuple[Image, list[Any], Plot]:
    """One of each, on grey."""
    height, width = image.shape[:2]
    image[:] = 110
    person = np.zeros((60, 80), np.bool_)
    cv2.ellipse(person.view(np.uint8), (20, 30), (12, 22), 0, 0, 360, 1, -1)
    body = np.array([[400, 120, 1], [400, 240, 1], [340, 330, 0.9], [460, 330, 0.4], [np.nan] * 3])
    edges = [(0, 1), (1, 2), (1, 3), (3, 4)]
    found = [
        Mask(person, "person", 0.9),
        Mask(np.ones((4, 4), np.bool_), "cap", 0.5, area=(110, 40, 80, 40)),
        Keypoints(body * [width / 640, height / 480, 1], edges, "dancer", 0.8),
        Box(220, 260, 90, 120, "cat", 0.87),
        Box(520, 40, 100, 90, "cat", 0.61),
        Box(330, 20, 60, 50),
        Box(340, 30, 60, 50),
        Mask(np.ones((4, 4), np.bool_), area=(600, 440, 20, 20)),
        Keypoints([(600, 440)]),
        Tag("street", 0.93),
        Tag("daylight"),
        Text("EXIT 24", 500, 200, 30),
        Text("and this is what is being said just now, as a subtitle"),
    ]
    return image, found, Plot({"left": 0.2, "right": 0.7}, 0, 1)


async def test_all_kinds_are_drawn_and_told(serve: Serve, pages: Pages) -> None:
    """Each kind leaves its mark where it belongs, in its class's colour; the legend names them, a
    quiet status says them once, and numbers by name are a chart."""
    async with serve(Stream(everything)) as url:
        page = await visit(pages, url)
        await start(page)
        legend = page.locator("[data-kind=drawings] li")
        await expect(legend.filter(has_text=re.compile(r"^2 . cat$"))).to_have_count(1)
        kinds = ("2 boxes", "1 mask", "1 set of points")
        for words in ("person", "cap", "dancer", "street 95%", "daylight", "EXIT 24", *kinds):
            await expect(legend.filter(has_text=words)).to_have_count(1)
        await expect(page.locator("[data-kind=drawings] [role=status]")).to_contain_text(
            re.compile(r"2 . cat")
        )
        await expect(page.locator("[data-kind=number] .result-body")).to_have_text(
            re.compile(r"left 0\.2\s*right 0\.7")
        )
        colours = await page.evaluate(
            """
            (places) => {
              const overlay = document.querySelector("canvas.overlay");
              const context = overlay.getContext("2d");
              const scale = overlay.width / 640;
              const at = (x, y) => context.getImageData(x * scale, y * scale, 1, 1).data;
              return places.map(([x, y]) => [...at(x, y)]);
            }
            """,
            [[160, 240], [150, 60], [400, 180], [220, 320], [520, 90], [20, 20], [560, 215]],
        )
        said = await page.locator(".screen-output .caption").bounding_box()
        frame = await page.locator(".screen-output .frame").bounding_box()
        assert said and frame and said["y"] + said["height"] <= frame["y"], "it covers nothing"
        person, hat, bone, cat, other, nothing, sign = colours
        assert 100 < person[3] < 160 and 100 < hat[3] < 160, "one sees through a mask"
        assert person[:3] != hat[:3]
        assert bone[3] == 255 and cat[3] == 255 and sign[3] > 140
        assert cat == other and cat[:3] != bone[:3], "a colour for each class"
        assert nothing[3] == 0
        await stop(page)


async def test_results_without_names(serve: Serve, pages: Pages) -> None:
    """Results that have no names are called by what they are; dictionaries are lists of their
    fields, lists of words lines, and only what is nested is shown as JSON."""

    def several(
        image: Image,
    ) -> tuple[Image, str, float, dict[str, Any], list[str], dict[str, Any], bool, Box]:
        fields = {"faces": 2, "blurred": True, "name": None}
        return image, "Hello", 1.5, fields, ["Ada", "Bob"], {"deep": [1]}, False, Box(9, 9, 9, 9)

    async with serve(Stream(several)) as url:
        page = await visit(pages, url)
        await start(page)
        titles = page.locator("#results h3")
        words = ["Text", "Number", "Data", "Text 2", "Data 2", "Text 3", "Found"]
        await expect(titles).to_have_text(words)
        bodies = page.locator("#results .result-body")
        for number, body in ((0, "Hello"), (3, "Ada, Bob"), (5, "No"), (6, "1 box")):
            await expect(bodies.nth(number)).to_contain_text(body)
        await expect(bodies.nth(2).locator("dt")).to_have_text(["faces", "blurred", "name"])
        await expect(bodies.nth(2).locator("dd")).to_have_text(["2", "Yes", re.compile("^.$")])
        await expect(bodies.nth(4)).to_contain_text('"deep"')
        await stop(page)
