"""What a network takes, found by the sender: from when it sent each packet, and when each came.

A queue before the narrowest link shows as packets that take longer than the quickest did. As in
draft-ietf-rmcat-gcc the rate falls before packets are lost, and as in LEDBAT (RFC 6817) it is the
standing queue that counts, so that one late packet or a pause of the receiver says nothing.
"""

from collections import deque
from collections.abc import Iterable

HISTORY = 2048
"""Packets whose arrival may still be told: three seconds of 5 Mbit/s."""
WINDOW = 0.5
"""Seconds over which arrivals are counted."""
STANDING = 0.25
"""Seconds of which the quickest packet tells how long the queue is."""
DRIFT = 0.0005
"""Seconds in a second by which two clocks may drift apart, at most."""
ANEW = 10.0
"""Seconds between two arrivals after which the receiver's clock has begun anew."""
LONG, SHORT = 0.040, 0.015
"""Seconds of queue from which the rate falls, and below which it may rise."""
BACK_OFF, LEAST_SHARE = 0.85, 0.4
"""Of what came through, the share that is sent while a short queue drains, or a long one."""
DRAIN = 0.4
"""Seconds for that, until the rate may fall once more."""
PATIENCE = 4
"""Falls in a row that leave the queue as it was, after which the way is taken to be that long."""
QUICKLY, SLOWLY = 1.0, 0.12
"""Shares by which the rate rises in a second, and where a queue has been met before."""
FORGET = 1.2
"""Times that, without a queue: the network has more than it had."""
AHEAD = 2.0
"""Times what comes through that the rate may be: what is not sent proves nothing."""


class CongestionController:
    """The rate that one way through the network takes; times in seconds, rates in bits a second.

    Packets are numbered in the order of sending, modulo 2**16.
    """

    def __init__(self) -> None:
        self.rate: float | None = None
        """None until something is known."""
        self._next = 0
        self._sent: list[tuple[int, float, int] | None] = [None] * HISTORY
        self._came: deque[tuple[float, float, int]] = deque(maxlen=HISTORY)
        self._unqueued: float | None = None
        """The delay of a packet that met no queue, between two clocks."""
        self._fell = 0.0
        self._vain = 0
        self._queued = 0.0
        self._takes: float | None = None
        self._reported: float | None = None

    def number(self, size: int, now: float) -> int:
        """The number of a packet of so many bytes that is sent now."""
        number = self._next
        self._next = (number + 1) & 0xFFFF
        self._sent[number % HISTORY] = (number, now, size)
        return number

    def on_report(self, arrivals: Iterable[tuple[int, float]], asked: int, now: float) -> None:
        """The receiver tells which packets came, and when by its own clock, while the encoder is
        asked for so many bits a second."""
        news = False
        for number, arrival in arrivals:
            sent, self._sent[number % HISTORY] = self._sent[number % HISTORY], None
            if sent is None:
                continue
            if sent[0] != number:  # of a packet long ago: another has its place by now
                self._sent[number % HISTORY] = sent
                continue
            if self._came and abs(arrival - self._came[-1][0]) > ANEW:
                self._came.clear()
                self._unqueued = None
            self._came.append((arrival, arrival - sent[1], sent[2]))
            news = True
        if not news:
            return
        newest = max(came[0] for came in self._came)
        while self._came[0][0] < newest - WINDOW:
            self._came.popleft()
        elapsed = 0.0 if self._reported is None else min(now - self._reported, WINDOW)
        self._reported = now
        if self.rate is None:
            self.rate = float(asked)
        self._adapt(self._queue(newest, elapsed), self._through(newest), elapsed, now)

    def _queue(self, newest: float, elapsed: float) -> float:
        """Seconds that packets stand in a queue, at least."""
        delay = min(delay for arrival, delay, _ in self._came if arrival >= newest - STANDING)
        had = self._unqueued
        self._unqueued = delay if had is None else min(delay, had + DRIFT * elapsed)
        return delay - self._unqueued

    def _through(self, newest: float) -> float:
        """Bits a second that came of late."""
        span = max(newest - min(came[0] for came in self._came), STANDING)
        return 8 * sum(size for _, _, size in self._came) / span

    def _adapt(self, queue: float, through: float, elapsed: float, now: float) -> None:
        assert self.rate is not None
        if queue > LONG:
            if now - self._fell < DRAIN:
                return
            self._fell = now
            # A queue of our own drains, and is seen to: more comes through than is sent.
            in_vain = abs(queue - self._queued) < 0.1 * queue and through < 0.95 * (
                self._takes or 0
            )
            self._vain = self._vain + 1 if in_vain else 0
            self._queued = queue
            if self._vain >= PATIENCE:  # another way, or a queue of others'
                self._unqueued, self._vain = None, 0
            self._takes = through
            self.rate = min(self.rate, max(min(BACK_OFF, 1 - queue), LEAST_SHARE) * through)
        elif queue < SHORT:
            self._vain, self._queued = 0, 0.0
            known = self._takes is not None and self.rate > BACK_OFF * self._takes
            rise = self.rate * (1 + (SLOWLY if known else QUICKLY) * elapsed)
            self.rate = max(self.rate, min(rise, AHEAD * through))
            if self._takes is not None and self.rate > FORGET * self._takes:
                self._takes = None
