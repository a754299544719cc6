"""Encoders of one size: VP8 by libvpx and by FFmpeg, H.264 by libx264 and in hardware."""

import functools
import logging
from collections.abc import Iterator
from typing import Any

import av
import numpy as np
import pytest
from aiortc.codecs.vpx import Vp8Encoder as AiortcVp8
from aiortc.codecs.vpx import vp8_depayload
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from rtcstream.errors import EncoderError
from rtcstream.media import planes
from rtcstream.transport import h264, vpx
from rtcstream.transport.bitrate import Bitrate
from rtcstream.transport.clock import VIDEO_TIME_BASE
from rtcstream.transport.decoder import is_keyframe
from rtcstream.transport.encoder import FfmpegVp8Encoder, VideoEncoder
from rtcstream.transport.h264 import H264Encoder
from rtcstream.transport.vpx import Vp8Encoder
from tests.film import CODECS, H264, STEP, VP8, decode, film, psnr

libvpx = pytest.mark.skipif(not vpx.available(), reason="this PyAV brings no libvpx of its own")


def noise(width: int, height: int) -> av.VideoFrame:
    """What no encoder can say in few bits."""
    frame = av.VideoFrame(width, height, "yuv420p")
    random = np.random.default_rng(1)
    for plane in planes(frame):
        plane[...] = random.integers(0, 256, plane.shape, np.uint8)
    return frame


def make(codec: RTCRtpCodecParameters, bitrate: int, most: int = 3_000_000) -> Any:
    if codec is VP8:
        return Vp8Encoder(352, 288, bitrate)
    return H264Encoder(352, 288, bitrate, most)


# One size


@libvpx
@CODECS
def test_the_bitrate_is_followed(codec: RTCRtpCodecParameters) -> None:
    """Down, and up again: a second later it is what was asked for, and no keyframe is needed."""
    encoder, sizes, keyframes = make(codec, 900_000), [], []
    for number, frame in enumerate(film(352, 288, 270)):
        if number in (90, 180):
            encoder.bitrate = 200_000 if number == 90 else 900_000
            assert encoder.bitrate == (200_000 if number == 90 else 900_000)
        data = encoder.encode(frame, STEP, False)
        sizes.append(len(data) * 8)
        if data and is_keyframe(codec.name, data):
            keyframes.append(number)
    assert keyframes == [0]
    high, low, again = (sum(sizes[start + 30 : start + 90]) / 2 for start in (0, 90, 180))
    assert 100_000 < low < 300_000
    assert high > 2.5 * low and again > 2.5 * low
    assert max(high, again) < 1_200_000


@libvpx
@CODECS
def test_a_keyframe_on_request(codec: RTCRtpCodecParameters) -> None:
    """A keyframe comes when it is asked for, and then only."""
    encoder = make(codec, 800_000)
    frames = [encoder.encode(f, STEP, n == 12) for n, f in enumerate(film(352, 288, 20))]
    assert [n for n, data in enumerate(frames) if data and is_keyframe(codec.name, data)] == [0, 12]
    [whole] = decode(codec.name.lower(), [frames[12]])
    assert psnr(whole, film(352, 288, 20)[12]) > 25


@libvpx
@pytest.mark.parametrize("size", [(2, 2), (3, 3), (101, 77), (16, 250), (641, 479)])
def test_odd_sizes_of_vp8(size: tuple[int, int]) -> None:
    """Any size is encoded, edges and all."""
    encoder = Vp8Encoder(*size, 1_500_000)
    frames = film(*size, 8)
    pictures = decode("vp8", [encoder.encode(frame, STEP, False) for frame in frames])
    assert (pictures[-1].width, pictures[-1].height) == size
    assert psnr(pictures[0], frames[0]) > 24


@libvpx
def test_frames_are_left_out() -> None:
    """Frames that cost too much are left out, and those that come are decoded all the same."""
    encoder = Vp8Encoder(320, 240, 150_000)
    frames = [encoder.encode(frame, STEP, False) for frame in [noise(320, 240)]]
    frames += [encoder.encode(frame, STEP, False) for frame in film(320, 240, 90)]
    assert b"" in frames and len([data for data in frames if data]) > 5
    assert len(decode("vp8", frames)) == len([data for data in frames if data])


