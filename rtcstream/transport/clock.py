"""The source clock: when, on the wall, a frame of a source was captured."""

import time
from fractions import Fraction

VIDEO_RATE = 90_000
"""Ticks a second of video's RTP timestamps (RFC 6184, RFC 7741)."""
VIDEO_TIME_BASE = Fraction(1, VIDEO_RATE)
AUDIO_RATE = 48_000
"""Ticks a second of Opus's RTP timestamps, whatever its bandwidth (RFC 7587 section 4.1)."""

NTP_UNIX_OFFSET = 2_208_988_800  # seconds from 1900 to 1970 (RFC 5905 section 6)
DRIFT = 500e-6  # two crystals differ by at most some hundred parts per million


class SourceClock:
    """Maps a source's own timestamps, ``rate`` ticks a second, to wall-clock time.

    A frame's arrival is its capture plus a delay that varies; the least delay seen is the best
    estimate of the constant part, so the offset follows the earliest arrivals and may rise only
    as fast as crystals drift. Sender reports made from it (RFC 3550 section 6.4.1) tell the
    receiver when each frame was captured, not when its processing ended: so a browser can show
    tracks together whose processing took different times.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.reported: tuple[int, float] | None = None
        """An RTP timestamp of the source, and when that was by the source's own clock, in seconds
        since 1970: as its last sender report has it."""
        self._offset: float | None = None
        self._observed = 0.0

    def observe(self, pts: int, now: float | None = None) -> None:
        """A frame with the unwrapped timestamp ``pts`` has arrived."""
        now = time.time() if now is None else now
        offset = now - pts / self.rate
        if self._offset is not None:
            offset = min(offset, self._offset + DRIFT * max(0.0, now - self._observed))
        self._offset, self._observed = offset, now

    def report(self, timestamp: int, ntp: int) -> None:
        """A sender report of the source (RFC 3550 section 6.4.1) has come."""
        self.reported = timestamp, ntp / (1 << 32) - NTP_UNIX_OFFSET

    def ntp(self, pts: int) -> int:
        """The 64-bit NTP time at which the frame ``pts`` was captured (arrived, more exactly)."""
        offset = time.time() - pts / self.rate if self._offset is None else self._offset
        seconds = pts / self.rate + offset + NTP_UNIX_OFFSET
        # Modulo 2**64, as timestamps that jump around may lead far out of the era.
        return (int(seconds // 1) << 32 | int(seconds % 1 * (1 << 32))) & 0xFFFFFFFFFFFFFFFF
