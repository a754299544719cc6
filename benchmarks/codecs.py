"""Encoders without a network: pictures in, payloads or pictures out."""

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import islice
from typing import Any

import av
from aiortc.codecs import depayload, get_encoder
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from av.codec.context import Flags

from rtcstream.transport.bitrate import Bitrate
from rtcstream.transport.decoder import FFMPEG_NAMES
from rtcstream.transport.encoder import VideoEncoder
from tests.browser import footage

FPS = 30
TICK = Fraction(1, 90_000)
CODECS = {
    "VP8": RTCRtpCodecParameters("video/VP8", 90_000, payloadType=97),
    "H264": RTCRtpCodecParameters(
        "video/H264",
        90_000,
        payloadType=99,
        parameters={"packetization-mode": "1", "profile-level-id": "42e01f"},
    ),
}


Encode = Callable[[av.VideoFrame, int, bool], list[bytes]]
"""A picture, its time in ticks and whether it must be a keyframe, to RTP payloads; none when the
encoder leaves it out."""


def film(name: str, count: int, size: tuple[int, int] = (640, 480)) -> list[av.VideoFrame]:
    """The film's first pictures, one each 1/30 s."""
    width, height = size
    with av.open(footage(name)) as container:
        decoded = islice(container.decode(video=0), count)
        frames = [each.reformat(width=width, height=height, format="yuv420p") for each in decoded]
    for number, frame in enumerate(frames):
        frame.pts, frame.time_base = number * 90_000 // FPS, TICK
    return frames


def bitstream(codec: str, payloads: Iterable[bytes]) -> bytes:
    """A frame's RTP payloads as the decoder takes them."""
    return b"".join(depayload(CODECS[codec], payload) for payload in payloads)


def encoding(codec: str, bitrate: int) -> Encode:
    """rtcstream's encoder of software, held to one bitrate."""
    encoder = VideoEncoder(CODECS[codec], Bitrate(bitrate, bitrate, bitrate), hardware=False)

    def encode(frame: av.VideoFrame, pts: int, keyframe: bool) -> list[bytes]:
        encoded = encoder.encode(frame, pts, keyframe)
        return [] if encoded is None else encoded.payloads

    return encode


def aiortc_encoding(codec: str, bitrate: int) -> Encode:
    """aiortc's as it comes, at a bitrate."""
    encoder: Any = get_encoder(CODECS[codec])
    encoder.target_bitrate = bitrate

    def encode(frame: av.VideoFrame, pts: int, keyframe: bool) -> list[bytes]:
        frame.pts, frame.time_base = pts, TICK
        payloads: list[bytes] = encoder.encode(frame, keyframe)[0]
        return payloads

    return encode


def decode(codec: str, encoded: Iterable[bytes]) -> Iterator[av.VideoFrame]:
    """What is seen of each frame: the last picture again where there is nothing."""
    decoder: Any = av.CodecContext.create(FFMPEG_NAMES[codec], "r")
    decoder.thread_count = 1
    decoder.flags |= Flags.low_delay
    picture: av.VideoFrame | None = None
    for data in encoded:
        if data:
            (picture,) = decoder.decode(av.Packet(data))
        if picture is not None:
            yield picture
