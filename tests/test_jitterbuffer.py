"""Video packets to whole frames: in order, each as soon as it is whole, and what is lost."""

import itertools
import time

import pytest
from aiortc.rtp import RTCP_RTPFB_NACK, RtcpRtpfbPacket, RtpPacket
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtcstream.transport.decoder import starts_keyframe
from rtcstream.transport.jitterbuffer import PATIENCE, REPEAT, VideoJitterBuffer

few = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def packet(sequence: int, timestamp: int, marker: int = 0) -> RtpPacket:
    made = RtpPacket(96, marker, sequence % 65536, timestamp)
    made._data = b"%d," % sequence  # type: ignore[attr-defined]
    return made


def single(*sequences: int) -> list[RtpPacket]:
    """Frames of one packet each."""
    return [packet(sequence, sequence * 3000, 1) for sequence in sequences]


def add(buffer: VideoJitterBuffer, *packets: RtpPacket) -> list[tuple[bytes, int]]:
    """What a receiver gets for these packets."""
    frames = []
    for each in packets:
        buffer.add(each)
        while (frame := buffer.pop()) is not None:
            frames.append((frame.data, frame.timestamp))
    return frames


def keyframes_at(*sequences: int) -> VideoJitterBuffer:
    """A buffer for which keyframes begin with these packets."""
    return VideoJitterBuffer(lambda packet: packet.sequence_number in sequences)


# In order


@pytest.mark.parametrize("start", [0, 65534, 65535])
def test_a_frame_is_released_with_its_last_packet(start: int) -> None:
    """The marker ends a frame: nothing waits for the first packet of the next."""
    buffer = VideoJitterBuffer()
    assert add(buffer, packet(start, 7), packet(start + 1, 7)) == []
    assert add(buffer, packet(start + 2, 7, 1)) == [
        (b"%d,%d,%d," % (start, start + 1, start + 2), 7)
    ]
    assert add(buffer, packet(start + 3, 8, 1)) == [(b"%d," % (start + 3), 8)]


def test_a_frame_without_a_marker() -> None:
    """A sender that sets no markers is understood by the change of timestamp."""
    buffer = VideoJitterBuffer()
    assert add(buffer, packet(0, 7), packet(1, 7)) == []
    assert add(buffer, packet(2, 8)) == [(b"0,1,", 7)]
    assert add(buffer, packet(3, 9)) == [(b"2,", 8)]


def test_a_late_packet_completes_several_frames() -> None:
    """A hole holds back what follows; the packet that fills it releases all of that, in order."""
    buffer = VideoJitterBuffer()
    assert add(buffer, packet(0, 7, 1)) == [(b"0,", 7)]
    assert add(buffer, packet(2, 8, 1), packet(3, 9, 1), packet(5, 10, 1)) == []
    assert add(buffer, packet(1, 8)) == [(b"1,2,", 8), (b"3,", 9)]
    assert add(buffer, packet(4, 10)) == [(b"4,5,", 10)]


def test_an_empty_buffer() -> None:
    """Nothing has come, so there is nothing to release; a packet seen twice is released once."""
    buffer = VideoJitterBuffer()
    assert buffer.pop() is None
    assert add(buffer, packet(0, 7, 1), packet(0, 7, 1)) == [(b"0,", 7)]


@few
@given(st.permutations(range(8)), st.sets(st.integers(0, 7)), st.integers(0, 65535))
def test_packets_in_any_order(order: list[int], ends: set[int], start: int) -> None:
    """However packets arrive after the first, whole frames come out in order, each once."""
    ends = ends | {7}
    timestamps = [len([end for end in ends if end < number]) for number in range(8)]
    buffer = VideoJitterBuffer()
    packets = [
        packet(start + 1 + number, 1 + timestamps[number], int(number in ends))
        for number in range(8)
    ]
    released = add(buffer, packet(start, 0, 1), *(packets[number] for number in order))
    assert b"".join(data for data, _ in released) == b"".join(
        b"%d," % (start + number) for number in range(9)
    )
    assert [timestamp for _, timestamp in released] == list(range(len(ends) + 1))
    assert not buffer.incomplete


