"""The fixtures: browsers with real footage for a camera, a server around an app, a leak counter."""

import contextlib
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import ClassVar, Protocol, Unpack

import aiohttp
import pytest
from aiohttp import web
from playwright.async_api import Browser, Page, async_playwright
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from rtcstream.vad import Energy
from tests import browser
from tests.counting import Counts
from tests.leaks import no_leaks


class HasApp(Protocol):
    """A `Stream`, as far as serving it goes."""

    def app(self) -> web.Application: ...


Serve = Callable[[web.Application | HasApp], AbstractAsyncContextManager[str]]
BROWSERS = (
    *("test_benchmark_", "test_browser_", "test_examples_", "test_firefox"),
    *("test_long_sound", "test_outages", "test_slow_models"),
)
"""How the files begin whose tests open one."""

Leaks = Callable[..., AbstractAsyncContextManager[None]]


@pytest.fixture(scope="session")
def bikes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A camera on a street with bicycles: 90 pictures."""
    camera = tmp_path_factory.mktemp("camera") / "bikes.y4m"
    return browser.write_camera(browser.footage("bikes.mp4"), camera)


@pytest.fixture(scope="session")
def bunny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another camera, on a cartoon meadow: 90 pictures."""
    camera = tmp_path_factory.mktemp("camera") / "bunny.y4m"
    return browser.write_camera(browser.footage("bigbuckbunny.mp4"), camera)


@pytest.fixture(scope="session")
async def chromium(bikes: Path) -> AsyncIterator[browser.Launch]:
    """Starts a headless Chromium for each setup, once; the camera is `bikes` if not named."""
    executable = shutil.which("chromium")
    if executable is None:
        pytest.fail("no `chromium` on the PATH: `make test` installs it")
    started: dict[frozenset[tuple[str, object]], Browser] = {}
    async with async_playwright() as playwright:

        async def launch(**setup: Unpack[browser.Setup]) -> Browser:
            setup.setdefault("camera", bikes)
            key = frozenset(setup.items())
            if key not in started:
                started[key] = await browser.launch(playwright.chromium, executable, **setup)
            return started[key]

        yield launch
        for each in started.values():
            await each.close()


@pytest.fixture
async def pages(chromium: browser.Launch) -> AsyncIterator[browser.Pages]:
    """Opens pages with `await pages.open(url)`; an error that a page reports fails the test."""
    opened = browser.Pages(chromium)
    yield opened
    await opened.close()
    if errors := opened.unexpected_errors():
        pytest.fail("the page reported:\n  " + "\n  ".join(errors))


@pytest.fixture
async def page(pages: browser.Pages) -> Page:
    """An empty page."""
    return await pages.open()


@pytest.fixture
def fresh_imports(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What loading a program changes in the interpreter is undone after the test."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "argv", [*sys.argv])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if not name.startswith("rtcstream"):
            del sys.modules[name]


@pytest.fixture(scope="session")
def serve() -> Serve:
    """Serves an application or a stream for a while: `async with serve(app) as url`."""

    @contextlib.asynccontextmanager
    async def serve(app: web.Application | HasApp) -> AsyncIterator[str]:
        application = app if isinstance(app, web.Application) else app.app()
        runner = web.AppRunner(application, shutdown_timeout=1.0)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            host, port = runner.addresses[0][:2]
            yield f"http://{host}:{port}/"
        finally:
            await runner.cleanup()

    return serve


@pytest.fixture(scope="session")
def leaks() -> Leaks:
    """Fails the test for tasks, threads and descriptors left behind: `async with leaks():`."""
    return no_leaks


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    """A browser without a page: it keeps cookies, of addresses too."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


@pytest.fixture
def counting() -> type[Counts]:
    """The class that counts pictures, with a log of its own."""

    class Counting(Counts):
        log: ClassVar = []

    return Counting


@pytest.fixture
def by_loudness(monkeypatch: pytest.MonkeyPatch) -> None:
    """A whistle is speech."""
    monkeypatch.setattr("rtcstream.turns.speech_detector", Energy)


class Lanes(LoadScopeScheduling):  # type: ignore[misc]  # which has no types
    """Of two workers (`make test`) one has the browsers, whose tests mostly wait and would disturb
    each other; the other has all the rest."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        return "browsers" if Path(file).name.startswith(BROWSERS) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Lanes:
    return Lanes(config, log)
