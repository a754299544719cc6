"""A film to encode, and how well it came out."""

import functools
import math
from itertools import islice

import av
import numpy as np
import pytest
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from rtcstream.media import planes
from tests.browser import footage

STEP = 3000
VP8 = RTCRtpCodecParameters("video/VP8", clockRate=90_000, payloadType=96)
H264 = RTCRtpCodecParameters("video/H264", clockRate=90_000, payloadType=97)
CODECS = pytest.mark.parametrize("codec", [VP8, H264], ids=["VP8", "H264"])


@functools.cache
def film(width: int, height: int, count: int) -> tuple[av.VideoFrame, ...]:
    """Pictures of a street with bicycles; they go on backwards where it ends."""
    with av.open(str(footage("bikes.mp4"))) as container:
        decoded = list(islice(container.decode(video=0), 90))
    frames = [frame.reformat(width, height, "yuv420p") for frame in decoded]
    there_and_back = frames + frames[-2:0:-1]
    return tuple(there_and_back[number % len(there_and_back)] for number in range(count))


def psnr(one: av.VideoFrame, other: av.VideoFrame) -> float:
    """Of the brightness, in dB."""
    difference = planes(one)[0].astype(float) - planes(other)[0].astype(float)
    return 10 * math.log10(255**2 / max(float(np.mean(difference**2)), 1e-9))


def decode(name: str, frames: list[bytes]) -> list[av.VideoFrame]:
    decoder = av.CodecContext.create(name, "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.thread_count = 1
    return [picture for data in frames if data for picture in decoder.decode(av.Packet(data))]
