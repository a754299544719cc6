"""Frames from the peer through a function: pictures, newest first, and sound, every block.

Camera frames wait in a newest-wins slot, so a slow function sees fewer frames and never older
ones. What it returns keeps its source frame's timestamp and goes to the next such slot, in front
of the encoder. Sound waits in a queue with a bound, and the page is told how far it is behind.
"""

import threading
import time
from collections import deque

import av
import numpy as np

from .annotations import SAMPLE_RATE
from .calls import AnyCall
from .controls import Values
from .outcomes import Outcome
from .samples import Blocks
from .transport.clock import VIDEO_TIME_BASE
from .transport.slot import Closed, Slot
from .transport.sound import SoundQueue
from .transport.timeline import RETURNED, TAKEN, Timeline
from .worker import Listener, Worker


class VideoFilter(Worker):
    """Calls the function with the newest picture in ``inbox``, over and over.

    What it returns goes to ``outlet``, if there is one.
    """

    def __init__(
        self,
        call: AnyCall,
        values: Values,
        outlet: Slot[av.VideoFrame] | None,
        listener: Listener,
        max_fps: float | None,
    ) -> None:
        super().__init__(call, values, listener)
        self.inbox: Slot[av.VideoFrame] = Slot()
        self.size_in: tuple[int, int] | None = None
        self.timeline = Timeline()
        self._outlet = outlet
        self._interval = 0.0 if max_fps is None else 1 / max_fps

    @property
    def dropped(self) -> int:
        return self.inbox.replaced

    def _wake(self) -> None:
        self.inbox.close()

    def _serve(self) -> None:
        due = 0.0
        while True:
            now = time.monotonic()
            if due > now and self._stopping.wait(due - now):
                raise Closed
            frame = self.inbox.take()
            if frame is None or frame.pts is None:
                continue
            # On schedule rather than an interval after the last: a camera's jitter must not
            # halve the rate. Never more than one interval is caught up.
            due = max(due + self._interval, time.monotonic())
            self._step(frame, frame.pts)

    def _step(self, frame: av.VideoFrame, pts: int) -> None:
        if not self.calls:
            self._listener.on_state("running")
        self.calls += 1
        self.size_in = (frame.width, frame.height)
        outcome = Outcome()
        self.timeline.mark(pts, TAKEN)
        with self._guarded():
            outcome = self.call.of_picture(frame, self._snapshot())
        self.timeline.mark(pts, RETURNED)
        if self._stopping.is_set():
            return
        if outcome.results:
            self._listener.on_results(outcome.results, pts, 0)
        if outcome.picture is not None and self._outlet is not None:
            outcome.picture.pts = pts
            outcome.picture.time_base = VIDEO_TIME_BASE
            # With the next picture here already, the encoder's thread works beside this one.
            self._outlet.put(outcome.picture, idle=not self.inbox.waiting)


class SoundInbox:
    """Audio frames in order, until ``limit`` seconds of them wait; then the oldest go, counted: a
    whole ``block`` at a time, so that those left are cut as seldom as can be.

    ``dropped`` counts frames, and ``lost`` is their length in seconds.
    """

    def __init__(self, limit: float, block: float = 0.0) -> None:
        self.dropped = 0
        self.lost = 0.0
        self._limit = limit
        self._block = block
        self._changed = threading.Condition()
        self._frames: deque[av.AudioFrame] = deque()
        self._seconds = 0.0
        self._closed = False

    @property
    def behind(self) -> float:
        """Seconds of sound that wait."""
        return self._seconds

    def put(self, frame: av.AudioFrame) -> None:
        with self._changed:
            if self._closed:
                return
            self._frames.append(frame)
            self._seconds += _seconds(frame)
            enough = self.lost + self._block - 1e-6
            if self._seconds > self._limit:
                while self._frames and (self._seconds > self._limit or self.lost < enough):
                    self._drop()
            self._changed.notify()

    def _drop(self) -> None:
        seconds = _seconds(self._frames.popleft())
        self._seconds -= seconds
        self.lost += seconds
        self.dropped += 1

    def take(self) -> av.AudioFrame:
        """Wait for the oldest frame. Raises Closed."""
        with self._changed:
            while not self._frames and not self._closed:
                self._changed.wait()
            if self._closed:
                raise Closed
            frame = self._frames.popleft()
            self._seconds -= _seconds(frame)
            return frame

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._frames.clear()
            self._changed.notify_all()


