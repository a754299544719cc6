"""A session's daemon thread for one function: started, stopped, watched."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any, Protocol

from . import logs
from .calls import AnyCall, Results
from .controls import Values
from .errors import SessionClosed
from .faults import WorkerLost
from .messages import StateValue
from .transport.slot import Closed

# What the end of the session itself raises in the function; what else it raises then is told.
_OF_THE_END = (Closed, SessionClosed, asyncio.CancelledError, futures.CancelledError)


class Listener(Protocol):
    """Who is told what a function does; called on its worker thread, must not block."""

    def on_state(self, value: StateValue) -> None:
        """What the function, or what feeds it, does from now on."""

    def on_raised(self, call: AnyCall, error: BaseException) -> None:
        """The function raised, or returned what it must not: one frame is lost."""

    def on_warning(self, text: str) -> None:
        """Something that the visitor should know."""

    def on_results(self, results: Results, pts: int | None, run: int) -> None:
        """Results of the frame whose unwrapped RTP timestamp is ``pts``."""


class Worker:
    """Runs ``_serve`` on a daemon thread between building the function's class and closing it.

    A function that never returns is abandoned at ``stop``: a thread cannot be killed, and nothing
    else waits for it.
    """

    def __init__(self, call: AnyCall, values: Values, listener: Listener) -> None:
        self.calls = 0
        self.durations: deque[float] = deque(maxlen=60)
        self.busy_since: float | None = None
        self._reported: float | None = None
        self.call = call
        self._values = values
        self._listener = listener
        self._names = [control.name for control in call.signature.controls]
        self._stopping = threading.Event()
        self._thread = logs.thread(self._run, f"rtcstream-{call.signature.name}")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End after the call that runs; returns at once. From any thread, also more than once."""
        self._stopping.set()
        self._wake()
        self.call.cancel()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    @property
    def has_begun(self) -> bool:
        """Whether the function has been given something, or has given its first."""
        return self.calls > 0

    def complaint(self, longer_than: float) -> str | None:
        """What to say of a call that has not returned for so many seconds, once; None if all is
        well."""
        since = self._stuck_since
        if since is None or since == self._reported or self.call.starting:
            return None
        if time.monotonic() - since <= longer_than:
            return None
        self._reported = since
        return f"{self.call.signature.name}() {self._stuck_how(longer_than)}"

    @property
    def hangs(self) -> bool:
        """Whether there is a complaint of the call that runs."""
        return self._reported is not None and self._reported == self._stuck_since

    @property
    def _stuck_since(self) -> float | None:
        """Since when the function has been expected to return."""
        return self.busy_since

    def _stuck_how(self, seconds: float) -> str:
        return f"has not returned for {seconds:g} seconds; nothing new comes until it does"

    @property
    def dropped(self) -> int:
        """Frames or blocks that were given up before the function saw them."""
        return 0

    def _snapshot(self) -> dict[str, Any]:
        """The values of the function's own controls."""
        return self._values.snapshot(self._names)

    def _wake(self) -> None:
        """Let ``_serve`` see that it is to stop, where it waits."""
        raise NotImplementedError

    def _serve(self) -> None:
        """The function's work. Raises Closed at its end."""
        raise NotImplementedError

    def _run(self) -> None:
        try:
            if self.call.signature.kind == "class":
                self._listener.on_state("loading")
            with self._guarded(timed=False) as opened:
                self.call.open()
            if opened:
                self._serve()
        except Closed:
            pass
        finally:
            with self._guarded(timed=False):
                self.call.close()
            self._listener.on_state("finished")

    @contextmanager
    def _guarded(self, timed: bool = True) -> Iterator[list[bool]]:
        """Run the user's code: what it raises is reported and ends nothing; watched, and ``timed``.

        Yields a list that is empty unless all went well, once the block has ended.
        """
        done = [True]
        started = self.busy_since = time.monotonic()
        try:
            yield done
            if timed:
                self.durations.append(time.monotonic() - started)
        except BaseException as error:  # SystemExit and cancellation too: a thread must not vanish
            done.clear()
            ended = self._stopping.is_set() and isinstance(error, _OF_THE_END)
            if not ended and not isinstance(error, WorkerLost):
                self._listener.on_raised(self.call, error)
        finally:
            self.busy_since = None
