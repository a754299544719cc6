"""Sound on its way to the encoder: whole frames of 20 ms, in order, bounded."""

import threading
import time
from collections import deque
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from .clock import AUDIO_RATE, SourceClock
from .slot import Closed, Superseded

FRAME = AUDIO_RATE // 50
"""Samples in 20 ms, the frame of Opus in WebRTC (RFC 7874 section 3)."""
TIME_BASE = Fraction(1, AUDIO_RATE)

Sound = NDArray[np.int16]
"""s16, shape (samples, 2), at 48 kHz."""


class SoundQueue:
    """Sound that is sent as soon as a frame of it is there: what a filter gives.

    ``write`` carries the source's timestamp. A hole in the source is filled with silence up to
    ``LONGEST_HOLE``, beyond which the timestamps jump. More than ``LIMIT`` samples never wait:
    ``write`` then waits itself, so that the source's own bound decides what is lost.
    """

    LIMIT = 2 * AUDIO_RATE
    LONGEST_HOLE = AUDIO_RATE

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.RLock())
        self._parts: deque[Sound] = deque()
        self._count = 0
        self._pts: int | None = None
        self._jumps: deque[tuple[int, int]] = deque()
        """Places, in samples from the first that waits, where the timestamps jump, and whereto."""
        self._closed = False

    def write(self, sound: Sound, pts: int | None = None) -> None:
        """Append sound that begins at ``pts``, or where the last ended. Raises Closed."""
        with self._changed:
            while self._count > self.LIMIT and not self._closed:
                self._changed.wait()
            if self._closed:
                raise Closed
            if pts is not None:
                self._bridge(pts)
            self._append(sound)
            self._changed.notify_all()

    def clear(self) -> None:
        """Drop what waits."""
        with self._changed:
            self._parts.clear()
            self._count, self._pts = 0, None
            self._jumps.clear()
            self._changed.notify_all()

    def take(self) -> av.AudioFrame:
        """Wait for the next frame. Raises Closed."""
        with self._changed:
            while (wait := self._wait()) != 0 and not self._closed:
                self._changed.wait(wait)
            if self._closed:
                raise Closed
            while self._jumps and self._jumps[0][0] <= 0:
                self._pts = self._jumps.popleft()[1]
            pts = self._pts or 0
            sound = self._cut(FRAME)
            self._pts = pts + FRAME
            self._jumps = deque((place - FRAME, to) for place, to in self._jumps)
            self._changed.notify_all()
        return to_frame(sound, pts)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._parts.clear()
            self._count = 0
            self._changed.notify_all()

    def _wait(self) -> float | None:
        """How long to wait for the next frame; None until something changes."""
        return 0 if self._count >= FRAME else None

    def _bridge(self, pts: int) -> None:
        """Fill or jump the hole between what waits and what comes."""
        if self._pts is None:
            self._pts = pts
            return
        place, start = self._jumps[-1] if self._jumps else (0, self._pts)
        hole = pts - (start + self._count - place)
        if 0 < hole <= self.LONGEST_HOLE:
            self._append(np.zeros((hole, 2), np.int16))
        elif (
            abs(hole) > self.LONGEST_HOLE
        ):  # the frame that is begun ends in silence, and the next is of the new time
            self._append(np.zeros((-self._count % FRAME, 2), np.int16))
            self._jumps.append((self._count, pts))

    def _append(self, sound: Sound) -> None:
        if len(sound):
            self._parts.append(sound)
            self._count += len(sound)

    def _cut(self, count: int) -> Sound:
        """The first ``count`` samples that wait, or fewer if there are no more."""
        taken: list[Sound] = []
        missing = count
        while missing and self._parts:
            part = self._parts.popleft()
            taken.append(part[:missing])
            if len(part) > missing:
                self._parts.appendleft(part[missing:])
            missing -= len(taken[-1])
        self._count -= count - missing
        return np.concatenate(taken) if taken else np.zeros((0, 2), np.int16)


