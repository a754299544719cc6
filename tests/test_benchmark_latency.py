"""benchmarks/latency.py, for a few seconds: that it measures, and what holds on any machine."""

import pytest

from benchmarks.latency import QUICK, run

# Without FastRTC, which would have to be installed, and 720p, which wants a machine for itself.
ROUTES = ("browser's own echo", "plain aiortc, 50 ms", "rtcstream", "rtcstream, 50 ms")


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_a_slow_function_is_late_by_a_bounded_time() -> None:
    """Each route is measured; a 50 ms function adds up in plain aiortc and not in rtcstream."""
    report = await run(QUICK, ROUTES)
    rows = report["rows"]
    assert set(rows) == set(ROUTES)
    for name, row in rows.items():
        assert len(row["rounds"]) == QUICK.rounds, name
        assert row["size"] != (0, 0), name
        assert row["codec"] == "video/VP8", name
    for each in rows["rtcstream, 50 ms"]["rounds"]:
        assert each["p95"] < 1000
    for each in rows["plain aiortc, 50 ms"]["rounds"]:
        assert each["last"] > each["first"]
