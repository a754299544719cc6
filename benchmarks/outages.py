"""Networks that fail under pages in Chromium, each in its own way, all at once: when the page says
so, when pictures come again, and whether the visitor's state is still there. Linux only."""

import argparse
import asyncio
import contextlib
import itertools
import json
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from aiohttp import web
from playwright.async_api import Browser, Page, async_playwright

from benchmarks import network
from benchmarks.coturn import SECRET, Coturn
from benchmarks.measure import BenchmarkError
from benchmarks.nat import Nat
from rtcstream import Image, Range, Session, Stream
from rtcstream.negotiator import ICE, NETWORK
from rtcstream.transport.ice import IceOptions
from rtcstream.transport.ports import PortRange, Ports, SharedPort
from rtcstream.turn import IceServers, ice_options
from tests.browser import launch

ABOUT = """Let the network fail under pages in Chromium, in several ways at once, and report how
they recover: a line of JSON for each. Fails where a promise is not kept."""

HTTP_PORT, MEDIA_PORT = 8080, 40000
CREDENTIALS_SECONDS = 10.0
BEGINS_SECONDS = 30.0
RECOVERY_SECONDS = 60.0
SETTLE_SECONDS = 6.0
"""After a fault: what is noticed later than that is not of a short one."""
PATIENCE = 3.0
"""How many times as long as promised it may take among other tests, on a machine that is busy."""
UNWELL = ("Interrupted", "Reconnecting", "Offline")
"""What the page calls a connection that does not work."""

AGAIN, NOTICED = 8.0, 5.0
"""Promised seconds from when the network is whole to new pictures, and from its end to words."""

LISTEN = """
window.shownAt = [];
window.said = [];
window.servers = [];
window.results = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(configuration) {
    super({ ...configuration, iceTransportPolicy: "POLICY" });
    servers.push(configuration.iceServers);
  }
  createDataChannel(...options) {
    const channel = super.createDataChannel(...options);
    channel.addEventListener("message", ({ data }) => {
      const message = JSON.parse(data);
      if (message.type === "result") results.push(message.data);
    });
    return channel;
  }
};
addEventListener("DOMContentLoaded", () => {
  const video = document.querySelector("#output");
  const look = () => {
    shownAt.push(Date.now());
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
  const status = document.querySelector("#status");
  new MutationObserver(() => said.push([Date.now(), status.textContent]))
    .observe(status, { childList: true, characterData: true, subtree: true });
});
"""


class Counts:
    """Counts its pictures twice: in an instance, and in the session's state."""

    def __init__(self) -> None:
        self.pictures = 0

    def __call__(
        self, image: Image, session: Session, level: Annotated[int, Range(0, 9)] = 3
    ) -> tuple[Image, list[int]]:
        self.pictures += 1
        session.state["pictures"] = session.state.get("pictures", 0) + 1
        return image, [self.pictures, session.state["pictures"], level]


@dataclass(frozen=True)
class Seen:
    """What a page made of one fault; times in seconds."""

    fault: str
    noticed: float | None
    """From the cut until the page said that something is wrong; None: it never did."""
    again: float | None
    """From when the network was whole until pictures came again; None: they did not."""
    gap: float | None
    """The longest time without a new picture."""
    sessions: int
    """Those that the page has had, the first one included."""
    credentials: int
    """Names by which it has come to a TURN server."""
    kept: bool
    """Whether the instance, ``session.state`` and the slider were as they had been."""

    def well(self, patience: float = 1.0) -> bool:
        """Whether all was as it is promised, or took that many times as long at most."""
        if self.again is None or self.gap is None or not self.kept:
            return False
        again, noticed = patience * AGAIN, patience * NOTICED
        silent = self.gap > noticed
        return self.again < again and (not silent or (self.noticed or noticed) < noticed)


Fault = Callable[[], Awaitable[tuple[float, float]]]
"""Breaks the network and mends it; when it was broken, and when it was whole (Unix time)."""


@dataclass(frozen=True)
class Place:
    """A server of its own, at an address that nothing else is at."""

    name: str
    address: str
    fault: Fault
    relay: str | None = None
    """A TURN server that all has to go by."""
    ports: Ports | None = None
    public: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        return f"http://{self.address}:{HTTP_PORT}/"

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        ice = IceOptions()
        if self.relay is not None:
            ice = ice_options(IceServers.of_secret([self.relay], SECRET, ttl=CREDENTIALS_SECONDS))
        app = Stream(Counts).app()
        app[ICE] = replace(ice, addresses=(self.address,))
        app[NETWORK] = IceOptions(ports=self.ports, public_addresses=self.public)
        runner = web.AppRunner(app, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, self.address, HTTP_PORT).start()
            yield
        finally:
            await runner.cleanup()
            if self.ports is not None:
                await self.ports.close()


