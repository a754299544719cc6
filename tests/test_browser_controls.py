"""Controls on the page: from its address, by keys, as the server takes them."""

import json
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from playwright.async_api import Page, expect

from rtcstream import File, Image, Point, Range, Stream
from tests.browser import Pages
from tests.conftest import Serve
from tests.footage import (
    heard,
    loaded,
    notice,
    start,
    stop,
    until,
    visit,
)
from tests.waiting import until as called


def controlled(
    image: Image,
    colour: Literal["red", "green", "blue"] = "red",
    strength: Annotated[int, Range(1, 20)] = 5,
    inverted: bool = False,
    count: int = 1,
    name: str = "",
) -> Image:
    """One control of each kind."""
    return image


def echo(page: Page, control: str) -> Any:
    """What the page shows as a slider's acknowledged value."""
    return page.locator(f'[data-control="{control}"] output')


async def test_query_string_sets_the_first_values(serve: Serve, pages: Pages) -> None:
    """The page's query string reaches the very first call of the function, and is shown."""
    calls: list[tuple[str, int, bool]] = []

    def remember(
        image: Image,
        colour: Literal["red", "green", "blue"] = "red",
        strength: Annotated[int, Range(1, 20)] = 5,
        inverted: bool = False,
    ) -> Image:
        calls.append((colour, strength, inverted))
        return image

    async with serve(Stream(remember)) as url:
        page = await visit(pages, f"{url}?colour=blue&strength=17&inverted=true")
        await expect(page.get_by_label("colour")).to_have_value("blue")
        await expect(echo(page, "strength")).to_have_text("17")
        await expect(page.get_by_label("inverted")).to_be_checked()
        await start(page)
        assert calls[0] == ("blue", 17, True)
        await stop(page)


async def test_query_string_that_cannot_be(serve: Serve, pages: Pages) -> None:
    """What the page's own address asks for and there is not is said; the rest is taken."""
    async with serve(Stream(controlled)) as url:
        page = await visit(pages, f"{url}?colour=violet&strength=9&speed=3")
        await expect(notice(page, "violet")).to_be_visible()
        await expect(notice(page, "speed")).to_be_visible()
        await start(page)
        values = (await heard(page, "controls"))[0]["values"]
        assert (values["colour"], values["strength"]) == ("red", 9)
        await stop(page)


async def test_text_that_an_address_has_no_room_for(serve: Serve, pages: Pages) -> None:
    """A long text, and one whose letters take many bytes, are there from the beginning."""
    seen: set[tuple[int, str, str]] = set()

    def remember(image: Image, count: int = 1, story: str = "", name: str = "") -> Image:
        seen.add((count, story, name))
        return image

    story = "\N{CJK UNIFIED IDEOGRAPH-8BDD}" * 3000
    async with serve(Stream(remember)) as url:
        page = await visit(pages, url)
        await loaded(page)
        await page.get_by_label("story").fill(story)
        await page.get_by_label("name").fill("x" * 2000)
        await page.get_by_label("count").fill("7")
        await page.get_by_label("count").press("Enter")
        await start(page)
        await called(lambda: (7, story, "x" * 2000) in seen)
        assert all((count, len(name)) == (7, 2000) for count, _, name in seen)
        await expect(page.get_by_label("story")).to_have_value(story)
        await stop(page)


async def test_keyboard_alone(serve: Serve, pages: Pages) -> None:
    """Everything is reached by Tab and works by keys: Start, the controls, and Stop."""
    async with serve(Stream(controlled)) as url:
        page = await visit(pages, url)
        await loaded(page)

        async def tab_to(id: str) -> None:
            for _ in range(20):
                await page.keyboard.press("Tab")
                if await page.evaluate("document.activeElement.id") == id:
                    return
            pytest.fail(f"{id} is not reached by Tab")

        async def acknowledged(name: str, value: Any) -> None:
            await until(
                page,
                f"heard.findLast((each) => each.type === 'controls')?.values.{name} "
                f"=== {json.dumps(value)}",
            )

        await tab_to("start")
        await page.keyboard.press("Enter")
        await until(page, "document.querySelector('#output').videoWidth")
        await tab_to("control-colour")
        await page.keyboard.press("ArrowDown")
        await acknowledged("colour", "green")
        await tab_to("control-strength")
        await page.keyboard.press("ArrowRight")
        await acknowledged("strength", 6)
        await expect(echo(page, "strength")).to_have_text("6")
        await tab_to("control-inverted")
        await page.keyboard.press("Space")
        await acknowledged("inverted", True)
        await tab_to("control-count")
        await page.keyboard.press("ArrowUp")
        await acknowledged("count", 2)
        await tab_to("control-name")
        await page.keyboard.type("Ada")
        await page.keyboard.press("Enter")
        await acknowledged("name", "Ada")
        await page.evaluate("document.activeElement.blur()")
        await tab_to("start")
        await page.keyboard.press("Enter")
        await expect(page.locator("#status")).to_have_text("Ready")


