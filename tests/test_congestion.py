"""The rate found from arrivals: on links that are simulated, a frame at a time."""

import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcstream.transport.congestion import HISTORY, CongestionController

PACKET = 1000


class Link:
    """A link of some rate, which queues what is more, and a sender that fills it with video."""

    def __init__(self, rate: Callable[[float], float], seed: int = 1) -> None:
        self.controller = CongestionController()
        self.rate = rate
        self.dice = random.Random(seed)
        self.jitter = 0.0
        self.lost = 0.0
        self.delay = 0.02
        self.now = 0.0
        self.free = 0.0
        self.queues: list[float] = []
        self._arrivals: list[tuple[float, int]] = []
        self._debt = 0.0

    def run(self, seconds: float, most: float, share: float = 1.0) -> list[float]:
        """Send ``share`` of the rate that is found, at most ``most``; the rates, frame by frame."""
        return [*self._frames(seconds, most, share)]

    def _frames(self, seconds: float, most: float, share: float) -> Iterator[float]:
        end = self.now + seconds
        frame = 0
        while self.now < end:
            asked = min(self.controller.rate or 800_000, most)
            self._debt += asked * share / 30 / 8
            while self._debt >= PACKET:
                self._debt -= PACKET
                self._send()
            frame += 1
            if frame % 3 == 0:
                due = sorted(each for each in self._arrivals if each[0] <= self.now)
                self._arrivals = [each for each in self._arrivals if each[0] > self.now]
                arrivals = [(number, at + 1000) for at, number in due]  # a clock of its own
                self.controller.on_report(arrivals, int(asked), self.now)
            self.now += 1 / 30
            yield self.controller.rate or asked

    def _send(self) -> None:
        number = self.controller.number(PACKET, self.now)
        begins = max(self.now, self.free)
        self.free = begins + PACKET * 8 / self.rate(self.now)
        self.queues.append(begins - self.now)
        if self.dice.random() >= self.lost:
            jitter = self.dice.uniform(0, self.jitter)
            self._arrivals.append((self.free + self.delay + jitter, number))


def test_a_link_with_room() -> None:
    """Where nothing is in the way, a camera has all that it wants within two seconds."""
    rates = Link(lambda now: 50e6).run(2, most=2.5e6)
    assert rates[-1] >= 2.5e6


@pytest.mark.parametrize("rate", [300e3, 1e6, 3e6])
def test_a_narrow_link(rate: float) -> None:
    """A narrow link is filled, and no queue stands in front of it."""
    link = Link(lambda now: rate)
    link.run(10, most=10e6)
    link.queues.clear()
    rates = link.run(20, most=10e6)
    assert 0.65 * rate < sum(rates) / len(rates) < 1.05 * rate
    assert sorted(link.queues)[len(link.queues) * 95 // 100] < 0.15


def test_a_link_that_gets_narrow() -> None:
    """A link of which two thirds go is followed within two seconds, and used again afterwards."""
    link = Link(lambda now: 1e6 if 10 < now < 20 else 3e6)
    link.run(12, most=10e6)
    link.queues.clear()
    rates = link.run(8, most=10e6)
    assert 0.6e6 < sum(rates) / len(rates) < 1.1e6
    assert sum(link.queues) / len(link.queues) < 0.1
    assert link.run(5, most=10e6)[-1] > 2e6


@pytest.mark.parametrize(("jitter", "lost"), [(0.03, 0.0), (0.0, 0.05), (0.08, 0.05)])
def test_chance(jitter: float, lost: float) -> None:
    """Packets that are late or lost by chance do not lower the rate."""
    link = Link(lambda now: 50e6)
    link.jitter, link.lost = jitter, lost
    assert min(link.run(20, most=2.5e6)[60:]) >= 2.2e6


def test_another_way() -> None:
    """A path that is longer from now on is not taken for a queue for long."""
    link = Link(lambda now: 50e6)
    link.run(5, most=2.5e6)
    link.delay = 0.12
    link.run(4, most=2.5e6)
    assert link.run(4, most=2.5e6)[-1] >= 2.5e6


def test_another_way_and_a_still_picture() -> None:
    """Nor where little is sent, and it does not cost the rate."""
    link = Link(lambda now: 50e6)
    link.run(5, most=2.5e6)
    link.delay = 0.12
    assert min(link.run(15, most=2.5e6, share=0.05)) > 0.5e6
    assert link.run(4, most=2.5e6)[-1] >= 2.5e6


def test_others_queue() -> None:
    """Where others keep a queue standing, as downloads do, the rate does not go to nothing."""
    link = Link(lambda now: 50e6)
    link.run(5, most=2.5e6)
    rates = []
    for _ in range(30):  # a sawtooth of 60 to 200 ms
        for step in range(10):
            link.delay = 0.02 + 0.06 + 0.014 * step
            rates += link.run(0.2, most=2.5e6)
    assert min(rates) > 0.3e6
    assert sum(rates[-600:]) / 600 > 1e6


def test_few_pictures() -> None:
    """At four pictures a second one that is late is no queue."""
    controller = CongestionController()
    dice = random.Random(1)
    for number in range(200):
        now = number / 4
        late = 0.1 if number % 7 == 6 else dice.uniform(0, 0.005)
        numbers = [controller.number(PACKET, now) for _ in range(5)]
        controller.on_report([(n, 1000 + now + late) for n in numbers], 500_000, now)
    assert controller.rate is not None and controller.rate >= 500_000


def test_a_still_picture() -> None:
    """While little is sent the rate stays where it was: nothing says that there is less."""
    link = Link(lambda now: 50e6)
    had = link.run(3, most=2.5e6)[-1]
    assert min(link.run(10, most=2.5e6, share=0.02)) >= had


def test_a_receiver_that_stands_still() -> None:
    """A pause in which nothing is taken, then everything at once, costs a fall at most."""
    link = Link(lambda now: 100 if 5 < now < 5.3 else 50e6)
    link.run(5, most=2.5e6)
    link.free = link.now + 0.3
    link.run(1, most=2.5e6)
    assert link.run(3, most=2.5e6)[-1] >= 2.4e6


def test_the_clock_begins_anew() -> None:
    """Arrivals by another clock are not compared with those before."""
    controller = CongestionController()
    for at in (16e6, 0.0):
        for step in range(30):
            numbers = [controller.number(PACKET, step * 0.1)]
            controller.on_report([(n, at + step * 0.1) for n in numbers], 500_000, step * 0.1)
    assert controller.rate is not None and controller.rate >= 500_000


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.tuples(st.integers(0, 0xFFFF), st.floats(0, 2e9)), max_size=30),
            st.integers(0, 40),
        ),
        max_size=20,
    )
)
def test_whatever_is_told(reports: list[tuple[list[tuple[int, float]], int]]) -> None:
    """Whatever a peer tells, the rate is a number above zero, and little is kept."""
    controller = CongestionController()
    now = 0.0
    for arrivals, sent in reports:
        for _ in range(sent):
            controller.number(PACKET, now)
        now += 0.05
        controller.on_report(arrivals, 500_000, now)
        assert controller.rate is None or 0 < controller.rate < 1e9
    assert len(controller._came) <= HISTORY
