"""Every example, opened from the gallery as a visitor does, shows what its function makes."""

import importlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from playwright.async_api import Page, expect

from rtcstream import Stream
from rtcstream.gallery import Gallery
from rtcstream.loading import Named, example_names, load
from tests.browser import Pages, read_camera
from tests.conftest import Serve
from tests.footage import Film, Picture, Watch, matching, start, stop, until, visit

FINE = (160, 120)


def is_filter(target: Any) -> bool:
    """Whether a stream is one function of the camera's picture."""
    return isinstance(target, Stream) and target.describe()["inputs"] == ["video"]


EXAMPLES: dict[str, Named] = {name: load(name) for name in example_names()}
STREAMS = [name for name, each in EXAMPLES.items() if isinstance(each.target, Stream)]
# Those of sound, and generators, are in test_browser_sound.py; these in test_browser_models.py.
OF_MODELS = {"background_blur", "object_detection", "face_blur", "read_text", "track_object"}
FILTERS = [n for n in STREAMS if is_filter(EXAMPLES[n].target) and n not in OF_MODELS]


@pytest.fixture(scope="module")
def street(bikes: Path) -> list[Picture]:
    """The camera's own pictures."""
    return read_camera(bikes)


@pytest.fixture(scope="module")
async def gallery(serve: Serve) -> AsyncIterator[str]:
    """The gallery's address."""
    for name in set(EXAMPLES) - set(STREAMS):
        importlib.reload(module_of(name))  # an application is mounted once in its life
    async with serve(Gallery().app()) as url:
        yield url


def film_of(target: Any, street: list[Picture]) -> Film:
    """What a function, or a new object of a class, makes of the camera's pictures in a row."""
    function = target() if isinstance(target, type) else target

    def picture_of(image: Picture) -> Any:
        returned = function(image)
        return returned[0] if isinstance(returned, tuple) else returned

    return Film(street, picture_of)


def module_of(name: str) -> Any:
    return importlib.import_module(f"rtcstream.examples.{name}")


async def open_card(pages: Pages, url: str, name: str) -> Page:
    """The example's page, by a click on its card in the gallery."""
    page = await visit(pages, url)
    card = page.locator(f'a[data-name="{name}"]')
    await expect(card.locator("h2")).not_to_be_empty()
    await expect(card.locator("p")).not_to_be_empty()
    await card.click()
    await page.wait_for_url(f"**/{name}/", timeout=10_000)  # and loaded: no spinner goes on
    return page


async def test_gallery_has_a_card_for_each_example(gallery: str, pages: Pages) -> None:
    """The gallery shows each example once, with a title, a sentence and a picture that loads."""
    page = await visit(pages, gallery)
    cards = page.locator("a.example")
    await expect(cards).to_have_count(len(EXAMPLES))
    names = await cards.evaluate_all("cards => cards.map((card) => card.dataset.name)")
    assert sorted(names) == sorted(EXAMPLES)
    for card in await cards.all():
        assert await card.locator("h2").inner_text()
        assert (await card.locator("p").inner_text()).endswith(".")
        await card.scroll_into_view_if_needed()
        image = await card.locator("img").element_handle()
        assert image is not None
        await image.wait_for_element_state("stable")
        await image.evaluate("image => image.decode()")


async def test_the_way_back_to_the_gallery(serve: Serve, gallery: str, pages: Pages) -> None:
    """An example that the gallery serves links back to it, however one came there; a stream that
    is served alone does not."""
    page = await visit(pages, f"{gallery}loopback/")
    await page.set_viewport_size({"width": 390, "height": 800})
    height = "document.querySelector('header.bar').offsetHeight"
    before = await page.evaluate(height)
    await page.locator("#status").evaluate(
        "status => (status.textContent = 'Waiting for a source')"
    )
    assert await page.evaluate(height) == before, "what is below must not jump"
    await page.get_by_role("link", name="All examples").click()
    await expect(page.locator("a.example")).to_have_count(len(EXAMPLES))
    async with serve(module_of("loopback").stream) as url:
        page = await visit(pages, url)
        await expect(page.locator("#title")).to_have_text("Loopback")
        await expect(page.locator("#all-examples")).to_be_hidden()


@pytest.mark.parametrize("name", FILTERS)
async def test_stream_of_the_gallery(
    gallery: str, pages: Pages, street: list[Picture], name: str
) -> None:
    """Started from its card, an example shows what its function makes of the camera."""
    example = EXAMPLES[name].target
    assert isinstance(example, Stream)
    page = await open_card(pages, gallery, name)
    await expect(page.locator("#title")).to_have_text(example.title)
    watch = await Watch.on(page, size=FINE)
    await start(page)
    await matching(watch, film_of(example.signatures[0].target, street), 0.8)
    if "data" in example.describe()["outputs"]:
        await plots_its_number(page)
    await stop(page)