# The faults


def outage(addresses: Sequence[str], seconds: float) -> Fault:
    """Nothing comes through, and nobody is told."""

    async def fault() -> tuple[float, float]:
        cut = time.time()
        for address in addresses:
            network.cut(address)
        await asyncio.sleep(seconds)
        for address in addresses:
            network.mend(address)
        return cut, time.time()

    return fault


def rebinding(nat: Nat, source: str) -> Fault:
    """The visitor comes from another address and port."""

    async def fault() -> tuple[float, float]:
        nat.rebind(source)
        return time.time(), time.time()

    return fault


def restarting(coturn: Coturn, seconds: float) -> Fault:
    """A TURN server is gone for a while, and then knows nothing of whom it served."""

    async def fault() -> tuple[float, float]:
        cut = time.time()
        await coturn.kill()
        await asyncio.sleep(seconds)
        await coturn.start()
        return cut, time.time()

    return fault


class Places:
    """Makes them, with what they need, which ends with the ``stack``."""

    def __init__(self, stack: contextlib.AsyncExitStack, folder: Path) -> None:
        self._stack = stack
        self._folder = folder
        self._addresses = self._new_addresses()

    async def make(self, name: str) -> Place:
        """``3 s``: an outage; ``rebinding, one port`` or ``own ports``; ``TURN udp 3 s``;
        ``TURN udp restarted``. Raises BenchmarkError."""
        kind, _, rest = name.partition(" ")
        if kind == "TURN":
            return await self._relayed(name, *rest.split(" ", 1))
        if kind == "rebinding,":
            return await self._translated(name, one_port=rest == "one port")
        address = next(self._addresses)
        return Place(name, address, outage([address], _seconds(name)))

    async def _relayed(self, name: str, transport: str, what: str) -> Place:
        address, relay = next(self._addresses), next(self._addresses)
        coturn = await self._stack.enter_async_context(Coturn(relay, self._folder / relay))
        restarts = what == "restarted"
        fault = restarting(coturn, 3) if restarts else outage([address, relay], _seconds(what))
        return Place(name, address, fault, f"{coturn.url}?transport={transport}")

    async def _translated(self, name: str, one_port: bool) -> Place:
        inside, outside, one, two = itertools.islice(self._addresses, 4)
        network.keep_apart(inside, "10.9.0.1")  # where Chromium is, which would answer
        nat = Nat((outside, MEDIA_PORT), (inside, MEDIA_PORT), one)
        await self._stack.enter_async_context(nat)
        port = SharedPort(MEDIA_PORT) if one_port else PortRange(MEDIA_PORT, MEDIA_PORT)
        return Place(name, inside, rebinding(nat, two), None, port, (outside,))

    def _new_addresses(self) -> Iterator[str]:
        for number in range(10, 250):
            network.add_address(address := f"10.9.0.{number}")
            yield address


def _seconds(text: str) -> float:
    """Raises BenchmarkError."""
    try:
        return float(text.removesuffix(" s"))
    except ValueError:
        raise BenchmarkError(f"there is no fault {text!r}; see --help") from None


SHORT = [
    *("3 s", "30 s", "rebinding, one port", "rebinding, own ports"),
    *("TURN udp 3 s", "TURN tcp 3 s", "TURN udp restarted"),
]
LONG = [
    *SHORT,
    *("4 s", "6 s", "10 s", "15 s", "31 s", "32 s", "33 s", "34 s", "35 s"),
    *("TURN udp 30 s", "TURN tcp 30 s", "TURN tcp restarted"),
]

# A page


