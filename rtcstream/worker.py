"""A session's daemon thread for one function: started, stopped, watched."""

import asyncio
import atexit
import queue
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any, Protocol

from .calls import AnyCall, Call
from .controls import Values
from .errors import SessionClosed
from .faults import WorkerLost
from .messages import StateValue
from .outcomes import Results
from .transport.slot import Closed

# What the end of the session itself raises in the function; what else it raises then is told.
_OF_THE_END = (Closed, SessionClosed, asyncio.CancelledError, futures.CancelledError)

LAST_CALLS = 1.0
"""Seconds that calls under way may take when the program ends."""


class Listener(Protocol):
    """Who is told what a function does; called on its worker thread, must not block."""

    def on_state(self, value: StateValue) -> None:
        """What the function, or what feeds it, does from now on."""

    def on_raised(self, call: AnyCall, error: BaseException) -> None:
        """The function raised, or returned what it must not: one frame is lost."""

    def on_load_failed(self, call: AnyCall, error: BaseException) -> None:
        """It could not be made ready, and is never called: there is nothing to go on for."""

    def on_warning(self, text: str) -> None:
        """Something that the visitor should know."""

    def on_results(self, results: Results, pts: int | None, run: int) -> None:
        """Results of the frame whose unwrapped RTP timestamp is ``pts``."""


class Worker:
    """Runs ``_serve`` on a daemon thread between building the function's class and closing it.

    A function that never returns is abandoned at ``stop``: a thread cannot be killed, and nothing
    else waits for it. One that is to ``keep`` its class's instance waits on its thread for the
    worker that goes on there, or for ``give_up``.
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
        self._thread = threading.Thread(
            target=self._run, name=f"rtcstream-{call.signature.name}", daemon=True
        )
        self._context = copy_context()  # in which log lines say of which session they are
        self._kept = self._over = self._waits = False
        _workers.add(self)
        self._keeping = threading.Lock()
        self._successors: queue.SimpleQueue[Worker | None] = queue.SimpleQueue()

    def start(self, after: "Worker | None" = None) -> None:
        """Begin; on the thread and with the instance of a worker that was kept, once its last call
        has returned."""
        if after is None:
            self._thread.start()
            return
        self._thread = after._thread
        self.busy_since = time.monotonic()  # what the other still does hangs for this one, too
        after._successors.put(self)

    def keep(self) -> bool:
        """Say, before ``stop``, that the instance is not to be closed: either ``give_up`` is called
        then, once, or another worker starts after this one. False when there is no instance."""
        with self._keeping:
            started = self._thread.ident is not None and not self._over
            self._kept = started and self.call.keeps_instance
            return self._kept

    def give_up(self) -> None:
        """Nobody goes on with what was kept; from any thread."""
        self._successors.put(None)

    def stop(self) -> None:
        """End after the call that runs; returns at once. From any thread, also more than once."""
        self._stopping.set()
        self._wake()
        self.call.cancel()

    @property
    def running(self) -> bool:
        return self._thread.is_alive() and not self._waits

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
    def played(self) -> float:
        """Seconds of a generator's sound that have been sent since its run began."""
        return 0.0

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
        worker: Worker | None = self
        while worker is not None:
            worker = worker._context.run(worker._work)

    def _work(self) -> "Worker | None":
        """All that a worker does; returns the one that goes on in its place."""
        successor: Worker | None = None
        self.busy_since = None
        try:
            if not self.call.opened:
                self._open()
            if self.call.opened:
                self._serve()
        except Closed:
            pass
        finally:
            successor = self._await_successor()
            if successor is None:
                with self._guarded(timed=False):
                    self.call.close()
            else:
                assert isinstance(self.call, Call) and isinstance(successor.call, Call)
                successor.call.inherit(self.call)
            if self.call.opened:
                self._listener.on_state("finished")
        return successor

    def _open(self) -> None:
        if self.call.signature.kind == "class":
            self._listener.on_state("loading")
        with self._guarded(timed=False, tell=self._listener.on_load_failed):
            self.call.open()

    def _await_successor(self) -> "Worker | None":
        with self._keeping:
            self._over = not self._kept
            if self._over:
                return None
        self._waits = True
        successor = self._successors.get()
        self._waits = successor is not None
        return successor

    @contextmanager
    def _guarded(
        self, timed: bool = True, tell: Callable[[AnyCall, BaseException], None] | None = None
    ) -> Iterator[list[bool]]:
        """Run the user's code: what it raises is reported and ends nothing; watched, and ``timed``.
        Whom to ``tell`` is the listener's ``on_raised``, if not named.

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
                (tell or self._listener.on_raised)(self.call, error)
        finally:
            self.busy_since = None


_workers: weakref.WeakSet[Worker] = weakref.WeakSet()


@atexit.register
def _let_return() -> None:
    """A daemon thread that comes back from C++ (OpenCV, onnxruntime) when the interpreter has gone
    is cut off there, which ends the process by SIGABRT, before Python 3.14."""
    deadline = time.monotonic() + LAST_CALLS
    while time.monotonic() < deadline and any(
        each.running and each.busy_since is not None for each in list(_workers)
    ):
        time.sleep(0.005)
