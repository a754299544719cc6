"""One video frame's way through a function, on the session's worker thread.

Camera frames wait in a newest-wins slot, so a slow function sees fewer frames and never older
ones. What it returns keeps its source frame's timestamp and goes to the next such slot, in front
of the encoder.
"""

import threading
import time
from collections import deque
from fractions import Fraction
from typing import Any, Protocol

import av

from .calls import Call, Outcome
from .controls import Values
from .transport.slot import Closed, Slot

TIME_BASE = Fraction(1, 90_000)


class Listener(Protocol):
    """Who is told what the function does; called on the worker thread, must not block."""

    def on_loading(self) -> None:
        """The function's class is being built."""

    def on_running(self) -> None:
        """The first frame is there, and the function is called from now on."""

    def on_raised(self, error: BaseException) -> None:
        """The function raised, or returned what it must not: one frame is lost."""

    def on_results(self, results: tuple[tuple[str | None, Any], ...], pts: int) -> None:
        """Results of the frame whose unwrapped RTP timestamp is ``pts``."""

    def on_ended(self) -> None:
        """The thread ends: nothing of the function runs any more."""


class Transform:
    """A daemon thread that calls the function with the newest frame, over and over.

    ``inbox`` takes frames from the decoder's thread; pictures go to ``outlet``, if there is one.
    A function that never returns is abandoned at ``stop``: a thread cannot be killed, and nothing
    else waits for it.
    """

    def __init__(
        self,
        call: Call,
        values: Values,
        outlet: Slot[av.VideoFrame] | None,
        listener: Listener,
        max_fps: float | None,
    ) -> None:
        self.inbox: Slot[av.VideoFrame] = Slot()
        self.calls = 0
        self.durations: deque[float] = deque(maxlen=240)
        self.size_in: tuple[int, int] | None = None
        self.busy_since: float | None = None
        self._call = call
        self._values = values
        self._outlet = outlet
        self._listener = listener
        self._interval = 0.0 if max_fps is None else 1 / max_fps
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name=f"rtcstream-{call.signature.name}", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End after the call that runs; returns at once. From any thread, also more than once."""
        self._stopping.set()
        self.inbox.close()
        self._call.cancel()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        listener = self._listener
        try:
            listener.on_loading()
            self._guarded_open()
            self._serve()
        except Closed:
            pass
        finally:
            try:
                self._call.close()
            except BaseException as error:
                listener.on_raised(error)
            listener.on_ended()

    def _guarded_open(self) -> None:
        self.busy_since = time.monotonic()
        try:
            self._call.open()
        except BaseException as error:  # SystemExit too: a thread's end must not go unnoticed
            self._listener.on_raised(error)
            raise Closed from None
        finally:
            self.busy_since = None

    def _serve(self) -> None:
        due = 0.0
        while True:
            now = time.monotonic()
            if due > now and self._stopping.wait(due - now):
                raise Closed
            frame = self.inbox.take()
            if frame is None or frame.pts is None:
                continue
            started = time.monotonic()
            # On schedule rather than an interval after the last: a camera's jitter must not
            # halve the rate. Never more than one interval is caught up.
            due = max(due + self._interval, started)
            if not self.calls:
                self._listener.on_running()
            self._step(frame, frame.pts, started)

    def _step(self, frame: av.VideoFrame, pts: int, started: float) -> None:
        self.busy_since = started
        self.size_in = (frame.width, frame.height)
        self.calls += 1
        try:
            outcome = self._call(frame, self._values.snapshot())
        except BaseException as error:  # SystemExit and cancellation too: only this frame is lost
            if not self._stopping.is_set():
                self._listener.on_raised(error)
            return
        finally:
            self.busy_since = None
        self.durations.append(time.monotonic() - started)
        if not self._stopping.is_set():
            self._deliver(outcome, pts)

    def _deliver(self, outcome: Outcome, pts: int) -> None:
        if outcome.results:
            self._listener.on_results(outcome.results, pts)
        if outcome.picture is not None and self._outlet is not None:
            outcome.picture.pts = pts
            outcome.picture.time_base = TIME_BASE
            self._outlet.put(outcome.picture)
