"""Canvas to screen in Chromium: the browser's own echo, plain aiortc, rtcstream.

``python -m benchmarks.latency --help``; README.md beside this file says what is measured and how.
"""

import argparse
import asyncio
import json
import os
import platform
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypedDict

from playwright.async_api import async_playwright

from tests.browser import launch

from .checks import Check, check_growth, check_rows
from .figures import Growth, Row, growth, row
from .measure import Measurement, Route, measure

# Without camera permission Chromium names its addresses as random .local names, which servers
# would have to ask the network for.
FLAGS = ("--disable-features=WebRtcHideLocalIpsWithMdns",)

ROUTES = {
    "browser's own echo": Route("rtcstream", None),
    "plain aiortc": Route("aiortc", "instant"),
    "rtcstream": Route("rtcstream", "instant"),
    "plain aiortc, 50 ms": Route("aiortc", "slow"),
    "rtcstream, 50 ms": Route("rtcstream", "slow"),
    "rtcstream beside an instant one": Route("rtcstream", "instant", "instant"),
    "rtcstream beside a 50 ms one": Route("rtcstream", "instant", "slow"),
}
LONG_ROUTES = ("plain aiortc, 50 ms", "rtcstream, 50 ms")


@dataclass(frozen=True)
class Config:
    """How long to measure; all in seconds but ``rounds``."""

    rounds: int = 3
    seconds: float = 10.0  # each route in each round
    warmup: float = 4.0  # before each measurement, not counted
    long_seconds: float = 60.0  # for growth; 0 leaves it out
    settle: float = 10.0  # that memory gets to find its size


QUICK = Config(rounds=2, seconds=4.0, warmup=2.0, long_seconds=0.0)


class Report(TypedDict):
    config: dict[str, float]
    machine: dict[str, str | int | None]
    rows: dict[str, Row]
    long: dict[str, Growth]
    checks: list[Check]


async def run(config: Config) -> Report:
    """Measure every route, in rounds, so that whatever else the machine does meets all alike."""
    seen: dict[str, list[Measurement]] = {name: [] for name in ROUTES}
    long: dict[str, Growth] = {}
    async with async_playwright() as playwright:
        browser = await launch(playwright.chromium, chromium(), camera=None, flags=FLAGS)
        for number in range(config.rounds):
            for name, route in ROUTES.items():
                progress(f"round {number + 1} of {config.rounds}: {name}")
                seen[name].append(await measure(browser, route, config.warmup, config.seconds))
        for name in LONG_ROUTES if config.long_seconds else ():
            progress(f"{config.long_seconds:g} s: {name}")
            longer = await measure(browser, ROUTES[name], config.warmup, config.long_seconds)
            long[name] = growth(longer, config.settle)
        version = browser.version
        await browser.close()
    rows = {name: row(measurements) for name, measurements in seen.items()}
    return Report(
        config=asdict(config),
        machine=machine(version),
        rows=rows,
        long=long,
        checks=[*check_rows(rows), *check_growth(long)],
    )


def chromium() -> str:
    executable = shutil.which("chromium")
    if executable is None:
        raise SystemExit("no `chromium` on the PATH: `make test` installs it")
    return executable


def machine(browser: str) -> dict[str, str | int | None]:
    return {
        "system": platform.platform(terse=True),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "chromium": browser,
    }


def progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
