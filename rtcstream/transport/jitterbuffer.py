"""Whole frames from RTP packets, released as soon as their last packet is there."""

from aiortc.jitterbuffer import MAX_MISORDER, JitterBuffer, JitterFrame
from aiortc.rtp import RtpPacket
from aiortc.utils import uint16_add


class VideoJitterBuffer(JitterBuffer):
    """aiortc's buffer, but it honours the RTP marker bit.

    The marker is set on a frame's last packet (RFC 7741 section 4.1, RFC 6184 section 5.1).
    aiortc waits for the first packet of the next frame instead: one frame interval of delay.
    """

    def __init__(self) -> None:
        super().__init__(capacity=512, is_video=True)
        self._after_old: int | None = None

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """Take a packet; whether the picture is lost, and a frame that is whole.

        A very old packet is a late duplicate; only a second one right after it shows that the
        source has started over (RFC 3550 appendix A.1). aiortc starts over at the first, and then
        waits for all the packets that have long been there.
        """
        if self._origin is not None:
            late = uint16_add(self._origin, -packet.sequence_number)
            if MAX_MISORDER <= late < 0x8000 and packet.sequence_number != self._after_old:
                self._after_old = uint16_add(packet.sequence_number, 1)
                return False, None
        self._after_old = None
        return super().add(packet)

    def pop(self) -> JitterFrame | None:
        """The oldest frame, if all its packets are there."""
        if self._origin is None:
            return None
        packets: list[RtpPacket] = []
        for count in range(self._capacity):
            packet = self._packets[(self._origin + count) % self._capacity]
            if packet is None:
                return None
            if packets and packet.timestamp != packets[0].timestamp:
                return self._release(packets)
            packets.append(packet)
            if packet.marker:
                return self._release(packets)
        return None

    def _remove_frame(self, sequence_number: int) -> JitterFrame | None:
        return self.pop()

    def _release(self, packets: list[RtpPacket]) -> JitterFrame:
        self.remove(len(packets))
        data = b"".join(packet._data for packet in packets)  # type: ignore[attr-defined]
        return JitterFrame(data=data, timestamp=packets[0].timestamp)


class AudioJitterBuffer:
    """Audio packets in order, at once while none is missing.

    Nothing is played here, so there is nothing to smooth: the receiver of what we send has a
    buffer for that, and sees the source's timestamps. A packet that is missing is waited for until
    ``PATIENCE`` later ones are there. aiortc holds back 80 ms of sound always, and 280 after a
    loss.
    """

    PATIENCE = 3

    def __init__(self) -> None:
        self._waiting: dict[int, RtpPacket] = {}
        self._next: int | None = None

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """Take a packet; returns like aiortc's: whether a picture was lost (never), and a frame."""
        if self._next is None:
            self._next = packet.sequence_number
        if _ahead(packet.sequence_number, self._next) >= 0:
            self._waiting[packet.sequence_number] = packet
        elif _ahead(self._next, packet.sequence_number) > 1000:  # the sender has started anew
            self._waiting = {packet.sequence_number: packet}
            self._next = packet.sequence_number
        return False, self.pop()

    def pop(self) -> JitterFrame | None:
        """The next packet, if it is there or no longer waited for."""
        if self._next is None or not self._waiting:
            return None
        if self._next not in self._waiting:
            if len(self._waiting) < self.PATIENCE:
                return None
            origin = self._next
            self._next = min(self._waiting, key=lambda number: _ahead(number, origin))
        packet = self._waiting.pop(self._next)
        self._next = (self._next + 1) & 0xFFFF
        return JitterFrame(data=packet._data, timestamp=packet.timestamp)  # type: ignore[attr-defined]


def _ahead(a: int, b: int) -> int:
    """By how much the sequence number ``a`` is after ``b``, negative when before (RFC 1982)."""
    return ((a - b + 0x8000) & 0xFFFF) - 0x8000
