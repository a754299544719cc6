"""A picture to RTP payloads, by aiortc's encoders."""

from typing import Protocol

import av
import numpy as np
from aiortc.codecs import get_encoder
from aiortc.codecs.base import Encoder
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from ..media import planes


class RateControlled(Protocol):
    """What aiortc's video encoders have beyond their base class."""

    target_bitrate: int


def create(codec: RTCRtpCodecParameters) -> Encoder:
    """A new encoder for a negotiated codec."""
    return get_encoder(codec)


def encode(
    encoder: Encoder, codec: RTCRtpCodecParameters, frame: av.VideoFrame, keyframe: bool
) -> list[bytes]:
    """The RTP payloads of one frame, in order; the caller sets their timestamp."""
    if codec.name == "H264" and (frame.width % 2 or frame.height % 2):
        frame = _even(frame)
    payloads, _ = encoder.encode(frame, keyframe)
    return payloads


def _even(frame: av.VideoFrame) -> av.VideoFrame:
    """The frame with its last column or row twice: H.264 cannot say odd sizes in 4:2:0."""
    width, height = frame.width + frame.width % 2, frame.height + frame.height % 2
    if frame.format.name != "yuv420p":
        frame = frame.reformat(format="yuv420p")
    padded = av.VideoFrame(width, height, "yuv420p")
    padded.pts, padded.time_base = frame.pts, frame.time_base
    for source, target in zip(planes(frame), planes(padded), strict=True):
        (rows, columns), (had_rows, had_columns) = target.shape, source.shape
        missing = ((0, rows - had_rows), (0, columns - had_columns))
        target[...] = np.pad(source, missing, "edge")
    return padded
