"""Draws a film of ten seconds, with a tune, for the examples that play one."""

import functools
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from ._pictures import scene

FPS, RATE, SECONDS = 25, 44_100, 10
TUNE = [392, 440, 494, 587, 494, 440, 392, 294]  # Hz, half a second each


@functools.cache
def drawn_film() -> Path:
    """The path of an mp4 with H.264 and AAC, made once; it is deleted with the process."""
    path = Path(_folder().name, "balloon.mp4")
    with av.open(path, "w") as film:
        video = film.add_stream("libx264", rate=FPS, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 640, 360, "yuv420p"
        audio = film.add_stream("aac", rate=RATE, layout="mono")
        for second in range(SECONDS):
            for number in range(second * FPS, (second + 1) * FPS):
                place = 80 + number * 480 // (SECONDS * FPS)
                picture = av.VideoFrame.from_ndarray(scene(balloon=place), format="bgr24")
                picture.pts, picture.time_base = number, Fraction(1, FPS)
                film.mux(video.encode(picture))
            sound = av.AudioFrame.from_ndarray(_second(second), format="fltp", layout="mono")
            sound.sample_rate = RATE
            sound.pts, sound.time_base = second * RATE, Fraction(1, RATE)
            film.mux(audio.encode(sound))
        film.mux(video.encode(None))
        film.mux(audio.encode(None))
    return path


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="rtcstream-")


def _second(second: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    time = np.arange(RATE // 2) / RATE
    notes = [TUNE[(2 * second + half) % len(TUNE)] for half in (0, 1)]
    tones = [np.sin(2 * np.pi * hz * time) * np.exp(-4 * time) * 0.4 for hz in notes]
    return np.concatenate(tones).astype(np.float32)[None]
