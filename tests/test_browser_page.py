"""The page, as a visitor meets it: what it asks for, shows and offers."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import numpy as np
from playwright.async_api import Page, expect

from rtcstream import Box, Image, Range, Session, Stream
from tests.browser import Pages, Setup, read_camera
from tests.conftest import Serve
from tests.footage import (
    Film,
    Watch,
    counted,
    left,
    loaded,
    loopback,
    matching,
    notice,
    start,
    stop,
    until,
    visit,
)

COUNT_CAMERAS = """
window.asked = [];
const getUserMedia = navigator.mediaDevices.getUserMedia;
navigator.mediaDevices.getUserMedia = function (constraints) {
  asked.push(constraints);
  return getUserMedia.call(this, constraints);
};
"""


# Start and Stop


async def test_camera_is_not_asked_for_before_start(serve: Serve, pages: Pages) -> None:
    """The camera is opened by Start only, once, and is off again after Stop."""
    async with counted(serve, Stream(loopback)) as (url, sessions):
        page = await visit(pages, url, COUNT_CAMERAS)
        await loaded(page)
        assert await page.evaluate("asked.length") == 0
        assert len(sessions) == 0
        for times in (1, 2):  # a second session is as good as the first
            await start(page)
            await expect(page.locator("#status")).to_have_text("Connected")
            assert (await page.evaluate("asked.length"), len(sessions)) == (times, 1)
            await page.evaluate(
                "window.track = document.querySelector('#preview').srcObject.getTracks()[0]"
            )
            await stop(page)
            assert await page.evaluate("track.readyState") == "ended"
            assert await page.evaluate("document.querySelector('#output').srcObject") is None
            await left(sessions, 0)


async def test_stop_while_connecting(serve: Serve, pages: Pages) -> None:
    """Stop right after Start leaves no session behind, and the page can be started again."""
    async with counted(serve, Stream(loopback)) as (url, sessions):
        page = await visit(pages, url)
        await loaded(page)
        async with page.expect_request("**/session*"):
            await page.click("#start")
        await stop(page)
        await left(sessions, 0)
        await start(page)
        await left(sessions, 1)
        await stop(page)
        await left(sessions, 0)


async def test_closing_the_tab_ends_the_session(serve: Serve, pages: Pages) -> None:
    """A tab that is closed, or goes elsewhere, ends its session on the server promptly."""
    async with counted(serve, Stream(loopback)) as (url, sessions):
        page = await visit(pages, url)
        await start(page)
        await page.goto("about:blank")
        await left(sessions, 0, timeout=3)
        page = await visit(pages, url)
        await start(page)
        await page.close(run_before_unload=True)
        await left(sessions, 0, timeout=3)


# Playing


async def test_autoplay_is_refused(serve: Serve, pages: Pages) -> None:
    """Where the browser will not play by itself, a button appears, and a tap on it plays."""
    async with serve(Stream(loopback)) as url:
        page = await visit(
            pages,
            url,
            """
            const play = HTMLMediaElement.prototype.play;
            window.refusals = 1;
            HTMLMediaElement.prototype.play = async function () {
              if (this.id === "output" && refusals-- > 0) {
                this.autoplay = false;
                this.pause();
                throw new DOMException("a gesture is needed", "NotAllowedError");
              }
              return play.call(this);
            };
            """,
        )
        tap = page.locator("#tap-to-play")
        await expect(tap).to_be_hidden()
        await page.click("#start")
        await expect(tap).to_be_visible()
        watch = await Watch.on(page)
        await tap.click()
        await expect(tap).to_be_hidden()
        assert await page.evaluate("document.querySelector('#output').paused") is False
        await watch.at_least(10)
        await stop(page)


async def test_mirror_and_full_screen(serve: Serve, pages: Pages, bikes: Path) -> None:
    """Mirror swaps left and right on the screen only; Full screen fills it with the result."""
    street = read_camera(bikes)
    plain, mirrored = Film(street), Film(street, lambda image: cv2.flip(image, 1))

    async def on_screen() -> tuple[float, float]:
        png = await page.locator("#output").screenshot()
        picture = np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR), np.uint8)
        return plain.likeness(picture), mirrored.likeness(picture)

    async with serve(Stream(loopback)) as url:
        page = await visit(pages, url)
        watch = await Watch.on(page, size=(160, 120))
        await start(page)
        await matching(watch, plain, 0.97)
        usual, swapped = await on_screen()
        assert usual > 0.9 and usual > swapped
        mirror = page.get_by_role("button", name="Mirror")
        await mirror.click()
        await expect(mirror).to_have_attribute("aria-pressed", "true")
        usual, swapped = await on_screen()
        assert swapped > 0.9 and swapped > usual
        await matching(watch, plain, 0.97)  # what is received is as it was
        await mirror.click()
        await expect(mirror).to_have_attribute("aria-pressed", "false")

        button = page.get_by_role("button", name="Full screen")
        await button.click()
        await until(page, "document.fullscreenElement?.contains(document.querySelector('#output'))")
        await page.evaluate("document.exitFullscreen()")  # headless, there is no Escape
        await until(page, "document.fullscreenElement === null")
        await stop(page)


def finds_a_box(image: Image) -> tuple[Image, Box]:
    """A box in the upper left quarter, on black."""
    image[:] = 0
    height, width = image.shape[:2]
    return image, Box(0, 0, width / 2, height / 2, label="something")


async def test_box_is_drawn_where_it_was_found(serve: Serve, pages: Pages) -> None:
    """A box lies over its part of the picture, on the other side when that is mirrored."""
    # The shares of what is drawn that lie in the left half, in the upper half, and in the left
    # half less the line in the middle.
    drawn = """
    (() => {
      const canvas = document.querySelector(".screen-output canvas.overlay");
      const { width, height } = canvas;
      if (!width || !height) return null;
      const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
      let [all, left, upper, less] = [0, 0, 0, 0];
      for (let at = 0; at < width * height; at += 1) {
        if (!data[4 * at + 3]) continue;
        all += 1;
        if (at % width < 0.53 * width) left += 1;
        if (at < 0.53 * height * width) upper += 1;
        if (at % width < 0.47 * width) less += 1;
      }
      return all > 100 ? [left / all, upper / all, less / all] : null;
    })()
    """
    async with serve(Stream(finds_a_box)) as url:
        page = await visit(pages, url)
        await start(page)
        assert (await until(page, drawn))[:2] == [1, 1]
        await expect(page.locator("#results")).to_contain_text("something")
        await page.get_by_role("button", name="Mirror").click()
        await until(page, f"{drawn}?.[2] === 0")
        await stop(page)


async def test_readout(serve: Serve, pages: Pages) -> None:
    """What is measured is shown in figures while a session runs, and gone after it."""
    async with serve(Stream(loopback)) as url:
        page = await visit(pages, url)
        await start(page)
        for figure in ("fps", "roundTrip", "bitrate", "function", "dropped", "size"):
            await expect(page.locator(f'[data-figure="{figure}"]')).to_have_text(re.compile(r"\d"))
        await stop(page)
        await expect(page.locator('[data-figure="fps"]')).not_to_have_text(re.compile(r"\d"))


async def test_camera_is_switched_without_a_new_session(serve: Serve, pages: Pages) -> None:
    """Another camera goes on in the same session, and so does the picture."""
    # The second and third of Chromium's are a depth camera and one that sends JPEG.
    setup = Setup(camera=None, flags=("--use-fake-device-for-media-stream=device-count=4",))
    async with counted(serve, Stream(loopback)) as (url, sessions):
        page = await visit(pages, url, setup=setup)
        posted: list[str] = []
        page.on("request", lambda each: posted.append(each.url) if each.method == "POST" else None)
        watch = await Watch.on(page)
        await start(page)
        camera = page.get_by_label("Camera", exact=True)
        await expect(camera.locator("option")).to_have_count(4)
        given = "connections[0].getSenders()[0].track?.getSettings().deviceId"
        before = await page.evaluate(given)
        await expect(camera).to_have_value(before)
        *_, other = await values_of(page, "#camera")
        assert other != before
        await camera.select_option(other)
        await until(page, f"{given} === '{other}'")
        await watch.next(20)
        assert (len(sessions), len(posted)) == (1, 1)
        assert await page.evaluate("connections.length") == 1

        # Another size of the same one, as well.
        await page.get_by_label("Camera size").select_option("360")
        await until(page, "connections[0].getSenders()[0].track?.getSettings().height === 360")
        await watch.next(10)
        assert (len(sessions), len(posted)) == (1, 1)
        await expect(page.locator("#notices .notice")).to_have_count(0)
        await stop(page)


async def values_of(page: Page, selector: str) -> list[str]:
    values: list[str] = await page.eval_on_selector_all(
        f"{selector} option", "all => all.map((o) => o.value)"
    )
    return values


# For everybody


def talkative(
    image: Image,
    session: Session,
    colour: Literal["red", "a_rather_long_name_for_a_colour_that_nobody_would_choose"] = "red",
    strength: Annotated[int, Range(1, 20)] = 5,
    inverted: bool = False,
    count: int = 1,
    name: str = "",
) -> tuple[Image, str, dict[str, int], float]:
    """Has a control of each kind, and says something of each kind."""
    session.warn("unbreakable" * 20)
    return image, "word" * 40, {"key" * 30: 1}, 1.5


async def test_fits_a_phone(serve: Serve, pages: Pages) -> None:
    """At 360 pixels nothing has to be scrolled sideways, whatever is on the page."""
    options: dict[str, Any] = {
        "viewport": {"width": 360, "height": 740},
        "is_mobile": True,
        "has_touch": True,
        "device_scale_factor": 2,
    }
    async with serve(Stream(talkative)) as url:
        page = await visit(pages, f"{url}?nothing_of_the_kind={'x' * 80}", **options)
        await loaded(page)
        wide = "Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)"
        assert await page.evaluate(wide) <= 360
        await start(page)
        await expect(notice(page, "unbreakable")).to_be_visible()
        await expect(page.locator("#results .result")).to_have_count(3)
        assert await page.evaluate(wide) <= 360
        # All that is to be pressed lies on the screen, and is large enough for a thumb.
        for box in await page.evaluate(
            """[...document.querySelectorAll("main button, main select, main input")]
              .filter((each) => each.checkVisibility())
              .map((each) => {
                const { left, right, width, height } = each.getBoundingClientRect();
                return { id: each.id || each.className, left, right, width, height };
              })"""
        ):
            assert box["left"] >= 0 and box["right"] <= 360, box
            assert box["width"] >= 24 and box["height"] >= 24, box
        await stop(page)


async def test_everything_has_an_accessible_name(serve: Serve, pages: Pages) -> None:
    """All that can be pressed, chosen or typed into has a name in the accessibility tree."""
    async with serve(Stream(talkative)) as url:
        page = await visit(pages, url)
        await start(page)
        await expect(page.locator("#results .result")).to_have_count(3)
        client = await page.context.new_cdp_session(page)
        nodes = (await client.send("Accessibility.getFullAXTree"))["nodes"]
        roles = "button link combobox slider switch spinbutton textbox checkbox image img Canvas"
        found = [
            (node["role"]["value"], node.get("name", {}).get("value", "").strip())
            for node in nodes
            if not node.get("ignored") and node["role"]["value"] in roles.split()
        ]
        assert [role for role, name in found if not name] == []
        kinds = {role for role, name in found}
        assert kinds >= {"button", "combobox", "slider", "switch", "spinbutton", "textbox"}
        await stop(page)


async def test_complaints_of_the_browser_are_noticed(serve: Serve, pages: Pages) -> None:
    """A violation of the page's Content-Security-Policy fails a test, unless it is expected."""
    async with serve(Stream(loopback)) as url:
        page = await visit(pages, url)
        await loaded(page)
        assert pages.unexpected_errors() == []
        await page.evaluate(
            """() => {
              const script = document.createElement("script");
              script.textContent = "window.injected = true";
              document.head.append(script);
            }"""
        )
        assert await page.evaluate("window.injected") is None
        [complaint] = pages.unexpected_errors()
        assert "Content Security Policy" in complaint
        pages.expect_error("Content Security Policy")