# What is lost


@st.composite
def journeys(draw: st.DrawFn) -> tuple[int, list[int]]:
    """A start, and the order in which some of forty packets come, some of them twice."""
    moved = sorted(range(40), key=lambda number: number + draw(st.integers(0, 12)))
    lost = draw(st.sets(st.sampled_from(moved), max_size=15))
    twice = draw(st.lists(st.sampled_from(moved), max_size=5))
    return draw(st.integers(0, 65535)), [n for n in moved + twice if n not in lost]


@few
@given(journeys())
def test_any_order_loss_and_duplication(journey: tuple[int, list[int]]) -> None:
    """What comes out is whole, in order and once, and all of it once what is asked for comes."""
    start, order = journey
    buffer = keyframes_at(*((start + n) % 65536 for n in range(0, 40, 4)))
    frames = [number // 4 for number in range(40)]
    packets = [packet(start + n, frames[n], int(n % 4 == 3)) for n in range(40)]
    released = add(buffer, *(packets[n] for n in order))
    now = time.monotonic()
    for turn in itertools.count():
        asks = buffer.asks(now)
        assert asks == sorted(set(asks)), "as aiortc's NACK packets need them"
        if not asks:
            break
        assert turn < 40 and len(asks) <= 40
        assert not set(asks) & {packets[n].sequence_number for n in order}, "nothing that came"
        released += add(buffer, *(packets[(ask - start) & 0xFFFF] for ask in asks))
    whole = {
        frame: b"".join(b"%d," % (start + 4 * frame + n) for n in range(4)) for frame in frames
    }
    timestamps = [timestamp for _, timestamp in released]
    assert timestamps == sorted(set(timestamps))
    assert all(data == whole[timestamp] for data, timestamp in released)
    if order:
        # All up to the last from the first that was whole, at the latest the first that could be.
        first, end = -(-min(order) // 4), (max(order) + 1) // 4
        assert timestamps == list(range(timestamps[0] if timestamps else end, end))
        assert timestamps or first >= end


def test_what_is_lost_is_asked_for_again_and_again() -> None:
    """A gap is asked for at once, and repeated each round trip until it is filled."""
    buffer = VideoJitterBuffer()
    add(buffer, *single(0, 1, 5, 7))
    now = time.monotonic()
    assert buffer.incomplete
    assert buffer.asks(now) == [2, 3, 4, 6]
    assert buffer.asks(now + buffer.round_trip - 0.001) == []
    assert buffer.asks(now + buffer.round_trip) == [2, 3, 4, 6]
    add(buffer, *single(3, 6))
    assert buffer.asks(now + 0.29) == [2, 4]
    add(buffer, *single(4, 2))
    assert not buffer.incomplete


def test_no_ask_is_repeated_sooner_than_a_bound() -> None:
    """On a path of no length at all, the requests of one packet keep some distance."""
    buffer = VideoJitterBuffer()
    buffer.round_trip = 0.0
    add(buffer, *single(0, 2))
    now = time.monotonic()
    assert buffer.asks(now) == [1]
    assert buffer.asks(now + REPEAT / 2) == []
    assert buffer.asks(now + REPEAT) == [1]


def test_asks_across_the_wrap_can_be_sent() -> None:
    """What is missing on both sides of the end of the numbers fits one NACK of aiortc's."""
    buffer = VideoJitterBuffer()
    add(buffer, *single(65533, 65538))
    asks = buffer.asks()
    sent = bytes(RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=1, media_ssrc=2, lost=asks))
    assert set(RtcpRtpfbPacket.parse(sent[4:], RTCP_RTPFB_NACK).lost) == {65534, 65535, 0, 1}


def test_what_does_not_come_is_given_up() -> None:
    """After its time nothing more is asked for, and nothing is released before a keyframe."""
    buffer = keyframes_at(0, 6)
    assert add(buffer, *single(0)) and add(buffer, *single(2, 3)) == []
    now = time.monotonic() + 0.001
    assert buffer.asks(now) == [1]
    assert not buffer.awaiting_keyframe
    assert buffer.asks(now + max(PATIENCE, 4 * buffer.round_trip) + 0.01) == []
    assert buffer.awaiting_keyframe and buffer.incomplete
    assert add(buffer, *single(4, 5)) == []
    assert add(buffer, *single(6, 7)) == [(b"6,", 18_000), (b"7,", 21_000)]
    assert not buffer.incomplete


def test_patience_is_longer_on_a_long_path() -> None:
    """Where a round trip takes half a second, nothing is given up before it can have come."""
    buffer = VideoJitterBuffer()
    buffer.round_trip = 0.5
    add(buffer, *single(0, 2))
    now = time.monotonic()
    assert buffer.asks(now) == [1]
    assert buffer.asks(now + 1.0) == [1]
    assert not buffer.awaiting_keyframe


def test_nothing_is_released_before_a_keyframe() -> None:
    """The pictures begin with a whole keyframe, whatever comes before it; once lost, again."""
    buffer = keyframes_at(13, 22)
    assert add(buffer, *single(10, 11, 12), packet(13, 1), packet(15, 1, 1)) == []
    assert add(buffer, packet(14, 1), *single(16)) == [(b"13,14,15,", 1), (b"16,", 48_000)]
    buffer.lose()
    assert add(buffer, *single(17, 18, 19, 20, 21)) == []
    assert add(buffer, *single(22, 23)) == [(b"22,", 66_000), (b"23,", 69_000)]


def test_a_hole_behind_a_late_keyframe_is_asked_for_once_more() -> None:
    """What was given up together with a keyframe that comes whole after all is wanted again."""
    buffer = keyframes_at(10)
    add(buffer, packet(10, 1), packet(12, 1, 1), *single(13, 15))
    buffer.lose()
    assert buffer.asks() == []
    assert add(buffer, packet(11, 1)) == [(b"10,11,12,", 1), (b"13,", 39_000)]
    assert buffer.asks(time.monotonic() + 0.001) == [14]
    assert add(buffer, *single(14)) == [(b"14,", 42_000), (b"15,", 45_000)]


def test_packets_before_the_first() -> None:
    """A keyframe whose first packets overtook each other is whole, and its gap is asked for."""
    buffer = keyframes_at(100)
    assert add(buffer, packet(103, 1, 1), packet(100, 1)) == []
    assert buffer.asks(time.monotonic() + 0.001) == [101, 102]
    assert not buffer.asks(time.monotonic() + 0.002) and buffer.awaiting_keyframe
    assert add(buffer, packet(101, 1), packet(102, 1)) == [(b"100,101,102,103,", 1)]


def test_packets_ever_further_before_the_first() -> None:
    """A peer that counts backwards does not make the buffer expect ever more."""
    buffer = keyframes_at()
    for number in range(60_000, 10_000, -99):
        add(buffer, packet(number, 1))
    assert len(buffer.asks(time.monotonic() + 0.001)) <= VideoJitterBuffer.CAPACITY


@pytest.mark.parametrize("capacity", [VideoJitterBuffer.CAPACITY])
def test_a_full_buffer_begins_anew(capacity: int) -> None:
    """A hole that is never filled holds the stream up until the buffer is full; then it is lost."""
    buffer = VideoJitterBuffer()
    add(buffer, *single(0))
    for each in single(*range(2, capacity + 1)):
        assert add(buffer, each) == [] and not buffer.awaiting_keyframe
    buffer.add(*single(capacity + 1))
    assert buffer.awaiting_keyframe
    assert buffer.pop() is not None, "every packet is a keyframe here"
    assert len(buffer._packets) == len(buffer._keyframes) == len(buffer._missing) == 0
    assert not buffer.incomplete


def test_a_frame_without_an_end() -> None:
    """A frame that never ends is given up when the buffer is full."""
    buffer = VideoJitterBuffer()
    starts = set()
    for number in range(3000):
        assert add(buffer, packet(number, 7)) == []
        starts.add(buffer._next)
    assert starts == {0, buffer.CAPACITY, 2 * buffer.CAPACITY}
    assert len(buffer._packets) <= VideoJitterBuffer.CAPACITY


# The round trip


def test_the_round_trip_is_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time from an ask to its packet shortens the estimate at once, and lengthens it slowly."""
    now = 1000.0
    monkeypatch.setattr("rtcstream.transport.jitterbuffer.time.monotonic", lambda: now)
    buffer = VideoJitterBuffer()
    add(buffer, *single(0, 2))
    assert buffer.asks(now) == [1]
    now += 0.03
    add(buffer, *single(1))
    assert buffer.round_trip == pytest.approx(0.03)
    add(buffer, *single(4))
    assert buffer.asks(now) == [3]
    now += 0.13
    add(buffer, *single(3))
    assert buffer.round_trip == pytest.approx(0.04)


def test_a_packet_that_was_not_asked_for_says_nothing() -> None:
    """One that was only overtaken leaves the estimate as it is."""
    buffer = VideoJitterBuffer()
    had = buffer.round_trip
    add(buffer, *single(0, 2, 1))
    assert buffer.round_trip == had


# A source that begins anew


def test_late_duplicate_does_not_stop_the_pictures() -> None:
    """One packet of long ago is left out, and the next frame comes as ever."""
    buffer = VideoJitterBuffer()
    for each in single(*range(1000, 1300)):
        assert add(buffer, each)
    assert add(buffer, *single(1100)) == [] and not buffer.awaiting_keyframe
    assert add(buffer, *single(1300))


def test_source_that_starts_over_is_followed() -> None:
    """Two packets in a row from elsewhere are a source that has begun anew."""
    buffer = VideoJitterBuffer()
    add(buffer, *single(*range(5000, 5010)))
    one, two, three = single(1000, 1001, 1002)
    assert add(buffer, one) == [] and not buffer.awaiting_keyframe
    buffer.add(two)
    assert buffer.awaiting_keyframe and buffer.pop() is not None
    assert add(buffer, three)


@few
@given(st.lists(st.integers(0, 65535), max_size=60), st.booleans())
def test_any_numbers(numbers: list[int], keyframes: bool) -> None:
    """No sequence of numbers makes it fail, or keep more than it may."""
    buffer = VideoJitterBuffer(lambda packet: keyframes)
    for number in numbers:
        add(buffer, packet(number, number // 3, number % 2))
        asks = buffer.asks()
        assert asks == sorted(asks)
        assert len(buffer._missing) <= VideoJitterBuffer.CAPACITY
    assert len(buffer._packets) <= len(numbers)


# What begins a keyframe


@pytest.mark.parametrize(
    ("codec", "payload", "starts"),
    [
        ("VP8", b"\x10\x00rest", True),
        ("VP8", b"\x90\x80\x80\x01\x00rest", True),
        ("VP8", b"\x90\x80\x80\x01\x01rest", False),  # an interframe
        ("VP8", b"\x80\x80\x80\x01\x00rest", False),  # not its first packet
        ("VP8", b"\x11\x00rest", False),  # another partition
        ("VP8", b"\x10", False),
        ("H264", b"\x67sps", True),
        ("H264", b"\x18\x00\x02\x67x\x00\x02\x68y", True),
        ("H264", b"\x18\x00\x02\x09x\x00\x02\x67y", True),  # behind a delimiter
        ("H264", b"\x18\x00\x02\x41x", False),
        ("H264", b"\x41slice", False),
        ("H264", b"\x18\xff\xff\x41", False),
        ("H264", b"", False),
    ],
)
def test_what_starts_a_keyframe(codec: str, payload: bytes, starts: bool) -> None:
    """The first packet of a picture that stands on its own is known by its first bytes."""
    assert starts_keyframe(codec, payload) is starts


@few
@given(st.binary(max_size=40))
def test_any_payload_starts_a_keyframe_or_not(payload: bytes) -> None:
    """No bytes of H.264 are too strange to ask."""
    assert starts_keyframe("H264", payload) in (True, False)
