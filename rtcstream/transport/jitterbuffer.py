"""Whole frames from RTP packets, released as soon as their last packet is there."""

from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtp import RtpPacket


class VideoJitterBuffer(JitterBuffer):
    """aiortc's buffer, but it honours the RTP marker bit.

    The marker is set on a frame's last packet (RFC 7741 section 4.1, RFC 6184 section 5.1).
    aiortc waits for the first packet of the next frame instead: one frame interval of delay.
    """

    def __init__(self) -> None:
        super().__init__(capacity=512, is_video=True)

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
