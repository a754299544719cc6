"""Packets of sound: in order, waited for no longer than it helps, and none twice."""

import heapq
from collections.abc import Iterator

import pytest
from aiortc.rtp import RtpPacket
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcstream.transport.audio_jitter import AudioJitterBuffer

STEP = 960
LEAST, LONGEST = AudioJitterBuffer.LEAST_WAIT, AudioJitterBuffer.LONGEST_WAIT


def packet(number: int, timestamp: int | None = None, ssrc: int = 1) -> RtpPacket:
    timestamp = number * STEP if timestamp is None else timestamp
    made = RtpPacket(96, 0, number % 65536, timestamp % 2**32, ssrc)
    made._data = b"%d" % number  # type: ignore[attr-defined]
    return made


class Listening:
    """A buffer with a clock that stands still until it is set."""

    def __init__(self) -> None:
        self.time = 0.0
        self.buffer = AudioJitterBuffer(lambda: self.time)

    def add(self, *packets: RtpPacket) -> list[int]:
        """The numbers that these packets release."""
        released: list[int] = []
        for each in packets:
            self.buffer.add(each)
            released += self.pop()
        return released

    def pop(self) -> Iterator[int]:
        while (frame := self.buffer.pop()) is not None:
            yield int(frame.data)


@pytest.fixture
def listening() -> Listening:
    return Listening()


@pytest.mark.parametrize("start", [0, 65533, 65535])
def test_nothing_waits_while_nothing_is_missing(listening: Listening, start: int) -> None:
    """A packet is released as it comes; one that has overtaken another waits for that one."""
    assert listening.buffer.pop() is None
    assert listening.buffer.wait is None
    for number in range(start, start + 5):
        assert listening.add(packet(number)) == [number]
    assert listening.add(packet(start + 6)) == []
    assert listening.add(packet(start + 5)) == [start + 5, start + 6]


def test_a_lost_packet_is_waited_for_briefly(listening: Listening) -> None:
    """What follows a lost packet goes on without it after the least wait, and says so."""
    listening.add(packet(0))
    assert listening.add(packet(2)) == []
    assert listening.buffer.wait == pytest.approx(LEAST)
    listening.time += LEAST
    assert listening.buffer.wait == 0
    frame = listening.buffer.pop()
    assert frame is not None
    assert (frame.data, frame.lost) == (b"2", 1)


def test_the_wait_follows_how_late_packets_come(listening: Listening) -> None:
    """Once packets have come late, missing ones are waited for that long; this is forgotten."""
    listening.add(packet(0), packet(2))
    listening.time = LEAST
    assert list(listening.pop()) == [2]
    listening.time = 0.04
    assert listening.add(packet(1)) == []  # too late; 40 ms
    assert listening.add(packet(4)) == []
    listening.time += 0.04
    assert listening.add(packet(3)) == [3, 4]
    assert listening.add(packet(6)) == []
    assert 0.04 < (listening.buffer.wait or 0) <= LONGEST
    listening.time += 60
    assert list(listening.pop()) == [6]
    assert listening.add(packet(8)) == []
    assert listening.buffer.wait == pytest.approx(LEAST)


def test_what_is_far_too_late_teaches_no_patience(listening: Listening) -> None:
    """Packets that are later than the longest wait do not hold the others up."""
    listening.add(packet(0), packet(2))
    listening.time = 1.0
    assert list(listening.pop()) == [2]
    assert listening.add(packet(1), packet(4)) == []
    assert listening.buffer.wait == pytest.approx(LEAST)


def test_no_delay_is_left_after_a_burst_of_loss(listening: Listening) -> None:
    """A second of loss costs one short wait; every packet after that passes at once."""
    listening.add(packet(0))
    assert listening.add(packet(51)) == []
    listening.time += LEAST
    assert list(listening.pop()) == [51]
    for number in range(52, 60):
        assert listening.add(packet(number)) == [number]


def test_a_pause_is_no_loss(listening: Listening) -> None:
    """A sender that was silent (DTX) lets timestamps jump, and nothing is waited for."""
    listening.add(packet(0, 0))
    listening.buffer.add(packet(1, 20 * STEP))
    frame = listening.buffer.pop()
    assert frame is not None
    assert frame.lost == 0


def test_what_comes_twice_is_heard_once(listening: Listening) -> None:
    """Copies of packets, several in a row, are neither heard nor taken for a new beginning."""
    listening.add(*(packet(number) for number in range(10)))
    assert listening.add(*(packet(number) for number in range(3, 10))) == []
    assert listening.add(packet(12), packet(12), packet(10), packet(11)) == [10, 11, 12]


@pytest.mark.parametrize("behind", [1, 50, 100, 1000, 30_000])
def test_a_sender_that_starts_over_is_heard(listening: Listening, behind: int) -> None:
    """Two packets in a row from another run of numbers begin anew, however near these are."""
    listening.add(packet(40_000), packet(40_001))
    start = 40_002 - behind
    later = [packet(start + n, 2**31 + n * STEP) for n in range(4)]
    assert listening.add(later[0], packet(40_002)) == [40_002]
    assert listening.add(*later[1:]) == [start + 2, start + 3]


def test_another_source_is_heard(listening: Listening) -> None:
    """A new SSRC counts from its second packet in a row; a stray packet of one changes nothing."""
    listening.add(packet(7))
    assert listening.add(packet(8, ssrc=2), packet(8), packet(9)) == [8, 9]
    assert listening.add(packet(3, ssrc=2), packet(4, ssrc=2), packet(5, ssrc=2)) == [4, 5]


def test_little_is_kept(listening: Listening) -> None:
    """However many packets come after a missing one at once, few of them wait."""
    listening.add(packet(0))
    assert listening.add(*(packet(number) for number in range(2, 100)))[0] == 2


delays = st.none() | st.integers(0, 5) | st.integers(0, 200)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(delays, min_size=1, max_size=3), min_size=1, max_size=40))
def test_any_order_loss_and_copies(sent: list[list[int | None]]) -> None:
    """Whatever the network does, packets come out in order, none twice, none much later than it
    came, and each that is missing was announced as lost."""
    listening = Listening()
    arrivals = [(0.0, 1000)]
    for number, copies in enumerate(sent, 1001):
        for delay in copies:
            if delay is not None:
                arrivals.append(((number - 1000) * 0.02 + delay / 1000, number))
    heapq.heapify(arrivals)
    came: dict[int, float] = {}
    last = 999
    while arrivals or listening.buffer.wait is not None:
        wait = listening.buffer.wait
        if wait is not None and (not arrivals or listening.time + wait < arrivals[0][0]):
            assert wait <= LONGEST + 1e-6
            listening.time += wait
        else:
            listening.time, number = heapq.heappop(arrivals)
            came.setdefault(number, listening.time)
            listening.buffer.add(packet(number))
        while (frame := listening.buffer.pop()) is not None:
            number = int(frame.data)
            assert number == last + 1 + frame.lost
            assert listening.time - came[number] <= LONGEST + 1e-6
            last = number
    assert last == max(came)
