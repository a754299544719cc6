"""A filter in a real browser: the pictures that are seen are what the function made."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import pytest
from playwright.async_api import expect

from rtcstream import Image, Range, Stream
from rtcstream.examples import webcam_filter
from tests.browser import Pages, read_camera
from tests.conftest import Serve
from tests.footage import (
    Film,
    Picture,
    Shown,
    Watch,
    counted,
    heard,
    left,
    matching,
    notice,
    off,
    start,
    stop,
    until,
    visit,
)

FINE = (160, 120)  # enough to compare pictures
MARKER = (200, 40, 190)  # BGR; nothing in the street is of this colour
CODEC = 24  # levels that a plain picture may be off after the codec


@pytest.fixture(scope="module")
def street(bikes: Path) -> list[Picture]:
    """The camera's own pictures."""
    return read_camera(bikes)


@pytest.fixture(scope="module")
def plain(street: list[Picture]) -> Film:
    """The camera's pictures as they are."""
    return Film(street)


def flip(image: Picture) -> Any:
    return cv2.flip(image, 0)


def edges(strength: int) -> Callable[[Picture], Any]:
    return lambda image: cv2.Canny(image, 10 * strength, 20 * strength)


def closest(films: dict[int, Film], frames: list[Shown]) -> int:
    """Which film most of the frames are most like."""
    found = [max(films, key=lambda name: films[name].likeness(f.picture)) for f in frames]
    return max(films, key=found.count)


async def test_flip_is_the_camera_upside_down(
    serve: Serve, pages: Pages, street: list[Picture], plain: Film
) -> None:
    """What `flip` shows is the camera's picture upside down, in its own colours."""
    flipped = Film(street, flip)
    async with serve(webcam_filter.stream) as url:
        page = await visit(pages, f"{url}?mode=flip")
        watch = await Watch.on(page, size=FINE)
        await start(page)
        frames = await matching(watch, flipped, 0.97, count=20)
        assert plain.median(frames) < 0.95
        for frame in frames:
            assert flipped.likeness(frame.picture) > plain.likeness(frame.picture)
        assert np.median([flipped.difference(frame.picture) for frame in frames]) < 8
        await stop(page)


async def test_edges_is_canny_of_the_camera(
    serve: Serve, pages: Pages, street: list[Picture], plain: Film
) -> None:
    """What `edges` shows is Canny of the camera's picture, with the strength that was asked for."""
    films = {strength: Film(street, edges(strength)) for strength in (1, 10, 20)}
    upside_down = Film(street, lambda image: edges(10)(flip(image)))
    async with serve(webcam_filter.stream) as url:
        page = await visit(pages, f"{url}?mode=edges&strength=10")
        watch = await Watch.on(page, size=FINE)
        await start(page)
        frames = await matching(watch, films[10], 0.8, count=20)
        assert closest(films, frames) == 10
        for other in (plain, upside_down):
            assert other.median(frames) < films[10].median(frames) - 0.15
        await stop(page)


async def test_control_on_the_page_changes_the_picture(
    serve: Serve, pages: Pages, street: list[Picture]
) -> None:
    """A choice and a slider on the page take effect, and the page shows the acknowledged value."""
    flipped = Film(street, flip)
    films = {strength: Film(street, edges(strength)) for strength in (1, 5, 20)}
    async with serve(webcam_filter.stream) as url:
        page = await visit(pages, url)
        watch = await Watch.on(page, size=FINE)
        await start(page)
        await page.get_by_label("mode").select_option("flip")
        await matching(watch, flipped, 0.97)
        await page.get_by_label("mode").select_option("edges")
        assert closest(films, await matching(watch, films[5], 0.75)) == 5
        for key, strength in (("End", 20), ("Home", 1)):
            await page.get_by_label("strength").press(key)
            echo = page.locator('[data-control="strength"] output')
            await expect(echo).to_have_text(str(strength))
            acknowledged = (await heard(page, "controls"))[-1]
            assert acknowledged["values"] == {"mode": "edges", "strength": strength}
            assert acknowledged["seq"] is not None
            # The first frames may still be of the old value: they were on their way.
            await until_closest(watch, films, strength)
        await stop(page)


