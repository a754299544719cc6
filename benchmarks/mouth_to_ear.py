"""Mouth to ear in Chromium: the browser's own echo, plain aiortc, rtcstream.

``python -m benchmarks.mouth_to_ear --help``; README.md beside this file says what and how.
"""

import sys
from collections.abc import Sequence

from benchmarks.checks import ECHO, Check, check
from benchmarks.common import Figures, Plan, browsing, main, progress
from benchmarks.figures import percentiles, spread
from benchmarks.measure import Route, measure

ABOUT = (
    "Measure the time from a click in the page to hearing it again in Chromium, through the "
    "browser's own echo, a plain aiortc server and rtcstream. Fails when an expectation does. "
    "--quick is less of everything: a look rather than a result."
)
PLAN = Plan(rounds=5, seconds=10.0, warmup=5.0)
QUICK = Plan(rounds=2, seconds=4.0, warmup=2.0)
ROUTES = {
    ECHO: Route("rtcstream", None),
    "plain aiortc": Route("aiortc", "loopback"),
    "rtcstream": Route("rtcstream", "loopback"),
}
P50, P95 = "p50, ms", "p95, ms"
LONGER = 30.0
"""ms that rtcstream may take more than the echo."""


async def run(plan: Plan) -> tuple[Figures, list[Check]]:
    """Measure every route, in rounds, so that whatever else the machine does meets all alike."""
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in ROUTES}
    async with browsing() as browser:
        for number in range(plan.rounds):
            for name, route in ROUTES.items():
                progress(f"round {number + 1} of {plan.rounds}: {name}")
                heard = await measure(browser, route, plan.warmup, plan.seconds, "sound.html")
                seen[name].append(percentiles(heard.latencies, heard.unreadable))
    rows = {
        name: {P50: spread([p50 for p50, _ in rounds]), P95: spread([p95 for _, p95 in rounds])}
        for name, rounds in seen.items()
    }
    ours, echo = (rows[name][P50]["median"] for name in ("rtcstream", ECHO))
    return rows, [check("p50: the echo's and 30 ms", ours, echo + LONGER)]


def start(arguments: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    plan = QUICK if "--quick" in given else PLAN
    rest = [each for each in given if each != "--quick"]
    return main(run, plan, "mouth_to_ear", ABOUT, rest)


if __name__ == "__main__":
    sys.exit(start())
