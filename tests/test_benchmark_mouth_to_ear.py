"""benchmarks/mouth_to_ear.py, for a few seconds: that it measures every route."""

import pytest

from benchmarks.common import Plan
from benchmarks.mouth_to_ear import P50, P95, ROUTES, run


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_clicks_are_found_again() -> None:
    """The clicks come back by every route, later than a packet takes and within half a second."""
    rows, checks = await run(Plan(rounds=1, seconds=4.0, warmup=1.0))
    assert set(rows) == set(ROUTES)
    assert len(checks) == 1
    for row in rows.values():
        # Clicks that all take equally long have a p95 that is off by the last bit.
        assert 20 < row[P50]["median"] < row[P95]["median"] + 1e-6 < 500