async def watched(browser: Browser, place: Place, ready: asyncio.Barrier) -> Seen:
    """What a page sees of its place's fault, which comes when all pages are ready."""
    page = await browser.new_page()
    try:
        policy = "all" if place.relay is None else "relay"
        await page.add_init_script(LISTEN.replace("POLICY", policy))
        await page.goto(place.url)
        await page.click("#start")
        await _until(page, "shownAt.length > 10 && results.length > 10", BEGINS_SECONDS)
        await page.get_by_label("level").press("End")
        await _until(page, "results.at(-1)[2] === 9", BEGINS_SECONDS)
        async with asyncio.timeout(2 * BEGINS_SECONDS):
            await ready.wait()
        before = (await page.evaluate("results"))[-1]
        await page.evaluate("said.length = 0")
        cut, whole = await place.fault()
        gap = await _recovered(page, cut)
        said: list[tuple[float, str]] = await page.evaluate("said")
        servers = await page.evaluate("servers")
        last = (await page.evaluate("results"))[-1]
        length = None if gap is None else gap[1] - gap[0]
        return Seen(
            fault=place.name,
            noticed=next((at / 1000 - cut for at, text in said if text in UNWELL), None),
            # Where nothing was missed, the longest time is any.
            again=None if gap is None or length is None else min(gap[1] - whole, length),
            gap=length,
            sessions=len(servers),
            credentials=len({each["username"] for them in servers for each in them}),
            kept=last[0] > before[0] and last[1] == last[0] and last[2] == 9,
        )
    finally:
        await page.close()


async def _recovered(page: Page, cut: float) -> tuple[float, float] | None:
    """When the longest time without a picture began and ended, once pictures come again."""
    deadline = time.time() + RECOVERY_SECONDS
    while time.time() < deadline:
        await asyncio.sleep(0.2)
        shown = [at / 1000 for at in await page.evaluate("shownAt") if at / 1000 > cut - 1]
        # One alone is the last one, shown again as another connection is tried.
        shown = [at for at in shown if sum(abs(at - other) < 0.5 for other in shown) > 2]
        if shown and time.time() - cut > SETTLE_SECONDS and time.time() - shown[-1] < 1:
            gap = max(itertools.pairwise(shown), key=lambda gap: gap[1] - gap[0])
            if shown[-1] - gap[1] > 1:
                return gap
    return None


async def _until(page: Page, condition: str, seconds: float) -> None:
    deadline = time.time() + seconds
    while not await page.evaluate(condition):
        if time.time() > deadline:
            says = " ".join((await page.inner_text("body")).split())
            raise BenchmarkError(f"{page.url}, {seconds:g} s: not {condition}; it says {says}")
        await asyncio.sleep(0.05)


def write_camera(camera: Path) -> None:
    """Small pictures, so that many pages fit two cores: 160x120, 10 a second."""
    random = np.random.default_rng(1)
    with camera.open("wb") as out:
        out.write(b"YUV4MPEG2 W160 H120 F10:1 Ip A1:1 C420jpeg\n")
        for _ in range(30):
            grey = random.integers(40, 200, (15, 20), np.uint8).repeat(8, 0).repeat(8, 1)
            out.write(b"FRAME\n" + grey.tobytes() + bytes([128]) * (80 * 60 * 2))


async def run(names: Sequence[str], say: Callable[[Seen], None]) -> None:
    """Raises BenchmarkError."""
    executable = shutil.which("chromium")
    if executable is None:
        raise BenchmarkError("there is no chromium on the PATH")
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write_camera(camera := folder / "camera.y4m")
        makes = Places(stack, folder)
        places = [await makes.make(name) for name in names]
        for place in places:
            await stack.enter_async_context(place.serving())
        playwright = await stack.enter_async_context(async_playwright())
        secure = ",".join(place.url.rstrip("/") for place in places)
        flags = (f"--unsafely-treat-insecure-origin-as-secure={secure}",)
        browser = await launch(playwright.chromium, executable, camera=camera, flags=flags)
        stack.push_async_callback(browser.close)
        ready = asyncio.Barrier(len(places))

        async def watch(place: Place) -> None:
            say(await watched(browser, place, ready))

        watching = [asyncio.create_task(watch(place)) for place in places]
        try:
            await asyncio.gather(*watching)
        finally:
            for each in watching:
                each.cancel()
            await asyncio.wait(watching)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.outages", description=ABOUT, epilog=Places.make.__doc__
    )
    parser.add_argument("faults", nargs="*", default=LONG, help="which; by default, many")
    parser.add_argument("--short", action="store_true", help="those of `make test`")
    options = parser.parse_args()
    patience = PATIENCE if options.short else 1.0
    seen: list[Seen] = []

    def say(each: Seen) -> None:
        seen.append(each)
        print(json.dumps(asdict(each) | {"well": each.well(patience)}), flush=True)

    try:
        network.enter("benchmarks.outages")
        asyncio.run(run(SHORT if options.short else options.faults, say))
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 2
    return 0 if all(each.well(patience) for each in seen) else 1


if __name__ == "__main__":
    sys.exit(main())
