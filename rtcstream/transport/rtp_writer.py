"""Encoded frames to the peer: RTP headers, SRTP, and the socket, a frame at a time.

aiortc makes an object, three copies and several awaits of each packet. Here a frame's packets are
written into buffers that stay, encrypted where they lie, and given to the kernel together, which
cuts them apart itself where it can (generic segmentation offload, ``man 7 udp``).
"""

import errno
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpSendParameters
from aiortc.rtcrtpsender import random_sequence_number
from pylibsrtp import ffi, lib  # type: ignore[attr-defined]

from .clock import NTP_UNIX_OFFSET
from .congestion import CongestionController
from .extensions import ABS_SEND_TIME, IDS, MID, PLAYOUT_DELAY, TRANSPORT_SEQUENCE

SOL_UDP, UDP_SEGMENT = 17, 103
MOST_AT_ONCE = 40
"""Packets: the kernel takes 64, of 65507 bytes together."""
HISTORY = 1024
"""Packets that can be sent again: two seconds of 5 Mbit/s."""
RESEND_INTERVAL = 0.01
"""Seconds between two retransmissions of one packet: less than a round trip that needs them."""
BUFFER = 1500
TRAILER = 16
"""Bytes that encryption appends, at most (the tag of AES-GCM, RFC 7714 section 13.2)."""

Packet = tuple[int, int, int, bytes, bytes]
"""Sequence number, marker, timestamp, header extensions and payload."""


class _Buffers(threading.local):
    """Room for the packets of one batch; encrypted in place, each thread's own: an event loop
    sends one batch after another."""

    def __init__(self) -> None:
        self.bytes = [bytearray(BUFFER) for _ in range(MOST_AT_ONCE)]
        self.views = [memoryview(each) for each in self.bytes]
        self.pointers = [ffi.from_buffer(each) for each in self.bytes]
        self.length = ffi.new("int *")


_buffers = _Buffers()


