"""Receiving: packets to frames, frames to pictures, timestamps, and the source's clock."""

import functools
import itertools
import logging
import queue
import threading
import time
from collections.abc import Iterator

import av
import numpy as np
import pytest
from aiortc.codecs import depayload
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtcstream.media import to_array, to_frame
from rtcstream.transport.bitrate import Bitrate
from rtcstream.transport.clock import DRIFT, NTP_UNIX_OFFSET, VIDEO_RATE, SourceClock
from rtcstream.transport.decoder import VideoDecoder, is_keyframe
from rtcstream.transport.encoder import VideoEncoder
from rtcstream.transport.receiver import TimestampUnwrapper

# Fewer examples than usual for a quick run; no time limits, on machines that are busy.
few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

VP8 = RTCRtpCodecParameters("video/VP8", clockRate=VIDEO_RATE, payloadType=96)
H264 = RTCRtpCodecParameters("video/H264", clockRate=VIDEO_RATE, payloadType=97)
CODECS = pytest.mark.parametrize("codec", [VP8, H264], ids=["VP8", "H264"])
FIRST = 2**32 - 3000


@functools.cache
def stream(name: str, count: int) -> tuple[JitterFrame, ...]:
    """Encoded frames of a grey that grows lighter by 10 each; the first alone is a keyframe."""
    codec = {"VP8": VP8, "H264": H264}[name]
    encoder = VideoEncoder(codec, Bitrate(), hardware=False)
    frames = []
    for number in range(count):
        picture = to_frame(np.full((48, 64), 10 * number, np.uint8), "bgr24")
        encoded = encoder.encode(picture, FIRST + 3000 * number, number == 0)
        assert encoded is not None
        data = b"".join(depayload(codec, payload) for payload in encoded.payloads)
        frames.append(JitterFrame(data, FIRST + 3000 * number))
    return tuple(frames)


class Decoding:
    """A decoder with a queue for its sink."""

    def __init__(self) -> None:
        self.lost = threading.Event()
        self.decoder = VideoDecoder(self.lost)
        self.pictures: queue.Queue[av.VideoFrame] = queue.Queue()
        self.decoder.sink = self.pictures.put

    def next(self) -> tuple[int | None, int]:
        """The timestamp and the grey of the next picture."""
        frame = self.pictures.get(timeout=5)
        return frame.pts, int(to_array(frame, "bgr24").mean())


@pytest.fixture
def decoding() -> Iterator[Decoding]:
    """A decoder, not started; its thread is gone at the end."""
    before = set(threading.enumerate())
    decoding = Decoding()
    yield decoding
    decoding.decoder.put(None)
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
        assert not thread.is_alive()


def expected(number: int) -> tuple[int, object]:
    return FIRST + 3000 * number, pytest.approx(10 * number, abs=3)


@CODECS
def test_each_frame_is_decoded_as_it_comes(
    decoding: Decoding, codec: RTCRtpCodecParameters
) -> None:
    """A picture leaves before the next frame has come, with its frame's own timestamp."""
    decoding.decoder.start()
    for number, frame in enumerate(stream(codec.name, 8)):
        decoding.decoder.put((codec, frame))
        assert decoding.next() == expected(number)
    assert not decoding.lost.is_set()
    assert decoding.decoder.dropped == 0


def test_a_change_of_codec(decoding: Decoding) -> None:
    """A peer may change to the other codec that was negotiated, and back."""
    decoding.decoder.start()
    for codec in (VP8, H264, VP8):
        decoding.decoder.put((codec, stream(codec.name, 8)[0]))
        assert decoding.next() == expected(0)


@CODECS
def test_garbage_asks_for_a_whole_picture(decoding: Decoding, codec: RTCRtpCodecParameters) -> None:
    """What cannot be decoded is told to the peer as a lost picture, and what follows is decoded."""
    decoding.decoder.start()
    decoding.decoder.put((codec, JitterFrame(b"\0\0\1\x65" + b"\xff" * 50, 0)))
    assert decoding.lost.wait(5)
    decoding.lost.clear()
    decoding.decoder.put((codec, stream(codec.name, 8)[0]))
    assert decoding.next() == expected(0)


def test_an_unexpected_error_is_not_the_end(
    decoding: Decoding, caplog: pytest.LogCaptureFixture
) -> None:
    """A failure that no codec should have is logged once, and the decoder is made anew."""
    opus = RTCRtpCodecParameters("audio/opus", clockRate=48_000, channels=2, payloadType=98)
    decoding.decoder.start()
    with caplog.at_level(logging.ERROR):
        decoding.decoder.put((opus, JitterFrame(b"x", 0)))
        assert decoding.lost.wait(5)
        decoding.decoder.put((VP8, stream("VP8", 8)[0]))
        assert decoding.next() == expected(0)
    [record] = caplog.records
    assert record.getMessage() == "the opus decoder failed and is made anew"


def test_an_empty_frame(decoding: Decoding) -> None:
    """A frame of padding alone, with which browsers probe the bandwidth, is no end of stream."""
    first, second, *_ = stream("VP8", 8)
    decoding.decoder.start()
    for frame in (first, JitterFrame(b"", FIRST + 1), second):
        decoding.decoder.put((VP8, frame))
    assert [decoding.next(), decoding.next()] == [expected(0), expected(1)]
    assert not decoding.lost.is_set()


