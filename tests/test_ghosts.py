"""Thousands of offers of nobody."""

import pytest

from benchmarks.ghosts import DISPLACED, haunt  # all 2,000: python -m benchmarks.ghosts
from rtcstream import session
from rtcstream.limits import DEFAULTS
from tests.conftest import Leaks


@pytest.mark.slow
async def test_ghosts_do_not_lock_anybody_out(
    leaks: Leaks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among 500 offers of nobody from one address, a visitor from another has a picture within a
    second, and so has one after them; then all is as it was before."""
    monkeypatch.setattr(session, "CONNECT_TIMEOUT", 3.0)
    async with leaks(within=10):
        seen = await haunt(DISPLACED, 500)
    assert seen.well, seen
    assert seen.most < seen.before + 3 * DEFAULTS.half_open