@libvpx
def test_no_worse_than_aiortcs() -> None:
    """At the same bitrate its pictures are at least as good as those of aiortc's encoder."""
    frames, rate = film(352, 288, 90), 500_000
    ours = Vp8Encoder(352, 288, rate)
    theirs = AiortcVp8()
    theirs.target_bitrate = rate
    mine, others = [], []
    for number, frame in enumerate(frames):
        mine.append(ours.encode(frame, STEP, False))
        frame.pts, frame.time_base = number * STEP, VIDEO_TIME_BASE
        payloads, _ = theirs.encode(frame)
        others.append(b"".join(vp8_depayload(payload) for payload in payloads))
    assert all(mine) and all(others), "none is left out"

    def quality(encoded: list[bytes]) -> float:
        shown = decode("vp8", encoded)
        return float(np.mean([psnr(*pair) for pair in zip(shown[15:], frames[15:], strict=True)]))

    assert sum(map(len, mine)) < 1.15 * sum(map(len, others))
    assert quality(mine) > quality(others) - 0.2


@libvpx
def test_a_picture_that_is_none_of_its_own() -> None:
    """A frame of another size or format is refused, as the library would read beyond it."""
    encoder = Vp8Encoder(64, 48, 300_000)
    for frame in (film(32, 48, 1)[0], film(64, 48, 1)[0].reformat(format="rgb24")):
        with pytest.raises(EncoderError, match="64x48"):
            encoder.encode(frame, STEP, False)
    encoder.close()
    encoder.close()
    with pytest.raises(EncoderError, match="closed"):
        encoder.encode(film(64, 48, 1)[0], STEP, False)


@libvpx
@pytest.mark.parametrize("size", [(0, 48), (20_000, 48)])
def test_an_impossible_size(size: tuple[int, int]) -> None:
    """The library's refusal is an error with its words, and leaves nothing behind."""
    with pytest.raises(EncoderError, match="libvpx: "):
        Vp8Encoder(*size, 300_000)


# Where libvpx is another, or not there


@libvpx
def test_defaults_that_are_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library whose configuration is laid out otherwise is not used."""
    library = vpx._library()
    real = library.vpx.vpx_codec_enc_config_default

    def moved(interface: Any, config: Any, usage: int) -> int:
        code: int = real(interface, config, usage)
        config._obj.width, config._obj.height = config._obj.height, config._obj.width
        return code

    monkeypatch.setattr(library.vpx, "vpx_codec_enc_config_default", moved)
    with pytest.raises(EncoderError, match="laid out in an unknown way"):
        library.default()
    with pytest.raises(EncoderError, match="laid out in an unknown way"):
        Vp8Encoder(64, 48, 300_000)


@pytest.fixture
def fresh() -> Iterator[None]:
    """What was found out about the machine is found out anew, before and after."""
    for cached in (vpx._library, vpx.available, h264.hardware):
        cached.cache_clear()
    yield
    for cached in (vpx._library, vpx.available, h264.hardware):
        cached.cache_clear()


def missing() -> Any:
    raise EncoderError("it is not here")


def garbage(*arguments: Any, **more: Any) -> bytes:
    return b"\x10\x02\x00\x9d\x01\x2a\x40\x00\x30\x00no picture"


def nothing(*arguments: Any, **more: Any) -> bytes:
    return b"\x11"


@pytest.mark.parametrize(
    ("where", "name", "what"),
    [
        (vpx, "_library", missing),
        (Vp8Encoder, "encode", garbage),
        (Vp8Encoder, "encode", nothing),
        (vpx, "ABI_VERSIONS", range(0)),
    ],
)
def test_a_library_that_does_not_work(
    fresh: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    where: Any,
    name: str,
    what: Any,
) -> None:
    """Whatever is wrong with it, it is said once, and FFmpeg's encoder takes its place."""
    if what is missing:
        what = functools.cache(missing)
    monkeypatch.setattr(where, name, what)
    with caplog.at_level(logging.INFO, "rtcstream"):
        assert not vpx.available() and not vpx.available()
    assert len([r for r in caplog.records if "through FFmpeg" in r.getMessage()]) == 1
    encoder = VideoEncoder(VP8, Bitrate(), hardware=False)
    assert encoder.encode(film(64, 48, 1)[0], 0, True) is not None
    assert isinstance(encoder._encoder, FfmpegVp8Encoder)


