"""What a visitor sees of a server that asks who they are."""

from typing import Literal

from playwright.async_api import expect

from rtcstream import Image, Session, Stream
from rtcstream.server import ServerOptions, listening
from tests.browser import Pages

TOKEN = "correct-horse"
LOOKS: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def whose(image: Image, session: Session) -> tuple[Image, str]:
    return image, f"{session.peer.identity} is here"


async def test_sign_in_stream_and_sign_out(pages: Pages) -> None:
    """A visitor without a token gets a form, a wrong one is said to be wrong, the right one leads
    to the page that was asked for; the function knows who it is, and signing out ends it."""
    pages.expect_error("401")
    options = ServerOptions(port=0, auth={"ann": TOKEN})
    async with listening(Stream(whose), options) as url:
        page = await pages.open(f"{url}?view=beside")
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        await page.get_by_label("Token").fill("wrong-token")
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("alert")).to_contain_text("not known here")
        await page.get_by_label("Token").fill(TOKEN)
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(f"{url}?view=beside")
        await expect(page.locator("#title")).to_have_text("Whose")
        await page.click("#start")
        await expect(page.get_by_text("ann is here")).to_be_visible(timeout=20_000)
        await page.click("#start")  # which is Stop by now
        await page.get_by_role("link", name="Sign out").click()
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        await page.goto(url)
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


async def test_sign_in_page_fits(pages: Pages) -> None:
    """The form fits a phone, light and dark, with its one field in focus."""
    options = ServerOptions(port=0, auth=TOKEN)
    async with listening(Stream(whose), options) as url:
        page = await pages.open(url)
        colours = []
        for scheme in LOOKS:
            await page.set_viewport_size({"width": 320, "height": 568})
            await page.emulate_media(color_scheme=scheme)
            assert await page.evaluate("document.documentElement.scrollWidth") <= 320
            await expect(page.get_by_label("Token")).to_be_focused()
            colours.append(await page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert len(set(colours)) == 2


async def test_link_from_another_site(pages: Pages) -> None:
    """Who has signed in and comes by a link of another site arrives; who has not, gets the form."""
    pages.expect_error("401")
    options = ServerOptions(port=0, auth=TOKEN)
    async with listening(Stream(whose), options) as url:
        elsewhere = url.replace("127.0.0.1", "localhost")  # another site to a browser
        page = await pages.open(f"{elsewhere}sign-in")
        leave = f"location.href = '{url}?view=beside'"
        await page.evaluate(leave)
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        await page.get_by_label("Token").fill(TOKEN)
        await page.keyboard.press("Enter")
        await expect(page.locator("#title")).to_have_text("Whose")
        await page.wait_for_load_state("networkidle")
        await page.goto(f"{elsewhere}sign-in")
        await page.evaluate(leave)
        await expect(page).to_have_url(f"{url}?view=beside")
        await expect(page.locator("#title")).to_have_text("Whose")
        await page.wait_for_load_state("networkidle")  # nothing fails when the server ends
