"""What a generator gives, sent at its own pace: pictures and sound by one clock."""

import contextlib
import random
import threading
import time
from collections import deque

import av

from .annotations import SAMPLE_RATE
from .samples import Stereo
from .transport.clock import VIDEO_RATE, VIDEO_TIME_BASE, SourceClock
from .transport.slot import Closed, Slot, Superseded
from .transport.sound import PacedQueue

MOST_SCHEDULED = 90


class Playout:
    """Where a session's runs of a generator play, one after another.

    With sound, time is counted in its samples: a picture is shown when the sound that it came with
    begins. Without, a picture is shown at once, at most ``max_fps`` a second.
    """

    def __init__(
        self,
        pictures: Slot[av.VideoFrame] | None,
        sound: PacedQueue,
        clock: SourceClock,
        max_fps: float,
    ) -> None:
        self.sound = sound
        self.interval = 1 / max_fps
        self.closed = threading.Event()
        self._pictures = pictures
        self._clock = clock
        self._origin = random.getrandbits(31)
        self._last_pts = 0
        self._scheduled: deque[tuple[int, av.VideoFrame]] = deque()
        self._room = threading.Condition()
        self._run = 0
        sound.on_frame = self._show_due

    def begin(self) -> "Performance":
        """End the run that plays, dropping what has yet to be played, and begin another."""
        with self._room:
            self._run = self.sound.begin()
            self._scheduled.clear()
            self._room.notify_all()
            return Performance(self, self._run)

    def play_to_nobody(self) -> None:
        """Let time pass although no sender takes the sound: the peer wants the pictures only."""

        def drain() -> None:
            with contextlib.suppress(Closed):
                while True:
                    self.sound.take()

        threading.Thread(target=drain, name="rtcstream-clock", daemon=True).start()

    def close(self) -> None:
        self.closed.set()
        self.sound.close()
        if self._pictures is not None:
            self._pictures.close()
        with self._room:
            self._room.notify_all()

    def schedule(self, picture: av.VideoFrame, position: int, run: int) -> None:
        with self._room:
            while (
                len(self._scheduled) >= MOST_SCHEDULED
                and self.sound.waiting  # or else none would ever be due
                and run == self._run
                and not self.closed.is_set()
            ):
                self._room.wait()
            self._check(run)
            if len(self._scheduled) >= MOST_SCHEDULED:
                self._scheduled.popleft()
            self._scheduled.append((position, picture))

    def show(self, picture: av.VideoFrame, run: int, due: float = 0.0) -> int:
        """Show a picture now, or when it is ``due``; returns its ``pts``."""
        with self._room:
            while (wait := due - time.monotonic()) > 0 and run == self._run:
                if self.closed.is_set():
                    break
                self._room.wait(wait)
            self._check(run)
            self._scheduled.clear()  # those are older
            return self._put(picture)

    def _check(self, run: int) -> None:
        if self.closed.is_set():
            raise Closed
        if run != self._run:
            raise Superseded

    def _show_due(self, position: int) -> None:
        """Show the newest picture whose sound has begun; on the sound's own thread."""
        with self._room:
            due: av.VideoFrame | None = None
            while self._scheduled and self._scheduled[0][0] <= position:
                due = self._scheduled.popleft()[1]
            if due is not None:
                self._put(due)
            self._room.notify_all()

    def _put(self, picture: av.VideoFrame) -> int:
        if self._pictures is None:
            return 0
        pts = self._origin + int(time.monotonic() * VIDEO_RATE)
        # Two ticks at least, since the sender may send a picture again one tick later.
        pts = self._last_pts = max(pts, self._last_pts + 2)
        self._clock.observe(pts)
        picture.pts, picture.time_base = pts, VIDEO_TIME_BASE
        self._pictures.put(picture)
        return pts


class Performance:
    """One run's way to the playout.

    Its methods wait while enough is ahead, and raise Superseded when another run has begun, Closed
    when the session has ended.
    """

    def __init__(self, playout: Playout, run: int) -> None:
        self._playout = playout
        self._run = run
        self._due = 0.0

    @property
    def end(self) -> int:
        """The position, in samples, at which the next sound will play."""
        return self._playout.sound.end

    @property
    def pending(self) -> float:
        """Seconds of sound that have yet to be played."""
        return self._playout.sound.waiting / SAMPLE_RATE

    def give(self, picture: av.VideoFrame | None, sound: Stereo | None) -> int | None:
        """Send what came together; returns the picture's ``pts``, if it is known already."""
        if sound is None or not (len(sound) or self.pending):  # no sound to go by
            return None if picture is None else self.show(picture)
        position = self.play(sound)
        if picture is not None:
            self.schedule(picture, position)
        return None

    def play(self, sound: Stereo) -> int:
        """Append sound; returns its position."""
        return self._playout.sound.play(sound, self._run)

    def schedule(self, picture: av.VideoFrame, position: int) -> None:
        """Show a picture when the sound at ``position`` plays."""
        self._playout.schedule(picture, position, self._run)

    def show(self, picture: av.VideoFrame) -> int:
        """Show a picture now, or when ``max_fps`` allows it; returns its ``pts``."""
        pts = self._playout.show(picture, self._run, self._due)
        # On schedule, though waking takes its time; but no two at once after a pause.
        interval = self._playout.interval
        self._due = max(self._due, time.monotonic() - interval / 2) + interval
        return pts
