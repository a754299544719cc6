"""Calls on a network that loses packets: the browser's own echo, aiortc, FastRTC, rtcstream."""

import asyncio
import itertools
import statistics
import sys
from collections.abc import Sequence

from playwright.async_api import Browser

from benchmarks import environments, network
from benchmarks.call import Seen, calling
from benchmarks.checks import ECHO, Check, check
from benchmarks.common import Figures, Plan, in_rounds, main, progress
from benchmarks.figures import percentiles
from benchmarks.measure import BenchmarkError, Route, serving

ROUTES = {
    ECHO: Route("rtcstream", None),
    "plain aiortc": Route("aiortc", "instant"),
    "FastRTC": Route("fastrtc", "instant"),
    "rtcstream": Route("rtcstream", "instant"),
}
LOSS, BURST = 5, 30
"""Packets of a hundred, for the plan's time, and for ``BURST_SECONDS``."""
CALM_SECONDS = 5.0
BURST_SECONDS = 3.0
RECOVERY_SECONDS = 8.0
WINDOW, STEP = 500.0, 50.0
"""ms over which a call must be normal to be normal again, and between two looks."""

GAP, KEYFRAMES, P50, P95 = "longest gap, ms", "keyframes", "p50, ms", "p95, ms"
AGAIN, LOST = "normal again, ms", "packets lost"

ABOUT = f"""Measure calls at {LOSS}% of packets lost both ways, and how long they take to be normal
again after {BURST_SECONDS:g} s of {BURST}%. Linux only."""


async def run(plan: Plan) -> tuple[Figures, list[Check]]:
    rows = await in_rounds(plan, ROUTES, measure)
    ours, echo = rows["rtcstream"], rows[ECHO]
    return rows, [
        # The worst of the rounds: that it never happens is what is claimed.
        check(f"{LOSS}% lost: the longest gap between two pictures", ours[GAP]["high"], 200),
        check(f"{LOSS}% lost: keyframes of the whole call", ours[KEYFRAMES]["high"], 2, ""),
        check(f"{LOSS}% lost: p95, against the echo's", ours[P95]["median"], echo[P95]["median"]),
        check(f"normal again after {BURST}% lost", ours[AGAIN]["high"], 1000),
    ]


async def measure(browser: Browser, route: Route, plan: Plan) -> dict[str, float]:
    network.lose(0)
    try:
        async with serving(route.server) as server, calling(browser, server.url, route) as call:
            await asyncio.sleep(plan.warmup)
            await call.take()
            await asyncio.sleep(CALM_SECONDS)
            calm = await call.take()
            network.lose(LOSS)
            start = await call.now()
            await asyncio.sleep(plan.seconds)
            lossy, end = await call.take(), await call.now()
            if not (lost := network.lost()):
                raise BenchmarkError("no packet was lost: the call took another way")
            network.lose(0)
            keyframes = (await call.statistics())["keyFramesDecoded"]
            await asyncio.sleep(CALM_SECONDS)
            network.lose(BURST)
            await asyncio.sleep(BURST_SECONDS)
            network.lose(0)
            await call.take()
            over = await call.now()
            await asyncio.sleep(RECOVERY_SECONDS)
            after = await call.take()
    finally:
        network.lose(0)
    p50, p95 = percentiles(lossy.latencies)
    return {
        GAP: longest_gap(lossy.shown, start, end),
        KEYFRAMES: keyframes,
        P50: p50,
        P95: p95,
        AGAIN: normal_again(calm, after, over),
        LOST: lost,
    }


def longest_gap(shown: Sequence[float], start: float, end: float) -> float:
    """Without a picture, from the start to the end."""
    times = [start, *shown, end]
    return max(later - earlier for earlier, later in itertools.pairwise(times))


def normal_again(calm: Seen, after: Seen, over: float) -> float:
    """ms from ``over`` until the first window with p95 under twice the calm one's, and with half
    of its pictures at least; the whole time that was watched when there is none."""
    _, usual = percentiles(calm.latencies)
    least = len(calm.times) * WINDOW / (CALM_SECONDS * 1000) / 2
    samples = list(zip(after.times, after.latencies, strict=True))
    start = 0.0
    while start < RECOVERY_SECONDS * 1000 - WINDOW:
        window = [ms for at, ms in samples if start <= at - over < start + WINDOW]
        if len(window) >= max(least, 2) and statistics.quantiles(window, n=20)[-1] < 2 * usual:
            return start
        start += STEP
    return RECOVERY_SECONDS * 1000


def start(arguments: Sequence[str] | None = None) -> int:
    try:
        environments.python("fastrtc")  # which needs a network
        network.enter("benchmarks.loss")
    except BenchmarkError as error:
        progress(str(error))
        return 2
    return main(run, Plan(rounds=3, seconds=30.0), "loss", ABOUT, arguments)


if __name__ == "__main__":
    sys.exit(start())
