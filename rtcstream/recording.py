"""The microphone, taken as a whole: recordings between two words of the page, turns of speech."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

import av
import numpy as np
from numpy.typing import NDArray

from .annotations import Sound, Take
from .messages import StateValue
from .samples import Blocks
from .takes import Recording, Utterance
from .types import Turn

SPEECH_RATE = 16_000
BLOCK = 0.02
"""Seconds at a time that are judged to be speech or not."""
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


class Recorder:
    """Records what the microphone sends from ``record(True)`` to ``record(False)``.

    Then, or at ``take.seconds``, the recording is given to ``give``. Frames come on the decoder's
    thread.
    """

    def __init__(self, take: Take, give: Callable[[Recording], None], told: Told) -> None:
        self._limit = take.seconds
        self._give = give
        self._told = told
        self._lock = threading.Lock()
        self._blocks: Blocks | None = None
        self._parts: list[NDArray[np.float32]] = []
        self._seconds = 0.0
        self._shown = 0.0

    def record(self, on: bool) -> None:
        """Begin a recording, dropping one that is under way; or end it and give it."""
        with self._lock:
            if on:
                self._blocks = Blocks(Sound(channels=2))
                self._parts, self._seconds, self._shown = [], 0.0, 0.0
        if on:
            self._told.on_state("recording")
        else:
            self._end()

    def put(self, frame: av.AudioFrame) -> None:
        """Sound from the peer."""
        with self._lock:
            if self._blocks is None:
                return
            for block, _ in self._blocks.add(frame):
                self._parts.append(block)
                self._seconds += block.shape[1] / self._blocks.rate
            full = self._seconds >= self._limit
            show = self._seconds - self._shown >= 0.25
            if show:
                self._shown = self._seconds
        if show:
            share = min(self._seconds / self._limit, 1.0)
            self._told.progress(share, f"{self._seconds:.0f} of {self._limit:.0f} s")
        if full:
            self._told.on_warning(f"the recording ended at {self._limit:g} seconds, its limit")
            self._end()

    def close(self) -> None:
        with self._lock:
            self._blocks, self._parts = None, []

    def _end(self) -> None:
        with self._lock:
            blocks, self._blocks = self._blocks, None
            parts, self._parts = self._parts, []
        if blocks is None:
            return
        if not parts:
            self._told.on_warning("nothing was recorded: no sound came from the microphone")
            self._told.on_state("finished")
            return
        self._give(Recording(np.concatenate(parts, axis=1), blocks.rate))


class Energy:
    """Tells speech from silence by loudness: a block is speech when it is well above the floor.

    The floor is a low percentile of the last seconds, so a fan or a street is silence too.
    """

    ABOVE_FLOOR = 10.0  # dB
    LEAST = -50.0  # dB of full scale: quieter is never speech

    def __init__(self) -> None:
        self._levels: deque[float] = deque(maxlen=round(3 / BLOCK))

    def __call__(self, block: NDArray[np.float32]) -> bool:
        """Whether a block of 20 ms, mono at 16 kHz, is speech."""
        level = 10 * float(np.log10(np.mean(np.square(block)) + 1e-10))
        self._levels.append(level)
        floor = float(np.percentile(self._levels, 10)) if len(self._levels) > 10 else -60.0
        # Three seconds of speech without a pause would raise the floor to itself.
        floor = min(floor, -35.0)
        return level > max(floor + self.ABOVE_FLOOR, self.LEAST)


class TurnDetector:
    """Cuts the microphone into turns of speech, and gives each to ``give``.

    ``interrupt`` is called when speech begins while an answer plays, if the turn allows it. Frames
    come on the decoder's thread.
    """

    ONSET = 3
    """Blocks of speech in a row that begin a turn."""
    TAIL = 10
    """Blocks of the pause that stay at the turn's end."""

    def __init__(
        self,
        turn: Turn,
        give: Callable[[Recording], None],
        interrupt: Callable[[], None],
        told: Told,
        is_speech: Callable[[NDArray[np.float32]], bool] | None = None,
    ) -> None:
        self._turn = turn
        self._give = give
        self._interrupt = interrupt
        self._told = told
        self._is_speech = is_speech or Energy()
        self._blocks = Blocks(Sound(seconds=BLOCK, rate=SPEECH_RATE, channels=1))
        before = round(turn.preroll / BLOCK) + self.ONSET
        self._before: deque[NDArray[np.float32]] = deque(maxlen=before)
        self._parts: list[NDArray[np.float32]] = []
        self._speech = 0
        self._silence = 0
        self._onset = 0
        self._cut = False
        self._speaking = False

    def put(self, frame: av.AudioFrame) -> None:
        """Sound from the peer."""
        for block, _ in self._blocks.add(frame):
            self._judge(block, self._is_speech(block))

    def _judge(self, block: NDArray[np.float32], speech: bool) -> None:
        if not self._speaking:
            self._before.append(block)
            self._onset = self._onset + 1 if speech else 0
            if self._onset >= self.ONSET:
                self._begin()
            return
        self._parts.append(block)
        self._speech += speech
        self._silence = 0 if speech else self._silence + 1
        too_long = len(self._parts) * BLOCK >= MAX_TURN
        if too_long:
            self._told.on_warning(f"the turn was cut at {MAX_TURN:g} seconds, the longest")
        if self._silence * BLOCK >= self._turn.pause or too_long:
            self._cut = too_long
            self._finish()

    def _begin(self) -> None:
        self._speaking = True
        self._parts = list(self._before)
        self._before.clear()
        self._speech, self._silence, self._onset = self.ONSET, 0, 0
        self._told.on_state("speaking")
        if self._turn.interrupt and not self._cut:  # whoever simply goes on interrupts nobody
            self._interrupt()

    def _finish(self) -> None:
        self._speaking = False
        parts, self._parts = self._parts, []
        parts = parts[: len(parts) - max(self._silence - self.TAIL, 0)]
        if self._speech * BLOCK < self._turn.minimum:
            self._told.on_state("listening")
            return
        self._give(Utterance(np.concatenate(parts, axis=1), SPEECH_RATE))
