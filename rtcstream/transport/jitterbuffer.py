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