async def until_closest(watch: Watch, films: dict[int, Film], wanted: int) -> None:
    found = []
    for _ in range(12):
        found.append(closest(films, await watch.next(10)))
        if found[-1] == wanted:
            return
    pytest.fail(f"the picture does not follow the control: {found}, not {wanted}")


def paint(image: Image, level: Annotated[int, Range(0, 255)] = 128) -> Image:
    """A grey of the level that was set."""
    image[:] = level
    return image


async def test_pages_do_not_see_each_others_values(serve: Serve, pages: Pages) -> None:
    """Two pages at once: each frame of each has that page's own value, also while one changes."""
    async with serve(Stream(paint)) as url:
        dark, light = [await visit(pages, f"{url}?level={level}") for level in (40, 200)]
        seen = [await Watch.on(page) for page in (dark, light)]
        for page in (dark, light):
            await start(page)
        for watch, level in zip(seen, (40, 200), strict=True):
            frames = await watch.at_least(40)
            assert max(off(frame.picture, (level,) * 3) for frame in frames) < CODEC
        slider = dark.get_by_label("level")
        await slider.press("Home")
        await expect(dark.locator('[data-control="level"] output')).to_have_text("0")
        levels = [frame.picture.mean() for frame in await seen[0].at_least(60)]
        assert levels[-1] < 20 and max(levels) < 40 + CODEC
        frames = await seen[1].at_least(60)
        assert max(off(frame.picture, (200, 200, 200)) for frame in frames) < CODEC
        await expect(light.locator('[data-control="level"] output')).to_have_text("200")
        for page in (dark, light):
            await stop(page)


BITS = 12


class BarCode:
    """Paints the number of the call into the picture, and returns it beside the picture."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self, image: Image) -> tuple[Image, int]:
        self.number = (self.number + 1) % 2**BITS
        bits = [self.number >> bit & 1 for bit in range(BITS)]
        # The lower half is the upper one's negative, so that a misread bar does not pass.
        bars = np.array([bits, [1 - bit for bit in bits]], np.uint8) * 255
        height, width = image.shape[:2]
        code = cv2.resize(bars, (width, height), interpolation=cv2.INTER_NEAREST)
        return cv2.cvtColor(code, cv2.COLOR_GRAY2BGR), self.number


def read_bars(picture: Picture) -> int:
    height, width = picture.shape[:2]
    columns = [(2 * bit + 1) * width // (2 * BITS) for bit in range(BITS)]
    upper, lower = (
        picture[row, columns].mean(axis=1) > 127 for row in (height // 4, height * 3 // 4)
    )
    assert (upper != lower).all(), "the bar code cannot be read"
    return sum(1 << bit for bit in range(BITS) if upper[bit])


async def test_pts_of_a_result_is_the_rtp_timestamp_of_its_frame(
    serve: Serve, pages: Pages
) -> None:
    """The result whose `pts` is a frame's `rtpTimestamp` is what came with that very picture."""
    async with serve(Stream(BarCode)) as url:
        page = await visit(pages, url)
        watch = await Watch.on(page, size=(96, 48))
        await start(page)
        frames = [frame for frame in await watch.at_least(90) if frame.same]
        last = max(read_bars(frame.picture) for frame in frames)
        await until(page, f"heard.some((each) => each.type === 'result' && each.data >= {last})")
        results = {each["pts"]: each["data"] for each in await heard(page, "result")}
        # A keyframe that the browser asks for between two pictures is the last one, a tick later.
        first = [frame for frame in frames if (frame.rtp or 0) - 1 not in results]
        assert len(first) >= max(60, len(frames) - 5)
        assert [read_bars(f.picture) for f in first] == [results.get(f.rtp or 0) for f in first]
        await stop(page)


