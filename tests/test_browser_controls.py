"""Controls on the page: from its address, by keys, as the server takes them."""

import json
from typing import Annotated, Any, Literal

import pytest
from playwright.async_api import Page, expect

from rtcstream import Image, Range, Stream
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


async def test_rejected_value_is_explained_beside_its_control(serve: Serve, pages: Pages) -> None:
    """A value that the server rejects changes nothing, and its control says why."""
    async with serve(Stream(controlled)) as url:
        page = await visit(pages, url)
        await start(page)
        count = page.get_by_label("count")
        await count.fill("1.5")
        await count.press("Enter")
        message = page.locator('[data-control="count"] .control-message')
        await expect(message).not_to_be_empty()
        await expect(count).to_have_value("1")
        await expect(count).to_have_attribute("aria-invalid", "true")
        await count.fill("3")
        await count.press("Enter")
        await expect(message).to_be_empty()
        await until(page, "heard.findLast((each) => each.type === 'controls').values.count === 3")
        await stop(page)


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
