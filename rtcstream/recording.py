"""The microphone, taken as a whole: recordings between two words of the page, turns of speech."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

import av
import numpy as np
from numpy.typing import NDArray

from .annotations import SAMPLE_RATE, Sound, Take
from .messages import StateValue
from .samples import FULL_SCALE, Blocks
from .takes import Recording, Utterance
from .types import Turn
from .vad import SPEECH_RATE, Energy, SpeechDetector, speech_detector

MOST_BYTES = 256 * 1024 * 1024
"""Of one recording, in memory or in a file. Sound alone comes to half of it in ten minutes."""
MAX_TURN = 60.0
"""Seconds of one turn; longer speech is cut there."""


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


class TurnDetector:
    """Cuts the microphone into turns of speech, and gives each to ``give``.

    ``interrupt`` is called when speech begins while an answer plays, if the turn allows it. Frames
    come on the decoder's thread, where the first one has the detector of speech made; ``expire``
    is for a timer.
    """

    ONSET = 0.06
    """Seconds of speech in a row, about, that begin a turn."""
    TAIL = 0.2
    """Seconds of the pause that stay at the turn's end."""
    LATE = 0.5
    """Seconds that packets may come late without being missed."""

    def __init__(
        self,
        turn: Turn,
        give: Callable[[Recording], None],
        interrupt: Callable[[], None],
        told: Told,
        detector: Callable[[], SpeechDetector] | None = None,
    ) -> None:
        self._turn = turn
        self._give = give
        self._interrupt = interrupt
        self._told = told
        self._make = detector or speech_detector
        self._lock = threading.Lock()
        self._heard = 0.0
        self._is_speech: SpeechDetector | None = None
        self._parts: list[NDArray[np.float32]] = []
        self._speech = 0
        self._silence = 0
        self._onset = 0
        self._cut = False
        self._speaking = False

    def put(self, frame: av.AudioFrame) -> None:
        """Sound from the peer."""
        with self._lock:
            self._heard = time.monotonic()
            is_speech = self._is_speech or self._listen()
            for block, _ in self._blocks.add(frame):
                try:
                    speech = is_speech(block)
                except Exception as error:  # of onnxruntime, whatever it may be
                    self._told.on_warning(
                        "the detector of speech failed, loudness takes its place: "
                        f"{type(error).__name__}: {error}"
                    )
                    is_speech = self._is_speech = Energy(is_speech.block)
                    speech = is_speech(block)
                self._judge(block, speech)

    def expire(self) -> float:
        """End a turn of which nothing more comes, not even silence: the microphone was taken away.

        Returns the seconds until it is to be called again.
        """
        longest = self._turn.pause + self.LATE
        if not self._lock.acquire(blocking=False):
            return longest  # something comes just now
        try:
            left = self._heard + longest - time.monotonic()
            if left > 0:
                return left
            if self._speaking:
                self._finish()
            return longest
        finally:
            self._lock.release()

    def _listen(self) -> SpeechDetector:
        is_speech = self._is_speech = self._make()
        self._seconds = is_speech.block / SPEECH_RATE
        self._blocks = Blocks(Sound(seconds=self._seconds, rate=SPEECH_RATE, channels=1))
        self._enough = max(round(self.ONSET / self._seconds), 1)
        before = round(self._turn.preroll / self._seconds) + self._enough
        self._before: deque[NDArray[np.float32]] = deque(maxlen=before)
        return is_speech

    def _judge(self, block: NDArray[np.float32], speech: bool) -> None:
        if not self._speaking:
            self._before.append(block)
            self._onset = self._onset + 1 if speech else 0
            if self._onset >= self._enough:
                self._begin()
            return
        self._parts.append(block)
        self._speech += speech
        self._silence = 0 if speech else self._silence + 1
        too_long = len(self._parts) * self._seconds >= MAX_TURN
        if too_long:
            self._told.on_warning(f"the turn was cut at {MAX_TURN:g} seconds, the longest")
        if self._silence * self._seconds >= self._turn.pause or too_long:
            self._cut = too_long
            self._finish()

    def _begin(self) -> None:
        self._speaking = True
        self._parts = list(self._before)
        self._before.clear()
        self._speech, self._silence, self._onset = self._enough, 0, 0
        self._told.on_state("speaking")
        if self._turn.interrupt and not self._cut:  # whoever simply goes on interrupts nobody
            self._interrupt()

    def _finish(self) -> None:
        self._speaking = False
        parts, self._parts = self._parts, []
        parts = parts[: len(parts) - max(self._silence - round(self.TAIL / self._seconds), 0)]
        if self._speech * self._seconds < self._turn.minimum:
            self._told.on_state("listening")
            return
        self._give(Utterance(parts, SPEECH_RATE))
