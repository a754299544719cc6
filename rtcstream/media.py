"""av frames to numpy pictures and back."""

import os
from typing import Any, Literal

# Read when OpenCV is loaded: its threads then sleep while there is nothing to do, where they spin
# for some milliseconds after each call. A program that has imported it before is not reached.
os.environ.setdefault("OPENCV_THREAD_POOL_ACTIVE_WAIT_WORKER", "0")

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from .errors import ResultError

SMALLEST, LARGEST = 2, 8192
"""Width and height in pixels of a picture that can be sent."""

Channels = Literal["bgr24", "rgb24"]

_TO_COLOUR = {
    ("bgr24", 1): cv2.COLOR_GRAY2BGR,
    ("rgb24", 1): cv2.COLOR_GRAY2RGB,
    ("bgr24", 4): cv2.COLOR_BGRA2BGR,
    ("rgb24", 4): cv2.COLOR_RGBA2RGB,
}
_TO_I420 = {"bgr24": cv2.COLOR_BGR2YUV_I420, "rgb24": cv2.COLOR_RGB2YUV_I420}
_FROM_I420 = {"bgr24": cv2.COLOR_YUV2BGR_I420, "rgb24": cv2.COLOR_YUV2RGB_I420}

SERIAL_PIXELS = 320 * 240
"""From this many pixels on OpenCV shares a conversion out to all cores, which then spin while they
wait: five times the processor's work for a picture of 640x480."""

# The conversions go through OpenCV: libswscale is slower at them (1.0 against 0.3 ms for 720p to
# I420), and with PyAV's tightly allocated frames it has crashed on odd widths. OpenCV's I420 is
# one array, Y above U above V, of even width and height; odd pictures are padded by their edge.
# They go strip by strip, each too small to be shared out, and small enough for the cache.


