"""When each frame passed each stage of its way, for those who ask where the time goes."""

import threading
import time
from collections import deque

import numpy as np

RECEIVED, DECODED, TAKEN, RETURNED, ENCODING, ENCODED, SENT = range(7)
STAGES = ("decode", "wait", "function", "wait_encoder", "encode", "send")
"""What lies between two marks: from the last packet received until decoded, and so on."""


class Timeline:
    """Marks of the frames under way, by their ``pts``, and the stages of those last sent.

    A mark costs half a microsecond. Marks come from any thread; a frame is marked by one at a time.
    """

    UNDER_WAY, KEPT = 64, 300

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[int, list[float]] = {}
        self._done: deque[list[float]] = deque(maxlen=self.KEPT)

    def mark(self, pts: int, stage: int) -> None:
        """The frame has come so far now."""
        now = time.perf_counter()
        with self._lock:
            marks = self._under_way.get(pts)
            if marks is None:
                if len(self._under_way) >= self.UNDER_WAY:  # replaced by newer ones on their way
                    del self._under_way[next(iter(self._under_way))]
                marks = self._under_way[pts] = [np.nan] * (SENT + 1)
            marks[stage] = now
            if stage == SENT:
                self._done.append(marks)
                del self._under_way[pts]

    def summary(self) -> dict[str, tuple[float, float]]:
        """Median and 95th percentile of each stage of the last frames, in milliseconds, and of
        the ``total`` from the last packet received to the last one sent; without what no frame
        passed."""
        with self._lock:
            done = list(self._done)
        if not done:
            return {}
        marks = np.array(done)
        whole = marks[:, SENT:] - marks[:, RECEIVED : RECEIVED + 1]
        spans = np.sort(np.hstack([np.diff(marks), whole]) * 1000, axis=0)  # what is NaN is last
        summary = {}
        for name, column in zip((*STAGES, "total"), spans.T, strict=True):
            known = column[: np.count_nonzero(~np.isnan(column))]
            if len(known):
                p50, p95 = known[len(known) // 2], known[len(known) * 95 // 100]
                summary[name] = (round(float(p50), 2), round(float(p95), 2))
        return summary
