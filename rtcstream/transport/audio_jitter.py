"""Audio packets in order, each as soon as it is its turn."""

import time
from collections.abc import Callable

from aiortc.jitterbuffer import MAX_MISORDER, JitterFrame
from aiortc.rtp import RtpPacket

MAX_AGE = MAX_MISORDER * 5760
"""Ticks that a late packet may be older than the newest: of Opus's longest packets, 120 ms."""


class SoundFrame(JitterFrame):
    """An encoded frame of sound."""

    def __init__(self, data: bytes, timestamp: int, lost: int) -> None:
        super().__init__(data=data, timestamp=timestamp)
        self.lost = lost
        """Packets right before it that never came. None where the sender was silent (DTX): there
        the timestamps jump, and the sequence numbers do not."""


class AudioJitterBuffer:
    """Audio packets in order, at once while none is missing.

    Nothing is played here, so there is nothing to smooth: the receiver of what we send has a
    buffer for that, and sees the source's timestamps. No retransmission is asked for, so a missing
    packet can only have been overtaken: it is waited for as long as such packets have been late,
    and the next one after a loss waits no longer than that. aiortc holds back 80 ms of sound
    always, and 280 after a loss.
    """

    LEAST_WAIT, LONGEST_WAIT = 0.01, 0.1
    """Seconds that a missing packet is waited for, from the first that comes in its stead."""
    MARGIN = 1.25
    """Of the wait to the lateness that was seen: the next one may be later still."""
    HALF_LIFE = 5.0
    """Seconds in which half of that lateness is forgotten."""
    CAPACITY = 64

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._ssrc: int | None = None
        self._next = 0
        self._timestamp = 0  # of the newest packet that has been released
        self._waiting: dict[int, tuple[RtpPacket, float]] = {}
        """By sequence number, and when they came."""
        self._given_up: dict[int, float] = {}
        """Sequence numbers, and when they were missed."""
        self._after_foreign: tuple[int, int] | None = None
        self._lateness, self._learned = 0.0, 0.0

    def add(self, packet: RtpPacket) -> None:
        """Take a packet; ``pop`` gives what is due."""
        number = packet.sequence_number
        if self._ssrc is None:
            self._begin(packet)
        elif self._is_foreign(packet):
            # Only a second one right after it shows that the sender has started over (RFC 3550
            # appendix A.1).
            if (packet.ssrc, number) != self._after_foreign:
                self._after_foreign = packet.ssrc, (number + 1) & 0xFFFF
                return
            self._begin(packet)
        self._after_foreign = None
        now = self._now()
        overtaken = [at for n, (_, at) in self._waiting.items() if _ahead(n, number) > 0]
        missed = self._given_up.pop(number, min(overtaken, default=now))
        if number not in self._waiting:
            self._learn(now - missed, now)
            if _ahead(number, self._next) >= 0:
                self._waiting[number] = packet, now

    def pop(self) -> SoundFrame | None:
        """The next packet, if it is there or no longer waited for."""
        if not self._waiting or self.wait:
            return None
        number = min(self._waiting, key=lambda number: _ahead(number, self._next))
        lost = _ahead(number, self._next)
        missed = min(at for _, at in self._waiting.values())
        for back in range(min(lost, self.CAPACITY), 0, -1):
            self._given_up[(number - back) & 0xFFFF] = missed
        while len(self._given_up) > self.CAPACITY:
            del self._given_up[next(iter(self._given_up))]
        packet, _ = self._waiting.pop(number)
        self._next, self._timestamp = (number + 1) & 0xFFFF, packet.timestamp
        return SoundFrame(packet._data, packet.timestamp, lost)  # type: ignore[attr-defined]

    @property
    def wait(self) -> float | None:
        """Seconds until the next packet is due, if one waits; 0 when ``pop`` has it."""
        if not self._waiting:
            return None
        if self._next in self._waiting or len(self._waiting) >= self.CAPACITY:
            return 0.0
        now = self._now()
        patience = min(max(self.MARGIN * self._recent(now), self.LEAST_WAIT), self.LONGEST_WAIT)
        return max(min(at for _, at in self._waiting.values()) + patience - now, 0.0)

    def _begin(self, packet: RtpPacket) -> None:
        self._ssrc, self._next = packet.ssrc, packet.sequence_number
        self._waiting.clear()
        self._given_up.clear()

    def _is_foreign(self, packet: RtpPacket) -> bool:
        """Whether it belongs to another run of numbers than those so far: not late, but new."""
        if packet.ssrc != self._ssrc:
            return True
        behind = _ahead(self._next, packet.sequence_number)
        age = (self._timestamp - packet.timestamp) & 0xFFFFFFFF
        return behind >= MAX_MISORDER or (behind > 0 and age >= MAX_AGE)

    def _learn(self, lateness: float, now: float) -> None:
        if lateness <= self.LONGEST_WAIT:  # for what is later than that nothing can wait
            self._lateness, self._learned = max(lateness, self._recent(now)), now

    def _recent(self, now: float) -> float:
        """The lateness that is to be expected."""
        return float(self._lateness * 0.5 ** ((now - self._learned) / self.HALF_LIFE))


def _ahead(a: int, b: int) -> int:
    """By how much the sequence number ``a`` is after ``b``, negative when before (RFC 1982)."""
    return ((a - b + 0x8000) & 0xFFFF) - 0x8000
