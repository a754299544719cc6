"""A call that Python leads: the page of measure.py, asked now and then what it has seen."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from playwright.async_api import Browser, JSHandle, Page

from benchmarks.measure import Route


@dataclass(frozen=True)
class Seen:
    """What a page saw since it was last asked; times in ms by the page's clock."""

    times: list[float]  # of each picture that had a number
    latencies: list[float]  # theirs, in ms
    shown: list[float]  # when any picture was shown


class Call:
    """An open call; ``start`` is the time in ms from the POST to the first picture, if any."""

    def __init__(self, page: Page, handle: JSHandle, start: float | None) -> None:
        self.page = page
        self.start = start
        self._handle = handle

    async def take(self) -> Seen:
        taken = await self._handle.evaluate("call => call.take()")
        samples = taken["samples"]
        return Seen(
            times=[sample["at"] for sample in samples],
            latencies=[sample["latency"] for sample in samples],
            shown=taken["shown"],
        )

    async def statistics(self) -> dict[str, Any]:
        """The browser's ``RTCInboundRtpStreamStats`` of what comes back."""
        found: dict[str, Any] = await self._handle.evaluate("call => call.statistics()")
        return found

    async def now(self) -> float:
        """The page's clock, in ms."""
        return float(await self.page.evaluate("performance.now()"))


@contextlib.asynccontextmanager
async def calling(browser: Browser, url: str, route: Route, **options: Any) -> AsyncIterator[Call]:
    """A call on a server at ``url``; the options are those of ``open`` in page/latency.js."""
    page = await browser.new_page()
    try:
        await page.goto(f"{url}/page/index.html")
        options = {"session": route.session(route.function), "size": route.size, **options}
        handle = await page.evaluate_handle("options => openCall(options)", options)
        start = await handle.evaluate("call => call.start")
        yield Call(page, handle, start)
        await handle.evaluate("call => call.close()")
    finally:
        await page.close()
