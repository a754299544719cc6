"""A page whose connection breaks: it makes another by itself, and goes on where it was."""

import asyncio
import contextlib
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import pytest
from aiohttp import web
from playwright.async_api import Page, expect

from rtcstream import Image, Range, Stream
from rtcstream.negotiator import NETWORK, Sessions
from rtcstream.transport.demux import SharedSocket, bound
from rtcstream.transport.ice import IceOptions, local_addresses
from rtcstream.transport.ports import SharedPort
from rtcstream.transport.rtp_writer import RtpWriter
from tests.browser import Pages
from tests.conftest import Serve
from tests.footage import Watch, application, heard, notice, start, stop, until, visit

PROGRAM = """
from typing import Annotated

from rtcstream import Image, Range, Stream

def tint(image: Image, level: Annotated[int, Range(0, 9)] = 3) -> Image:
    return image

stream = Stream(tint)
"""


LATER = """
const now = performance.now.bind(performance);
window.later = 0;
performance.now = () => now() + later;
"""

DARKEST = """
() => {
  window.darkest = 255;
  const video = document.querySelector("#output");
  const context = new OffscreenCanvas(8, 8).getContext("2d", { willReadFrequently: true });
  const look = () => {
    context.clearRect(0, 0, 8, 8);
    context.drawImage(video, 0, 0, 8, 8);
    const { data } = context.getImageData(0, 0, 8, 8);
    darkest = Math.min(darkest, Math.max(...data.filter((_, at) => at % 4 < 3)));
    requestAnimationFrame(look);
  };
  look();
}
"""
"""Of all pictures on screen from now on, the brightest place of the darkest one."""


