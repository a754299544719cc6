"""What a stream needs once for all of its sessions: loaded, and put away again at the end."""

import asyncio
import contextlib
import inspect
import logging
import math
import threading
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any

from .errors import LoadingFailed
from .reporting import Reporter, share

logger = logging.getLogger("rtcstream")

LOOK = 0.1
"""Seconds between two looks at how far it is."""
AGAIN = 5.0
"""Seconds after a failure in which no new attempt begins."""
END_TIMEOUT = 5.0
"""Seconds that putting away may take."""


class Lifespan:
    """Runs ``load`` once while anybody uses it: up to its ``yield`` before the first function is
    called, the rest of it when the last user has left.

    ``load`` is a function that returns, a generator function that yields once, or one that returns
    a context manager; plain (it has a thread of its own) or async; it may take a ``Progress``.
    Raises TypeError for anything else.
    """

    def __init__(self, load: Callable[..., Any]) -> None:
        try:
            parameters = inspect.signature(load).parameters
        except (TypeError, ValueError):
            raise TypeError(f"lifespan must be a function, not {load!r}") from None
        needed = [each for each in parameters.values() if each.default is each.empty]
        if len(needed) > 1:
            raise TypeError(
                f"lifespan: {_name(load)}() must take nothing, or one parameter, a Progress"
            )
        self._load = load
        self._arguments = (Reporter(self._progress),) if needed else ()
        self._lock = threading.Lock()
        self._users = 0
        self._attempt: _Attempt | None = None
        self._failed_at = -math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._said = ""
        self.progress: tuple[float, str] = (0.0, "")

    def _progress(self, value: float, text: str) -> None:
        self.progress = (share(value), text)

    @property
    def ready(self) -> bool:
        """Whether it is loaded."""
        attempt = self._attempt
        return attempt is not None and attempt.loaded.is_set() and attempt.error is None

    def enter(self) -> None:
        """Somebody is going to use it; called on the event loop, where an async one runs."""
        with self._lock:
            self._users += 1
        self._loop = asyncio.get_running_loop()
        self.begin()

    def begin(self) -> None:
        """Load, unless that is done, under way, or has just failed; on the event loop."""
        with self._lock:
            attempt = self._attempt
            if attempt is not None and attempt.error is None:
                return
            if self._users and time.monotonic() - self._failed_at >= AGAIN:
                self.progress = (0.0, "")
                self._attempt = _Attempt(self._load, self._arguments, self._on_failure, self._log)

    def _on_failure(self, attempt: "_Attempt") -> None:
        """Try again in a while: who waits for this server to be ready sends nobody until then."""
        with self._lock:
            if attempt is not self._attempt:  # everybody has left meanwhile
                return
            self._failed_at = time.monotonic()
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._plan)

    def _log(self, error: BaseException) -> None:
        if self._said == repr(error):  # it is tried again every few seconds
            return
        self._said = repr(error)
        if isinstance(error, LoadingFailed):
            logger.error("%s", error)
        else:
            logger.error("%s() failed", _name(self._load), exc_info=error)

    def _plan(self) -> None:
        self._cancel_timer()
        if self._users:
            self._timer = self._loop.call_later(AGAIN, self.begin)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def wait(self, tell: Callable[[float, str], None], unwanted: Callable[[], bool]) -> bool:
        """Wait on a worker thread until it is loaded; ``tell`` is called with how far it is.

        False when it is ``unwanted`` before that. Raises LoadingFailed.
        """
        told = None
        while (attempt := self._attempt) is not None and not attempt.loaded.wait(LOOK):
            if unwanted():
                return False
            if (progress := self.progress) != told:
                tell(*(told := progress))
        if attempt is None or attempt.error is not None:
            if attempt is not None and isinstance(attempt.error, LoadingFailed):
                raise LoadingFailed(str(attempt.error))
            reason = "it has been put away" if attempt is None else attempt.describe()
            raise LoadingFailed(f"{_name(self._load)}() could not be loaded: {reason}")
        return True

    async def leave(self) -> None:
        """Who entered uses it no more; returns when it is put away, or that takes too long."""
        with self._lock:
            self._users -= 1
            if self._users:
                return
            attempt, self._attempt = self._attempt, None
            self._failed_at = -math.inf
        self._cancel_timer()
        if attempt is not None and not await asyncio.to_thread(attempt.end):
            logger.warning("%s() has not ended within %g s", _name(self._load), END_TIMEOUT)


class _Attempt:
    """One go of ``load``, which waits in the middle of it: on a thread, or as a task if it is
    async, begun and ended by the same one."""

    def __init__(
        self,
        load: Callable[..., Any],
        arguments: tuple[Any, ...],
        on_failure: Callable[["_Attempt"], None],
        log: Callable[[BaseException], None],
    ) -> None:
        self.loaded = threading.Event()
        self.error: BaseException | None = None
        self._load, self._arguments = load, arguments
        self._on_failure, self._log = on_failure, log
        self._ending = threading.Event()
        self._released = asyncio.Event()
        self._ended = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="rtcstream-lifespan", daemon=True)
        self._thread.start()

    def describe(self) -> str:
        error = self.error
        return f"{type(error).__name__}: {str(error)[:500]}"

    def end(self) -> bool:
        """Have it put away what it loaded; whether that was done in time."""
        self._ending.set()
        with contextlib.suppress(RuntimeError):  # the loop has ended, and an async one with it
            self._loop.call_soon_threadsafe(self._released.set)
        return self._ended.wait(END_TIMEOUT)

    def _run(self) -> None:
        try:
            self._live_through(self._load(*self._arguments))
        except BaseException as error:  # SystemExit too: whoever waits must hear of it
            if not self.loaded.is_set():
                self.error = error
                self._on_failure(self)
            self._log(error)
        finally:
            self.loaded.set()
            self._ended.set()

    def _live_through(self, made: Any) -> None:
        if inspect.isasyncgen(made):
            made = contextlib.asynccontextmanager(lambda: made)()
        elif inspect.isgenerator(made):
            made = contextlib.contextmanager(lambda: made)()
        elif inspect.isawaitable(made) and not hasattr(made, "__aenter__"):
            made = _once_there(made)
        if hasattr(made, "__aenter__"):
            asyncio.run_coroutine_threadsafe(self._live_through_async(made), self._loop).result()
        elif hasattr(made, "__enter__"):
            with made:
                self._stay()
        else:
            self._stay()

    async def _live_through_async(self, made: Any) -> None:
        async with made:
            self.loaded.set()
            await self._released.wait()

    def _stay(self) -> None:
        self.loaded.set()
        self._ending.wait()


@contextlib.asynccontextmanager
async def _once_there(awaited: Any) -> AsyncGenerator[None, None]:
    await awaited
    yield


def _name(load: Callable[..., Any]) -> str:
    return getattr(load, "__name__", type(load).__name__)
