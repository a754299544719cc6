"""Encoded frames to RTP payloads, whose descriptors and fragments the codecs' RFCs define."""

from aiortc.codecs.h264 import H264Encoder as H264

MAX_PAYLOAD = 1180
"""Bytes: with all headers, SRTP's tag and TURN's own a packet fits into 1280, IPv6's least MTU."""


def vp8_payloads(data: bytes, picture_id: int) -> list[bytes]:
    """A VP8 frame in packets (RFC 7741), as equal as can be: the last is not left tiny, and the
    kernel can cut them from one buffer."""
    # X; I; M and the 15-bit picture number. S is set on the first packet: partition 0 begins.
    number = (0x8000 | picture_id & 0x7FFF).to_bytes(2, "big")
    first, further = b"\x90\x80" + number, b"\x80\x80" + number
    count = -(-len(data) // (MAX_PAYLOAD - len(first)))
    size = -(-len(data) // count)
    return [
        (further if start else first) + data[start : start + size]
        for start in range(0, len(data), size)
    ]


def vp8_data(payload: bytes) -> bytes:
    """What a VP8 packet carries, after its payload descriptor (RFC 7741 section 4.2).

    Raises ValueError when the descriptor is cut short.
    """
    start = 1
    if payload[0] & 0x80:  # X: there is a byte of flags, which say what follows it
        flags = payload[1] if len(payload) > 1 else 0
        start = 2
        if flags & 0x80 and len(payload) > 2:  # I: a picture number, of 7 bits or 15
            start += 2 if payload[2] & 0x80 else 1
        start += bool(flags & 0x40) + bool(flags & 0x30)  # L; T or K, which share a byte
    if start > len(payload):
        raise ValueError("a VP8 payload descriptor is cut short")
    return payload[start:]


def h264_payloads(data: bytes) -> list[bytes]:
    """An H.264 frame in Annex B in packets, packetization mode 1 (RFC 6184)."""
    return H264._packetize(H264._split_bitstream(data))
