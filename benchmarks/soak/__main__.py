"""``python -m benchmarks.soak``: 10,000 sessions, then an hour of mixed load.

Prints what was found, writes results/soak_sessions.json and results/soak_mixed.json, and ends with
status 1 when one of its expectations does not hold.
"""

import argparse
import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks import tables
from benchmarks.chart import RESULTS
from benchmarks.common import machine, progress, write
from benchmarks.measure import BenchmarkError
from benchmarks.soak import mixed, sessions

LEAST = 1000
"""Sessions."""


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every expectation holds, 1 when one does not, 2 when it could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    add = parser.add_argument
    add("--sessions", type=int, default=10_000, help="in all (%(default)s); 0 leaves them out")
    add("--at-once", type=int, default=50, help="of them (%(default)s)")
    add("--minutes", type=float, default=60, help="of mixed load (%(default)s); 0 leaves it out")
    add("--seed", type=int, default=1, help="of the mixed load (%(default)s)")
    options = parser.parse_args(arguments)
    if options.at_once < 1:
        parser.error("soak with 1 session at once or more")
    if options.minutes and options.minutes < 1:
        parser.error("a mixed load takes a minute or more; 0 leaves it out")
    if options.sessions and options.sessions < LEAST:
        parser.error(f"what grows is seen in {LEAST} sessions or more; 0 leaves them out")
    try:
        reports = [*asyncio.run(_run(options))]
    except (BenchmarkError, subprocess.CalledProcessError) as error:
        progress(str(error))
        return 2
    return 0 if all(check["ok"] for report in reports for check in report["checks"]) else 1


async def _run(options: argparse.Namespace) -> list[Mapping[str, Any]]:
    reports = []
    if options.sessions:
        many = sessions.Plan(sessions=options.sessions, at_once=options.at_once)
        reports.append(await _report("soak_sessions", sessions.run(many)))
    if options.minutes:
        long = mixed.Plan(seconds=60 * options.minutes, seed=options.seed)
        reports.append(await _report("soak_mixed", mixed.run(long)))
    return reports


async def _report(name: str, running: Any) -> Mapping[str, Any]:
    began = time.monotonic()
    report: dict[str, Any] = await running
    report = {"machine": machine(""), "seconds": round(time.monotonic() - began), **report}
    write(report, RESULTS / f"{name}.json")
    print("\n".join([*_text(name, report), *tables.verdicts(report["checks"])]), flush=True)
    return report


def _text(name: str, report: Mapping[str, Any]) -> Iterator[str]:
    yield f"{name}: {report['seconds']} s"
    for look in report.get("looks", ()):
        yield "  " + ", ".join(f"{figure} {value}" for figure, value in look.items())
    for what, count in report.get("played", {}).items():
        yield f"  {what}: {count}"
    for text in (*report["failed"], *report["errors"]):
        yield f"  {text}"
    for ending in sorted({*report.get("expected", ()), *report.get("counted", ())}):
        expected, counted = (report[each].get(ending, 0) for each in ("expected", "counted"))
        yield f"  {ending}: {counted}" + ("" if counted == expected else f", not {expected}")


if __name__ == "__main__":
    sys.exit(main())
