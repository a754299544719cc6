"""VP8 by libvpx itself, in the copy that PyAV brings.

FFmpeg's wrapper cannot change the bitrate of an encoder that runs, so each step of the estimate
would be a new encoder and a keyframe. The library is called through ctypes; since its structures
differ between versions, it is used only when their defaults are where they are expected, and
when what it encodes can be decoded: ``available`` tries it, once.
"""

import ctypes
import functools
import logging
from ctypes import POINTER, Structure, byref, c_int, c_int64, c_long, c_size_t, c_uint, c_void_p
from pathlib import Path

import av
import numpy as np

from ..errors import EncoderError
from .clock import VIDEO_RATE
from .libraries import carried

logger = logging.getLogger(__name__)

REALTIME = 1  # VPX_DL_REALTIME
FORCE_KEYFRAME = 1  # VPX_EFLAG_FORCE_KF
FRAME_IS_KEY = 1  # VPX_FRAME_IS_KEY
CBR = 1  # VPX_CBR
I420 = 0x102  # VPX_IMG_FMT_I420
ABI_MISMATCH = 3  # VPX_CODEC_ABI_MISMATCH
ABI_VERSIONS = range(20, 64)

# vp8e_enc_control_id in libvpx's vp8cx.h
CPU_USED, NOISE_SENSITIVITY, STATIC_THRESHOLD, MAX_INTRA_BITRATE = 13, 15, 17, 26

DROP, MOST_LEFT_OUT = 30, 2
"""Percent of the buffer below which frames are left out, and how many in a row at most: a third of
the frame rate is worse than all of it, but better than the second's freeze after a cut."""
SPEEDS = ((352 * 288, -6), (960 * 540, -12), (float("inf"), -16))
"""Pixels up to which each is encoded with so much care: from -6 to -12 the time falls by a third,
the picture by a decibel; aiortc's is two more below that. In large pictures -16 takes another sixth
off and costs next to nothing."""


class _Config(Structure):
    """The beginning of vpx_codec_enc_cfg_t, as it has been since libvpx 1.8."""

    _fields_ = (
        *((name, c_uint) for name in ("usage", "threads", "profile", "width", "height")),
        *((name, c_uint) for name in ("bit_depth", "input_bit_depth")),
        *((name, c_int) for name in ("timebase_num", "timebase_den")),
        *((name, c_uint) for name in ("error_resilient", "pass_", "lag_in_frames")),
        *((name, c_uint) for name in ("dropframe_threshold", "resize_allowed")),
        *((name, c_uint) for name in ("scaled_width", "scaled_height", "resize_up")),
        *((name, c_uint) for name in ("resize_down", "end_usage")),
        ("twopass_stats", c_void_p * 2),
        ("firstpass_stats", c_void_p * 2),
        *((name, c_uint) for name in ("target_bitrate", "min_quantizer", "max_quantizer")),
        *((name, c_uint) for name in ("undershoot", "overshoot")),
        *((name, c_uint) for name in ("buffer", "buffer_initial", "buffer_optimal")),
        *((name, c_uint) for name in ("vbr_bias", "vbr_min", "vbr_max", "vbr_complexity")),
        *((name, c_uint) for name in ("keyframe_mode", "keyframe_min", "keyframe_max")),
        ("rest", c_uint * 512),
    )


class _Image(Structure):
    """vpx_image_t."""

    _fields_ = (
        *((name, c_uint) for name in ("format", "colour_space", "range", "width", "height")),
        *((name, c_uint) for name in ("bit_depth", "display_width", "display_height")),
        *((name, c_uint) for name in ("render_width", "render_height", "x_shift", "y_shift")),
        ("planes", c_void_p * 4),
        ("strides", c_int * 4),
        ("rest", c_uint * 32),
    )


class _Packet(Structure):
    """The beginning of vpx_codec_cx_pkt_t, of kind 0: a compressed frame."""

    _fields_ = (
        ("kind", c_int),
        ("data", c_void_p),
        ("size", c_size_t),
        ("pts", c_int64),
        ("duration", ctypes.c_ulong),
        ("flags", ctypes.c_uint32),
    )


