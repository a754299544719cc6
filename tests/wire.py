"""A writer's transport with real SRTP and sockets, and what a receiver makes of what comes."""

import asyncio
import dataclasses
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pylibsrtp
from aiortc.rtcrtpparameters import (
    RTCRtcpFeedback,
    RTCRtpCodecParameters,
    RTCRtpHeaderExtensionParameters,
    RTCRtpSendParameters,
)
from aiortc.rtp import HeaderExtensionsMap, RtpPacket

from rtcstream.transport.extensions import ABS_SEND_TIME, MID, PLAYOUT_DELAY, TRANSPORT_SEQUENCE
from rtcstream.transport.rtp_writer import RtpWriter

NACK = [RTCRtcpFeedback(type="nack")]
VP8 = RTCRtpCodecParameters("video/VP8", clockRate=90_000, payloadType=96, rtcpFeedback=NACK)
RTX = RTCRtpCodecParameters("video/rtx", clockRate=90_000, payloadType=97, parameters={"apt": 96})
IDS = {MID: 1, ABS_SEND_TIME: 2, PLAYOUT_DELAY: 14}
TOLD = dataclasses.replace(VP8, rtcpFeedback=[*NACK, RTCRtcpFeedback(type="transport-cc")])
NUMBERED = {**IDS, TRANSPORT_SEQUENCE: 5}
KEY = bytes(range(44))
PROFILE = pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM


def session(direction: int) -> pylibsrtp.Session:
    policy = pylibsrtp.Policy(key=KEY, ssrc_type=direction, srtp_profile=PROFILE)
    policy.allow_repeat_tx = True
    policy.window_size = 1024
    return pylibsrtp.Session(policy)


def known_extensions(ids: dict[str, int] = IDS) -> HeaderExtensionsMap:
    """The numbers of extensions, for aiortc's parser."""
    known = HeaderExtensionsMap()
    extensions = [RTCRtpHeaderExtensionParameters(id=n, uri=u) for u, n in ids.items()]
    known.configure(RTCRtpSendParameters(headerExtensions=extensions))
    return known


class Wire:
    """A connected transport, as far as a writer looks at it, and the socket at its other end."""

    def __init__(self, out: asyncio.DatagramTransport, far: socket.socket) -> None:
        self.far = far
        self.out = out
        protocol = SimpleNamespace(transport=out)
        self.pair = SimpleNamespace(protocol=protocol, remote_addr=far.getsockname())
        self.nominated = {1: self.pair}
        self.transport: Any = SimpleNamespace(
            state="connected",
            _tx_srtp=session(pylibsrtp.Policy.SSRC_ANY_OUTBOUND),
            transport=SimpleNamespace(_connection=SimpleNamespace(_nominated=self.nominated)),
        )
        self.writers: list[RtpWriter] = []
        self.inbound = session(pylibsrtp.Policy.SSRC_ANY_INBOUND)

    def writer(
        self,
        *codecs: RTCRtpCodecParameters,
        mid: str = "0",
        ids: dict[str, int] = IDS,
        codec: RTCRtpCodecParameters = VP8,
    ) -> RtpWriter:
        writer = RtpWriter(self.transport, 1111, 2222)
        extensions = [RTCRtpHeaderExtensionParameters(id=n, uri=u) for u, n in ids.items()]
        parameters = RTCRtpSendParameters(
            codecs=[codec, *codecs], headerExtensions=extensions, muxId=mid
        )
        writer.configure(parameters, codec)
        self.writers.append(writer)
        return writer

    def datagrams(self) -> list[bytes]:
        """What has come by now."""
        received = []
        while True:
            try:
                received.append(self.far.recv(2000))
            except BlockingIOError:
                return received

    def packets(self, ids: dict[str, int] = IDS) -> list[RtpPacket]:
        """The same, decrypted and parsed."""
        return [
            RtpPacket.parse(self.inbound.unprotect(each), known_extensions(ids))
            for each in self.datagrams()
        ]


@asynccontextmanager
async def connected() -> AsyncIterator[Wire]:
    """Such a transport, by real sockets; its writers are closed in the end."""
    loop = asyncio.get_running_loop()
    far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    far.bind(("127.0.0.1", 0))
    far.setblocking(False)
    out, _ = await loop.create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
    )
    wire = Wire(out, far)
    yield wire
    for writer in wire.writers:
        writer.close()
    out.close()
    far.close()
    await asyncio.sleep(0)
