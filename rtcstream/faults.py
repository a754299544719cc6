"""What of a stream's functions has gone wrong, counted."""

import threading
from dataclasses import dataclass, field


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