async def plots_its_number(page: Page) -> None:
    """The number is shown in figures, and as a line that goes on being drawn."""
    result = page.locator('#results .result[data-kind="number"]')
    await expect(result).to_have_count(1)
    assert float(await result.locator(".result-body").inner_text()) >= 0
    chart = """
    (() => {
      const chart = document.querySelector("#results canvas.chart");
      const pixels = chart.getContext("2d").getImageData(0, 0, chart.width, chart.height).data;
      const drawn = new Set();  // the columns with something in them
      for (let at = 3; at < pixels.length; at += 4) {
        if (pixels[at]) drawn.add((at >> 2) % chart.width);
      }
      return [drawn.size > 20, chart.toDataURL()];
    })()
    """
    await until(page, f"{chart}[0]")
    before = (await page.evaluate(chart))[1]
    await until(page, f"{chart}[1] !== '{before}'")


async def test_mounted(gallery: str, pages: Pages, street: list[Picture]) -> None:
    """Both streams that an application of one's own has mounted are reached from its own page."""
    module = module_of("mounted")
    page = await open_card(pages, gallery, "mounted")
    links = await page.locator("a").evaluate_all("all => all.map((a) => a.getAttribute('href'))")
    assert len(links) == 2
    for link in links:
        await page.click(f'a[href="{link}"]')
        await page.wait_for_url(f"**/mounted/{link}")
        watch = await Watch.on(page, size=FINE)
        await start(page)
        film = film_of(getattr(module, link.strip("/")), street)
        frames = await matching(watch, film, 0.9)
        assert film.difference(frames[-1].picture) < 12
        await stop(page)
        await page.go_back()


async def test_custom_page(gallery: str, pages: Pages, street: list[Picture]) -> None:
    """The page of one's own starts the stream, and its buttons set the colour."""
    module = module_of("custom_page")

    def tinted(colour: str) -> Callable[[Picture], Any]:
        return lambda image: module.tint(image, colour)

    films = {colour: Film(street, tinted(colour)) for colour in ("ocean", "autumn", "winter")}
    page = await open_card(pages, gallery, "custom_page")
    watch = await Watch.on(page, "#picture", size=FINE)
    await page.get_by_role("button", name="Start").click()
    await matching(watch, films["ocean"], 0.9)
    for colour in ("autumn", "winter", "ocean"):
        button = page.get_by_role("button", name=colour.capitalize())
        await button.click()
        await expect(button).to_have_attribute("aria-pressed", "true")
        frames = await matching(watch, films[colour], 0.9)
        shown = frames[-1].picture
        assert min(films, key=lambda name: films[name].difference(shown)) == colour
    await page.goto("about:blank")  # there is no Stop


def test_each_example_is_opened() -> None:
    """An example that is an application of its own has a test of its own above."""
    assert set(EXAMPLES) - set(STREAMS) == {"mounted", "custom_page"}


def prefix_stripping_proxy(
    prefix: str, upstream: str, client: aiohttp.ClientSession
) -> web.Application:
    """A reverse proxy that serves `upstream` under a path, and tells it nothing of that."""

    async def forward(request: web.Request) -> web.StreamResponse:
        path = request.rel_url.raw_path.removeprefix(prefix)
        query = f"?{request.rel_url.raw_query_string}" if request.rel_url.raw_query_string else ""
        headers = {k: v for k, v in request.headers.items() if k not in ("Host", "Connection")}
        async with client.request(
            request.method,
            upstream.rstrip("/") + path + query,
            headers=headers,
            data=await request.read(),
            allow_redirects=False,
        ) as answer:
            kept = {k: v for k, v in answer.headers.items() if k not in HOP_BY_HOP}
            return web.Response(status=answer.status, headers=kept, body=await answer.read())

    app = web.Application()
    app.router.add_route("*", f"{prefix}/{{path:.*}}", forward)
    return app


HOP_BY_HOP = {"Connection", "Keep-Alive", "Transfer-Encoding", "Content-Length", "Date", "Server"}


async def test_behind_a_proxy_with_a_path_prefix(
    serve: Serve, gallery: str, pages: Pages, street: list[Picture]
) -> None:
    """Gallery, page and session work where a proxy has put them, and ask for nothing outside."""
    prefix = "/behind/a/proxy"
    async with (
        aiohttp.ClientSession(auto_decompress=False) as client,
        serve(prefix_stripping_proxy(prefix, gallery, client)) as url,
    ):
        here = url.rstrip("/") + prefix
        page = await open_card(pages, f"{here}/", "loopback")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
        # The mount point without its slash leads there, too, with its query.
        await page.goto(f"{here}/loopback?unknown=1")
        assert page.url == f"{here}/loopback/?unknown=1"
        watch = await Watch.on(page, size=FINE)
        await start(page)
        await matching(watch, Film(street), 0.9)
        async with page.expect_request(lambda request: request.method == "DELETE"):
            await stop(page)
        assert {line.split()[0] for line in asked} == {"GET", "POST", "PATCH", "DELETE"}
        assert [line for line in asked if f" {here}/" not in line] == []
