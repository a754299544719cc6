"""The microphone, taken as a whole between two words of the page."""

import threading
from collections.abc import Callable
from typing import Protocol

import av
import numpy as np
from numpy.typing import NDArray

from .annotations import SAMPLE_RATE, Sound, Take
from .messages import StateValue
from .samples import FULL_SCALE, Blocks
from .takes import Recording

MOST_BYTES = 256 * 1024 * 1024
"""Of one recording, in memory or in a file. Sound alone comes to half of it in ten minutes."""


class Told(Protocol):
    """Who is told what is heard."""

    def on_state(self, value: StateValue) -> None:
        """Recording, listening, speaking."""

    def on_warning(self, text: str) -> None:
        """Something that the visitor should know."""

    def progress(self, value: float, text: str = "") -> None:
        """How much of the longest recording there is."""


class AnyRecorder(Protocol):
    """What the page's ``record`` messages drive."""

    def record(self, on: bool) -> None:
        """Begin a recording, dropping one that is under way; or end it and give it."""

    def close(self) -> None:
        """Drop what is under way: the session ends."""


class Bounds:
    """How long and how large a recording may be; it is shown how much of that there is."""

    def __init__(self, seconds: float, told: Told) -> None:
        self._limit = seconds
        self._told = told
        self._shown = 0.0

    def reached(self, seconds: float, size: int) -> bool:
        """Whether a recording of so many seconds and bytes is to end, which is said."""
        if seconds - self._shown >= 0.25:
            self._shown = seconds
            share = min(max(seconds / self._limit, size / MOST_BYTES), 1.0)
            text = f"{seconds:.0f} of {self._limit:.0f} s, {size / 1e6:.1f} MB"
            self._told.progress(share, text)
        if seconds >= self._limit:
            self._told.on_warning(f"the recording ended at {self._limit:g} seconds, its limit")
        elif size >= MOST_BYTES:
            most = f"{MOST_BYTES / 1e6:.0f} MB, the most that is kept"
            self._told.on_warning(f"the recording ended at {seconds:.0f} seconds: it has {most}")
        else:
            return False
        return True


class Recorder:
    """Records what the microphone sends from ``record(True)`` to ``record(False)``.

    Then, or at its bounds, the recording is given to ``give``. Frames come on the decoder's
    thread; the lock is held to the end of what each of them begins, so that no word of the page
    comes between.
    """

    def __init__(self, take: Take, give: Callable[[Recording], None], told: Told) -> None:
        self._limit = take.seconds
        self._give = give
        self._told = told
        self._lock = threading.Lock()
        self._sound: _Sound | None = None

    def record(self, on: bool) -> None:
        """Begin a recording, dropping one that is under way; or end it and give it."""
        with self._lock:
            if on:
                self._sound = _Sound(Bounds(self._limit, self._told))
                self._told.on_state("recording")
            else:
                self._end()

    def put(self, frame: av.AudioFrame) -> None:
        """Sound from the peer."""
        with self._lock:
            if self._sound is not None and self._sound.add(frame):
                self._end()

    def close(self) -> None:
        with self._lock:
            self._sound = None

    def _end(self) -> None:
        sound, self._sound = self._sound, None
        if sound is None:
            return
        if not sound.parts:
            self._told.on_warning("nothing was recorded: no sound came from the microphone")
            self._told.on_state("finished")
            return
        self._give(Recording(sound.parts, SAMPLE_RATE))


class _Sound:
    """What has been recorded so far; 16 bits a sample, as decoders give them."""

    def __init__(self, bounds: Bounds) -> None:
        self.parts: list[NDArray[np.int16]] = []
        self._bounds = bounds
        self._blocks = Blocks(Sound(rate=SAMPLE_RATE, channels=2))
        self._count = 0
        self._bytes = 0

    def add(self, frame: av.AudioFrame) -> bool:
        """Take a frame; whether it was the last that there is room for."""
        for block, _ in self._blocks.add(frame):
            scaled = np.clip(np.rint(block * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1)
            part = scaled.astype(np.int16)
            self.parts.append(part)
            self._count += part.shape[1]
            self._bytes += part.nbytes
        return self._bounds.reached(self._count / SAMPLE_RATE, self._bytes)
