"""The operator's page, with visitors on the server, in Chromium."""

import re
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from playwright.async_api import Page, expect

from rtcstream import Stream, testing
from rtcstream.operations import Operations
from rtcstream.overload import Overload
from rtcstream.server import ServerOptions, listening
from tests.browser import Pages
from tests.footage import loopback, start, visit
from tests.pictures import scene
from tests.waiting import until

TOKEN = "a-token-that-nobody-guesses"


@pytest.fixture
def operations() -> Operations:
    return Operations(Overload())


@pytest.fixture
async def url(operations: Operations) -> AsyncIterator[str]:
    app = web.Application()
    app.add_subapp("/loopback/", Stream(loopback).app())
    async with listening(app, ServerOptions(port=0, admin_token=TOKEN), operations) as url:
        yield url


async def signed_in(pages: Pages, url: str) -> Page:
    """The operator's page, after the token has been entered."""
    pages.expect_error("401")  # the browser says so of each refusal
    page = await pages.open(url + "admin")
    await page.get_by_label("Admin token").fill(TOKEN)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.locator("#operator")).to_be_visible()
    return page


async def test_signing_in_on_the_page(pages: Pages, url: str) -> None:
    """The page asks for the token, says when it is the wrong one, remembers the right one, and
    forgets it on Sign out."""
    pages.expect_error("401")
    page = await pages.open(url + "admin")
    await expect(page.get_by_label("Admin token")).to_be_focused()
    await page.keyboard.type("not the token, I fear")
    await page.keyboard.press("Enter")
    await expect(page.locator("#refused")).to_have_text(re.compile("not the token"))
    await expect(page.locator("#operator")).to_be_hidden()
    await page.get_by_label("Admin token").fill(TOKEN)
    await page.keyboard.press("Enter")
    await expect(page.locator("#operator")).to_be_visible()
    await expect(page.locator("#nobody")).to_be_visible()
    await page.reload()
    await expect(page.locator("#operator")).to_be_visible()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.locator("#sign-in")).to_be_visible()
    await page.reload()
    await expect(page.locator("#sign-in")).to_be_visible()


async def test_a_visitor_is_shown_and_closed(
    pages: Pages, url: str, operations: Operations
) -> None:
    """A visitor's session is in the table with its figures; Close ends it, the visitor's page says
    who did, and the totals remember it."""
    visitor = await visit(pages, url + "loopback/")
    await start(visitor)
    page = await signed_in(pages, url)
    rows = page.locator("#sessions tbody tr")
    await expect(rows).to_have_count(1)
    [(_, session)] = operations.sessions()
    await expect(rows.locator("td").nth(0)).to_have_text(session.id[:6])
    await expect(rows.locator("td").nth(1)).to_have_text("loopback")
    await expect(rows.locator("td").nth(2)).to_have_text("127.0.0.1")
    await expect(rows.locator("td").nth(3)).to_have_text("running")
    for column in (5, 6):  # fps
        await expect(rows.locator("td").nth(column)).to_have_text(re.compile(r"^[\d.]+$"))
    await expect(rows.locator("td").nth(7)).to_have_text(re.compile(r"^\d+ / \d+ ms$"))
    await expect(rows.locator("td").nth(9)).to_have_text(re.compile("bit/s"))
    await rows.get_by_role("button").click()
    await expect(page.locator("#nobody")).to_be_visible()
    await expect(rows).to_have_count(0)
    await until(lambda: not operations.sessions())
    await expect(visitor.locator("body")).to_contain_text(
        "The operator of this server has ended it"
    )
    await expect(page.locator("#streams tbody")).to_contain_text("1 by the operator")


async def test_the_page_keeps_up(pages: Pages, url: str, operations: Operations) -> None:
    """Rows come and go with the sessions, a button keeps the focus meanwhile, and the charts show
    what the samples say."""
    page = await signed_in(pages, url)
    sessions = operations.streams["loopback"]
    rows = page.locator("#sessions tbody tr")
    async with testing.connect(sessions) as one:
        await one.apply(scene())
        await expect(rows).to_have_count(1)
        await rows.get_by_role("button").focus()
        async with testing.connect(sessions):
            await expect(rows).to_have_count(2)
            await expect(page.locator(".figure p").first).to_have_text(
                re.compile("^2"), timeout=10_000
            )
            await expect(rows.first.get_by_role("button")).to_be_focused()
        await expect(rows).to_have_count(1)
        await expect(rows.first.get_by_role("button")).to_be_focused()
    await expect(page.locator("#nobody")).to_be_visible()
    drawn = await page.locator(".figure canvas").first.evaluate(
        "c => new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size"
    )
    assert drawn > 3


async def test_a_server_that_is_gone(pages: Pages, operations: Operations) -> None:
    """When the server does not answer any more, the page says so and tries on."""
    pages.expect_error("ERR_CONNECTION_REFUSED")
    app = web.Application()
    async with listening(app, ServerOptions(port=0, admin_token=TOKEN), operations) as url:
        page = await signed_in(pages, url)
    await expect(page.locator("#problem")).to_contain_text("Trying again")


@pytest.mark.parametrize("width", [360, 1280])
async def test_nothing_is_cut_off(
    pages: Pages, url: str, operations: Operations, width: int
) -> None:
    """On a phone and on a desktop the page is as wide as the screen, with a session on it."""
    pages.expect_error("401")
    page = await signed_in(pages, url)
    await page.set_viewport_size({"width": width, "height": 800})
    async with testing.connect(operations.streams["loopback"]) as peer:
        await peer.apply(scene())
        await expect(page.locator("#sessions tbody tr")).to_have_count(1)
        wide = await page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width
        box = await page.get_by_role("button", name=re.compile("^Close")).bounding_box()
        assert box is not None and box["x"] + box["width"] <= width
