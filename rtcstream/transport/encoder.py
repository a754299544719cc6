"""Pictures and sound to RTP payloads: the encoder that fits, kept or made anew as they change."""

import logging
import os
from dataclasses import dataclass
from typing import Protocol

import av
import cv2
import numpy as np
from aiortc.codecs import get_encoder
from aiortc.codecs.vpx import Vp8Encoder as FfmpegVp8
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from av.video.frame import PictureType

from ..errors import EncoderError
from ..media import planes
from . import h264, vpx
from .bitrate import Bitrate
from .clock import AUDIO_RATE, VIDEO_RATE, VIDEO_TIME_BASE
from .decoder import is_keyframe
from .packets import h264_payloads, vp8_data, vp8_payloads
from .sound import TIME_BASE

logger = logging.getLogger(__name__)

USUAL_STEP = VIDEO_RATE // 30


@dataclass(frozen=True, slots=True)
class Encoded:
    """A frame as it is sent: its packets' payloads, in order."""

    payloads: list[bytes]
    keyframe: bool
    size: tuple[int, int] | None = None


class Encoder(Protocol):
    """Pictures of one size to encoded frames."""

    width: int
    height: int
    bitrate: int
    least_change: float
    """Of the bitrate: smaller ones are not worth what they cost."""

    def encode(self, frame: av.VideoFrame, step: int, keyframe: bool) -> bytes:
        """The frame, ``step`` ticks after the last; empty when it is left out."""

    def close(self) -> None:
        """Free it."""


class FfmpegVp8Encoder:
    """VP8 where libvpx itself is not to be had: a change of bitrate is a new encoder."""

    least_change = 0.3

    def __init__(self, width: int, height: int, bitrate: int) -> None:
        self.width, self.height = width, height
        self.bitrate = bitrate
        self._encoder = FfmpegVp8()
        self._pts = 0

    def encode(self, frame: av.VideoFrame, step: int, keyframe: bool) -> bytes:
        self._encoder.target_bitrate = self.bitrate
        self._pts += step
        frame.pts, frame.time_base = self._pts, VIDEO_TIME_BASE
        frame.pict_type = PictureType.NONE  # a decoded one says what it was
        payloads, _ = self._encoder.encode(frame, keyframe)
        return b"".join(vp8_data(payload) for payload in payloads)

    def close(self) -> None:
        """Nothing to do."""


