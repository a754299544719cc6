"""Frames to RTP payloads, by aiortc's encoders and one of our own."""

from fractions import Fraction
from typing import Any

import av
import numpy as np
from aiortc.codecs import get_encoder
from aiortc.codecs.base import Encoder
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from av.frame import Frame

from ..media import planes
from .clock import AUDIO_RATE


class OpusEncoder(Encoder):
    """Opus for music as well as speech; aiortc's is tuned for the telephone (``voip``)."""

    def __init__(self) -> None:
        codec = av.AudioCodecContext.create("libopus", "w")
        codec.sample_rate = AUDIO_RATE
        codec.format = "s16"
        codec.layout = "stereo"
        codec.bit_rate = 128_000
        codec.time_base = Fraction(1, AUDIO_RATE)
        codec.options = {"application": "audio", "frame_duration": "20"}
        self._codec = codec

    def encode(self, frame: Frame, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        """20 ms of s16 stereo at 48 kHz to one packet."""
        assert isinstance(frame, av.AudioFrame)
        return [bytes(packet) for packet in self._codec.encode(frame)], frame.pts or 0

    def pack(self, packet: Any) -> tuple[list[bytes], int]:
        return [bytes(packet)], packet.pts or 0


def create(codec: RTCRtpCodecParameters) -> Encoder:
    """A new encoder for a negotiated codec."""
    return OpusEncoder() if codec.name == "opus" else get_encoder(codec)


def encode(
    encoder: Encoder,
    codec: RTCRtpCodecParameters,
    frame: av.VideoFrame | av.AudioFrame,
    keyframe: bool,
) -> list[bytes]:
    """The RTP payloads of one frame, in order; the caller sets their timestamp."""
    if (
        codec.name == "H264"
        and isinstance(frame, av.VideoFrame)
        and (frame.width % 2 or frame.height % 2)
    ):
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
