"""Networks that fail under real pages, in a namespace of their own: what is promised of them."""

import json
import subprocess
import sys

import pytest

from benchmarks.measure import ROOT
from benchmarks.outages import SHORT


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_network_fails_in_seven_ways() -> None:
    """After 3 s and 30 s without a network, from another port of another address, and through a
    TURN server over UDP and TCP that loses its network or starts again, pictures come back by
    themselves, with the visitor's state; the page says within seconds that something is wrong."""
    result = subprocess.run(
        (sys.executable, "-m", "benchmarks.outages", "--short"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    seen = {each["fault"]: each for each in map(json.loads, result.stdout.splitlines())}
    assert result.returncode == 0, result.stdout + result.stderr
    assert set(seen) == set(SHORT)
    for name in ("3 s", "TURN udp 3 s", "TURN tcp 3 s", "rebinding, one port"):
        assert seen[name]["sessions"] == 1, f"{name}: it goes on in the same session"
    assert seen["30 s"]["sessions"] == 2
    assert seen["TURN udp restarted"]["credentials"] == 2, "those of before may have run out"