class Program:
    """A server in a process of its own, always on the same port, of TCP and of UDP."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        with bound("0.0.0.0", 0) as free:
            self.udp_port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, text: str = PROGRAM) -> None:
        self._path.write_text(text)
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "rtcstream", str(self._path), "--port", str(self.port)),
            *("--udp-port", str(self.udp_port)),
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), 20)
        assert self.url in line.decode()

    async def end(self, number: signal.Signals) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        await asyncio.wait_for(self._process.wait(), 10)


@pytest.fixture
async def program(tmp_path: Path, pages: Pages) -> AsyncIterator[Program]:
    """A server that may come and go."""
    pages.expect_error("ERR_CONNECTION_(REFUSED|RESET)|ERR_EMPTY_RESPONSE|ERR_SOCKET_NOT_CONNECTED")
    program = Program(tmp_path / "program.py")
    await program.start()
    yield program
    await program.end(signal.SIGKILL)


async def status(page: Page, words: str, timeout: float = 15.0) -> None:
    """Wait until the page says so of its connection."""
    await expect(page.locator("#status")).to_have_text(words, timeout=1000 * timeout)


async def level(page: Page) -> int:
    """What the server has said last of the control."""
    last = (await heard(page, "controls"))[-1]
    value: int = last["values"]["level"]
    return value


async def test_a_server_that_was_killed_and_comes_back(pages: Pages, program: Program) -> None:
    """The page says so, tries again, and shows pictures with its slider where it was left, also
    while nobody was there; the camera stays open."""
    page = await visit(pages, program.url)
    watch = await Watch.on(page)
    await start(page)
    slider = page.get_by_label("level")
    await slider.press("End")
    await until(page, "heard.some((m) => m.type === 'controls' && m.values.level === 9)")
    camera = "document.querySelector('#preview').srcObject.getVideoTracks()[0].id"
    before = await page.evaluate(camera)
    await program.end(signal.SIGKILL)
    await status(page, "Reconnecting", timeout=20)
    await expect(page.locator("#reconnecting")).to_contain_text("connection was lost")
    await expect(page.locator("#start")).to_have_text("Stop")
    await slider.press("ArrowLeft")
    await program.start()
    await status(page, "Connected", timeout=20)
    await expect(page.locator("#reconnecting")).to_be_hidden()
    udp = (await page.evaluate("connections.at(-1).remoteDescription.sdp")).splitlines()
    ports = {line.split()[5] for line in udp if line.startswith("a=candidate")}
    assert ports == {str(program.udp_port)}
    await watch.next(10)
    assert await level(page) == 8
    await expect(page.locator('[data-control="level"] output')).to_have_text("8")
    assert await page.evaluate(camera) == before
    await slider.press("Home")
    await until(page, "heard.at(-1).type && heard.some((m) => m.values && m.values.level === 0)")
    await expect(page.locator("#notices .notice")).to_have_count(0)
    await stop(page)


async def test_a_server_that_is_started_again_in_order(pages: Pages, program: Program) -> None:
    """It takes leave, so that nobody waits to notice; until it is there the page tries again, and
    at once when asked to."""
    page = await visit(pages, program.url)
    watch = await Watch.on(page)
    await start(page)
    await page.evaluate(DARKEST)
    await program.end(signal.SIGTERM)
    await status(page, "Reconnecting", timeout=2)
    await expect(page.locator("#reconnecting")).to_contain_text("Trying again…", timeout=15_000)
    await program.start()
    await page.get_by_role("button", name="Try now").click()
    await status(page, "Connected", timeout=3.5)
    await watch.next(10)
    assert await page.evaluate("darkest") > 40, "it stays until there is another"
    await until(page, "connections[0].connectionState === 'closed'")
    await stop(page)


async def test_another_program_at_the_same_place(pages: Pages, program: Program) -> None:
    """A page of controls that are not there any more does not go on: it is to be reloaded."""
    page = await visit(pages, program.url)
    await start(page)
    await program.end(signal.SIGTERM)
    await program.start(PROGRAM.replace("level", "strength"))
    await expect(notice(page, "The program has changed")).to_contain_text("Reload", timeout=15_000)
    await expect(page.locator("#reconnecting")).to_be_hidden()
    await expect(page.locator("#status")).to_have_text("Ready")


async def test_stop_while_it_reconnects(pages: Pages, program: Program) -> None:
    """Stop ends it at once: nothing is tried any more, and the camera is free."""
    page = await visit(pages, program.url)
    await start(page)
    await program.end(signal.SIGTERM)
    await status(page, "Reconnecting")
    await stop(page)
    await expect(page.locator("#reconnecting")).to_be_hidden()
    assert await page.evaluate("document.querySelector('#preview').srcObject") is None
    before = await page.evaluate("connections.length")
    await program.start()
    await start(page)
    assert await page.evaluate("connections.length") == before + 1
    await expect(page.locator("#notices .notice")).to_have_count(0)
    await stop(page)


async def test_a_server_that_stays_away(pages: Pages, program: Program) -> None:
    """After two minutes the page gives up, and says what to do."""
    page = await visit(pages, program.url, LATER)
    await start(page)
    figures = [page.locator(f'[data-figure="{each}"]') for each in ("fps", "function")]
    for figure in figures:
        await expect(figure).to_contain_text(re.compile(r"[1-9]"))
    await program.end(signal.SIGTERM)
    await status(page, "Reconnecting")
    await page.evaluate("later = 115_000")
    await expect(page.locator("#status")).to_have_text("Reconnecting")
    for figure in figures:  # what the server said last holds no more
        await expect(figure).to_have_text("\N{EN DASH}")
    await page.evaluate("later = 125_000")
    await expect(notice(page, "The server is gone")).to_contain_text("Start", timeout=15_000)
    await expect(page.locator("#status")).to_have_text("Ready")
    await expect(page.locator("#start")).to_have_text("Start")
    await expect(page.locator("#reconnecting")).to_be_hidden()


async def test_offline(pages: Pages, program: Program) -> None:
    """The page says that it is this computer that has no network, gives nothing up meanwhile, and
    goes on at once when there is one again; so it does with a Start that was in vain."""
    pages.expect_error("ERR_INTERNET_DISCONNECTED")
    page = await visit(pages, program.url, LATER)
    watch = await Watch.on(page)
    await start(page)
    await program.end(signal.SIGTERM)
    await status(page, "Reconnecting", timeout=2)
    await page.context.set_offline(True)
    await status(page, "Offline")
    await expect(page.locator("#reconnecting")).to_contain_text("You are offline")
    await program.start()
    await page.evaluate("later = 125_000")
    requests = "performance.getEntriesByType('resource').length"
    before = await page.evaluate(requests)
    await until(page, f"{requests} > {before}", 15)
    await expect(page.locator("#reconnecting")).to_contain_text("You are offline")
    await page.context.set_offline(False)
    await status(page, "Connected", timeout=1.5)
    await watch.next(10)
    await stop(page)

    await page.context.set_offline(True)
    await page.click("#start")
    await expect(notice(page, "You are offline")).to_contain_text("Start")
    await page.context.set_offline(False)
    await expect(page.locator("#notices .notice")).to_have_count(0)


# The network


class Network:
    """A server's one UDP port, that all may be lost of."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch

    def goes(self) -> None:
        self._patch.setattr(SharedSocket, "_take", lambda shared, data, address: None)
        self._patch.setattr(SharedSocket, "send", lambda shared, data, address: None)
        self._patch.setattr(RtpWriter, "_put", lambda writer, packets: None)

    def comes(self) -> None:
        self._patch.undo()


