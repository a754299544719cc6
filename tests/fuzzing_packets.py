"""Mutated packets to a session: what its peer encrypts, and what anybody sends to its port."""

import asyncio
import contextlib
import struct
from random import Random

import pylibsrtp
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    RtcpByePacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSourceInfo,
    RtcpSrPacket,
    pack_remb_fci,
)

from rtcstream.testing import TestPeer
from rtcstream.transport.sender import VideoSender
from tests.mutations import mutated_bytes

TRANSPORT_FEEDBACK = 15
"""Its number among the RTP feedback messages (draft-holmer-rmcat-transport-wide-cc-extensions)."""


def rtcp_of(ours: int, theirs: int) -> list[bytes]:
    """A report of each kind, of a peer whose source is ``theirs`` about ``ours``."""
    info = RtcpReceiverInfo(ours, 3, 10, 500, 20, 1, 2)
    feedback = struct.pack("!HHI", 100, 5, 1 << 8) + b"\x20\x05" + bytes([4] * 6)
    return [
        bytes(RtcpSrPacket(theirs, RtcpSenderInfo(1 << 40, 9000, 7, 900), [info])),
        bytes(RtcpRrPacket(theirs, [info])),
        bytes(RtcpSdesPacket([RtcpSourceInfo(theirs, [(1, b"somebody")])])),
        bytes(RtcpByePacket([theirs + 1])),
        bytes(RtcpRtpfbPacket(RTCP_RTPFB_NACK, theirs, ours, lost=[5, 6, 9])),
        bytes(RtcpPsfbPacket(RTCP_PSFB_PLI, theirs, ours)),
        bytes(RtcpPsfbPacket(RTCP_PSFB_APP, theirs, 0, fci=pack_remb_fci(900_000, [ours]))),
        struct.pack("!BBHII", 0x80 | TRANSPORT_FEEDBACK, 205, 5, theirs, ours) + feedback[:16],
    ]


def rtp_of(payload_type: int, source: int, random: Random) -> bytes:
    """A packet of media: a one-byte header extension, then VP8, or what passes for it."""
    extension = struct.pack("!HH", 0xBEDE, 1) + b"\x10a\x31\x02"
    head = struct.pack(
        "!BBHII", 0x90, payload_type, random.getrandbits(16), random.getrandbits(32), source
    )
    return head + extension + b"\x90\x80\x05" + random.randbytes(random.choice((0, 1, 20, 1000)))


async def pelt(peer: TestPeer, random: Random, count: int) -> None:
    """Send so many packets to a session, of which each part of it may take some for its own."""
    sender = peer._senders["video"]
    assert isinstance(sender, VideoSender) and peer.session is not None
    transport = sender.transport
    connection = transport.transport._connection
    ours = peer.session.wiring.senders[0]._ssrc
    payload_types = [codec.payloadType for codec in peer._connection.getTransceivers()[0]._codecs]
    reports = rtcp_of(ours, sender._ssrc)
    for number in range(count):
        what = random.randrange(4)
        if what == 0:
            report = random.choice(reports)
            data = mutated_bytes(report, random) + random.choice((b"", random.choice(reports)))
        else:
            source = random.choice((sender._ssrc, sender._rtx_ssrc, random.randrange(40)))
            data = rtp_of(random.choice(payload_types) or 0, source, random)
            data = data if random.random() < 0.3 else mutated_bytes(data, random)
        data = data[:1400]
        with contextlib.suppress(
            ConnectionError, ValueError, pylibsrtp.Error
        ):  # what its own encryption does not take
            if what == 3:
                # In the clear: RTP, RTCP, DTLS (20 to 63) and STUN (0 to 3) are told apart by this.
                first = random.choice((0, 1, 2, 20, 21, 22, 23, 25, 63, 64, 128, 200, 255))
                await connection.send(bytes([first]) + data[1:])
            elif len(data) > 12:
                await transport._send_rtp(data)
        if number % 20 == 0:
            await asyncio.sleep(0)
