"""What the benchmarks reckon with, without measuring anything."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import chart
from benchmarks.call import Seen
from benchmarks.loss import longest_gap, normal_again
from benchmarks.measure import ROOT, Route
from benchmarks.quality import Encoded, gain
from benchmarks.stamp import blocks

LOSE = """
import socket
from benchmarks import network
network.enter("lose")
receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
receiver.bind(("10.9.0.1", 0))
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for percent in (0, 30):
    network.lose(percent)
    for _ in range(1000):
        sender.sendto(b"x", receiver.getsockname())
    receiver.setblocking(False)
    count = 0
    try:
        while True:
            count += receiver.recv(1) == b"x"
    except BlockingIOError:
        print(count, network.lost() if percent else 0)
"""


def test_a_namespace_loses_packets(tmp_path: Path) -> None:
    """Inside it packets arrive but for the share that is to be lost, and the lost are counted."""
    (tmp_path / "lose.py").write_text(LOSE)
    result = subprocess.run(
        (sys.executable, "-m", "lose"),
        cwd=tmp_path,
        env={"PYTHONPATH": f"{ROOT}:{tmp_path}", "PATH": "/usr/local/bin:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert result.returncode == 0, result.stderr
    (all_came, _), (came, lost) = (map(int, line.split()) for line in result.stdout.splitlines())
    assert all_came == 1000
    assert 600 < came < 800
    assert lost == 1000 - came


def test_the_longest_gap_has_both_ends_in_it() -> None:
    """A call that shows nothing has a gap as long as it was watched."""
    assert longest_gap([], 100, 600) == 500
    assert longest_gap([110, 140, 400], 100, 450) == 260
    assert longest_gap([110, 140], 100, 450) == 310


@pytest.mark.parametrize(("late_until", "again"), [(0, 0), (990, 1000), (2040, 2050), (1e9, 8000)])
def test_a_call_is_normal_again_when_it_is_as_before(late_until: float, again: float) -> None:
    """The first window of half a second in which no picture is late, and none are missing."""
    times = [1000 * number / 30 for number in range(240)]
    calm = Seen(times=times[:150], latencies=[40.0] * 150, shown=[])
    after = Seen(
        times=[5000 + at for at in times],
        latencies=[400.0 if at < late_until else 40.0 for at in times],
        shown=[],
    )
    assert normal_again(calm, after, over=5000) == pytest.approx(again, abs=50)
    frozen = Seen(times=[5000.0, 5100.0], latencies=[40.0, 40.0], shown=[])
    assert normal_again(calm, frozen, over=5000) == 8000


def test_gain_is_taken_at_the_same_bitrate() -> None:
    """A curve that lies one decibel higher gains that, wherever its own points are."""
    theirs = [Encoded(rate, 30 + rate / 100, 1.0) for rate in (400, 600, 800)]
    ours = [Encoded(rate, 31 + rate / 100, 1.0) for rate in range(390, 820, 10)]
    assert gain(ours, theirs) == pytest.approx(1, abs=0.01)
    assert gain(theirs, theirs) == 0


def test_a_number_is_written_as_the_page_reads_it() -> None:
    """White, black, twelve bits from the highest, parity of the even ones and of the odd ones."""
    assert blocks(0) == [True] + 15 * [False]
    assert blocks(0b100000000001) == [True, False, True, *10 * [False], True, True, True]


def test_fastrtc_has_an_address_of_its_own_for_offers() -> None:
    """Offers go where each server takes them."""
    assert Route("fastrtc", "slow").session("slow") == "/slow/webrtc/offer"
    assert Route("aiortc", "slow").session("slow") == "/slow/session"
    assert Route("rtcstream", None).session(None) is None


def test_the_chart_shows_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row that is there is a bar with its figure; what was not measured is left out."""
    monkeypatch.setattr(chart, "RESULTS", tmp_path)
    monkeypatch.setattr(chart, "CHART", tmp_path / "chart.svg")
    chart.main()
    assert not (tmp_path / "chart.svg").exists()
    rows = {
        name: {"p50": {"low": 20, "median": ms, "high": 90}}
        for name, ms in (("rtcstream", 31), ("browser's own echo", 45))
    }
    (tmp_path / "latency.json").write_text(json.dumps({"rows": rows}))
    chart.main()
    drawn = ElementTree.parse(tmp_path / "chart.svg")
    said = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert said[1:] == ["browser's own echo", "45", "rtcstream", "31"]
    assert "prefers-color-scheme: dark" in (tmp_path / "chart.svg").read_text()
