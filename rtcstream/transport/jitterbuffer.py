"""Whole video frames from RTP packets, each as soon as its last packet is there."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from aiortc.jitterbuffer import JitterFrame
from aiortc.rtp import RtpPacket

REPEAT = 0.02
"""Seconds between two requests for one packet, at least; a round trip where that is longer."""
PATIENCE = 0.3
"""Seconds, or four round trips, that a packet is asked for; then a keyframe is."""


@dataclass(slots=True)
class _Missing:
    since: float
    due: float
    asked: float | None = None


class VideoJitterBuffer:
    """Puts packets in order and gives whole frames; knows what is missing, and when to ask for it.

    A frame is released at its RTP marker bit (RFC 7741 section 4.1, RFC 6184 section 5.1); aiortc
    waits for the first packet of the next frame: a frame interval of delay. It also reports a gap
    only once: what is lost again stays lost. Here ``asks`` names what is missing again and again,
    and what does not come in time is given up: then nothing more is released before a keyframe,
    as it would be decoded onto the wrong picture.
    """

    CAPACITY = 1024
    MAX_MISORDER, MAX_DROPOUT = 100, 3000  # RFC 3550 appendix A.1

    def __init__(self, starts_keyframe: Callable[[RtpPacket], bool] = lambda packet: True) -> None:
        self.awaiting_keyframe = True
        self.round_trip = 0.1
        self._starts_keyframe = starts_keyframe
        self._packets: dict[int, RtpPacket] = {}
        self._keyframes: set[int] = set()
        self._missing: dict[int, _Missing] = {}
        self._next: int | None = None
        self._highest = 0
        self._released = False
        self._strange: int | None = None

    @property
    def incomplete(self) -> bool:
        """Whether something is to be asked for, now or later."""
        return bool(self._missing) or (self.awaiting_keyframe and self._next is not None)

    def add(self, packet: RtpPacket) -> None:
        """Take a packet; ``pop`` gives what it has made whole."""
        now = time.monotonic()
        number = self._place(packet.sequence_number, now)
        if number is None:
            return
        assert self._next is not None
        if number - self._next >= self.CAPACITY:
            self._restart(number)
        for skipped in range(self._highest + 1, number):
            self._missing[skipped] = _Missing(now, now)
        self._highest = max(self._highest, number)
        if (missing := self._missing.pop(number, None)) and missing.asked is not None:
            # Short ones count at once: long ones may have been asked for twice.
            sample = now - missing.asked
            self.round_trip += (sample - self.round_trip) * (0.1 if sample > self.round_trip else 1)
        self._packets[number] = packet
        if self._starts_keyframe(packet):
            self._keyframes.add(number)

    def pop(self) -> JitterFrame | None:
        """The next frame, if all its packets are there."""
        if self._next is None:
            return None
        if self.awaiting_keyframe and not self._skip_to_keyframe():
            return None
        end, whole = self._frame_end(self._next)
        if not whole:
            return None
        packets = [self._packets.pop(number) for number in range(self._next, end)]
        self._keyframes.difference_update(range(self._next, end))
        self._next = end
        self._released, self.awaiting_keyframe = True, False
        data = b"".join(packet._data for packet in packets)  # type: ignore[attr-defined]
        return JitterFrame(data=data, timestamp=packets[0].timestamp)

    def lose(self) -> None:
        """The picture is lost: nothing is released before the next keyframe."""
        self.awaiting_keyframe = True
        self._missing.clear()

    def asks(self, now: float | None = None) -> list[int]:
        """The sequence numbers to ask for now (RFC 4585 section 6.2.1): 16 bits each, sorted."""
        now = time.monotonic() if now is None else now
        patience = max(PATIENCE, 4 * self.round_trip)
        if any(now - missing.since > patience for missing in self._missing.values()):
            self.lose()
        asks = []
        for number, missing in self._missing.items():
            if missing.due <= now:
                asks.append(number & 0xFFFF)
                missing.due = now + max(REPEAT, self.round_trip)
                missing.asked = missing.asked or now
        return sorted(asks)

    def _place(self, sequence_number: int, now: float) -> int | None:
        """The packet's number, which never wraps; None for one that is of no use.

        A number far off is a late duplicate, unless the one right after it comes too: then the
        source has begun anew.
        """
        if self._next is None:
            self._next, self._highest = sequence_number, sequence_number - 1
            return sequence_number
        step = ((sequence_number - self._highest + 0x8000) & 0xFFFF) - 0x8000
        number = self._highest + step
        if step > self.MAX_DROPOUT or number <= self._next - self.MAX_MISORDER:
            known, self._strange = self._strange, (sequence_number + 1) & 0xFFFF
            if known != sequence_number:
                return None
            self._strange = None
            self._restart(number)
            return number
        self._strange = None
        if number < self._next and not self._released and self._highest - number < self.CAPACITY:
            for skipped in range(number + 1, self._next):
                self._missing[skipped] = _Missing(now, now)
            self._next = number
        return None if number < self._next else number

    def _restart(self, number: int) -> None:
        """Forget what there is: from here on the packets count that begin at this number."""
        self.lose()
        self._packets.clear()
        self._keyframes.clear()
        self._next, self._highest = number, number - 1

    def _skip_to_keyframe(self) -> bool:
        """Go on at the first keyframe that is whole; whether there is one."""
        hole = self._next or 0
        for number in sorted(self._keyframes):
            if number < hole:  # of a frame that has been looked at, whatever it claims
                continue
            hole, whole = self._frame_end(number)
            if whole:
                self._next = number
                self._packets = {n: packet for n, packet in self._packets.items() if n >= number}
                self._keyframes = {n for n in self._keyframes if n >= number}
                # What was given up behind it is wanted again.
                now, missing = time.monotonic(), self._missing
                holes = [n for n in range(number, self._highest) if n not in self._packets]
                self._missing = {n: missing.get(n) or _Missing(now, now) for n in holes}
                return True
        return False

    def _frame_end(self, number: int) -> tuple[int, bool]:
        """How far the frame that begins there goes, up to its end or to what is missing; and
        whether it is whole."""
        timestamp = None
        while (packet := self._packets.get(number)) is not None:
            if timestamp is not None and packet.timestamp != timestamp:
                return number, True  # a sender that sets no markers
            timestamp = packet.timestamp
            number += 1
            if packet.marker:
                return number, True
        return number, False
