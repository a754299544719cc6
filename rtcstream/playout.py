"""What a generator gives, sent at its own pace: pictures and sound by one clock."""

import contextlib
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import av

from .annotations import SAMPLE_RATE
from .samples import Stereo
from .transport.clock import VIDEO_RATE, VIDEO_TIME_BASE, SourceClock
from .transport.slot import Closed, Slot, Superseded
from .transport.sound import FRAME, PacedQueue

MOST_SCHEDULED = 90
"""Pictures and results ahead of their sound; to give more waits while sound is left to play."""

Tell: TypeAlias = Callable[[int | None], None]
"""Told when something is shown or heard, with the ``pts`` of the picture then, if there is one."""


class Due(NamedTuple):
    """What is to happen when the sound at ``position`` plays."""

    position: int
    picture: av.VideoFrame | None
    tell: Tell | None = None


class Playout:
    """Where a session's runs of a generator play, one after another.

    With sound, time is counted in its samples: a picture is shown, and results are told, when the
    sound that they came with begins. Without, it is done at once, a picture at most ``max_fps`` a
    second. What is told is told under a lock, so that nothing is told of a run that is over.
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
        self._scheduled: deque[Due] = deque()
        self._room = threading.Condition()
        self._run = 0
        sound.on_frame = self._show_due

    def begin(self) -> "Performance":
        """End the run that plays, dropping what has yet to be played, and begin another."""
        with self._room:
            self._run = self.sound.begin()
            self._scheduled.clear()
            if self._pictures is not None:
                self._pictures.clear()  # it waits for the encoder
            self._room.notify_all()
            return Performance(self, self._run)

    def hold(self) -> None:
        """Play nothing, and show nothing that goes with sound, until ``go_on`` or another run."""
        self.sound.held = True

    def go_on(self) -> None:
        """Play on, from the very sample where it was held."""
        self.sound.held = False

    @property
    def pending(self) -> float:
        """Seconds until all that was given has been played, and what came with it told."""
        with self._room:
            # What lies beyond the sound's end may never come: a film may be longer than its sound.
            due = bool(self._scheduled) and self._scheduled[0].position <= self.sound.end
            return (self.sound.waiting or FRAME * due) / SAMPLE_RATE

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

    def schedule(self, due: Due, run: int) -> None:
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
                self._show([self._scheduled.popleft()._replace(picture=None)])
            place = len(self._scheduled)
            # A film's pictures may be ahead of its sound; what is told with that passes them.
            while (
                due.picture is None and place and self._scheduled[place - 1].position > due.position
            ):
                place -= 1
            self._scheduled.insert(place, due)

    def tell(self, tell: Tell, run: int) -> None:
        """Tell at once what came without a picture or sound."""
        with self._room:
            self._check(run)
            tell(None)

    def show(self, picture: av.VideoFrame, tell: Tell | None, run: int, due: float = 0.0) -> None:
        """Show a picture now, or when it is ``due``."""
        with self._room:
            while (wait := due - time.monotonic()) > 0 and run == self._run:
                if self.closed.is_set():
                    break
                self._room.wait(wait)
            self._check(run)
            # Pictures that are scheduled are older.
            self._scheduled = deque(each._replace(picture=None) for each in self._scheduled)
            self._show([Due(0, picture, tell)])

    def _check(self, run: int) -> None:
        if self.closed.is_set():
            raise Closed
        if run != self._run:
            raise Superseded

    def _show_due(self, position: int) -> None:
        """Show the newest picture whose sound has begun; on the sound's own thread."""
        with self._room:
            due = []
            while self._scheduled and self._scheduled[0].position <= position:
                due.append(self._scheduled.popleft())
            self._show(due)
            self._room.notify_all()

    def _show(self, due: list[Due]) -> None:
        pictures = [each.picture for each in due if each.picture is not None]
        pts = self._put(pictures[-1]) if pictures else None
        for each in due:
            if each.tell is not None:
                each.tell(pts)

    def _put(self, picture: av.VideoFrame) -> int | None:
        if self._pictures is None:
            return None
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
        self._start = playout.sound.played

    @property
    def end(self) -> int:
        """The position, in samples, at which the next sound will play."""
        return self._playout.sound.end

    @property
    def played(self) -> float:
        """Seconds of its sound that have been sent."""
        return (self._playout.sound.played - self._start) / SAMPLE_RATE

    @property
    def pending(self) -> float:
        """Seconds until all that was given has been played, and what came with it told."""
        return self._playout.pending

    def give(
        self, picture: av.VideoFrame | None, sound: Stereo | None, tell: Tell | None = None
    ) -> None:
        """Send what came together, and ``tell`` once it is shown or heard."""
        if sound is not None and (len(sound) or self.pending):
            position = self.play(sound)
            if picture is not None or tell is not None:
                self._playout.schedule(Due(position, picture, tell), self._run)
        elif picture is not None:
            self.show(picture, tell)
        elif tell is not None:
            self._playout.tell(tell, self._run)

    def play(self, sound: Stereo) -> int:
        """Append sound; returns its position."""
        return self._playout.sound.play(sound, self._run)

    def schedule(self, picture: av.VideoFrame, position: int) -> None:
        """Show a picture when the sound at ``position`` plays."""
        self._playout.schedule(Due(position, picture), self._run)

    def tell(self, tell: Tell, position: int) -> None:
        """Tell when the sound at ``position`` plays."""
        self._playout.schedule(Due(position, None, tell), self._run)

    def show(self, picture: av.VideoFrame, tell: Tell | None = None) -> None:
        """Show a picture now, or when ``max_fps`` allows it."""
        self._playout.show(picture, tell, self._run, self._due)
        # On schedule, though waking takes its time; but no two at once after a pause.
        interval = self._playout.interval
        self._due = max(self._due, time.monotonic() - interval / 2) + interval