class _Library:
    """The functions, and the version of the interface that they take."""

    def __init__(self, path: Path) -> None:
        vpx = ctypes.CDLL(str(path))
        vpx.vpx_codec_vp8_cx.restype = c_void_p
        vpx.vpx_codec_enc_config_default.argtypes = (c_void_p, POINTER(_Config), c_uint)
        vpx.vpx_codec_enc_init_ver.argtypes = (
            *(c_void_p, c_void_p, POINTER(_Config), c_long, c_int),
        )
        vpx.vpx_codec_enc_config_set.argtypes = (c_void_p, POINTER(_Config))
        vpx.vpx_codec_encode.argtypes = (
            *(c_void_p, POINTER(_Image), c_int64, ctypes.c_ulong, c_long, ctypes.c_ulong),
        )
        vpx.vpx_codec_get_cx_data.argtypes = (c_void_p, POINTER(c_void_p))
        vpx.vpx_codec_get_cx_data.restype = POINTER(_Packet)
        # With fewer than are given, so that ctypes calls it as what it is: variadic.
        vpx.vpx_codec_control_.argtypes = (c_void_p, c_int)
        vpx.vpx_codec_destroy.argtypes = (c_void_p,)
        vpx.vpx_codec_err_to_string.restype = ctypes.c_char_p
        self.vpx = vpx
        self.vp8 = vpx.vpx_codec_vp8_cx()
        self.abi = next((version for version in ABI_VERSIONS if self._accepts(version)), None)
        if self.abi is None:
            raise EncoderError(f"{path.name} has an unknown interface")

    def default(self) -> _Config:
        """The encoder's defaults. Raises EncoderError when they are not where they should be."""
        config = _Config()
        self.check(self.vpx.vpx_codec_enc_config_default(self.vp8, byref(config), 0))
        names = "width height timebase_den target_bitrate max_quantizer buffer keyframe_max"
        if [getattr(config, name) for name in names.split()] != [320, 240, 30, 256, 63, 6000, 128]:
            raise EncoderError("libvpx's configuration is laid out in an unknown way")
        return config

    def check(self, code: int) -> None:
        if code:
            raise EncoderError(f"libvpx: {self.vpx.vpx_codec_err_to_string(code).decode()}")

    def _accepts(self, version: int) -> bool:
        context, config = (c_void_p * 64)(), self.default()
        code = self.vpx.vpx_codec_enc_init_ver(context, self.vp8, byref(config), 0, version)
        if code == 0:
            self.vpx.vpx_codec_destroy(context)
        return bool(code == 0)


