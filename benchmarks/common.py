"""What the benchmarks share: the browser, the command line, the report."""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypedDict

from playwright.async_api import Browser, async_playwright

from benchmarks import tables
from benchmarks.checks import Check
from benchmarks.figures import Spread, spread
from benchmarks.measure import BenchmarkError, Route
from tests.browser import launch

# Without camera permission Chromium names its addresses as random .local names, which servers
# would have to ask the network for.
FLAGS = ("--disable-features=WebRtcHideLocalIpsWithMdns",)

Figures = dict[str, dict[str, Spread]]
"""Of each route, under the figure's name with its unit."""


@dataclass(frozen=True)
class Plan:
    """How often, and how long each time in seconds."""

    rounds: int
    seconds: float
    warmup: float = 3.0  # before, not counted


class Report(TypedDict):
    config: Mapping[str, float]
    machine: dict[str, str | int | None]
    rows: Figures
    checks: list[Check]


Run = Callable[[Plan], Coroutine[None, None, tuple[Figures, list[Check]]]]


def main(run: Run, default: Plan, name: str, about: str, arguments: Sequence[str] | None) -> int:
    """0 when every expectation holds, 1 when one does not, 2 when it could not be measured."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=about)
    for field, value in asdict(default).items():
        parser.add_argument(f"--{field}", type=type(value), default=value, help="(%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    options = parser.parse_args(arguments)
    plan = Plan(options.rounds, options.seconds, options.warmup)
    if plan.rounds < 1 or plan.seconds <= 0 or plan.warmup < 0:
        parser.error("measure in one round at least, for more than 0 seconds")
    try:
        rows, checks = asyncio.run(run(plan))
    except (BenchmarkError, subprocess.CalledProcessError) as error:
        progress(str(error))
        return 2
    print("\n".join(tables.figures(name, rows)), end="\n\n")
    print("\n".join(tables.verdicts(checks)))
    if options.json is not None:
        report = Report(config=asdict(plan), machine=machine(), rows=rows, checks=checks)
        write(report, options.json)
    return 0 if all(check["ok"] for check in checks) else 1


async def in_rounds(
    plan: Plan,
    routes: Mapping[str, Route],
    measure: Callable[[Browser, Route, Plan], Coroutine[None, None, dict[str, float]]],
) -> Figures:
    """Measure all routes, by turns, so that whatever else the machine does meets all alike."""
    seen: dict[str, list[dict[str, float]]] = {name: [] for name in routes}
    async with browsing() as browser:
        for number in range(plan.rounds):
            for name, route in routes.items():
                progress(f"round {number + 1} of {plan.rounds}: {name}")
                seen[name].append(await measure(browser, route, plan))
    return {name: spreads(rounds) for name, rounds in seen.items()}


def spreads(rounds: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    """Of each figure, over the rounds."""
    return {figure: spread([each[figure] for each in rounds]) for figure in rounds[0]}


def write(report: Mapping[str, object], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")


@contextlib.asynccontextmanager
async def browsing(camera: Path | None = None, *flags: str) -> AsyncIterator[Browser]:
    """Chromium; ``camera`` is a .y4m file for it to show."""
    async with async_playwright() as playwright:
        flags = (*FLAGS, *flags)
        browser = await launch(playwright.chromium, chromium(), camera=camera, flags=flags)
        yield browser
        await browser.close()


def chromium() -> str:
    executable = shutil.which("chromium")
    if executable is None:
        raise BenchmarkError("no `chromium` on the PATH: `make test` installs it")
    return executable


def machine(browser: str | None = None) -> dict[str, str | int | None]:
    if browser is None:
        asked = subprocess.run(
            (chromium(), "--version"), capture_output=True, text=True, check=True
        )
        browser = next(word for word in asked.stdout.split() if word[0].isdigit())
    return {
        "system": platform.platform(terse=True),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "chromium": browser,
    }


def progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
