"""What is expected of the figures, as ratios and differences within one run."""

from collections.abc import Mapping
from typing import TypedDict

from .figures import Growth, Row

FRAME = 33.4
"""ms between two pictures."""
FUNCTION = 50.0
"""ms that the slow function takes."""


class Check(TypedDict):
    claim: str
    measured: float
    limit: float
    unit: str
    ok: bool


def check_rows(rows: Mapping[str, Row]) -> list[Check]:
    p50 = {name: each["p50"]["median"] for name, each in rows.items()}
    instant, plain = p50["rtcstream"], p50["plain aiortc"]
    alone = p50["rtcstream beside an instant one"]
    return [
        _check("an instant function: no slower than plain aiortc", instant, plain * 1.1),
        _check(
            "a 50 ms function: 50 ms and one picture more than an instant one",
            p50["rtcstream, 50 ms"],
            (instant + FUNCTION + FRAME) * 1.1,
        ),
        _check(
            "another session's function of 50 ms instead of an instant one: no difference",
            p50["rtcstream beside a 50 ms one"],
            max(alone * 1.25, alone + 10),
        ),
    ]


def check_growth(long: Mapping[str, Growth]) -> list[Check]:
    """Empty when nothing was measured for long."""
    if "rtcstream, 50 ms" not in long:
        return []
    ours = long["rtcstream, 50 ms"]
    return [
        _check(
            "a 50 ms function: the last third one picture later than the first at most",
            ours["last_third"],
            ours["first_third"] + FRAME,
        ),
        _check(
            "memory: grows by less than 5% once it has settled",
            ours["memory_end"],
            ours["memory_settled"] * 1.05,
            "MB",
        ),
    ]


def _check(claim: str, measured: float, limit: float, unit: str = "ms") -> Check:
    return Check(claim=claim, measured=measured, limit=limit, unit=unit, ok=measured <= limit)
