"""Camera and microphone, recorded to an .mp4 as they come."""

import contextlib
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av

from .annotations import SAMPLE_RATE, Sound, Take
from .recording import Told
from .samples import Blocks
from .takes import VideoRecording
from .transport.clock import VIDEO_RATE, VIDEO_TIME_BASE

MOST_BYTES = 256 * 1024 * 1024


class VideoRecorder:
    """Records from ``record(True)`` to ``record(False)``, and gives the recording to ``give``.

    Frames are encoded on the decoders' threads, as they come: a minute is some megabytes. The
    first picture begins the film and decides its size; without one there is no file.
    """

    def __init__(self, take: Take, give: Callable[[VideoRecording], None], told: Told) -> None:
        self._limit = take.seconds
        self._give = give
        self._told = told
        self._lock = threading.Lock()
        self._recording = False
        self._film: _Film | None = None

    def record(self, on: bool) -> None:
        """Begin a recording, dropping one that is under way; or end it and give it."""
        if not on:
            self._end()
            return
        self._drop(recording=True)
        self._told.on_state("recording")

    def put_picture(self, frame: av.VideoFrame) -> None:
        """A picture from the peer."""
        self._put(frame)

    def put_sound(self, frame: av.AudioFrame) -> None:
        """Sound from the peer."""
        self._put(frame)

    def close(self) -> None:
        """Drop what is under way."""
        self._drop(recording=False)

    def _put(self, frame: av.VideoFrame | av.AudioFrame) -> None:
        came = time.monotonic()  # before the lock: the other kind may be being encoded
        try:
            with self._lock:
                if not self._recording:
                    return
                if isinstance(frame, av.VideoFrame):
                    film = self._film = self._film or _Film(frame, came)
                    film.add_picture(frame)
                    show = film.pictures % 8 == 0
                elif self._film is None:
                    return
                else:
                    film, show = self._film, False
                    film.add_sound(frame, came)
                seconds = film.seconds
                full = seconds >= self._limit or film.bytes > MOST_BYTES
        except Exception as error:  # no room on the disk, or times that lead nowhere
            self._drop(recording=False)
            self._failed(error)
            return
        if show:
            share = min(seconds / self._limit, 1.0)
            self._told.progress(share, f"{seconds:.0f} of {self._limit:.0f} s")
        if full:
            self._told.on_warning(f"the recording ended at {seconds:.0f} seconds, its limit")
            self._end()

    def _drop(self, recording: bool) -> None:
        with self._lock:
            film, self._film = self._film, None
            self._recording = recording
        if film is not None:
            film.delete()

    def _end(self) -> None:
        with self._lock:
            film, self._film = self._film, None
            was, self._recording = self._recording, False
        if film is not None:
            try:
                film.finish()
            except Exception as error:
                film.delete()
                self._failed(error)
                return
            self._give(VideoRecording(film.path, film.seconds, film.delete))
        elif was:
            self._told.on_warning("nothing was recorded: no picture came from the camera")
            self._told.on_state("finished")

    def _failed(self, error: Exception) -> None:
        self._told.on_warning(f"the recording failed: {error}")
        self._told.on_state("finished")


class _Film:
    """The file that is being written."""

    def __init__(self, first: av.VideoFrame, began: float) -> None:
        self.pictures = 0
        self.seconds = 0.0
        self._folder = TemporaryDirectory(prefix="rtcstream-")
        self.path = Path(self._folder.name) / "take.mp4"
        self._began = began
        self._container = av.open(self.path, "w")
        # Both streams stand in the header, which is written with the first packet.
        self._audio: Any = self._container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
        self._blocks = Blocks(Sound(seconds=1024 / SAMPLE_RATE, channels=2))  # AAC's frames
        self._sound_origin: int | None = None
        self._video: Any = self._container.add_stream("libx264", rate=30)
        self._video.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": "23"}
        self._video.width = max(first.width - first.width % 2, 2)
        self._video.height = max(first.height - first.height % 2, 2)
        self._video.pix_fmt = "yuv420p"
        self._video.time_base = VIDEO_TIME_BASE
        self._video.codec_context.time_base = VIDEO_TIME_BASE
        self._origin = first.pts or 0
        self._last = -1

    @property
    def bytes(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def add_picture(self, frame: av.VideoFrame) -> None:
        pts = (frame.pts or 0) - self._origin
        if pts <= self._last:
            return  # a film goes forward only
        self._last = pts
        picture = frame.reformat(self._video.width, self._video.height, "yuv420p")
        picture.pts, picture.time_base = pts, VIDEO_TIME_BASE
        self._container.mux(self._video.encode(picture))
        self.pictures += 1
        self.seconds = max(self.seconds, pts / VIDEO_RATE)

    def add_sound(self, frame: av.AudioFrame, came: float) -> None:
        if self._sound_origin is None:
            self._sound_origin = (frame.pts or 0) - round((came - self._began) * SAMPLE_RATE)
        for block, pts in self._blocks.add(frame):  # lost packets as silence: lips stay with voice
            part = av.AudioFrame.from_ndarray(block, "fltp", "stereo")
            part.sample_rate = SAMPLE_RATE
            at = pts - self._sound_origin
            part.pts, part.time_base = at, Fraction(1, SAMPLE_RATE)
            self._container.mux(self._audio.encode(part))
            self.seconds = max(self.seconds, at / SAMPLE_RATE)

    def finish(self) -> None:
        self._container.mux(self._video.encode(None))
        self._container.mux(self._audio.encode(None))
        self._container.close()

    def delete(self) -> None:
        with contextlib.suppress(av.FFmpegError):  # it may have no room for its own end
            self._container.close()
        self._folder.cleanup()
