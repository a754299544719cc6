"""What of a stream's functions has gone wrong, counted; and when to try again."""

import threading
import time
from dataclasses import dataclass, field


class WorkerError(Exception):
    """What a function raised in a worker process: its words, and where, as the page is told them.

    ``same`` tells errors of one kind from one line apart from others; the traceback is its cause.
    """

    def __init__(self, text: str, same: str | None = None) -> None:
        super().__init__(text)
        self.same = same


class WorkerLost(Exception):
    """A call was lost with its worker process, of which the page has been told."""


@dataclass
class Faults:
    """Counters of one stream, since it began: ``hangs`` of functions that did not return in time,
    ``worker_starts`` of processes and ``worker_deaths`` of those that ended unasked."""

    hangs: int = 0
    worker_starts: int = 0
    worker_deaths: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def count(self, hangs: int = 0, worker_starts: int = 0, worker_deaths: int = 0) -> None:
        """Add to them, from any thread."""
        with self._lock:
            self.hangs += hangs
            self.worker_starts += worker_starts
            self.worker_deaths += worker_deaths


class BackOff:
    """When the next worker process may start: a second after the last, and later when several in
    a row have lived for a short while only."""

    INTERVAL, LONG, LONGEST = 1.0, 10.0, 60.0
    QUICK, PATIENCE = 10.0, 5

    def __init__(self) -> None:
        self.quick = 0
        self._started = float("-inf")

    def note_start(self) -> None:
        self._started = time.monotonic()

    def note_death(self) -> None:
        quick = time.monotonic() - self._started < self.QUICK
        self.quick = self.quick + 1 if quick else 0

    @property
    def interval(self) -> float:
        """Seconds from one start to the next."""
        if self.quick < self.PATIENCE:
            return self.INTERVAL
        return float(min(self.LONG * 2 ** (self.quick - self.PATIENCE), self.LONGEST))

    @property
    def wait(self) -> float:
        """Seconds until the next start."""
        return max(self._started + self.interval - time.monotonic(), 0.0)