class VideoEncoder:
    """One stream of pictures, of any sizes, as one codec says them.

    ``target`` is what may be sent, in bits a second, where the network is known, and ``bitrate``
    what is asked of the encoder, ``most`` the upper limit for their size; the pictures get smaller
    where it is too little for them, rather than coarse.
    """

    SCALES = (1.0, 0.75, 0.5, 0.375, 0.25)
    LEAST_BITS, ENOUGH_BITS = 0.7, 1.2
    """A second and pixel: below the first the pictures get smaller, above the second larger."""
    PATIENCE = 2 * VIDEO_RATE
    """Ticks between two changes of scale: each is a keyframe."""

    def __init__(self, codec: RTCRtpCodecParameters, limits: Bitrate, hardware: bool) -> None:
        self.target: int | None = None
        self.bitrate = 0
        self.most = 0
        self._codec = codec.name
        self._limits = limits
        self._hardware = hardware
        self._encoder: Encoder | None = None
        self._picture_id = int.from_bytes(os.urandom(2), "big")
        self._pts: int | None = None
        self._scale = 0
        self._scaled_at = 0
        self._clock = 0

    def encode(self, frame: av.VideoFrame, pts: int, keyframe: bool) -> Encoded | None:
        """A picture at ``pts`` of its source's clock; None when the encoder leaves it out, since
        the ones before took more than their share. Raises EncoderError."""
        step = USUAL_STEP if self._pts is None else pts - self._pts
        # A source may begin anew; encoders take only times that go on, and their rate follows.
        step = step if 0 < step <= VIDEO_RATE else USUAL_STEP
        self._pts = pts
        self._clock += step
        least, start, self.most = self._limits.limits(frame.width, frame.height)
        most = self.most
        bitrate = start if self.target is None else min(max(self.target, least), most)
        self.bitrate = bitrate
        frame = self._fit(frame, bitrate)
        encoder = self._encoder
        if encoder is None or (encoder.width, encoder.height) != (frame.width, frame.height):
            if encoder is not None:
                encoder.close()
            encoder = self._encoder = self._make(frame, bitrate, most)
        elif abs(encoder.bitrate - bitrate) > encoder.least_change * encoder.bitrate:
            encoder.bitrate = bitrate
        try:
            data = encoder.encode(frame, step, keyframe)
        except Exception:
            self._encoder = None  # one bad frame ends nothing: the next gets a new encoder
            self._hardware = False
            raise
        if not data:
            return None
        size = (frame.width, frame.height)
        if self._codec == "VP8":
            self._picture_id = (self._picture_id + 1) & 0x7FFF
            return Encoded(vp8_payloads(data, self._picture_id), is_keyframe("VP8", data), size)
        return Encoded(h264_payloads(data), is_keyframe("H264", data), size)

    def close(self) -> None:
        """Free the encoder."""
        if self._encoder is not None:
            self._encoder.close()
            self._encoder = None

    def _make(self, frame: av.VideoFrame, bitrate: int, most: int) -> Encoder:
        width, height = frame.width, frame.height
        # More threads bring nothing to small pictures, and one session must not take all cores.
        threads = min(4 if width * height > 1280 * 720 else 2, max((os.cpu_count() or 1) // 2, 1))
        if self._codec == "H264":
            # Asked here, on the encoder's thread: a driver takes its time.
            if self._hardware and (name := h264.hardware()) is not None:
                try:
                    return h264.H264Encoder(width, height, bitrate, most, threads, name)
                except EncoderError as error:  # this size, or as many at once, it cannot
                    logger.warning("H.264 is encoded by libx264: %s", error)
                    self._hardware = False
            return h264.H264Encoder(width, height, bitrate, most, threads)
        if vpx.available():
            return vpx.Vp8Encoder(width, height, bitrate, threads)
        return FfmpegVp8Encoder(width, height, bitrate)

    def _fit(self, frame: av.VideoFrame, bitrate: int) -> av.VideoFrame:
        """The picture in yuv420p, as small as the bitrate asks, and as even as the codec asks."""
        if frame.format.name != "yuv420p":
            frame = frame.reformat(format="yuv420p")
        bits = bitrate / (frame.width * frame.height)
        if self._clock - self._scaled_at > self.PATIENCE or self._encoder is None:
            scale = self._scale
            while scale + 1 < len(self.SCALES) and bits < self.LEAST_BITS * self.SCALES[scale] ** 2:
                scale += 1
            while scale and bits > self.ENOUGH_BITS * self.SCALES[scale - 1] ** 2:
                scale -= 1
            if scale != self._scale:
                self._scale, self._scaled_at = scale, self._clock
        factor = self.SCALES[self._scale]
        width = max(round(frame.width * factor), 2)
        height = max(round(frame.height * factor), 2)
        if self._codec == "H264":  # it cannot say odd sizes in 4:2:0
            width, height = width + width % 2, height + height % 2
        if (width, height) == (frame.width, frame.height):
            return frame
        if factor == 1.0:
            return _padded(frame, width, height)
        return _resized(frame, width, height)


def _resized(frame: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
    smaller = av.VideoFrame(width, height, "yuv420p")
    for source, target in zip(planes(frame), planes(smaller), strict=True):
        rows, columns = target.shape
        target[...] = cv2.resize(source, (columns, rows), interpolation=cv2.INTER_AREA)
    return smaller


def _padded(frame: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
    """The frame with its last column or row twice."""
    padded = av.VideoFrame(width, height, "yuv420p")
    for source, target in zip(planes(frame), planes(padded), strict=True):
        (rows, columns), (had_rows, had_columns) = target.shape, source.shape
        missing = ((0, rows - had_rows), (0, columns - had_columns))
        target[...] = np.pad(source, missing, "edge")
    return padded


class AudioEncoder:
    """Sound as one codec says it: Opus for music as well as speech (aiortc's is tuned for the
    telephone, ``voip``), G.711 and G.722 by aiortc."""

    def __init__(self, codec: RTCRtpCodecParameters) -> None:
        self._opus = _opus() if codec.name == "opus" else None
        self._other = None if codec.name == "opus" else get_encoder(codec)

    def encode(self, frame: av.AudioFrame) -> list[Encoded]:
        """20 ms of s16 stereo at 48 kHz; each packet is a frame of its own."""
        if self._opus is not None:
            payloads = [bytes(packet) for packet in self._opus.encode(frame)]
        else:
            assert self._other is not None
            payloads, _ = self._other.encode(frame)
        return [Encoded([payload], True) for payload in payloads]


def _opus() -> av.AudioCodecContext:
    codec = av.AudioCodecContext.create("libopus", "w")
    codec.sample_rate = AUDIO_RATE
    codec.format = "s16"
    codec.layout = "stereo"
    codec.bit_rate = 128_000
    codec.time_base = TIME_BASE
    codec.options = {"application": "audio", "frame_duration": "20"}
    return codec