def leave_room() -> None:
    """Let OpenCV share a call out to half of the cores, unless it has been told otherwise.

    The other half is for the codecs and for other sessions, and on two cores its threads cost more
    than they bring: a 3x3 blur of 640x480 takes three times the processor's work.
    """
    if cv2.getNumThreads() == cv2.getNumberOfCPUs():
        cv2.setNumThreads(max(cv2.getNumberOfCPUs() // 2, 1))


def to_array(frame: av.VideoFrame, channels: Channels) -> NDArray[np.uint8]:
    """The picture as uint8 ``(height, width, 3)``: writable, and nobody else's."""
    frame = to_yuv420p(frame)
    return from_planes(planes(frame), frame.width, channels)


def to_yuv420p(frame: av.VideoFrame) -> av.VideoFrame:
    """The same picture in the codecs' own format."""
    return frame if frame.format.name == "yuv420p" else frame.reformat(format="yuv420p")


def from_planes(
    sources: list[NDArray[np.uint8]], width: int, channels: Channels
) -> NDArray[np.uint8]:
    """The picture whose Y, U and V these are, as ``to_array`` gives it."""
    height = sources[0].shape[0]
    picture = np.empty((height, width, 3), np.uint8)
    for top, rows in _strips(height, width):
        i420 = np.empty(((rows + 1) // 2 * 3, (width + 1) // 2 * 2), np.uint8)
        for target, source in zip(_planes_of_i420(i420), _rows(sources, top, rows), strict=True):
            target[: source.shape[0], : source.shape[1]] = source
        strip = picture[top : top + rows]
        if i420.shape[0] * 2 // 3 == rows and i420.shape[1] == width:
            cv2.cvtColor(i420, _FROM_I420[channels], dst=strip)
        else:
            strip[...] = cv2.cvtColor(i420, _FROM_I420[channels])[:rows, :width]
    return picture


def to_frame(picture: Any, channels: Channels) -> av.VideoFrame:
    """What a function returned as a yuv420p frame, the encoders' own format.

    Takes what ``rtcstream.Image`` promises; raises ResultError saying what is wrong otherwise.
    """
    colour = to_colour(picture, channels)
    frame = av.VideoFrame(colour.shape[1], colour.shape[0], "yuv420p")
    to_planes(colour, planes(frame), channels)
    return frame


def to_colour(picture: Any, channels: Channels) -> NDArray[np.uint8]:
    """What ``to_frame`` takes as uint8 ``(height, width, 3)``; raises the same."""
    return _to_colour(_to_uint8(_checked(picture)), channels)


def to_planes(
    colour: NDArray[np.uint8], targets: list[NDArray[np.uint8]], channels: Channels
) -> None:
    """Write a picture in colour to the Y, U and V of a yuv420p picture of its size."""
    height, width = colour.shape[:2]
    for top, rows in _strips(height, width):
        strip = colour[top : top + rows]
        if rows % 2 or width % 2:
            strip = np.pad(strip, ((0, rows % 2), (0, width % 2), (0, 0)), "edge")
        i420 = np.asarray(cv2.cvtColor(strip, _TO_I420[channels]), np.uint8)
        for target, source in zip(_rows(targets, top, rows), _planes_of_i420(i420), strict=True):
            target[...] = source[: target.shape[0], : target.shape[1]]


def _strips(height: int, width: int) -> list[tuple[int, int]]:
    """The first row and the number of rows of each strip; even numbers, but for the last."""
    most = max((SERIAL_PIXELS - 1) // width // 2 * 2, 2)
    return [(top, min(most, height - top)) for top in range(0, height, most)]


def _rows(planes: list[NDArray[np.uint8]], top: int, rows: int) -> list[NDArray[np.uint8]]:
    """A strip of each plane; the colours have half the rows."""
    half, end = top // 2, (top + rows + 1) // 2
    return [planes[0][top : top + rows], planes[1][half:end], planes[2][half:end]]


def planes(frame: av.VideoFrame) -> list[NDArray[np.uint8]]:
    """Views of a yuv420p frame's Y, U and V, without the padding at the end of each line."""
    return [
        np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[
            : plane.height, : plane.width
        ]
        for plane in frame.planes
    ]


def _planes_of_i420(i420: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    height, width = i420.shape[0] * 2 // 3, i420.shape[1]
    chroma = i420[height:].reshape(2, height // 2, width // 2)
    return [i420[:height], chroma[0], chroma[1]]


def _checked(picture: Any) -> NDArray[Any]:
    if not isinstance(picture, np.ndarray):
        raise ResultError(
            f"an image must be a numpy array of shape (height, width, 3), "
            f"not {type(picture).__module__}.{type(picture).__name__}".replace("builtins.", "")
        )
    if picture.ndim not in (2, 3) or (picture.ndim == 3 and picture.shape[2] not in (1, 3, 4)):
        raise ResultError(
            f"an image must have the shape (height, width), or (height, width, channels) with "
            f"1, 3 or 4 channels, not {picture.shape}"
        )
    height, width = picture.shape[:2]
    if not (SMALLEST <= height <= LARGEST and SMALLEST <= width <= LARGEST):
        raise ResultError(
            f"an image must be {SMALLEST} to {LARGEST} pixels wide and high, not {width}x{height}"
        )
    return picture


def _to_uint8(picture: NDArray[Any]) -> NDArray[np.uint8]:
    if picture.dtype == np.uint8:
        return picture
    if picture.dtype == np.bool_:
        return picture.astype(np.uint8) * np.uint8(255)
    if picture.dtype.kind != "f":
        raise ResultError(
            f"an image must be uint8, or float in 0..1, not {picture.dtype}; "
            "convert it with .astype(np.uint8)"
        )
    low, high = float(picture.min()), float(picture.max())
    # Rounding may leave 0..1 by a little; anything more is a mistake, and clipping would hide it.
    if not (low >= -1e-3 and high <= 1 + 1e-3):
        raise ResultError(f"a float image must lie in 0..1, but this one {_beyond(low, high)}")
    scaled: NDArray[Any] = np.clip(picture, 0, 1) * 255
    return np.asarray(np.rint(scaled), np.uint8)


def _beyond(low: float, high: float) -> str:
    # Without the numbers, which differ from frame to frame: repeats are counted by their words.
    if low == low and high == high:
        where = "goes above 1" if high > 1 else "goes below 0"
        return f"{where}; divide it by 255, np.clip it, or return .astype(np.uint8)"
    return "has NaN in it; np.nan_to_num makes 0 of each"


def _to_colour(picture: NDArray[np.uint8], channels: Channels) -> NDArray[np.uint8]:
    picture = np.ascontiguousarray(picture)
    count = 1 if picture.ndim == 2 else picture.shape[2]
    if count == 3:
        return picture
    if count == 4 and int(picture[..., 3].min()) < 255:
        alpha = picture[..., 3:].astype(np.uint16)
        blended: NDArray[np.uint8] = ((picture[..., :3] * alpha + 127) // 255).astype(np.uint8)
        return blended
    return np.asarray(cv2.cvtColor(picture, _TO_COLOUR[channels, count]), np.uint8)
