"""Calls whose network gets narrow: the browser's own echo, aiortc, FastRTC, rtcstream."""

import asyncio
import sys
from collections.abc import Sequence

from playwright.async_api import Browser

from benchmarks import environments, network
from benchmarks.call import calling
from benchmarks.checks import ECHO, Check, check
from benchmarks.common import Figures, Plan, in_rounds, main, progress
from benchmarks.figures import percentiles
from benchmarks.loss import GAP, P50, P95, ROUTES, longest_gap
from benchmarks.measure import BenchmarkError, Route, serving

BITS = 1_500_000
"""A second, both directions together: a third of what two cameras of 640x480 take."""
ADAPT_SECONDS = 5.0
"""For a call to find out; what is seen meanwhile does not count."""

ABOUT = f"Measure calls on a network that lets {BITS / 1e6:g} Mbit/s through. Linux only."


async def run(plan: Plan) -> tuple[Figures, list[Check]]:
    rows = await in_rounds(plan, ROUTES, measure)
    ours, echo = rows["rtcstream"], rows[ECHO]
    return rows, [
        check("the longest gap, against the echo's", ours[GAP]["median"], echo[GAP]["median"]),
        check("p95, against the echo's", ours[P95]["median"], echo[P95]["median"]),
    ]


async def measure(browser: Browser, route: Route, plan: Plan) -> dict[str, float]:
    network.narrow(None)
    try:
        async with serving(route.server) as server, calling(browser, server.url, route) as call:
            await asyncio.sleep(plan.warmup)
            network.narrow(BITS)
            await asyncio.sleep(ADAPT_SECONDS)
            await call.take()
            start = await call.now()
            await asyncio.sleep(plan.seconds)
            narrow, end = await call.take(), await call.now()
    finally:
        network.narrow(None)
    p50, p95 = percentiles(narrow.latencies)
    return {
        GAP: longest_gap(narrow.shown, start, end),
        P50: p50,
        P95: p95,
        "pictures/s": len(narrow.shown) / plan.seconds,
    }


def start(arguments: Sequence[str] | None = None) -> int:
    try:
        environments.python("fastrtc")  # which needs a network
        network.enter("benchmarks.narrow")
    except BenchmarkError as error:
        progress(str(error))
        return 2
    return main(run, Plan(rounds=3, seconds=15.0), "narrow", ABOUT, arguments)


if __name__ == "__main__":
    sys.exit(start())