def _seconds(frame: av.AudioFrame) -> float:
    return float(frame.samples / frame.sample_rate)


class AudioFilter(Worker):
    """Calls the function with every block, in order; the sound it returns goes to ``outlet``."""

    BEHIND, LIMIT = 0.3, 2.0
    """Seconds behind from which the page is told, and from which sound is lost; beside a block,
    which may take as long as it lasts."""

    def __init__(
        self, call: AnyCall, values: Values, outlet: SoundQueue | None, listener: Listener
    ) -> None:
        super().__init__(call, values, listener)
        sound = call.signature.sound_in
        self._block = (sound and sound.seconds) or 0.0
        self.inbox = SoundInbox(self.LIMIT + self._block, self._block)
        self._outlet = outlet
        self._told = 0.0
        self._clipped = 0
        self._next: int | None = None

    @property
    def dropped(self) -> int:
        return self.inbox.dropped

    def _wake(self) -> None:
        self.inbox.close()
        if self._outlet is not None:
            self._outlet.close()

    def _serve(self) -> None:
        sound = self.call.signature.sound_in
        assert sound is not None
        blocks = None if sound.raw else Blocks(sound)
        dropped = 0
        while True:
            frame = self.inbox.take()
            lost, dropped = self.inbox.dropped > dropped, self.inbox.dropped
            self._tell(blocks.given_up / blocks.rate if blocks else 0.0)
            if blocks is None:
                self._step(frame, frame.pts or 0, round(_seconds(frame) * SAMPLE_RATE))
                continue
            for block, pts in blocks.add(frame, after_drop=lost):
                self._step(block, pts, round(block.shape[1] * SAMPLE_RATE / blocks.rate))

    def _step(self, block: object, pts: int, length: int) -> None:
        if not self.calls:
            self._listener.on_state("running")
        self.calls += 1
        outcome = Outcome()
        with self._guarded() as done:
            outcome = self.call.of_sound(block, self._snapshot())
        if not done:  # what follows stays at its place
            outcome = Outcome(sound=np.zeros((length, 2), np.int16))
        if self._stopping.is_set():
            raise Closed
        if outcome.results:
            self._listener.on_results(outcome.results, pts, 0)
        if outcome.sound is not None and self._outlet is not None:
            # What is returned plays one after another, whatever its length; only where the
            # source itself jumps (by more than a rounding) do the timestamps.
            joins = self._next is not None and abs(pts - self._next) <= 1
            self._outlet.write(outcome.sound, None if joins else pts)
        self._next = pts + length
        if self.call.clipped > self._clipped:
            self._clipped = self.call.clipped
            self._listener.on_warning(
                f"{self.call.signature.name}() is louder than full scale (1.0); it is clipped"
            )

    def _tell(self, given_up: float) -> None:
        """Say how far it is behind; ``given_up`` are seconds of blocks that were begun."""
        behind = self.inbox.behind
        now = time.monotonic()
        if behind > self.BEHIND + self._block and now - self._told > 1:
            self._told = now
            text = f"{self.call.signature.name}() is slower than the microphone"
            if self.inbox.dropped:
                text += f", {round(behind * 1000)} ms behind; "
                text += f"{round((self.inbox.lost + given_up) * 1000)} ms of sound were dropped"
            else:
                text += f", {round(behind * 1000)} ms behind"
            self._listener.on_warning(text)
