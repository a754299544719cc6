"""How soon an answer falls silent when one speaks, and is heard when one has spoken, in Chromium.

``python -m benchmarks.turn_taking --help``; README.md beside this file says what and how.
"""

import asyncio
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web
from playwright.async_api import Browser, async_playwright

from benchmarks.checks import Check, check
from benchmarks.common import FLAGS, Figures, Plan, chromium, main, progress, spreads
from benchmarks.figures import percentiles
from rtcstream import Stream
from tests import turn_taking
from tests.browser import launch
from tests.footage import LISTEN, begin, sounding

ABOUT = (
    "Measure, with speech of espeak-ng for a microphone, the time from the first sample of a voice "
    "until the answer that it interrupts is silent on the page; and from the last until an instant "
    "answer is heard, beside the pause that ends the turn. Fails when an expectation does."
)
SILENCED, ANSWERED = "speech to silence", "turn's end to answer, less the pause"
SILENCED_WITHIN, ANSWERED_WITHIN = 300.0, 200.0


async def run(plan: Plan) -> tuple[Figures, list[Check]]:
    seen: dict[str, list[dict[str, float]]] = defaultdict(list)
    runner = web.AppRunner(Stream(turn_taking.tone).app(), shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        with tempfile.TemporaryDirectory() as folder:
            microphone = turn_taking.phrases(Path(folder))
            async with async_playwright() as playwright:
                browser = await launch(
                    playwright.chromium, chromium(), microphone=microphone, flags=FLAGS
                )
                for number in range(plan.rounds):
                    progress(f"round {number + 1} of {plan.rounds}")
                    heard = await _measure(browser, f"http://{host}:{port}/", plan)
                    for name, times in ((SILENCED, heard.silenced), (ANSWERED, heard.answered)):
                        p50, p95 = percentiles(times)
                        seen[name].append({"p50, ms": p50, "p95, ms": p95})
                await browser.close()
    finally:
        await runner.cleanup()
    rows = {name: spreads(rounds) for name, rounds in seen.items()}
    return rows, [
        check(f"{SILENCED}: p95", rows[SILENCED]["p95, ms"]["median"], SILENCED_WITHIN),
        check(f"{ANSWERED}: p50", rows[ANSWERED]["p50, ms"]["median"], ANSWERED_WITHIN),
    ]


async def _measure(browser: Browser, url: str, plan: Plan) -> turn_taking.Heard:
    context = await browser.new_context()
    try:
        page = await context.new_page()
        await page.add_init_script(LISTEN)
        await page.goto(url)
        await begin(page)
        await sounding(page)
        await asyncio.sleep(plan.warmup)
        await turn_taking.begin(page)
        await asyncio.sleep(plan.seconds)
        return await turn_taking.heard(page)
    finally:
        await context.close()


def start(arguments: Sequence[str] | None = None) -> int:
    return main(run, Plan(rounds=5, seconds=60.0), "turn_taking", ABOUT, arguments)


if __name__ == "__main__":
    sys.exit(start())