@pytest.fixture
def network() -> Iterator[Network]:
    with pytest.MonkeyPatch.context() as patch:
        yield Network(patch)


@asynccontextmanager
async def on_one_port(serve: Serve, stream: Stream) -> AsyncIterator[tuple[str, Sessions]]:
    """A server whose media all come and go by one port."""
    ports, sessions = SharedPort(0), stream.sessions()
    for address in local_addresses():
        await ports.open(address)
    app: web.Application = application(sessions, sessions)
    app[NETWORK] = IceOptions(ports=ports)
    async with serve(app) as url:
        yield url, sessions
    assert not any(len(each) for each in ports.sockets.values())
    await ports.close()


class Counts:
    """Counts the pictures of its visitor."""

    def __init__(self) -> None:
        self.pictures = 0

    def __call__(self, image: Image, level: Annotated[int, Range(0, 9)] = 3) -> tuple[Image, int]:
        self.pictures += 1
        return image, self.pictures


async def test_two_pages_through_one_port(serve: Serve, pages: Pages) -> None:
    """A browser's pictures come and go through the one UDP port, whoever else does so."""
    async with on_one_port(serve, Stream(Counts)) as (url, sessions):
        opened = [await visit(pages, url) for _ in range(2)]
        for page in opened:
            await start(page)
        for page in opened:
            watch = await Watch.on(page)
            await watch.at_least(20)
        assert len(sessions) == 2
        for page in opened:
            await stop(page)


async def test_a_network_that_is_gone_until_it_is_noticed(
    serve: Serve, pages: Pages, network: Network
) -> None:
    """Another connection is made when packets come through again; the class counts on."""
    async with on_one_port(serve, Stream(Counts)) as (url, _):
        page = await visit(pages, url)
        watch = await Watch.on(page)
        await start(page)
        await watch.at_least(20)
        network.goes()
        await expect(page.locator("#reconnecting")).to_be_visible(timeout=20_000)
        before = (await heard(page, "result"))[-1]["data"]
        network.comes()
        await status(page, "Connected", timeout=30)
        await watch.next(20)
        counts = [each["data"] for each in await heard(page, "result")]
        assert counts[-1] > before and counts == sorted(counts)
        assert await page.evaluate("connections.length") >= 2
        assert await page.evaluate("connections[0].connectionState") == "closed"
        await stop(page)
