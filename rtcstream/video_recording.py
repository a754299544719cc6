"""Camera and microphone, recorded to an .mp4 as they come."""

import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av

from .annotations import SAMPLE_RATE, Take
from .recording import Told
from .takes import VideoRecording
from .transport.clock import VIDEO_RATE

MOST_BYTES = 256 * 1024 * 1024


class VideoRecorder:
    """Records from ``record(True)`` to ``record(False)``, and gives the recording to ``give``.

    Frames are encoded on the decoders' threads, as they come: a minute is some megabytes. The
    first picture decides the size.
    """

    def __init__(self, take: Take, give: Callable[[VideoRecording], None], told: Told) -> None:
        self._limit = take.seconds
        self._give = give
        self._told = told
        self._lock = threading.Lock()
        self._film: _Film | None = None

    def record(self, on: bool) -> None:
        """Begin a recording, dropping one that is under way; or end it and give it."""
        if not on:
            self._end()
            return
        with self._lock:
            dropped, self._film = self._film, _Film()
        if dropped is not None:
            dropped.delete()
        self._told.on_state("recording")

    def put_picture(self, frame: av.VideoFrame) -> None:
        """A picture from the peer."""
        with self._lock:
            film = self._film
            if film is None:
                return
            film.add_picture(frame)
            seconds, full = film.seconds, film.seconds >= self._limit or film.bytes > MOST_BYTES
            show = film.pictures % 8 == 0
        if show:
            share = min(seconds / self._limit, 1.0)
            self._told.progress(share, f"{seconds:.0f} of {self._limit:.0f} s")
        if full:
            self._told.on_warning(f"the recording ended at {seconds:.0f} seconds, its limit")
            self._end()

    def put_sound(self, frame: av.AudioFrame) -> None:
        """Sound from the peer."""
        with self._lock:
            if self._film is not None:
                self._film.add_sound(frame)

    def close(self) -> None:
        """Drop what is under way."""
        with self._lock:
            film, self._film = self._film, None
        if film is not None:
            film.delete()

    def _end(self) -> None:
        with self._lock:
            film, self._film = self._film, None
            if film is None:
                return
            film.finish()
        if film.pictures:
            self._give(VideoRecording(film.path, film.seconds, film.delete))
            return
        film.delete()
        self._told.on_warning("nothing was recorded: no picture came from the camera")
        self._told.on_state("finished")


class _Film:
    """The file that is being written."""

    def __init__(self) -> None:
        self.pictures = 0
        self.seconds = 0.0
        self._folder = TemporaryDirectory(prefix="rtcstream-")
        self.path = Path(self._folder.name) / "take.mp4"
        self._began = time.monotonic()
        self._container = av.open(self.path, "w")
        self._video: Any = None
        # Both streams stand in the header, which is written with the first packet.
        self._audio: Any = self._container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
        self._resampler = av.AudioResampler("fltp", "stereo", SAMPLE_RATE, frame_size=1024)
        self._first_picture: tuple[int, float] | None = None
        self._sound_pts: int | None = None

    @property
    def bytes(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def add_picture(self, frame: av.VideoFrame) -> None:
        pts = frame.pts or 0
        if self._first_picture is None:
            self._first_picture = pts, time.monotonic() - self._began
            self._video = self._container.add_stream("libx264", rate=30)
            self._video.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": "23"}
            self._video.width = frame.width - frame.width % 2
            self._video.height = frame.height - frame.height % 2
            self._video.pix_fmt = "yuv420p"
            self._video.time_base = Fraction(1, VIDEO_RATE)
            self._video.codec_context.time_base = Fraction(1, VIDEO_RATE)
        first, offset = self._first_picture
        picture = frame.reformat(self._video.width, self._video.height, "yuv420p")
        picture.pts = pts - first + round(offset * VIDEO_RATE)
        picture.time_base = Fraction(1, VIDEO_RATE)
        self._container.mux(self._video.encode(picture))
        self.pictures += 1
        self.seconds = (picture.pts or 0) / VIDEO_RATE

    def add_sound(self, frame: av.AudioFrame) -> None:
        if self._video is None:
            return  # the film begins with its first picture
        if self._sound_pts is None:
            self._sound_pts = round((time.monotonic() - self._began) * SAMPLE_RATE)
        frame.pts = None
        for part in self._resampler.resample(frame):
            part.pts, part.time_base = self._sound_pts, Fraction(1, SAMPLE_RATE)
            self._sound_pts += part.samples
            self._container.mux(self._audio.encode(part))

    def finish(self) -> None:
        if self._video is not None:
            self._container.mux(self._video.encode(None))
            self._container.mux(self._audio.encode(None))
        self._container.close()

    def delete(self) -> None:
        self._container.close()
        self._folder.cleanup()