async def test_refused_text_stays_to_be_mended(serve: Serve, pages: Pages) -> None:
    """What cannot be is kept in its field, which is marked and says why and what holds meanwhile;
    nothing but a good value, or another's, takes it away. So where the page sees it, and where the
    server does."""
    async with serve(Stream(controlled)) as url:
        page = await visit(pages, url)
        await start(page)
        for label, wrong, words, still, good in (
            ("count", "1.5", "A whole number is needed.", "still 1", "3"),
            ("name", "x" * 10_001, "Must be at most 10,000 characters long,", "still empty", "Bob"),
            ("name", "x" * 70_000, "This is too long to be sent", "still Bob", "Ada"),
        ):
            field = page.get_by_label(label, exact=False)
            message = page.locator(f'[data-control="{label}"] .control-message')
            described = f"control-{label}-echo control-{label}-message"
            await field.fill(wrong)
            await field.press("Enter")
            await expect(message).to_contain_text(words)
            await expect(field).to_have_attribute("aria-invalid", "true")
            await expect(field).to_have_attribute("aria-describedby", described)
            await expect(echo(page, label)).to_have_text(still)
            await page.get_by_label("strength").press("ArrowRight")  # all values come with it
            await expect(page.locator('[data-control="strength"]')).not_to_have_attribute(
                "data-pending", ""
            )
            await expect(field).to_have_value(wrong)
            await field.fill(good)
            await field.press("Enter")
            await expect(message).to_be_empty()
            await expect(field).to_have_attribute("aria-invalid", "false")
            await expect(echo(page, label)).to_have_text("")
        values = (await heard(page, "controls"))[-1]["values"]
        assert (values["count"], values["name"], values["strength"]) == (3, "Ada", 8)
        await page.get_by_label("count").fill("")
        await expect(page.locator('[data-control="count"] .control-message')).not_to_be_empty()
        await page.get_by_role("button", name="Reset").click()
        await expect(page.get_by_label("count")).to_have_value("1")
        await expect(page.locator('[data-control="count"] .control-message')).to_be_empty()
        await stop(page)


def mixed(
    image: Image,
    colour: Literal["red", "green", "blue"] = "red",
    strength: Annotated[int, Range(1, 20)] = 5,
    inverted: bool = False,
    where: Point | None = Point(0.2, 0.2),
    clip: File | None = None,
    count: int = 1,
    one_whose_name_goes_on_and_on_for_more_than_a_line: bool = True,
    name: str = "",
) -> Image:
    """One control of each kind, one with a long name."""
    return image


PLACES = """
[...document.querySelectorAll(".control")].map((control) => {
  const [label, field] = [":scope > label", ":scope > :is(input, .select, .place, .upload)"]
    .map((part) => control.querySelector(part).getBoundingClientRect());
  // A switch has room around it.
  const height = control.dataset.type === "boolean" ? 44 : field.height;
  return [label.bottom, field.top + field.height / 2, height];
})
"""


@pytest.mark.parametrize("width", [1280, 390])
async def test_controls_stand_on_lines(serve: Serve, pages: Pages, width: int) -> None:
    """Controls of all kinds are of one height, and beside each other their labels and fields are on
    the same lines; nothing is wider than the page."""
    async with serve(Stream(mixed)) as url:
        page = await pages.open(url, viewport={"width": width, "height": 800})
        await loaded(page)
        places = np.array(await page.evaluate(PLACES))
        assert np.ptp(places[:, 2]) < 1, places
        rows = places[:, 0].round()
        for row in np.unique(rows):
            assert np.ptp(places[rows == row], axis=0).max() < 1, places
        assert len(np.unique(rows)) == (2 if width > 400 else 8)
        assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def test_reset_brings_the_defaults_back(serve: Serve, pages: Pages) -> None:
    """Reset sets every control to its default, on the server too."""
    async with serve(Stream(controlled)) as url:
        page = await visit(pages, f"{url}?colour=blue&strength=17")
        await start(page)
        await page.get_by_role("button", name="Reset").click()
        await expect(page.get_by_label("colour")).to_have_value("red")
        await expect(echo(page, "strength")).to_have_text("5")
        values = (await heard(page, "controls"))[-1]["values"]
        assert (values["colour"], values["strength"]) == ("red", 5)
        await stop(page)
