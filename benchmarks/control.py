"""From a control to the picture that shows it, with rtcstream's own page, without and with loss."""

import asyncio
import sys
from collections import defaultdict
from collections.abc import Sequence

from playwright.async_api import Browser

from benchmarks import network
from benchmarks.call import calling
from benchmarks.checks import FRAME, Check, check
from benchmarks.common import Figures, Plan, browsing, main, progress
from benchmarks.figures import percentiles, spread
from benchmarks.measure import BenchmarkError, Route, serving

LOSS = 5
CANVAS = "canvas to screen"
ROWS = {"control to screen": 0, f"control to screen, {LOSS}% lost": LOSS}
CHANGES_PER_SECOND = 2.5
P50, P95 = "p50, ms", "p95, ms"
LOSS_LIMIT = 250.0

ABOUT = "Measure the time from a control's input event to the first picture that shows its value."


async def run(plan: Plan) -> tuple[Figures, list[Check]]:
    seen: dict[str, list[tuple[float, float]]] = defaultdict(list)
    async with browsing() as browser:
        for number in range(plan.rounds):
            progress(f"round {number + 1} of {plan.rounds}: {CANVAS}")
            seen[CANVAS].append(await canvas(browser, plan))
            for name, percent in ROWS.items():
                progress(f"round {number + 1} of {plan.rounds}: {name}")
                seen[name].append(await change(browser, plan, percent))
    rows = {
        name: {P50: spread([p50 for p50, _ in rounds]), P95: spread([p95 for _, p95 in rounds])}
        for name, rounds in seen.items()
    }
    limit = rows[CANVAS][P95]["median"] + FRAME
    without, lossy = (rows[name][P95]["median"] for name in ROWS)
    return rows, [
        check("control to screen: p95, a picture more than canvas to screen", without, limit),
        check(f"control to screen, {LOSS}% lost: p95", lossy, LOSS_LIMIT),
    ]


async def canvas(browser: Browser, plan: Plan) -> tuple[float, float]:
    route = Route("rtcstream", "instant")
    async with serving(route.server) as server, calling(browser, server.url, route) as call:
        await asyncio.sleep(plan.warmup)
        await call.take()
        await asyncio.sleep(plan.seconds)
        return percentiles((await call.take()).latencies)


async def change(browser: Browser, plan: Plan, percent: int) -> tuple[float, float]:
    async with serving("rtcstream") as server:
        page = await browser.new_page()
        try:
            await page.goto(f"{server.url}/stamp/")
            await page.get_by_role("button", name="Start").click()
            # The page's policy has no eval, which Playwright's own waiting needs.
            await page.evaluate("async () => (await import('/page/control.js')).shown()")
            await asyncio.sleep(plan.warmup)
            network.lose(percent)
            latencies = await page.evaluate(
                "async count => (await import('/page/control.js')).measure(count)",
                round(plan.seconds * CHANGES_PER_SECOND),
            )
        finally:
            network.lose(0)
            await page.close()
    return percentiles(latencies)


def start(arguments: Sequence[str] | None = None) -> int:
    try:
        network.enter("benchmarks.control")
    except BenchmarkError as error:
        progress(str(error))
        return 2
    return main(run, Plan(rounds=3, seconds=20.0), "control", ABOUT, arguments)


if __name__ == "__main__":
    sys.exit(start())