async def test_pictures_are_sharp_at_once(serve: Serve, pages: Pages) -> None:
    """Where the network has room, a camera gets the bits that it needs within seconds, since the
    browser tells when packets came; its own estimate would take half a minute."""

    def same(image: Image) -> Image:
        return image

    async with serve(Stream(same)) as url:
        page = await visit(pages, url)
        await start(page)
        stats = "heard.filter((each) => each.type === 'stats').map((each) => each.bitrate)"
        await until(page, f"{stats}.length > 4")
        assert max(await page.evaluate(stats)) > 1_100_000  # of 1.7 million; 0.6 by the estimate
        await stop(page)


# What goes wrong in a function, while every picture that it does return is a plain marker.


def marked(image: Picture) -> Picture:
    image[:] = MARKER
    return image


class RaisesOnEveryThird:
    """Raises on every third frame."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, image: Image) -> Image:
        self.calls += 1
        if self.calls % 3 == 0:
            raise ValueError("the third one, as ever")
        return marked(image)


class ReturnsNonsense:
    """Returns one picture, and then four things that are none, over and over."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, image: Image) -> Image:
        self.calls += 1
        returned: list[Any] = [
            None,
            image[:, :, :2],
            image.astype(np.uint16),
            "a picture",
            marked(image.copy()),
        ]
        chosen: Picture = returned[self.calls % len(returned)]
        return chosen


async def shows_only_the_marker(watch: Watch, frames: list[Shown]) -> None:
    """Every frame that the page has shown, from the first, is of the marker's colour."""
    everything = [*frames, *await watch.so_far()]
    assert everything
    worst = max(off(frame.picture, MARKER) for frame in everything)
    assert worst < 2 * CODEC, f"something else was shown: {worst} levels off"


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (RaisesOnEveryThird, ["ValueError", "the third one, as ever"]),
        (ReturnsNonsense, ["None", "shape", "uint16", "str"]),
    ],
)
async def test_function_that_fails_now_and_then(
    serve: Serve, pages: Pages, function: Any, words: list[str]
) -> None:
    """A frame is lost, the page says why, and nothing but what was returned is ever shown."""
    async with counted(serve, Stream(function)) as (url, sessions):
        page = await visit(pages, url)
        watch = await Watch.on(page)
        await start(page)
        frames = await watch.at_least(30)
        for word in words:
            await expect(notice(page, word).first).to_be_visible()
        # Repeats are counted, and the count goes on growing: so does the session.
        count = "parseInt(document.querySelector('#notices .count').textContent.slice(1))"
        before = await until(page, count)
        await until(page, f"{count} > {before}")
        frames += await watch.at_least(10)
        assert len(sessions) == 1
        assert await page.evaluate("connections[0].connectionState") == "connected"
        await shows_only_the_marker(watch, frames)
        await stop(page)


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """Set when the test has ended, so that no thread outlives it."""
    event = threading.Event()
    yield event
    event.set()


@pytest.mark.parametrize("good", [0, 9])
async def test_function_that_never_returns(
    serve: Serve, pages: Pages, released: threading.Event, good: int
) -> None:
    """The last picture stays, the page says so, and the session and its controls live on."""

    class Hangs:
        def __init__(self) -> None:
            self.calls = 0

        def __call__(self, image: Image, level: Annotated[int, Range(0, 9)] = 3) -> Image:
            self.calls += 1
            if self.calls > good:
                released.wait()
            return marked(image)

    async with counted(serve, Stream(Hangs)) as (url, sessions):
        page = await visit(pages, url)
        watch = await Watch.on(page)
        await page.click("#start")
        await expect(notice(page, "has not returned")).to_be_visible(timeout=20_000)
        await page.get_by_label("level").press("End")
        await expect(page.locator('[data-control="level"] output')).to_have_text("9")
        assert len(sessions) == 1
        if good:
            await shows_only_the_marker(watch, [])
        else:
            assert not await watch.so_far(), "something was shown that nobody returned"
        await stop(page)
        await left(sessions, 0)