class Vp8Encoder:
    """Pictures of one size to VP8 frames, for conversation: constant bitrate, no denoiser.

    ``bitrate`` (bits a second) can be set while it runs, without a keyframe. A frame may come to
    nothing when the last ones took more than their share. Belongs to one thread at a time.
    """

    BUFFER = 1000  # milliseconds of the bitrate that a moment may take beyond its share
    MAX_KEYFRAME = 900  # percent of a usual frame: as many frame times as it takes to send

    least_change = 0.02
    _open = False

    def __init__(self, width: int, height: int, bitrate: int, threads: int = 1) -> None:
        library = _library()
        config = library.default()
        config.width, config.height, config.threads = width, height, threads
        config.timebase_num, config.timebase_den = 1, VIDEO_RATE
        config.lag_in_frames, config.resize_allowed, config.error_resilient = 0, 0, 0
        config.dropframe_threshold = DROP
        config.end_usage = CBR
        config.target_bitrate = max(bitrate // 1000, 1)
        config.min_quantizer, config.max_quantizer = 2, 56
        config.undershoot, config.overshoot = 100, 15
        config.buffer, config.buffer_initial, config.buffer_optimal = self.BUFFER, 500, 600
        config.keyframe_mode, config.keyframe_max = 1, 3000
        self.width, self.height = width, height
        self._library, self._config = library, config
        self._context = (c_void_p * 64)()
        self._image = _Image(format=I420, width=width, height=height, bit_depth=8)
        self._image.display_width, self._image.display_height = width, height
        self._image.x_shift = self._image.y_shift = 1
        self._pts = self._left_out = 0
        init = library.vpx.vpx_codec_enc_init_ver
        library.check(init(self._context, library.vp8, byref(config), 0, library.abi))
        self._open = True
        self._control(CPU_USED, next(speed for most, speed in SPEEDS if width * height <= most))
        self._control(NOISE_SENSITIVITY, 0)  # the denoiser takes a third of the time, and 4 dB
        self._control(STATIC_THRESHOLD, 1)
        self._control(MAX_INTRA_BITRATE, self.MAX_KEYFRAME)

    @property
    def bitrate(self) -> int:
        return int(self._config.target_bitrate) * 1000

    @bitrate.setter
    def bitrate(self, bitrate: int) -> None:
        self._config.target_bitrate = max(bitrate // 1000, 1)
        vpx = self._library.vpx
        self._library.check(vpx.vpx_codec_enc_config_set(self._context, byref(self._config)))

    def encode(self, frame: av.VideoFrame, step: int, keyframe: bool) -> bytes:
        """One yuv420p frame of the encoder's size, ``step`` ticks of 90 kHz after the last; empty
        when it is left out."""
        if not self._open:
            raise EncoderError("the encoder is closed")
        if (frame.format.name, frame.width, frame.height) != ("yuv420p", self.width, self.height):
            raise EncoderError(f"{frame!r} is no yuv420p frame of {self.width}x{self.height}")
        for index, plane in enumerate(frame.planes):
            self._image.planes[index] = plane.buffer_ptr
            self._image.strides[index] = plane.line_size
        self._pts += step
        flags = FORCE_KEYFRAME if keyframe else 0
        vpx = self._library.vpx
        self._library.check(
            vpx.vpx_codec_encode(
                self._context, byref(self._image), self._pts, step, flags, REALTIME
            )
        )
        parts, iterator = [], c_void_p()
        while packet := vpx.vpx_codec_get_cx_data(self._context, byref(iterator)):
            if packet.contents.kind == 0:
                parts.append(ctypes.string_at(packet.contents.data, packet.contents.size))
        self._left_out = 0 if parts else self._left_out + 1
        drop = DROP if self._left_out < MOST_LEFT_OUT else 0
        if drop != self._config.dropframe_threshold:
            self._config.dropframe_threshold = drop
            self._library.check(vpx.vpx_codec_enc_config_set(self._context, byref(self._config)))
        return b"".join(parts)

    def close(self) -> None:
        """Free it; also done when it is collected."""
        if self._open:
            self._open = False
            self._library.vpx.vpx_codec_destroy(self._context)

    def __del__(self) -> None:
        self.close()

    def _control(self, name: int, value: int) -> None:
        control = self._library.vpx.vpx_codec_control_
        self._library.check(control(self._context, name, c_int(value)))


@functools.cache
def _library() -> _Library:
    """libvpx as PyAV's wheel has it. Raises EncoderError."""
    path = carried("vpx")
    if path is None:
        raise EncoderError("this PyAV brings no libvpx of its own")
    try:
        return _Library(path)
    except (OSError, AttributeError) as error:
        raise EncoderError(f"{path.name} cannot be used: {error}") from error


@functools.cache
def available() -> bool:
    """Whether libvpx is there and does what is expected of it: tried by encoding a picture."""
    try:
        frame = av.VideoFrame(64, 48, "yuv420p")
        ramp = np.add.outer(np.arange(48), np.arange(64)).astype(np.uint8)
        for plane in frame.planes:
            lines = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
            lines[:, : plane.width] = ramp[: plane.height, : plane.width]
        encoder = Vp8Encoder(64, 48, 1_000_000)
        data = encoder.encode(frame, 3000, keyframe=True)
        encoder.close()
        decoder = av.CodecContext.create("vp8", "r")
        [picture] = decoder.decode(av.Packet(data))
        decoded = picture.to_ndarray()[:48, :64]
        error = float(np.mean(np.abs(decoded.astype(int) - ramp)))
        if error > 4:
            raise EncoderError(f"its picture is {error:.0f} levels off")
    except (EncoderError, av.FFmpegError, ValueError) as error:
        logger.info("VP8 through FFmpeg, whose bitrate changes cost a keyframe each: %s", error)
        return False
    return True