class SteadyQueue(SoundQueue):
    """Sound that comes in blocks and is sent as it lasts: what a filter of long blocks gives.

    A burst of many frames makes a browser hold sound back for as long, and misjudge by half of it
    how late the sound is beside the picture. Nothing gets later by this: what still waits when
    more comes goes at once.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._overdue = 0
        self._due = 0.0

    def take(self) -> av.AudioFrame:
        frame = super().take()
        with self._changed:
            self._overdue = max(0, self._overdue - 1)
            self._due = self._now() + FRAME / AUDIO_RATE
        return frame

    def _append(self, sound: Sound) -> None:
        self._overdue = self._count // FRAME + 1
        super()._append(sound)

    def _wait(self) -> float | None:
        if self._count < FRAME:
            return None
        return 0 if self._overdue else max(0.0, self._due - self._now())


class PacedQueue(SoundQueue):
    """Sound that is sent at its own pace, by the clock: what a generator gives.

    Silence goes out while there is nothing to play, so the track never stalls, and while it is
    ``held``. ``play`` waits once ``LOOKAHEAD`` samples are there: a generator is pulled that far
    ahead and no further.
    """

    LOOKAHEAD = AUDIO_RATE * 4 // 5

    def __init__(self, origin: int, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.on_frame: Callable[[int], None] = lambda position: None
        """Called with the position, in samples, of each frame that is about to be sent."""
        self.on_sound: Callable[[Sound], None] = lambda sound: None
        """Called with each frame that is about to be sent, silence too."""
        self.clock = SourceClock(AUDIO_RATE)
        self.held = False
        """Whether what waits is to wait on; another run begins without."""
        self.played = 0
        """Samples, of all runs, that have been sent; silence in between does not count."""
        self._origin = origin
        self._now = now
        self._epoch = 0
        self._began: float | None = None
        self._frames = 0

    @property
    def waiting(self) -> int:
        """Samples that have yet to be played."""
        return self._count

    @property
    def end(self) -> int:
        """The position, in samples, at which the next sound will play."""
        return self.played + self._count

    def begin(self) -> int:
        """Drop what waits; returns the number of the run that may play from now on."""
        with self._changed:
            self._epoch += 1
            self.held = False
            self.clear()
            return self._epoch

    def play(self, sound: Sound, run: int) -> int:
        """Append sound, waiting for room; returns its position. Raises Closed, Superseded."""
        with self._changed:
            while self._count >= self.LOOKAHEAD and not self._closed and run == self._epoch:
                self._changed.wait()
            if self._closed:
                raise Closed
            if run != self._epoch:
                raise Superseded
            position = self.played + self._count
            self._append(sound)
            return position

    def take(self) -> av.AudioFrame:
        """Wait until the next frame is due; silence where nothing waits. Raises Closed."""
        with self._changed:
            if self._began is None:
                self._began = self._now()
            due = self._began + self._frames * FRAME / AUDIO_RATE
            while not self._closed and (wait := due - self._now()) > 0:
                self._changed.wait(wait)
            if self._closed:
                raise Closed
            if self._now() - due > 0.5:  # the machine slept: go on from now
                skipped = int((self._now() - due) * AUDIO_RATE / FRAME)
                self._frames += skipped
            held, position = self.held, self.played
            sound = self._cut(0 if held else FRAME)
            self.played += len(sound)
            pts = self._origin + self._frames * FRAME
            self._frames += 1
            self._changed.notify_all()
        self.clock.observe(pts)
        if not held:
            self.on_frame(position)
        if len(sound) < FRAME:
            sound = np.concatenate([sound, np.zeros((FRAME - len(sound), 2), np.int16)])
        self.on_sound(sound)
        return to_frame(sound, pts)


def to_frame(sound: Sound, pts: int) -> av.AudioFrame:
    """Samples as the encoders take them."""
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(sound).reshape(1, -1), format="s16", layout="stereo"
    )
    frame.sample_rate = AUDIO_RATE
    frame.pts, frame.time_base = pts, TIME_BASE
    return frame
