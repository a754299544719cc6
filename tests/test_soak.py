"""Short versions of `make soak`: hundreds of sessions, and a minute of all that visitors do."""

from typing import Any

import pytest

from benchmarks.soak import mixed, sessions


def fail_unless_ok(report: dict[str, Any]) -> None:
    """Fail with whatever the report says besides its checks."""
    wrong = [check for check in report["checks"] if not check["ok"]]
    if wrong:
        lines = [f"{each['claim']}: {each['measured']}, not {each['limit']}" for each in wrong]
        pytest.fail("\n".join([*lines, *(f"{k}: {v}" for k, v in report.items())]))


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_sessions_leave_nothing_behind() -> None:
    """500 sessions, 50 at a time: descriptors, threads, tasks, memory are flat after the first."""
    fail_unless_ok(await sessions.run(sessions.SHORT))


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_every_session_is_accounted_for() -> None:
    """A minute of everything: each session has ended, for the reason that was given to it."""
    fail_unless_ok(await mixed.run(mixed.Plan(seconds=45.0, at_once=6, kill_every=5.0)))
