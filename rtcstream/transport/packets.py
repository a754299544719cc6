"""Encoded frames to RTP payloads, whose descriptors and fragments the codecs' RFCs define."""

MAX_PAYLOAD = 1180
"""Bytes: with all headers, SRTP's tag and TURN's own a packet fits into 1280, IPv6's least MTU."""


def vp8_payloads(data: bytes, picture_id: int) -> list[bytes]:
    """A VP8 frame in packets (RFC 7741), as equal as can be: the last is not left tiny, and the
    kernel can cut them from one buffer."""
    # X; I; M and the 15-bit picture number. S is set on the first packet: partition 0 begins.
    number = (0x8000 | picture_id & 0x7FFF).to_bytes(2, "big")
    first, further = b"\x90\x80" + number, b"\x80\x80" + number
    size = _share(len(data), MAX_PAYLOAD - len(first))
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
        if flags & 0x80:  # I: a picture number, of 7 bits or 15
            start += 2 if payload[2:] and payload[2] & 0x80 else 1
        start += bool(flags & 0x40) + bool(flags & 0x30)  # L; T or K, which share a byte
    if start > len(payload):
        raise ValueError("a VP8 payload descriptor is cut short")
    return payload[start:]


def h264_payloads(data: bytes) -> list[bytes]:
    """An H.264 frame in Annex B in packets, packetization mode 1 (RFC 6184): what is small together
    in one (STAP-A, section 5.7.1), what is large in equal fragments (FU-A, section 5.8)."""
    payloads: list[bytes] = []
    together: list[bytes] = []
    for unit in (part.rstrip(b"\0") for part in data.split(b"\0\0\1")[1:]):
        if sum(map(len, together)) + 2 * len(together) + len(unit) + 3 > MAX_PAYLOAD:
            payloads += _aggregate(together)
            together = []
        if len(unit) > MAX_PAYLOAD:
            payloads += _fragments(unit)
        elif unit:
            together.append(unit)
    return payloads + _aggregate(together)


def _aggregate(units: list[bytes]) -> list[bytes]:
    if len(units) < 2:
        return units
    importance = max(unit[0] & 0x60 for unit in units)
    parts = (len(unit).to_bytes(2, "big") + unit for unit in units)
    return [bytes((importance | 24,)) + b"".join(parts)]


def _fragments(unit: bytes) -> list[bytes]:
    body, kind = unit[1:], unit[0] & 0x1F
    size = _share(len(body), MAX_PAYLOAD - 2)
    starts = range(0, len(body), size)
    return [
        bytes((unit[0] & 0xE0 | 28, 0x80 * (at == 0) | 0x40 * (at == starts[-1]) | kind))
        + body[at : at + size]
        for at in starts
    ]


def _share(length: int, most: int) -> int:
    """The size of equal parts, none above ``most``."""
    return -(-length // -(-length // most))
