"""Media packets from the socket to their receivers, at once.

aiortc puts each packet into a queue, wakes a task for it, and awaits its way through three layers.
Here it is decrypted and handed on where it comes in; all else goes aiortc's way.
"""

import logging

from aiortc.rtcdtlstransport import RTCDtlsTransport, State
from aiortc.rtp import RtpPacket
from pylibsrtp import Session, ffi, lib  # type: ignore[attr-defined]

from .receiver import MediaReceiver

logger = logging.getLogger(__name__)

LONGEST = 2048
"""Bytes of a packet: more than any path takes."""
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
        connection = transport.transport._connection
        self._otherwise = connection.data_received
        connection.data_received = self._take  # type: ignore[method-assign]

    def _take(self, data: bytes, component: int) -> None:
        session: Session | None = self._transport._rx_srtp
        media = len(data) > 12 and 128 <= data[0] < 192 and data[1] not in RTCP_TYPES
        if not media or session is None or self._transport._state != State.CONNECTED:
            self._otherwise(data, component)
            return
        size = len(data)
        if size > LONGEST:
            return
        self._view[:size] = data
        self._length[0] = size
        if lib.srtp_unprotect(session._srtp[0], self._pointer, self._length):
            logger.debug("a packet that is not the peer's, or was had before, was left out")
            return
        plain = bytes(self._view[: self._length[0]])
        try:
            packet = RtpPacket.parse(plain, self._transport._rtp_header_extensions_map)
        except ValueError as error:
            logger.debug("a packet was left out: %s", error)
            return
        receiver = self._transport._rtp_router.route_rtp(packet)
        if isinstance(receiver, MediaReceiver):
            try:
                receiver.take(packet)
            except Exception:
                logger.exception("a packet could not be taken")
