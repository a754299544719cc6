"""One stream of pictures of any sizes, encoded: as small as the bitrate asks, whatever comes."""

from typing import Any

import pytest
from aiortc.codecs import depayload
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from rtcstream.errors import EncoderError
from rtcstream.transport.bitrate import Bitrate
from rtcstream.transport.decoder import is_keyframe
from rtcstream.transport.encoder import VideoEncoder
from tests.film import CODECS, STEP, VP8, decode, film


class Stream:
    """An encoder of any pictures, and what it has encoded."""

    def __init__(self, codec: RTCRtpCodecParameters, limits: Bitrate | None = None) -> None:
        self.encoder = VideoEncoder(codec, limits or Bitrate(), hardware=False)
        self.codec = codec
        self.pts = 0
        self.sizes: list[tuple[int, int] | None] = []
        self.encoded: list[bytes] = []

    def feed(self, frames: Any, keyframe: bool = False) -> None:
        for frame in frames:
            self.pts += STEP
            encoded = self.encoder.encode(frame, self.pts, keyframe)
            if encoded is not None:
                data = b"".join(depayload(self.codec, payload) for payload in encoded.payloads)
                assert encoded.keyframe == is_keyframe(self.codec.name, data)
                self.sizes.append(encoded.size)
                self.encoded.append(data)


@CODECS
@pytest.mark.parametrize("size", [(101, 77), (100, 77), (101, 78), (2, 2), (3, 5)])
def test_odd_sizes(codec: RTCRtpCodecParameters, size: tuple[int, int]) -> None:
    """VP8 says any size, H.264 the next even one, with the last row and column twice."""
    stream = Stream(codec)
    stream.feed(film(*size, 3))
    width, height = size
    even = size if codec is VP8 else (width + width % 2, height + height % 2)
    assert stream.sizes == [even] * 3
    picture = decode(codec.name.lower(), stream.encoded)[-1]
    assert (picture.width, picture.height) == even


@CODECS
def test_pictures_change_their_size(codec: RTCRtpCodecParameters) -> None:
    """Each size begins with a keyframe, and is decoded."""
    stream = Stream(codec)
    for size in ((320, 240), (240, 320), (320, 240)):
        stream.feed(film(*size, 2))
    keyframes = [is_keyframe(codec.name, data) for data in stream.encoded]
    assert keyframes == [True, False] * 3
    assert [(p.width, p.height) for p in decode(codec.name.lower(), stream.encoded)] == stream.sizes


@CODECS
def test_pictures_get_smaller_and_larger(codec: RTCRtpCodecParameters) -> None:
    """Far too little for their size makes them smaller rather than coarse, and more undoes it."""
    stream = Stream(codec)
    stream.feed(film(640, 480, 5))
    assert set(stream.sizes) == {(640, 480)}
    stream.encoder.target = 100_000
    stream.feed(film(640, 480, 70))
    assert stream.sizes[-1] == (320, 240)
    stream.encoder.target = 1_500_000
    stream.feed(film(640, 480, 70))
    assert stream.sizes[-1] == (640, 480)
    changes = sum(1 for had, now in zip(stream.sizes, stream.sizes[1:], strict=False) if had != now)
    assert changes == 2, "each is a keyframe, so there is time between them"


def test_no_size_goes_back_and_forth() -> None:
    """A bitrate between the two bounds leaves the size as it is."""
    stream = Stream(VP8)
    stream.encoder.target = 150_000
    stream.feed(film(640, 480, 70))
    size = stream.sizes[-1]
    for _ in range(4):
        for target in (140_000, 160_000):
            stream.encoder.target = target
            stream.feed(film(640, 480, 20))
    assert set(stream.sizes[-100:]) == {size}


@CODECS
def test_a_source_that_begins_anew(codec: RTCRtpCodecParameters) -> None:
    """Timestamps may stand still, jump, or go back: pictures go on without a keyframe."""
    stream = Stream(codec)
    for pts in (0, 3000, 3000, 10**12, 5, -7, 3000):
        stream.pts = pts
        stream.feed(film(320, 240, 1))
    assert [is_keyframe(codec.name, data) for data in stream.encoded] == [True] + [False] * 6


@CODECS
def test_one_bad_frame(codec: RTCRtpCodecParameters, monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoder that fails is made anew for the next frame, which is a keyframe."""
    stream = Stream(codec)
    stream.feed(film(320, 240, 2))
    with monkeypatch.context() as patched:
        patched.setattr(stream.encoder._encoder, "encode", missing_encode)
        with pytest.raises(EncoderError):
            stream.feed(film(320, 240, 1))
    stream.feed(film(320, 240, 1))
    assert is_keyframe(codec.name, stream.encoded[-1])
    stream.encoder.close()
    stream.encoder.close()


def missing_encode(*arguments: Any) -> bytes:
    raise EncoderError("no")


def test_limits_hold() -> None:
    """Whatever the network has, no more than the most and no less than the least is used."""
    stream = Stream(VP8, Bitrate(300_000, 200_000, 400_000))
    for target, bitrate in ((None, 300_000), (10_000_000, 400_000), (1, 200_000)):
        stream.encoder.target = target
        stream.feed(film(352, 288, 1))
        assert stream.encoder._encoder is not None
        assert stream.encoder._encoder.bitrate == bitrate


def test_picture_numbers() -> None:
    """VP8's picture number goes up by one with each frame that is sent (RFC 7741 section 4.2)."""
    encoder = VideoEncoder(VP8, Bitrate(), hardware=False)
    encoder._picture_id = 0x7FFE
    numbers = []
    for number, frame in enumerate(film(64, 48, 3)):
        encoded = encoder.encode(frame, number * STEP, False)
        assert encoded is not None
        numbers.append(int.from_bytes(encoded.payloads[0][2:4], "big") & 0x7FFF)
    assert numbers == [0x7FFF, 0, 1]
