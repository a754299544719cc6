"""Short versions of `make soak`: hundreds of sessions, and a minute of all that visitors do."""

from dataclasses import replace
from typing import Any

import pytest

from benchmarks.soak import mixed, sessions
from benchmarks.soak.server import Held
from benchmarks.soak.sessions import Look, Plan

LOOK = Look(500, 200.0, 20.0, 100_000, threads=3, tasks=5, descriptors=19, seconds=20.0)
HELD = Held(
    resident=200.0,
    allocated=20.0,
    objects=100_000,
    threads=["MainThread"],
    tasks=["run"],
    descriptors=["0"],
    sessions={"filtered": {"opened": 1500, "closed": {"page": 1500}, "live": 0}},
    gate=0,
    half_open=0,
    running=0,
    waiting=0,
    kept=0,
    ports=0,
    workers=0,
    instances=0,
)


def fail_unless_ok(report: dict[str, Any]) -> None:
    """Fail with whatever the report says besides its checks."""
    wrong = [check for check in report["checks"] if not check["ok"]]
    if wrong:
        lines = [f"{each['claim']}: {each['measured']}, not {each['limit']}" for each in wrong]
        pytest.fail("\n".join([*lines, *(f"{k}: {v}" for k, v in report.items())]))


@pytest.mark.parametrize(
    ("more", "claim"),
    [
        ({}, None),
        ({"tasks": 1}, "tasks of the empty server"),
        ({"descriptors": 1}, "descriptors of the empty server"),
        ({"objects": 1500}, "Python objects"),
        ({"allocated": 0.6}, "MB given out by malloc"),
    ],
)
def test_what_grows_is_found(more: dict[str, Any], claim: str | None) -> None:
    """More of anything each 500 sessions fails the check that names it, and no other."""
    looks = [
        replace(
            LOOK, sessions=500 * n, **{k: getattr(LOOK, k) + (n - 1) * v for k, v in more.items()}
        )
        for n in (1, 2, 3)
    ]
    checks = sessions.verdicts(Plan(), looks, HELD, [], [])
    assert [each["claim"] for each in checks if not each["ok"]] == ([claim] if claim else [])


def test_what_is_left_is_found() -> None:
    """A session that did not end, and a slot that nobody gave back, fail the checks of these."""
    found = {"opened": 1500, "closed": {"page": 1499}, "live": 1}
    left = replace(HELD, sessions={"filtered": found}, running=1)
    checks = sessions.verdicts(Plan(), [LOOK, replace(LOOK, sessions=1000)], left, [], [])
    assert [each["claim"] for each in checks if not each["ok"]] == [
        "sessions opened that did not end by DELETE",
        "left behind: live",
        "left behind: running",
    ]


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_sessions_leave_nothing_behind() -> None:
    """500 sessions, 50 at a time: descriptors, threads, tasks, memory are flat after the first."""
    fail_unless_ok(await sessions.run(sessions.SHORT))


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_every_session_is_accounted_for() -> None:
    """A minute of everything: each session has ended, for the reason that was given to it."""
    fail_unless_ok(await mixed.run(mixed.SHORT))
