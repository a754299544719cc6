"""What a network takes, found by the sender: from when it sent each packet, and when each came.

A queue before the narrowest link shows as packets that take longer than the quickest did. As in
draft-ietf-rmcat-gcc the rate falls before packets are lost, and as in LEDBAT (RFC 6817) it is the
standing queue that counts, so that one late packet or a pause of the receiver says nothing.
"""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

HISTORY = 8192
"""Packets whose arrival may still be told: two seconds of 40 Mbit/s."""
KEPT, WINDOW, MOST_REPORTS = 1.0, 0.5, 100
"""Seconds for which reports are kept, and over which arrivals are counted; reports, at most."""
STANDING, MOMENTS = 0.25, 3
"""Seconds of which the quickest packet tells how long the queue is, of frames of so many moments:
one that is late says nothing."""
DRIFT = 0.0005
"""Seconds in a second by which two clocks may drift apart, at most."""
ANEW = 10.0
"""Seconds between two arrivals after which the receiver's clock has begun anew."""
LONG, SHORT = 0.040, 0.015
"""Seconds of queue from which the rate falls, and below which it may rise."""
BACK_OFF, LEAST_SHARE = 0.85, 0.4
"""Of what came through, the share that is sent while a short queue drains, or a long one."""
DRAIN, DRAINS = 0.4, 0.02
"""Seconds for that, until the rate may fall once more, and by how many a queue is shorter then."""
STRETCHED = 1.1
"""Times as long as they were sent in, in which packets come that are too many for the way."""
FORGIVEN = 6.0
"""Seconds without a break after which a queue is taken for a longer way."""
QUICKLY, SLOWLY = 1.0, 0.12
"""Shares by which the rate rises in a second, and where a queue has been met before."""
FORGET = 1.2
"""Times that, without a queue: the network has more than it had."""
AHEAD = 2.0
"""Times what comes through that the rate may rise to: what is not sent proves nothing."""


class Came(NamedTuple):
    """What one report told: the first and last arrival by the receiver's clock, and when packets
    were sent by ours; the delay from one clock to the other of the quickest, all bytes, and at how
    many moments they were sent."""

    first: float
    last: float
    sent_first: float
    sent_last: float
    quickest: float
    size: int
    moments: int


class CongestionController:
    """The rate that one way through the network takes; times in seconds, rates in bits a second.

    Packets are numbered in the order of sending, modulo 2**16.
    """

    def __init__(self) -> None:
        self.rate: float | None = None
        """None until something is known."""
        self._first = 0.0
        self._next = 0
        self._sent: list[tuple[int, float, int] | None] = [None] * HISTORY
        self._came: deque[Came] = deque(maxlen=MOST_REPORTS)
        self._unqueued: float | None = None
        """The delay of a packet that met no queue, between two clocks."""
        self._free = 0.0
        self._fell = 0.0
        self._queued = 0.0
        self._in_vain = False
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
        told: list[tuple[float, float, int]] = []
        for number, arrival in arrivals:
            sent = self._sent[number % HISTORY]
            if sent is not None and sent[0] == number:  # neither told before, nor long ago
                self._sent[number % HISTORY] = None
                told.append((arrival, *sent[1:]))
        if not told:
            return
        came = Came(
            first=min(arrival for arrival, _, _ in told),
            last=max(arrival for arrival, _, _ in told),
            sent_first=min(sent for _, sent, _ in told),
            sent_last=max(sent for _, sent, _ in told),
            quickest=min(arrival - sent for arrival, sent, _ in told),
            size=sum(size for _, _, size in told),
            moments=len({round(sent, 2) for _, sent, _ in told}),
        )
        if self._came and abs(came.last - self._came[-1].last) > ANEW:
            self._came.clear()
            self._unqueued = None
        self._came.append(came)
        newest = max(each.last for each in self._came)
        while self._came[0].last < newest - KEPT:
            self._came.popleft()
        elapsed = 0.0 if self._reported is None else min(now - self._reported, WINDOW)
        self._reported = now
        if self.rate is None:
            self.rate = self._first = float(asked)
            self._free = now
        queue = self._queue(newest, elapsed)
        if queue is None:
            return
        through, overfull = self._through(newest)
        if queue > LONG:
            self._fall(queue, through, overfull, now)
        elif queue < SHORT:
            if self._in_vain:
                self._takes = None
            self._free, self._queued, self._in_vain = now, 0.0, False
            self._rise(through, elapsed)

    def _queue(self, newest: float, elapsed: float) -> float | None:
        """Seconds that packets stand in a queue, at least; None if too few frames came to tell."""
        for seconds in (STANDING, KEPT):
            of_late = [came for came in self._came if came.last >= newest - seconds]
            if sum(came.moments for came in of_late) >= MOMENTS:
                break
        else:
            return None
        delay = min(came.quickest for came in of_late)
        had = self._unqueued
        self._unqueued = delay if had is None else min(delay, had + DRIFT * elapsed)
        return delay - self._unqueued

    def _through(self, newest: float) -> tuple[float, bool]:
        """Bits a second that came of late, and whether more were sent."""
        of_late = [came for came in self._came if came.last >= newest - WINDOW]
        span = newest - min(came.first for came in of_late)
        sent = max(came.sent_last for came in of_late) - min(came.sent_first for came in of_late)
        bits = 8 * sum(came.size for came in of_late)
        return bits / max(span, STANDING), span > STRETCHED * max(sent, STANDING)

    def _fall(self, queue: float, through: float, overfull: bool, now: float) -> None:
        assert self.rate is not None
        if now - self._free > FORGIVEN:
            self._unqueued = None
            return
        worse = overfull and through < 0.9 * (self._takes or 0)
        if self._queued and not worse:
            if self._came[-1].sent_last < self._fell + DRAIN:  # it was sent before, or about then
                if queue > self._queued:
                    self._queued = queue
                    self._lower(queue)
                return
            if queue < self._queued - DRAINS:
                self._fell, self._queued = now, queue
                return
            if not overfull:
                # Less is sent, all comes through, and the queue stays: it is others', who are not
                # to take all.
                self._in_vain = True
                return
        self._fell, self._queued = now, queue
        # A picture that stands still takes little, which says nothing of what there is.
        little = through < 0.5 * self.rate and not overfull
        self._takes = self.rate if little else through
        self._lower(queue)

    def _lower(self, queue: float) -> None:
        """To what lets a queue drain."""
        assert self.rate is not None and self._takes is not None
        self.rate = min(self.rate, max(min(BACK_OFF, 1 - queue), LEAST_SHARE) * self._takes)

    def _rise(self, through: float, elapsed: float) -> None:
        assert self.rate is not None
        known = self._takes is not None and self.rate > BACK_OFF * self._takes
        rise = self.rate * (1 + (SLOWLY if known else QUICKLY) * elapsed)
        self.rate = max(self.rate, min(rise, max(AHEAD * through, self._first)))
        if self._takes is not None and self.rate > FORGET * self._takes:
            self._takes = None
