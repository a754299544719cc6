"""H.264 by FFmpeg: libx264, or an encoder in hardware where one really works."""

import functools
import logging
from fractions import Fraction

import av
from av.video.frame import PictureType

from ..errors import EncoderError
from .clock import VIDEO_TIME_BASE

logger = logging.getLogger(__name__)

HARDWARE = ("h264_nvenc", "h264_qsv", "h264_v4l2m2m")
FAST_PIXELS = 640 * 480
"""Larger pictures take a faster preset: what it costs in quality, their bitrate makes up for."""

OPTIONS = {
    "libx264": {"tune": "zerolatency", "forced-idr": "1", "sc_threshold": "0"},
    "h264_nvenc": {
        "preset": "p3",
        "tune": "ull",
        "zerolatency": "1",
        "delay": "0",
        "forced-idr": "1",
        "rc": "cbr",
        "bf": "0",
    },
    "h264_qsv": {"preset": "veryfast", "async_depth": "1", "forced_idr": "1", "bf": "0"},
    "h264_v4l2m2m": {},
}


class H264Encoder:
    """Pictures of one even size to H.264 frames in Annex B, constrained baseline.

    ``bitrate`` (bits a second, up to ``most``) can be set while it runs: libx264 follows within
    about a second, without a keyframe. Belongs to one thread at a time. Raises EncoderError.
    """

    def __init__(
        self,
        width: int,
        height: int,
        bitrate: int,
        most: int,
        threads: int = 1,
        name: str = "libx264",
    ) -> None:
        self.width, self.height, self.name = width, height, name
        # Hardware may begin a new sequence with each: its driver is told so by FFmpeg.
        self.least_change = 0.02 if name == "libx264" else 0.2
        try:
            codec = av.CodecContext.create(name, "w")
            assert isinstance(codec, av.VideoCodecContext)
        except (av.FFmpegError, ValueError) as error:
            raise EncoderError(f"{name}: {error}") from error
        codec.width, codec.height = width, height
        codec.pix_fmt = "yuv420p"
        codec.time_base, codec.framerate = VIDEO_TIME_BASE, Fraction(30, 1)
        codec.gop_size = 3000
        codec.max_b_frames = 0
        codec.thread_count = threads
        options = dict(OPTIONS[name])
        if name == "libx264":
            options["preset"] = "veryfast" if width * height <= FAST_PIXELS else "superfast"
            # Constant bitrate, which follows what it is asked for as it runs; PyAV cannot change
            # the bound of its buffer, so it begins with that of the most it will be asked for.
            options["maxrate"], options["bufsize"] = str(most), str(most // 2)
            codec.thread_type = "SLICE"
        codec.profile = "Constrained Baseline" if name == "libx264" else "Baseline"
        codec.bit_rate = most
        codec.options = options
        self._codec = codec
        self._pts = 0
        try:
            codec.open()
        except av.FFmpegError as error:
            raise EncoderError(f"{name}: {error.strerror}") from error
        codec.bit_rate = bitrate

    @property
    def bitrate(self) -> int:
        return int(self._codec.bit_rate or 0)

    @bitrate.setter
    def bitrate(self, bitrate: int) -> None:
        self._codec.bit_rate = bitrate

    def encode(self, frame: av.VideoFrame, step: int, keyframe: bool) -> bytes:
        """One yuv420p frame of the encoder's size, ``step`` ticks of 90 kHz after the last."""
        self._pts += step
        # Each time: PyAV rescales them in place.
        frame.pts, frame.time_base = self._pts, VIDEO_TIME_BASE
        frame.pict_type = PictureType.I if keyframe else PictureType.NONE
        try:
            return b"".join(bytes(packet) for packet in self._codec.encode(frame))
        except av.FFmpegError as error:
            raise EncoderError(f"{self.name}: {error.strerror}") from error

    def close(self) -> None:
        """Nothing to do: FFmpeg frees it when it is collected."""


@functools.cache
def hardware() -> str | None:
    """The encoder in hardware that encodes a picture here, if there is one; the log says which,
    and why not the others. Takes some tenths of a second where there is a driver."""
    frame = av.VideoFrame(640, 480, "yuv420p")
    for name in HARDWARE:
        try:
            encoder = H264Encoder(640, 480, 1_000_000, 1_000_000, name=name)
            data = b""
            for _ in range(4):
                data += encoder.encode(frame, 3000, keyframe=True)
            if not data:
                raise EncoderError(f"{name}: it gives nothing for four pictures")
        except Exception as error:  # whatever a driver makes of it: there is always libx264
            logger.info("not encoding in hardware by %s: %s", name, error)
        else:
            logger.info("H.264 is encoded in hardware, by %s", name)
            return name
    return None
