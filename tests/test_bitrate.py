"""How many bits a second: the limits of a picture, and what the network's reports make of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcstream.transport.bitrate import Bitrate, BitrateController

PACKETS = BitrateController.LEAST_PACKETS


@pytest.mark.parametrize(
    ("size", "limits"),
    [
        ((640, 480), (100_000, 844_800, 1_689_600)),
        ((1280, 720), (100_000, 2_534_400, 5_068_800)),
        ((64, 48), (100_000, 150_000, 300_000)),
    ],
)
def test_limits_by_size(size: tuple[int, int], limits: tuple[int, int, int]) -> None:
    """What is not said goes by the number of pixels."""
    assert Bitrate().limits(*size) == limits


@pytest.mark.parametrize(
    ("bitrate", "limits"),
    [
        (Bitrate(start=400_000), (100_000, 400_000, 1_689_600)),
        (Bitrate(most=60_000), (60_000, 60_000, 60_000)),
        (Bitrate(least=3_000_000), (3_000_000, 3_000_000, 3_000_000)),
        (Bitrate(start=50_000), (50_000, 50_000, 1_689_600)),
        (Bitrate(200_000, 150_000, 250_000), (150_000, 200_000, 250_000)),
    ],
)
def test_limits_as_asked_for(bitrate: Bitrate, limits: tuple[int, int, int]) -> None:
    """What is said holds, and the rest makes room for it."""
    assert bitrate.limits(640, 480) == limits


rates = st.none() | st.integers(50_000, 100_000_000)


@given(rates, rates, rates, st.integers(2, 8192), st.integers(2, 8192))
def test_limits_are_in_order(
    least: int | None, start: int | None, most: int | None, width: int, height: int
) -> None:
    """Whatever may be said, the least is not above the start, nor that above the most."""
    given_rates = [rate for rate in (least, start, most) if rate is not None]
    if given_rates != sorted(given_rates):
        with pytest.raises(ValueError, match="least <= start <= most"):
            Bitrate(start, least, most)
        return
    limits = Bitrate(start, least, most).limits(width, height)
    assert list(limits) == sorted(limits)
    for said, made in zip((least, start, most), limits, strict=True):
        assert said in (None, made)


@pytest.mark.parametrize("rate", [0, -1, 49_999, 100_000_001, float("nan")])
def test_rates_that_are_none(rate: float) -> None:
    """A rate that no video has is refused, with the bounds."""
    with pytest.raises(ValueError, match="50_000"):
        Bitrate(most=rate)  # type: ignore[arg-type]


class Reports:
    """A controller that is sent a report at a time, while a megabit a second is asked for."""

    def __init__(self) -> None:
        self.controller = BitrateController()

    def report(self, share: float, packets: int = PACKETS, asked: int = 1_000_000) -> int | None:
        self.controller.on_report(share, packets, asked)
        return self.controller.target


def test_nothing_is_known_at_first() -> None:
    """Without estimate or loss there is no target."""
    reports = Reports()
    assert [reports.report(0.0) for _ in range(5)] == [None] * 5


def test_the_estimate_is_the_bound() -> None:
    """The receiver's own estimate is followed, up, and down while as much is being sent."""
    controller = BitrateController()
    for rate, sending in ((500_000, 800_000), (5_000_000, 450_000), (600_000, 3_000_000)):
        controller.on_estimate(rate, sending, 800_000)
        assert controller.target == rate


def test_a_still_picture_is_no_bound() -> None:
    """An estimate that fell with what was sent, and stays there, takes one step off the rate."""
    controller = BitrateController()
    controller.on_estimate(4_000_000, 100_000, 2_000_000)
    for _ in range(50):
        controller.on_estimate(90_000, 100_000, 4_000_000)
    assert controller.target == 2_800_000
    for estimate in (80_000, 70_000, 60_000):
        controller.on_estimate(estimate, 100_000, 2_000_000)
    assert controller.target == pytest.approx(2_800_000 * 0.7**3, abs=1)
    first = BitrateController()
    first.on_estimate(90_000, 100_000, 1_000_000)
    assert first.target == 700_000, "from what is asked for, as long as nothing else is known"


def test_loss_halves_its_share() -> None:
    """A fifth lost takes a tenth off what is being sent, again and again, down to a floor."""
    reports = Reports()
    assert reports.report(0.2) == pytest.approx(900_000)
    assert reports.report(0.2) == pytest.approx(810_000)
    for _ in range(100):
        reports.report(0.9)
    assert reports.controller.target == BitrateController.FLOOR


def test_a_little_loss_is_chance() -> None:
    """Between the thresholds nothing changes."""
    reports = Reports()
    assert reports.report(0.05) is None
    target = reports.report(0.5)
    assert [reports.report(0.05) for _ in range(5)] == [target] * 5


def test_without_loss_it_rises_until_it_binds_no_more() -> None:
    """Each report without loss gives a twentieth back, until loss is forgotten."""
    reports = Reports()
    low = reports.report(0.6)
    assert low is not None
    assert reports.report(0.0) == pytest.approx(low * 1.05 + 1000, abs=1)
    targets = [reports.report(0.0) for _ in range(60)]
    assert targets[-1] is None, "far above what is sent"
    reports.controller.on_estimate(300_000, 500_000, 500_000)
    assert reports.report(0.0) == 300_000


def test_the_lower_of_both_counts() -> None:
    """An estimate below the rate by loss holds, and the other way round."""
    reports = Reports()
    reports.report(0.5)
    reports.controller.on_estimate(2_000_000, 700_000, 750_000)
    assert reports.controller.target == 750_000
    reports.controller.on_estimate(200_000, 1_500_000, 750_000)
    assert reports.controller.target == 200_000


def test_few_packets_say_little() -> None:
    """A share is taken of many packets: of ten, one is lost by chance often enough."""
    reports = Reports()
    for _ in range(29):
        assert reports.report(0.2, 10) is None
    assert reports.report(0.2, 10) == pytest.approx(900_000)