def test_falling_behind(decoding: Decoding) -> None:
    """Too many frames behind, all are given up and it goes on at the next keyframe."""
    keyframe, *others = stream("VP8", 8)
    for frame in [keyframe, *itertools.islice(itertools.cycle(others), VideoDecoder.LIMIT)]:
        decoding.decoder.put((VP8, frame))
    assert decoding.lost.is_set(), "a keyframe is asked for"
    assert decoding.decoder.dropped == VideoDecoder.LIMIT + 1
    decoding.decoder.put((VP8, others[0]))
    decoding.decoder.put((VP8, keyframe))
    decoding.decoder.put((VP8, others[0]))
    decoding.decoder.start()
    assert [decoding.next(), decoding.next()] == [expected(0), expected(1)]
    assert decoding.decoder.dropped == VideoDecoder.LIMIT + 2


def test_nothing_is_decoded_after_the_end(decoding: Decoding) -> None:
    """The end drops what waits, and all that follows."""
    frame = stream("VP8", 8)[0]
    decoding.decoder.put((VP8, frame))
    decoding.decoder.put(None)
    decoding.decoder.put((VP8, frame))
    decoding.decoder.start()
    decoding.decoder.join()
    assert decoding.pictures.empty()


def test_a_decoder_without_a_sink(decoding: Decoding) -> None:
    """Pictures that nobody asked for are decoded all the same, since later ones build on them."""
    first, second, *_ = stream("VP8", 8)
    sink, decoding.decoder.sink = decoding.decoder.sink, None
    decoding.decoder.start()
    decoding.decoder.put((VP8, first))
    decoding.decoder.put((H264, JitterFrame(b"\0\0\1\x65\xff", 0)))
    assert decoding.lost.wait(5), "the first has been decoded by now"
    decoding.decoder.sink = sink
    decoding.decoder.put((VP8, first))
    decoding.decoder.put((VP8, second))
    assert [decoding.next(), decoding.next()] == [expected(0), expected(1)]


@CODECS
def test_keyframes_are_recognised(codec: RTCRtpCodecParameters) -> None:
    """Of an encoder's frames, those that stand on their own are told from those that do not."""
    assert [is_keyframe(codec.name, frame.data) for frame in stream(codec.name, 8)] == [
        True,
        *[False] * 7,
    ]


@few
@given(st.sampled_from(["VP8", "H264"]), st.binary(min_size=1))
def test_any_bytes_are_a_keyframe_or_not(name: str, data: bytes) -> None:
    """No bytes are too strange to ask."""
    assert is_keyframe(name, data) in (True, False)


# Timestamps and the clock


@few
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(-(2**31) + 1, 2**31 - 1), max_size=20))
def test_timestamps_never_wrap(first: int, steps: list[int]) -> None:
    """Each timestamp is unwrapped to the one nearest to the last, early or late."""
    unwrapper = TimestampUnwrapper()
    assert unwrapper.map(first) == first
    for true in itertools.islice(itertools.accumulate(steps, initial=first), 1, None):
        unwrapped = unwrapper.map(true & 0xFFFFFFFF)
        assert unwrapped == true
        assert unwrapped & 0xFFFFFFFF == true & 0xFFFFFFFF


def test_a_frame_out_of_order_is_no_wrap() -> None:
    """A late frame's timestamp goes back a little, and the next one forth again."""
    unwrapper = TimestampUnwrapper()
    given_out = [unwrapper.map(t) for t in (2**32 - 10, 5, 2**32 - 5, 20)]
    assert given_out == [2**32 - 10, 2**32 + 5, 2**32 - 5, 2**32 + 20]


def seconds(ntp: int) -> float:
    return (ntp >> 32) - NTP_UNIX_OFFSET + (ntp & 0xFFFFFFFF) / 2**32


def test_the_earliest_arrivals_set_the_clock() -> None:
    """A frame that was held up on its way is dated by those that were not."""
    clock = SourceClock(VIDEO_RATE)
    for number, delay in enumerate([0.080, 0.020, 0.300, 0.020]):
        clock.observe(number * VIDEO_RATE, 1000.0 + number + delay)
    assert seconds(clock.ntp(0)) == pytest.approx(1000.02, abs=0.002)
    assert seconds(clock.ntp(3 * VIDEO_RATE)) == pytest.approx(1003.02, abs=0.002)
    assert seconds(clock.ntp(-VIDEO_RATE // 2)) == pytest.approx(999.52, abs=0.002)


def test_the_clock_follows_a_drifting_crystal() -> None:
    """A source whose clock runs slow is followed, as fast as crystals drift and no faster."""
    clock = SourceClock(VIDEO_RATE)
    for number in range(1000):
        clock.observe(number * VIDEO_RATE, 1000.0 + number * (1 + DRIFT / 2))
    assert seconds(clock.ntp(999 * VIDEO_RATE)) == pytest.approx(1999 + 999 * DRIFT / 2, abs=1e-4)
    clock.observe(1000 * VIDEO_RATE, 2100.0)
    assert seconds(clock.ntp(1000 * VIDEO_RATE)) == pytest.approx(2000.3, abs=0.1)


def test_a_clock_set_back() -> None:
    """The wall clock's being set back is followed at once."""
    clock = SourceClock(VIDEO_RATE)
    clock.observe(0, 1000.0)
    clock.observe(VIDEO_RATE, 901.0)
    assert seconds(clock.ntp(VIDEO_RATE)) == pytest.approx(901.0)


def test_a_clock_that_has_seen_nothing() -> None:
    """Before the first frame, now is the best guess; the form is NTP's 64 bits."""
    ntp = SourceClock(VIDEO_RATE).ntp(12345)
    assert seconds(ntp) == pytest.approx(time.time(), abs=5)
    assert 0 < ntp < 2**64
