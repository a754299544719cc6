"""From the POST of an offer to the first picture: plain aiortc, FastRTC, rtcstream."""

import contextlib
import sys
from collections import defaultdict
from collections.abc import Sequence

from benchmarks.call import calling
from benchmarks.checks import Check, check
from benchmarks.common import Figures, Plan, browsing, main, progress
from benchmarks.cost import ROUTES
from benchmarks.figures import spread
from benchmarks.measure import BenchmarkError, serving

FIRST = "POST to first picture, ms"
LIMIT = 200.0

ABOUT = "Measure the time from the POST of an offer until the first picture is on the screen."


async def run(plan: Plan) -> tuple[Figures, list[Check]]:
    seen: dict[str, list[float]] = defaultdict(list)
    async with browsing() as browser, contextlib.AsyncExitStack() as running:
        servers = {
            name: await running.enter_async_context(serving(route.server))
            for name, route in ROUTES.items()
        }
        # One more than are counted: what a server loads for its first call is not the question.
        for number in range(plan.rounds + 1):
            progress(f"call {number} of {plan.rounds}")
            for name, route in ROUTES.items():
                async with calling(browser, servers[name].url, route) as call:
                    if call.start is None:
                        raise BenchmarkError("the browser has not timed the POST")
                    if number:
                        seen[name].append(call.start)
    rows = {name: {FIRST: spread(times)} for name, times in seen.items()}
    median = rows["rtcstream"][FIRST]["median"]
    return rows, [check("POST to the first picture: p50", median, LIMIT)]


def start(arguments: Sequence[str] | None = None) -> int:
    return main(run, Plan(rounds=15, seconds=1.0), "first_frame", ABOUT, arguments)


if __name__ == "__main__":
    sys.exit(start())