def test_ffmpeg_in_its_place() -> None:
    """Its frames are whole, come when asked for, and follow the bitrate by a new encoder."""
    encoder = FfmpegVp8Encoder(352, 288, 1_000_000)
    frames, sizes = [], []
    for number, frame in enumerate(film(352, 288, 120)):
        if number == 60:
            encoder.bitrate = 300_000
        frames.append(encoder.encode(frame, STEP, number == 20))
        sizes.append(len(frames[-1]))
    keyframes = [n for n, data in enumerate(frames) if data and is_keyframe("VP8", data)]
    assert keyframes == [0, 20, 60]
    assert sum(sizes[80:120]) < 0.6 * sum(sizes[21:60])
    assert psnr(decode("vp8", frames)[-1], film(352, 288, 120)[-1]) > 25


# Hardware


class Driver:
    """An encoder in hardware that does as it is told."""

    def __init__(self, made: Any = None, gives: bytes = b"") -> None:
        self.made, self.gives = made, gives
        self.names: list[str] = []

    def __call__(self, *arguments: Any, name: str, **more: Any) -> "Driver":
        self.names.append(name)
        if self.made is not None:
            raise self.made
        return self

    def encode(self, *arguments: Any, **more: Any) -> bytes:
        return self.gives


def test_hardware_of_this_machine(fresh: None, caplog: pytest.LogCaptureFixture) -> None:
    """Asking raises nothing, whatever machine this is; the log says what there is, and what not."""
    with caplog.at_level(logging.INFO, "rtcstream"):
        name = h264.hardware()
    said = [record.getMessage() for record in caplog.records]
    refused = h264.HARDWARE if name is None else h264.HARDWARE[: h264.HARDWARE.index(name)]
    for each in refused:
        assert any(f"in hardware by {each}: " in text for text in said)
    assert name is None or name in said[-1]


@pytest.mark.parametrize(
    ("driver", "why"),
    [
        (Driver(EncoderError("no device")), "no device"),
        (Driver(OSError("gone")), "gone"),
        (Driver(RuntimeError("bad mood")), "bad mood"),
        (Driver(), "gives nothing"),
    ],
)
def test_hardware_that_does_not_work(
    fresh: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    driver: Driver,
    why: str,
) -> None:
    """A driver that raises, or that takes pictures and gives nothing, is refused with its words."""
    monkeypatch.setattr(h264, "H264Encoder", driver)
    with caplog.at_level(logging.INFO, "rtcstream"):
        assert h264.hardware() is None
    assert driver.names == list(h264.HARDWARE)
    assert len([record for record in caplog.records if why in record.getMessage()]) == 3


def test_hardware_that_works(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one that gives something is taken, and asked once."""
    driver = Driver(gives=b"\0\0\1\x65")
    monkeypatch.setattr(h264, "H264Encoder", driver)
    assert h264.hardware() == h264.hardware() == h264.HARDWARE[0]
    assert driver.names == [h264.HARDWARE[0]]


def test_hardware_that_is_taken(
    fresh: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A driver that worked when asked and then has no room leaves the picture to libx264."""
    monkeypatch.setattr(h264, "hardware", lambda: "h264_nvenc")
    monkeypatch.setitem(h264.OPTIONS, "h264_nvenc", {"preset": "none such"})
    encoder = VideoEncoder(H264, Bitrate(), hardware=True)
    for number, frame in enumerate(film(352, 288, 3)):
        assert encoder.encode(frame, number * STEP, False) is not None
    assert isinstance(encoder._encoder, H264Encoder) and encoder._encoder.name == "libx264"
    assert len([r for r in caplog.records if "by libx264" in r.getMessage()]) == 1


def test_an_encoder_that_ffmpeg_does_not_have() -> None:
    """Its name and FFmpeg's reason are in the error."""
    with pytest.raises(EncoderError, match="h264_none"):
        H264Encoder(64, 48, 300_000, 300_000, name="h264_none")
