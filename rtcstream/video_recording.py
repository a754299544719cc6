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
from .recording import Bounds, Told
from .samples import Blocks
from .takes import VideoRecording
from .transport.clock import VIDEO_RATE, VIDEO_TIME_BASE


class VideoRecorder:
    """Records from ``record(True)`` to ``record(False)``, and gives the recording to ``give``.

    Frames are encoded on the decoders' threads, as they come: a minute is some megabytes. The
    first picture begins the film and decides its size; without one there is no file. As in a
    recorder of sound, the lock is held to the end of what a frame begins.
    """

    def __init__(self, take: Take, give: Callable[[VideoRecording], None], told: Told) -> None:
        self._limit = take.seconds
        self._give = give
        self._told = told
        self._lock = threading.Lock()
        self._recording = False
        self._bounds = Bounds(take.seconds, told)
        self._film: _Film | None = None

    def record(self, on: bool) -> None:
        """Begin a recording, dropping one that is under way; or end it and give it."""
        with self._lock:
            if on:
                self._drop(recording=True)
                self._bounds = Bounds(self._limit, self._told)
                self._told.on_state("recording")
            else:
                self._end()

    def put_picture(self, frame: av.VideoFrame) -> None:
        """A picture from the peer."""
        self._put(frame)

    def put_sound(self, frame: av.AudioFrame) -> None:
        """Sound from the peer."""
        self._put(frame)

    def close(self) -> None:
        """Drop what is under way."""
        with self._lock:
            self._drop(recording=False)

    def _put(self, frame: av.VideoFrame | av.AudioFrame) -> None:
        came = time.monotonic()  # before the lock: the other kind may be being encoded
        with self._lock:
            if not self._recording:
                return
            try:
                if isinstance(frame, av.VideoFrame):
                    self._film = self._film or _Film(frame, came)
                    self._film.add_picture(frame)
                elif self._film is None:
                    return
                else:
                    self._film.add_sound(frame, came)
                full = self._bounds.reached(self._film.seconds, self._film.bytes)
            except Exception as error:  # no room on the disk, or times that lead nowhere
                self._drop(recording=False)
                self._failed(error)
                return
            if full:
                self._end()

    def _drop(self, recording: bool) -> None:
        film, self._film = self._film, None
        self._recording = recording
        if film is not None:
            film.delete()

    def _end(self) -> None:
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
        self.seconds = 0.0
        self.bytes = 0
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

    def add_picture(self, frame: av.VideoFrame) -> None:
        pts = (frame.pts or 0) - self._origin
        if pts <= self._last:
            return  # a film goes forward only
        self._last = pts
        picture = frame.reformat(self._video.width, self._video.height, "yuv420p")
        picture.pts, picture.time_base = pts, VIDEO_TIME_BASE
        self._write(self._video.encode(picture))
        self.seconds = max(self.seconds, pts / VIDEO_RATE)

    def add_sound(self, frame: av.AudioFrame, came: float) -> None:
        if self._sound_origin is None:
            self._sound_origin = (frame.pts or 0) - round((came - self._began) * SAMPLE_RATE)
        for block, pts in self._blocks.add(frame):  # lost packets as silence: lips stay with voice
            part = av.AudioFrame.from_ndarray(block, "fltp", "stereo")
            part.sample_rate = SAMPLE_RATE
            at = pts - self._sound_origin
            part.pts, part.time_base = at, Fraction(1, SAMPLE_RATE)
            self._write(self._audio.encode(part))
            self.seconds = max(self.seconds, at / SAMPLE_RATE)

    def _write(self, packets: list[Any]) -> None:
        self.bytes += sum(packet.size for packet in packets)  # the file may lag: streams interleave
        self._container.mux(packets)

    def finish(self) -> None:
        self._write(self._video.encode(None))
        self._write(self._audio.encode(None))
        self._container.close()

    def delete(self) -> None:
        with contextlib.suppress(av.FFmpegError):  # it may have no room for its own end
            self._container.close()
        self._folder.cleanup()
