"""What is expected of the figures, as ratios and differences within one run."""

from collections.abc import Mapping
from typing import TypedDict

from .figures import Growth, Row

FRAME = 33.4
"""ms between two pictures."""
FUNCTION = 50.0
"""ms that the slow function takes."""
ECHO = "browser's own echo"


class Check(TypedDict):
    claim: str
    measured: float
    limit: float
    unit: str
    ok: bool


def check_rows(rows: Mapping[str, Row]) -> list[Check]:
    """Those of the rows that were measured."""
    p50 = {name: each["p50"]["median"] for name, each in rows.items()}
    p95 = {name: each["p95"]["median"] for name, each in rows.items()}
    checks = []
    for size, limit in (("", 5.0), (", 720p", 9.0)):
        ours, echo, fastrtc = (f"{name}{size}" for name in ("rtcstream", ECHO, "FastRTC"))
        slow = f"rtcstream, 50 ms{size}"
        if {ours, echo} <= rows.keys():
            checks += [
                ratio(f"{ours}: p50, of the echo's", p50[ours], p50[echo], 0.6),
                ratio(f"{ours}: p95, of the echo's", p95[ours], p95[echo], 0.6),
            ]
        if {ours, fastrtc} <= rows.keys():
            checks.append(ratio(f"{ours}: p50, of FastRTC's", p50[ours], p50[fastrtc], 0.4))
        if ours in rows and (server := rows[ours]["server"]) is not None:
            claim = f"{ours}: p95 on the server, from a whole frame to its last packet"
            checks.append(check(claim, server["median"], limit))
        if slow in rows:
            checks += [
                check(f"{slow}: p50", p50[slow], FUNCTION + 35),
                check(f"{slow}: p95", p95[slow], FUNCTION + 55),
            ]
    beside = ("rtcstream beside an instant one", "rtcstream beside a 50 ms one")
    if set(beside) <= rows.keys():
        alone, together = (p50[name] for name in beside)
        limit = max(alone * 1.25, alone + 10)
        claim = "another session's function of 50 ms instead of an instant one: no difference"
        checks.append(check(claim, together, limit))
    return checks


def check_growth(long: Mapping[str, Growth]) -> list[Check]:
    """Empty when nothing was measured for long."""
    if "rtcstream, 50 ms" not in long:
        return []
    ours = long["rtcstream, 50 ms"]
    return [
        check(
            "a 50 ms function: the last third one picture later than the first at most",
            ours["last_third"],
            ours["first_third"] + FRAME,
        ),
        check(
            "memory: grows by less than 5% once it has settled",
            ours["memory_end"],
            ours["memory_settled"] * 1.05,
            "MB",
        ),
    ]


def check(claim: str, measured: float, limit: float, unit: str = "ms") -> Check:
    return Check(claim=claim, measured=measured, limit=limit, unit=unit, ok=measured <= limit)


def ratio(claim: str, measured: float, other: float, limit: float) -> Check:
    """That a figure is at most so many times another of the same run."""
    return check(claim, measured / other, limit, "x")
