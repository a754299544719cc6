"""When each frame passed each stage of its way, for those who ask where the time goes."""

import threading
import time
from collections import deque
from collections.abc import Sequence
from itertools import islice

RECEIVED, DECODED, TAKEN, RETURNED, ENCODING, ENCODED, SENT = range(7)
STAGES = ("decode", "wait", "function", "wait_encoder", "encode", "send")
"""What lies between two marks: from the last packet received until decoded, and so on."""

SPANS = (*zip(STAGES, range(SENT), range(1, SENT + 1), strict=True), ("total", RECEIVED, SENT))
"""Each stage, and the ``total``, with the marks that it lies between."""


class Timeline:
    """Marks of the frames under way, by their ``pts``, and the stages of those last sent.

    A mark costs half a microsecond. Marks come from any thread; a frame is marked by one at a time.
    """

    UNDER_WAY, KEPT = 64, 300

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[int, list[float | None]] = {}
        self._done: deque[Sequence[float | None]] = deque(maxlen=self.KEPT)
        self._sent = 0

    def mark(self, pts: int, stage: int) -> None:
        """The frame has come so far now."""
        now = time.perf_counter()
        with self._lock:
            marks = self._under_way.get(pts)
            if marks is None:
                if len(self._under_way) >= self.UNDER_WAY:  # replaced by newer ones on their way
                    del self._under_way[next(iter(self._under_way))]
                marks = self._under_way[pts] = [None] * (SENT + 1)
            marks[stage] = now
            if stage == SENT:
                self._done.append(marks)
                self._sent += 1
                del self._under_way[pts]

    def since(self, sent: int) -> tuple[int, list[tuple[str, float]]]:
        """How many frames have been sent by now, and each stage, in seconds, of those after the
        first ``sent``; of the last ``KEPT`` at most."""
        with self._lock:
            now = self._sent
            new = list(islice(reversed(self._done), now - sent))
        return now, [
            (name, marks[end] - marks[start])  # type: ignore[operator]
            for marks in reversed(new)
            for name, start, end in SPANS
            if marks[start] is not None and marks[end] is not None
        ]

    def summary(self) -> dict[str, tuple[float, float]]:
        """Median and 95th percentile of each stage of the last frames, in milliseconds, and of
        the ``total`` from the last packet received to the last one sent; without what no frame
        passed."""
        with self._lock:
            done = list(self._done)
        if not done:
            return {}
        summary = {}
        for name, start, end in SPANS:
            known = sorted(
                (marks[end] - marks[start]) * 1000  # type: ignore[operator]
                for marks in done
                if marks[start] is not None and marks[end] is not None
            )
            if known:
                p50, p95 = known[len(known) // 2], known[len(known) * 95 // 100]
                summary[name] = (round(p50, 2), round(p95, 2))
        return summary
