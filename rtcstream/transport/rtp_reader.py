"""Media packets from the socket to their receivers, at once.

aiortc puts each packet into a queue, wakes a task for it, and awaits its way through three layers.
Here it is decrypted and handed on where it comes in; all else goes aiortc's way.
"""

import logging
import struct

from aiortc.rtcdtlstransport import RTCDtlsTransport, State
from aiortc.rtp import RtpPacket
from pylibsrtp import Session, ffi, lib  # type: ignore[attr-defined]

from .receiver import MediaReceiver

logger = logging.getLogger(__name__)

LONGEST = 2048
"""Bytes of a packet: more than any path takes."""
MOST_SOURCES = 64
"""RTP sources (SSRCs) of one transport: libsrtp and aiortc keep a state of each, for good."""
RTCP_TYPES = range(192, 224)
"""What the second byte of RTCP is (RFC 5761 section 4)."""


class RtpReader:
    """Takes a transport's media packets from its ICE connection."""

    def __init__(self, transport: RTCDtlsTransport) -> None:
        self._transport = transport
        self._bytes = bytearray(LONGEST)
        self._view = memoryview(self._bytes)
        self._pointer = ffi.from_buffer(self._bytes)
        self._length = ffi.new("int *")
        self._sources: set[bytes] = set()
        self._said = False
        connection = transport.transport._connection
        self._otherwise = connection.data_received
        connection.data_received = self._take  # type: ignore[method-assign]

    def _take(self, data: bytes, component: int) -> None:
        session: Session | None = self._transport._rx_srtp
        media = len(data) > 12 and 128 <= data[0] < 192 and data[1] not in RTCP_TYPES
        if not media or session is None or self._transport._state != State.CONNECTED:
            self._otherwise(data, component)
            return
        size, source = len(data), data[8:12]
        if size > LONGEST or (source not in self._sources and len(self._sources) >= MOST_SOURCES):
            return
        self._view[:size] = data
        self._length[0] = size
        if lib.srtp_unprotect(session._srtp[0], self._pointer, self._length):
            logger.debug("a packet that is not the peer's, or was had before, was left out")
            return
        self._sources.add(source)
        plain = bytes(self._view[: self._length[0]])
        try:
            packet = RtpPacket.parse(plain, self._transport._rtp_header_extensions_map)
        except (ValueError, struct.error) as error:  # the latter of an extension's length
            logger.debug("a packet was left out: %s", error)
            return
        receiver = self._transport._rtp_router.route_rtp(packet)
        if isinstance(receiver, MediaReceiver):
            try:
                receiver.take(packet)
            except Exception:
                level, self._said = logging.DEBUG if self._said else logging.ERROR, True
                logger.log(level, "a packet could not be taken", exc_info=True)