class RtpWriter:
    """One RTP stream of a sender. All of it belongs to the event loop.

    ``playout_delay`` is what the receiver is asked for, the least and the most in units of 10 ms
    (the playout-delay header extension); None leaves it to the receiver.
    """

    def __init__(self, transport: RTCDtlsTransport, ssrc: int, rtx_ssrc: int) -> None:
        self.packets = 0
        self.octets = 0
        self.resent = 0
        self.playout_delay: tuple[int, int] | None = None
        self.congestion: CongestionController | None = None
        """There if the peer tells when packets came."""
        self._transport = transport
        self._ssrc, self._rtx_ssrc = ssrc, rtx_ssrc
        self._payload_type = 0
        self._rtx_type: int | None = None
        self._sequence_number = random_sequence_number()
        self._rtx_sequence_number = random_sequence_number()
        self._ids: dict[str, int] = {}
        self._mid = b""
        self._history: list[Packet | None] = []
        self._allowance = 0
        self._resent_at: dict[int, float] = {}
        self._pair: Any = None
        self._socket: socket.socket | None = None
        self._segments = sys.platform == "linux"

    def configure(self, parameters: RTCRtpSendParameters, codec: RTCRtpCodecParameters) -> None:
        """Take what was negotiated."""
        self._payload_type = codec.payloadType or 0
        self._ids = {e.uri: e.id for e in parameters.headerExtensions if e.id in IDS}
        told = any(feedback.type == "transport-cc" for feedback in codec.rtcpFeedback)
        if told and TRANSPORT_SEQUENCE in self._ids:
            self.congestion = CongestionController()
        mid = (parameters.muxId or "").encode()
        self._mid = mid if len(mid) <= 16 else b""  # longer ones have no one-byte form
        for other in parameters.codecs:
            if other.name == "rtx" and other.parameters.get("apt") == codec.payloadType:
                self._rtx_type = other.payloadType
        if any(feedback.type == "nack" for feedback in codec.rtcpFeedback):
            self._history = [None] * HISTORY

    def close(self) -> None:
        """Let go of the socket, for good."""
        self._segments = False
        self._history = []
        self._release()

    def _release(self) -> None:
        self._pair = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def send(self, payloads: Sequence[bytes], timestamp: int) -> int:
        """Send a frame; returns its bytes. Raises ConnectionError when there is no connection."""
        extensions = self._extensions()
        last = len(payloads) - 1
        batch: list[Packet] = []
        for index, payload in enumerate(payloads):
            numbered = self._numbered(extensions, len(payload))
            packet = (self._sequence_number, int(index == last), timestamp, numbered, payload)
            if self._history:
                self._history[self._sequence_number % HISTORY] = packet
            self._sequence_number = (self._sequence_number + 1) & 0xFFFF
            batch.append(packet)
            if len(batch) == MOST_AT_ONCE or index == last:
                self._write(batch, self._payload_type, self._ssrc)
                batch = []
        self._allowance = min(self._allowance + len(payloads), HISTORY)
        octets = sum(map(len, payloads))
        self.packets += len(payloads)
        self.octets += octets
        return octets

    def resend(self, sequence_numbers: Sequence[int]) -> None:
        """Answer a NACK, which may name thousands, the same over and over; by retransmission
        packets (RFC 4588) where they were negotiated. No more is sent again than was sent: a
        few bytes that ask would otherwise be answered with a megabyte."""
        now = time.monotonic()
        extensions = self._extensions()
        batch: list[Packet] = []
        for number in sequence_numbers:
            number &= 0xFFFF  # aiortc's parser goes on behind the last
            index = number % HISTORY
            packet = self._history[index] if self._history else None
            if packet is None or packet[0] != number or now < self._resent_at.get(index, 0.0):
                continue
            if self._allowance <= 0:
                break
            self._allowance -= 1
            self._resent_at[index] = now + RESEND_INTERVAL
            if self._rtx_type is not None:
                _, marker, timestamp, _, payload = packet
                payload = number.to_bytes(2, "big") + payload
                numbered = self._numbered(extensions, len(payload))
                packet = (self._rtx_sequence_number, marker, timestamp, numbered, payload)
                self._rtx_sequence_number = (self._rtx_sequence_number + 1) & 0xFFFF
            batch.append(packet)
            if len(batch) == MOST_AT_ONCE:
                self._resend(batch)
                batch = []
        if batch:
            self._resend(batch)

    def _resend(self, batch: list[Packet]) -> None:
        self.resent += len(batch)
        if self._rtx_type is None:
            # As they were, to the bit: another text under the same number would give the key away.
            self._write(batch, self._payload_type, self._ssrc)
        else:
            self._write(batch, self._rtx_type, self._rtx_ssrc)

    def _extensions(self) -> bytes:
        """The header extensions of all packets of a frame, in one-byte form (RFC 8285); the first
        wants its number yet, which is each packet's own."""
        parts = []
        if self.congestion is not None:
            parts.append(bytes((self._ids[TRANSPORT_SEQUENCE] << 4 | 1, 0, 0)))
        if (number := self._ids.get(ABS_SEND_TIME)) is not None:
            seconds = time.time() + NTP_UNIX_OFFSET
            stamp = int(seconds * (1 << 18)) & 0xFFFFFF  # 6.18 bits of NTP time
            parts.append(bytes((number << 4 | 2,)) + stamp.to_bytes(3, "big"))
        if self.playout_delay is not None and (number := self._ids.get(PLAYOUT_DELAY)) is not None:
            least, most = self.playout_delay
            parts.append(bytes((number << 4 | 2,)) + (least << 12 | most).to_bytes(3, "big"))
        if self._mid and (number := self._ids.get(MID)) is not None:
            parts.append(bytes((number << 4 | len(self._mid) - 1,)) + self._mid)
        if not parts:
            return b""
        data = b"".join(parts)
        data += bytes(-len(data) % 4)
        return struct.pack("!HH", 0xBEDE, len(data) // 4) + data

    def _numbered(self, extensions: bytes, size: int) -> bytes:
        """With the number by which the peer tells when this packet came."""
        if self.congestion is None:
            return extensions
        number = self.congestion.number(size, time.monotonic())
        return extensions[:5] + number.to_bytes(2, "big") + extensions[7:]

    def _write(self, batch: list[Packet], payload_type: int, ssrc: int) -> None:
        """Write packets, encrypt and send them."""
        transport = self._transport
        if transport.state != "connected":
            raise ConnectionError("there is no connection to send on")
        buffers = _buffers
        session, length = transport._tx_srtp._srtp[0], buffers.length
        packets = []
        for index, (number, marker, timestamp, extensions, payload) in enumerate(batch):
            buffer = buffers.bytes[index]
            first = 0x90 if extensions else 0x80
            start = 12 + len(extensions)
            header = (first, marker << 7 | payload_type, number, timestamp, ssrc)
            struct.pack_into("!BBHLL", buffer, 0, *header)
            buffer[12:start] = extensions
            end = start + len(payload)
            if end > BUFFER - TRAILER:
                raise ValueError(f"a packet of {end} bytes is longer than {BUFFER - TRAILER}")
            buffers.views[index][start:end] = payload
            length[0] = end
            if lib.srtp_protect(session, buffers.pointers[index], length):
                raise ConnectionError("a packet could not be encrypted")
            packets.append(buffers.views[index][: length[0]])
        self._put(packets)

    def _put(self, packets: list[memoryview]) -> None:
        """Hand encrypted packets to the socket of the pair that ICE chose."""
        pair = self._transport.transport._connection._nominated.get(1)
        if pair is None:
            raise ConnectionError("there is no path to send on")
        out, address = pair.protocol.transport, pair.remote_addr
        if self._segments and len(packets) > 1 and _equal(packets):
            if pair is not self._pair:
                self._release()
                self._pair, self._socket = pair, _socket_of(out)
            if self._socket is not None and self._put_together(packets, address):
                return
        for packet in packets:
            out.sendto(bytes(packet), address)

    def _put_together(self, packets: list[memoryview], address: Any) -> bool:
        """All in one call, cut apart by the kernel; False when it cannot be done, or not now."""
        assert self._socket is not None
        size = struct.pack("H", len(packets[0]))
        try:
            self._socket.sendmsg(packets, [(SOL_UDP, UDP_SEGMENT, size)], 0, address)
        except BlockingIOError:
            return False
        except OSError as error:
            # EIO, EINVAL: this kernel or network card cannot; EMSGSIZE: a path with a smaller MTU.
            self._segments = error.errno not in (errno.EIO, errno.EINVAL, errno.EMSGSIZE)
            return False
        return True


def _equal(packets: list[memoryview]) -> bool:
    """Whether all have one length, but for the last, which may be shorter."""
    size = len(packets[0])
    return len(packets[-1]) <= size and all(len(packet) == size for packet in packets[1:-1])


def _socket_of(transport: Any) -> socket.socket | None:
    """A socket of our own on a datagram transport's file; None through TURN."""
    get = getattr(transport, "get_extra_info", None)
    inner = get("socket") if get is not None else None
    if inner is None or inner.fileno() < 0:
        return None
    own = socket.socket(fileno=os.dup(inner.fileno()))
    own.setblocking(False)  # whatever the default of new sockets is
    return own
