"""Sessions opened and closed by the thousand: what of them stays in the server."""

import asyncio
import contextlib
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.checks import Check, check
from benchmarks.common import progress
from benchmarks.soak.server import Held, Soaked, soaked
from benchmarks.soak.visitors import visitors

PICTURES = 5
"""That come back to each visitor before it leaves."""
WAIT = 600.0
"""Seconds that visitors get for what is done between two looks."""

PER_1000 = "per 1000 sessions"


@dataclass(frozen=True)
class Plan:
    sessions: int = 10_000
    settle: int = 500
    """Sessions after which all must be flat."""
    step: int = 500
    """Sessions between two looks; all have left at each."""
    at_once: int = 50
    # What 1000 sessions may leave behind: tables that find their size, a history of ten minutes.
    objects: float = 500.0
    allocated: float = 0.2
    """MB of what malloc has given out."""
    resident: float = 3.0
    """MB of all that is resident: what malloc keeps of what was freed goes up and down."""


SHORT = Plan(500, settle=200, step=100, objects=5000.0, allocated=3.0, resident=150.0)
"""Not all tables have found their size by then, nor malloc: one session that stays is found by its
tasks and descriptors, and every fifth by its objects and memory."""


@dataclass(frozen=True)
class Look:
    """What the server held after so many sessions, when all had left."""

    sessions: int
    resident: float
    allocated: float
    objects: int
    threads: int
    tasks: int
    descriptors: int
    seconds: float


def look(sessions: int, held: Held, seconds: float) -> Look:
    return Look(
        sessions,
        round(held.resident, 2),
        round(held.allocated, 2),
        held.objects,
        len(held.threads),
        len(held.tasks),
        len(held.descriptors),
        round(seconds, 1),
    )


def slope(looks: Sequence[Look], figure: str) -> float:
    """By how much a figure rises per 1000 sessions: least squares."""
    counts = [each.sessions / 1000 for each in looks]
    return statistics.linear_regression(counts, [getattr(each, figure) for each in looks]).slope


async def run(plan: Plan) -> dict[str, Any]:
    """The report; raises BenchmarkError."""
    loop = asyncio.get_running_loop()
    looks: list[Look] = []
    first: Held | None = None
    failed: list[str] = []
    returned, done = 0, 0
    async with soaked() as server, visitors(server.url) as group:
        peak = asyncio.create_task(_watch(server))
        began = loop.time()
        while done < plan.sessions:
            count = plan.settle if not looks else plan.step
            count = min(count, plan.sessions - done)
            job = {"sessions": count, "at_once": plan.at_once, "pictures": PICTURES}
            came = await group.do("come and go", WAIT, **job)
            returned += came["returned"]
            failed += came["failed"]
            done += count
            held = await server.empty(first)
            if first is None:
                first = await server.held(types=True)
            looks.append(look(done, held, loop.time() - began))
            progress(str(looks[-1]))
        last = await server.held(types=True)
        trimmed = await server.held(trim=True)
        peak.cancel()
        most = (await asyncio.gather(peak, return_exceptions=True))[0]
    assert first is not None
    growth = {
        name: last.types[name] - count
        for name, count in first.types.items()
        if last.types.get(name, 0) > count + 20
    }
    report = {
        "plan": asdict(plan),
        "looks": [asdict(each) for each in looks],
        "peak": most if isinstance(most, dict) else {},
        "pictures": returned,
        "ended": last.sessions["filtered"]["closed"],
        "trimmed": trimmed.resident,
        "growth": dict(sorted(growth.items(), key=lambda item: -item[1])[:20]),
        "log": last.log,
        "failed": failed[:20],
        "errors": server.errors_at_end,
    }
    return {**report, "checks": verdicts(plan, looks, last, failed, server.errors_at_end)}


def verdicts(
    plan: Plan, looks: Sequence[Look], last: Held, failed: Sequence[str], errors: Sequence[str]
) -> list[Check]:
    found = last.sessions["filtered"]
    checks = [
        check("visitors that did not get their pictures", len(failed), 0, ""),
        check("sessions opened that did not end by DELETE", _unaccounted(found), 0, ""),
        *(check(f"left behind: {name}", count, 0, "") for name, count in last.left().items()),
        check("errors in the log", len(errors), 0, ""),
    ]
    for figure in ("threads", "tasks", "descriptors"):
        most = max(getattr(each, figure) for each in looks[1:])
        checks.append(check(f"{figure} of the empty server", most, getattr(looks[0], figure), ""))
    return [
        *checks,
        check("Python objects", slope(looks, "objects"), plan.objects, PER_1000),
        check("MB given out by malloc", slope(looks, "allocated"), plan.allocated, PER_1000),
        check("MB resident", slope(looks, "resident"), plan.resident, PER_1000),
    ]


def _unaccounted(found: dict[str, Any]) -> int:
    by_page: int = found["closed"].get("page", 0)
    return int(found["opened"]) - by_page


async def _watch(server: Soaked) -> dict[str, float]:
    """The most that the server holds while there are visitors, as it is looked at."""
    most = {"resident": 0.0, "threads": 0, "descriptors": 0, "live": 0}
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            await asyncio.sleep(3)
            held = await server.held()
            now = {
                "resident": held.resident,
                "threads": len(held.threads),
                "descriptors": len(held.descriptors),
                "live": held.live,
            }
            most = {name: max(value, now[name]) for name, value in most.items()}
    return most
