"""Sound for tests: a known signal in any form, and what to compare it by."""

import functools
import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from rtcstream.annotations import SAMPLE_RATE
from rtcstream.media import to_frame

RATE = SAMPLE_RATE
FPS = 25
STEP = RATE // FPS


def sweep(seconds: float, rate: int = RATE, start: float = 0.0) -> NDArray[np.float32]:
    """A tone that rises for ten seconds and begins again, with the beat of speech: no part of it
    is like another."""
    t = start + np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * (300 * t + 75 * (t % 10) ** 2)
    return np.asarray(0.4 * np.sin(phase) * (0.7 + 0.3 * np.sin(2 * np.pi * 3.1 * t)), np.float32)


def tone(hz: float, seconds: float, rate: int = RATE) -> NDArray[np.float32]:
    """A sine at half of full scale."""
    t = np.arange(round(seconds * rate)) / rate
    return np.asarray(0.5 * np.sin(2 * np.pi * hz * t), np.float32)


def lag(signal: NDArray[Any], found: NDArray[Any], longest: int) -> int:
    """By how many samples `found` is later than `signal`, from 0 to `longest`."""
    length = min(len(signal), len(found) - longest, RATE)
    spectrum = np.fft.rfft(found[: length + longest], 2 * (length + longest))
    spectrum *= np.conj(np.fft.rfft(signal[:length], 2 * (length + longest)))
    return int(np.argmax(np.fft.irfft(spectrum)[: longest + 1]))


def likeness(signal: NDArray[Any], found: NDArray[Any], window: int = RATE // 20) -> float:
    """The least correlation of two signals among their windows: a hole or a repeat is seen."""
    length = min(len(signal), len(found)) // window * window
    a = np.asarray(signal[:length], np.float64).reshape(-1, window)
    b = np.asarray(found[:length], np.float64).reshape(-1, window)
    scale = np.sqrt((a * a).sum(1) * (b * b).sum(1))
    return float(((a * b).sum(1) / np.maximum(scale, 1e-9)).min())


def frequency(sound: NDArray[Any], rate: int = RATE) -> float:
    """The frequency of a tone in Hz, from the advance of its phase; much finer than a spectrum."""
    whole = np.asarray(sound, np.float64)
    spectrum = np.abs(np.fft.rfft(whole * np.hanning(len(whole))))
    rough = np.argmax(spectrum) * rate / len(whole)
    return float(rough + phases(whole, rough, rate)[1])


def phases(sound: NDArray[Any], hz: float, rate: int = RATE) -> tuple[NDArray[np.float64], float]:
    """How far each 20 ms of a tone are from one straight line of phase, in radians, and by how
    many Hz that line differs from `hz`."""
    window = rate // 50
    whole = np.asarray(sound[: len(sound) // window * window], np.float64)
    turning = np.exp(-2j * np.pi * hz * np.arange(len(whole)) / rate)
    angles = np.unwrap(np.angle((whole * turning).reshape(-1, window).sum(1)))
    times = np.arange(len(angles)) * window / rate
    slope, offset = np.polyfit(times, angles, 1)
    return angles - slope * times - offset, float(slope / (2 * np.pi))


# Files


def grey(number: int) -> int:
    """The grey of the picture of this number."""
    return 30 + number * 37 % 190


@functools.cache
def encoded(kind: str, seconds: float = 2.0, start: float = 0.0) -> bytes:
    """A whole file with the sweep, and 25 pictures a second where its kind has any."""
    muxer, _, _, options = KINDS[kind]
    with tempfile.TemporaryDirectory() as folder:  # faststart wants a name to read again
        path = Path(folder) / "file"
        with av.open(str(path), "w", format=muxer, options=options) as container:
            _write(container, kind, seconds, start)
        return path.read_bytes()


def _write(container: Any, kind: str, seconds: float, start: float) -> None:
    _, sound, picture, _ = KINDS[kind]
    streams: list[tuple[Any, Callable[[], Any]]] = []
    if picture:
        video = container.add_stream(picture, rate=FPS)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.codec_context.options = {"preset": "ultrafast", "tune": "zerolatency"}
        pictures = iter([_picture(number) for number in range(round(seconds * FPS))])
        streams.append((video, lambda: next(pictures, None)))
    if sound:
        codec, rate, layout = sound
        audio = container.add_stream(codec, rate=rate, layout=layout)
        parts = iter(_parts(sweep(seconds, rate, start), rate, layout))
        streams.append((audio, lambda: next(parts, None)))
    while streams:
        for each in list(streams):
            stream, following = each
            frame = following()
            container.mux(stream.encode(frame))
            if frame is None:
                streams.remove(each)


def _picture(number: int) -> av.VideoFrame:
    frame = to_frame(np.full((48, 64), grey(number), np.uint8), "bgr24")
    frame.pts, frame.time_base = number, Fraction(1, FPS)
    return frame


def _parts(sound: NDArray[np.float32], rate: int, layout: str) -> list[av.AudioFrame]:
    frames = []
    for begin in range(0, len(sound), rate // FPS):
        part = np.rint(sound[begin : begin + rate // FPS] * 32767).astype(np.int16)
        both = np.repeat(part, 2 if layout == "stereo" else 1)
        frame = av.AudioFrame.from_ndarray(both[None], "s16", layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, begin, Fraction(1, rate)
        frames.append(frame)
    return frames


MP3, AAC = ("libmp3lame", 44_100, "stereo"), ("aac", 44_100, "stereo")
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}

KINDS: dict[str, tuple[str, tuple[str, int, str] | None, str | None, dict[str, str]]] = {
    "mp3": ("mp3", MP3, None, {}),
    "mp3 at 22050 Hz": ("mp3", ("libmp3lame", 22_050, "mono"), None, {}),
    "wav": ("wav", ("pcm_s16le", 48_000, "stereo"), None, {}),
    "wav at 16 kHz": ("wav", ("pcm_s16le", 16_000, "mono"), None, {}),
    "ogg": ("ogg", ("libopus", 48_000, "stereo"), None, {}),
    "flac": ("flac", ("flac", 44_100, "stereo"), None, {}),
    "aac": ("adts", AAC, None, {}),
    "m4a": ("ipod", AAC, None, {}),
    "m4a, index first": ("ipod", AAC, None, {"movflags": "faststart"}),
    "mp4": ("mp4", AAC, "libx264", {}),
    "mp4, index first": ("mp4", AAC, "libx264", {"movflags": "faststart"}),
    "mp4 in fragments": ("mp4", AAC, "libx264", FRAGMENTS),
    "ts": ("mpegts", AAC, "libx264", {}),
    "silent mp4": ("mp4", None, "libx264", {}),
}
"""Muxer, codec of the sound with its rate and layout, codec of the pictures, options."""
