"""Canvas to screen in Chromium: the browser's own echo, plain aiortc, FastRTC, rtcstream.

``python -m benchmarks.latency --help``; README.md beside this file says what is measured and how.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypedDict

from benchmarks import tables
from benchmarks.checks import Check, check_growth, check_rows
from benchmarks.common import browsing, machine, progress, write
from benchmarks.figures import Growth, Row, growth, row
from benchmarks.measure import BenchmarkError, Measurement, Route, measure

HD = (1280, 720)
ROUTES = {
    "browser's own echo": Route("rtcstream", None),
    "plain aiortc": Route("aiortc", "instant"),
    "FastRTC": Route("fastrtc", "instant"),
    "rtcstream": Route("rtcstream", "instant"),
    "browser's own echo, 720p": Route("rtcstream", None, size=HD),
    "plain aiortc, 720p": Route("aiortc", "instant", size=HD),
    "FastRTC, 720p": Route("fastrtc", "instant", size=HD),
    "rtcstream, 720p": Route("rtcstream", "instant", size=HD),
    "plain aiortc, 50 ms": Route("aiortc", "slow"),
    "FastRTC, 50 ms": Route("fastrtc", "slow"),
    "rtcstream, 50 ms": Route("rtcstream", "slow"),
    "rtcstream, 50 ms, 720p": Route("rtcstream", "slow", size=HD),
    "rtcstream beside an instant one": Route("rtcstream", "instant", "instant"),
    "rtcstream beside a 50 ms one": Route("rtcstream", "instant", "slow"),
}
LONG_ROUTES = ("plain aiortc, 50 ms", "rtcstream, 50 ms")


@dataclass(frozen=True)
class Config:
    """How long to measure; all in seconds but ``rounds``."""

    rounds: int = 5
    seconds: float = 6.0  # each route in each round
    warmup: float = 3.0  # before each measurement, not counted
    long_seconds: float = 60.0  # for growth; 0 leaves it out
    settle: float = 10.0  # that memory gets to find its size


QUICK = Config(rounds=2, seconds=4.0, warmup=1.0, long_seconds=0.0)


class Report(TypedDict):
    config: dict[str, float]
    machine: dict[str, str | int | None]
    rows: dict[str, Row]
    long: dict[str, Growth]
    checks: list[Check]


async def run(config: Config, routes: Sequence[str] = tuple(ROUTES)) -> Report:
    """Measure every route, in rounds, so that whatever else the machine does meets all alike."""
    seen: dict[str, list[Measurement]] = {name: [] for name in routes}
    long: dict[str, Growth] = {}
    async with browsing() as browser:
        for number in range(config.rounds):
            for name, measured in seen.items():
                progress(f"round {number + 1} of {config.rounds}: {name}")
                route = ROUTES[name]
                measured.append(await measure(browser, route, config.warmup, config.seconds))
        for name in LONG_ROUTES if config.long_seconds else ():
            progress(f"{config.long_seconds:g} s: {name}")
            longer = await measure(browser, ROUTES[name], config.warmup, config.long_seconds)
            long[name] = growth(longer, min(config.settle, config.long_seconds / 2))
        version = browser.version
    rows = {name: row(measurements) for name, measurements in seen.items()}
    return Report(
        config=asdict(config),
        machine=machine(version),
        rows=rows,
        long=long,
        checks=[*check_rows(rows), *check_growth(long)],
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every expectation holds, 1 when one does not, 2 when it could not be measured."""
    options = parse(arguments)
    config = Config(options.rounds, options.seconds, options.warmup, options.long_seconds)
    try:
        report = asyncio.run(run(config, [name for name in ROUTES if options.only in name]))
    except BenchmarkError as error:
        progress(str(error))
        return 2
    print("\n".join(tables.latencies(report["rows"])), end="\n\n")
    if report["long"]:
        print("\n".join(tables.growth(report["long"])), end="\n\n")
    print("\n".join(tables.verdicts(report["checks"])))
    if options.json is not None:
        write(report, options.json)
    return 0 if all(check["ok"] for check in report["checks"]) else 1


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.latency",
        description="Measure the time from a canvas to the screen in Chromium, through the "
        "browser's own echo, plain aiortc, FastRTC and rtcstream. Fails when an expectation does.",
    )
    quick = "--quick" in (sys.argv[1:] if arguments is None else arguments)
    default = QUICK if quick else Config()
    add = parser.add_argument
    add("--quick", action="store_true", help="less of everything: a look rather than a result")
    add("--rounds", type=int, default=default.rounds, help="how often (%(default)s)")
    add(
        "--seconds",
        type=float,
        default=default.seconds,
        help="for each route, each time (%(default)s)",
    )
    add(
        "--warmup",
        type=float,
        default=default.warmup,
        help="seconds before that, not counted (%(default)s)",
    )
    add(
        "--long-seconds",
        type=float,
        default=default.long_seconds,
        help="for what grows over time; 0 leaves that out (%(default)s)",
    )
    add("--only", metavar="TEXT", default="", help="the routes whose name contains this")
    add("--json", type=Path, metavar="FILE", help="write all figures to this file, too")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.seconds <= 0 or options.warmup < 0 or options.long_seconds < 0:
        parser.error("measure in one round at least, for more than 0 seconds")
    return options


if __name__ == "__main__":
    sys.exit(main())
