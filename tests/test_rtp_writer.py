"""Encoded frames on the wire: real SRTP and sockets, and what a receiver makes of them."""

import asyncio
import dataclasses
import errno
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pylibsrtp
import pytest
from aiortc.rtcrtpparameters import (
    RTCRtcpFeedback,
    RTCRtpCodecParameters,
    RTCRtpHeaderExtensionParameters,
    RTCRtpSendParameters,
)
from aiortc.rtp import HeaderExtensionsMap, RtpPacket, unwrap_rtx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtcstream.transport import rtp_writer
from rtcstream.transport.extensions import ABS_SEND_TIME, MID, PLAYOUT_DELAY, TRANSPORT_SEQUENCE
from rtcstream.transport.packets import MAX_PAYLOAD, vp8_payloads
from rtcstream.transport.rtp_writer import HISTORY, MOST_AT_ONCE, RESEND_INTERVAL, RtpWriter
from tests.leaks import no_leaks

NACK = [RTCRtcpFeedback(type="nack")]
VP8 = RTCRtpCodecParameters("video/VP8", clockRate=90_000, payloadType=96, rtcpFeedback=NACK)
RTX = RTCRtpCodecParameters("video/rtx", clockRate=90_000, payloadType=97, parameters={"apt": 96})
IDS = {MID: 1, ABS_SEND_TIME: 2, PLAYOUT_DELAY: 14}
TOLD = dataclasses.replace(VP8, rtcpFeedback=[*NACK, RTCRtcpFeedback(type="transport-cc")])
NUMBERED = {**IDS, TRANSPORT_SEQUENCE: 5}
KEY = bytes(range(44))
PROFILE = pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM

linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux cuts packets apart")


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


def set_clock(monkeypatch: pytest.MonkeyPatch, clock: Callable[[], float]) -> None:
    """Give the writer, and nobody else, this clock."""
    monkeypatch.setattr(rtp_writer, "time", SimpleNamespace(monotonic=clock, time=clock))


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


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
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


async def test_a_frame_is_what_a_receiver_expects(wire: Wire) -> None:
    """Headers, marker and payloads are read by aiortc's parser as they were given."""
    writer = wire.writer()
    payloads = vp8_payloads(os.urandom(5000), 7)
    assert writer.send(payloads, 0xFFFFFFFF) == sum(map(len, payloads))
    packets = wire.packets()
    assert [packet.payload for packet in packets] == payloads
    assert [packet.marker for packet in packets] == [0, 0, 0, 0, 1]
    assert {(p.ssrc, p.payload_type, p.timestamp) for p in packets} == {(1111, 96, 0xFFFFFFFF)}
    numbers = [packet.sequence_number for packet in packets]
    assert numbers == list(range(numbers[0], numbers[0] + 5))
    assert (writer.packets, writer.octets) == (5, sum(map(len, payloads)))


async def test_header_extensions(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """The section, the time of sending and the wish to show at once are in each packet."""
    set_clock(monkeypatch, lambda: 1_700_000_000.25)
    writer = wire.writer()
    writer.playout_delay = (0, 0xFFF)
    writer.send([b"a", b"b"], 0)
    datagrams = [wire.inbound.unprotect(datagram) for datagram in wire.datagrams()]
    assert len(datagrams) == 2
    for data in datagrams:
        read = RtpPacket.parse(data, known_extensions()).extensions
        assert read.mid == "0"
        seconds = 1_700_000_000 + 2_208_988_800
        assert read.abs_send_time == (seconds % 64 << 18) + (1 << 16)
        assert b"\xe2\x00\x0f\xff" in data, "of id 14: none at least, whatever at most"


async def test_packets_are_numbered(wire: Wire) -> None:
    """Each packet has a number of its own for the peer to tell when it came, also sent again."""
    writer = wire.writer(RTX, ids=NUMBERED, codec=TOLD)
    writer.send([b"a", b"bc"], 0)
    writer.resend([(writer._sequence_number - 1) & 0xFFFF])
    read = [packet.extensions for packet in wire.packets(NUMBERED)]
    assert [each.transport_sequence_number for each in read] == [0, 1, 2]
    assert [each.mid for each in read] == ["0", "0", "0"]


async def test_a_number_stays(wire: Wire) -> None:
    """Without retransmission packets, what is sent again is the same to the bit; who does not say
    that it tells of packets gets no numbers."""
    writer = wire.writer(ids=NUMBERED, codec=TOLD)
    writer.send([b"a"], 0)
    writer.resend([(writer._sequence_number - 1) & 0xFFFF])
    first, again = wire.datagrams()
    assert first == again
    assert wire.writer(ids=NUMBERED).congestion is None
    assert wire.writer(codec=TOLD).congestion is None


@pytest.mark.parametrize("number", [0, 15, 16, 255, 4096])
async def test_extension_numbers_that_have_no_short_form(wire: Wire, number: int) -> None:
    """What cannot be written in one-byte form is left out."""
    writer = wire.writer(ids={ABS_SEND_TIME: number, MID: 3})
    writer.send([b"a"], 0)
    [data] = map(wire.inbound.unprotect, wire.datagrams())
    assert data[12:20] == b"\xbe\xde\x00\x01\x300\x00\x00"


@pytest.mark.parametrize(("mid", "size"), [("", 0), ("x" * 16, 24), ("x" * 17, 0), ("é" * 9, 0)])
async def test_names_of_sections(wire: Wire, mid: str, size: int) -> None:
    """A section's name is sent if it fits, and none without its extension."""
    writer = wire.writer(mid=mid, ids={MID: 1})
    writer.send([b"a"], 0)
    [data] = map(wire.inbound.unprotect, wire.datagrams())
    assert len(data) == 12 + size + 1
    assert bool(data[0] & 0x10) == bool(size)


async def test_what_was_lost_is_sent_again(wire: Wire) -> None:
    """A retransmission is a packet of the second source that has the first in it (RFC 4588)."""
    writer = wire.writer(RTX)
    writer.send(vp8_payloads(os.urandom(3000), 1), 90)
    first = wire.packets()
    writer.resend([first[2].sequence_number, first[0].sequence_number])
    again = wire.packets()
    assert {(packet.ssrc, packet.payload_type) for packet in again} == {(2222, 97)}
    assert again[1].sequence_number == again[0].sequence_number + 1
    for packet, original in zip(again, (first[2], first[0]), strict=True):
        assert packet.extensions.mid == "0"
        unwrapped = unwrap_rtx(packet, payload_type=96, ssrc=1111)
        assert unwrapped.sequence_number == original.sequence_number
        assert (unwrapped.payload, unwrapped.marker) == (original.payload, original.marker)
        assert unwrapped.timestamp == original.timestamp
    assert writer.resent == 2 and writer.packets == 3


async def test_without_retransmission_packets_the_same_bytes_are_sent(wire: Wire) -> None:
    """What is sent again under its own number is what was sent, to the bit."""
    writer = wire.writer()
    writer.send([b"a", b"bc", b"def"], 90)
    first = wire.datagrams()
    await asyncio.sleep(0.001)  # another time of sending
    writer.resend([(writer._sequence_number - 2) & 0xFFFF])
    assert wire.datagrams() == [first[1]]


async def test_a_storm_of_requests(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """One packet is sent again once an interval, however often it is asked for."""
    now = 50.0
    set_clock(monkeypatch, lambda: now)
    writer = wire.writer(RTX)
    writer.send([b"a"] * 10, 0)
    wire.datagrams()
    number = (writer._sequence_number - 1) & 0xFFFF
    for _ in range(100):
        writer.resend([number] * 100)
    assert len(wire.datagrams()) == writer.resent == 1
    now += RESEND_INTERVAL
    writer.resend([number] * 100)
    assert writer.resent == 2


async def test_no_more_is_sent_again_than_was_sent(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peer that asks for everything over and over is no way to make traffic."""
    now = 50.0
    set_clock(monkeypatch, lambda: now)
    writer = wire.writer(RTX)
    for _ in range(20):
        writer.send([b"a"] * 10, 0)
    for _ in range(50):
        now += 1
        writer.resend(range(65536))
    assert writer.resent == 200
    writer.send([b"a"] * 10, 0)
    now += 1
    writer.resend(range(65536))
    assert writer.resent == 210


async def test_what_is_long_gone(wire: Wire) -> None:
    """Only the last packets can be asked for; other numbers are of nobody."""
    writer = wire.writer(RTX)
    first = writer._sequence_number
    for _ in range(HISTORY + 1):
        writer.send([b"a"], 0)
    writer.resend([first, (first - 1) & 0xFFFF, writer._sequence_number])
    assert writer.resent == 0
    writer.resend([(first + 1) & 0xFFFF])
    assert writer.resent == 1


async def test_numbers_wrap(wire: Wire) -> None:
    """The numbers go around, in what is sent and in what is asked for."""
    writer = wire.writer(RTX)
    writer._sequence_number = 65_530
    writer.send([b"%d" % number for number in range(12)], 0)
    numbers = [packet.sequence_number for packet in wire.packets()]
    assert numbers == [*range(65_530, 65_536), *range(6)]
    writer.resend([65_535, 65_536, 65_537])  # as aiortc's parser has them
    unwrapped = [unwrap_rtx(p, payload_type=96, ssrc=1111).payload for p in wire.packets()]
    assert unwrapped == [b"5", b"6", b"7"]


@linux
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    sizes=st.lists(st.integers(1, MAX_PAYLOAD), min_size=1, max_size=90)
    | st.tuples(st.integers(1, 100), st.integers(1, MAX_PAYLOAD)).map(lambda t: [t[1]] * t[0])
)
async def test_together_and_singly(wire: Wire, sizes: list[int]) -> None:
    """The kernel's cutting and single sends put the same bytes on the wire."""
    payloads = [os.urandom(size) for size in sizes]
    wire.transport._tx_srtp = session(pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
    together, singly = wire.writer(), wire.writer()
    singly._segments = False
    singly._sequence_number = together._sequence_number
    singly._extensions = together._extensions = lambda: b""  # type: ignore[method-assign]
    together.send(payloads, 5)
    one = wire.datagrams()
    singly.send(payloads, 5)
    assert wire.datagrams() == one
    assert len(one) == len(payloads)
    assert together._segments, "the loopback interface can"
    together.close()


@linux
async def test_one_call_for_a_frame(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame of many equal packets goes to the kernel in few calls, none of them asyncio's."""
    calls, sendmsg = [], socket.socket.sendmsg

    def counted(*arguments: Any) -> int:
        calls.append(1)
        return sendmsg(*arguments)

    monkeypatch.setattr(socket.socket, "sendmsg", counted)
    monkeypatch.setattr(
        type(wire.out), "sendto", lambda *args: pytest.fail("sent singly"), raising=True
    )
    writer = wire.writer()
    writer.send(vp8_payloads(os.urandom(50_000), 1), 0)
    assert len(wire.packets()) == 43
    assert len(calls) == -(-43 // MOST_AT_ONCE)


@linux
@pytest.mark.parametrize("code", [errno.EIO, errno.EINVAL, errno.EMSGSIZE])
async def test_a_kernel_that_cannot(wire: Wire, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """What the kernel refuses to cut is sent singly, and it is not asked again."""
    calls = []

    def refuse(*args: Any) -> int:
        calls.append(1)
        raise OSError(code, "no")

    monkeypatch.setattr(socket.socket, "sendmsg", refuse)
    writer = wire.writer()
    for _ in range(3):
        writer.send([b"a" * 100] * 5, 0)
    assert len(wire.packets()) == 15
    assert calls == [1]


@linux
async def test_a_full_socket(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kernel cannot take just now goes the usual way, and the next frame together."""

    def full(*args: Any) -> int:
        raise BlockingIOError

    writer = wire.writer()
    with monkeypatch.context() as patched:
        patched.setattr(socket.socket, "sendmsg", full)
        writer.send([b"a" * 100] * 5, 0)
    assert writer._segments
    writer.send([b"a" * 100] * 5, 0)
    assert len(wire.packets()) == 10


async def test_another_path(wire: Wire) -> None:
    """When ICE chooses another pair, what is sent goes there, by a socket of that path."""
    writer = wire.writer()
    writer.send([b"a" * 100] * 5, 0)
    assert len(wire.datagrams()) == 5
    async with no_leaks():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
            far.bind(("127.0.0.1", 0))
            far.setblocking(False)
            wire.nominated[1] = SimpleNamespace(
                protocol=wire.pair.protocol, remote_addr=far.getsockname()
            )
            writer.send([b"b" * 100] * 5, 0)
            assert not wire.datagrams()
            assert len([far.recv(2000) for _ in range(5)]) == 5


async def test_a_relay_has_no_socket(wire: Wire) -> None:
    """Through TURN each packet is handed to the relay's transport."""
    sent = []
    relay = SimpleNamespace(
        sendto=lambda data, address: sent.append(data),
        get_extra_info=lambda name, default=None: default,
    )
    wire.pair.protocol = SimpleNamespace(transport=relay)
    writer = wire.writer()
    writer.send([b"a" * 100] * 5, 0)
    assert len(sent) == 5 and writer._socket is None


async def test_the_socket_ends_with_the_writer(wire: Wire) -> None:
    """A closed writer has given its socket back, and takes none again for a late request."""
    async with no_leaks():
        writer = wire.writer(RTX)
        writer.send([b"a" * 100] * 5, 0)
        writer.close()
        writer.resend(range(65536))
        writer.send([b"a" * 100] * 5, 0)
        writer.close()
    assert writer._socket is None and writer.resent == 0


async def test_no_connection(wire: Wire) -> None:
    """Without a connection or a path, sending says so, as a sender expects it."""
    writer = wire.writer()
    wire.nominated.clear()
    with pytest.raises(ConnectionError, match="path"):
        writer.send([b"a"], 0)
    wire.transport.state = "closed"
    with pytest.raises(ConnectionError, match="connection"):
        writer.send([b"a"], 0)


async def test_a_payload_that_is_no_packets(wire: Wire) -> None:
    """A payload longer than a datagram is refused before anything is written beyond its room."""
    writer = wire.writer()
    with pytest.raises(ValueError, match="longer than"):
        writer.send([bytes(1480)], 0)
    writer.send([b"a"], 0)
    assert len(wire.datagrams()) == 1


def test_loops_of_several_threads() -> None:
    """Event loops in threads of their own do not write into each other's packets."""

    async def main(fill: bytes) -> set[bytes]:
        far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        far.bind(("127.0.0.1", 0))
        far.setblocking(False)
        loop = asyncio.get_running_loop()
        out, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
        )
        wire, payloads = Wire(out, far), set()
        writer = wire.writer()
        for _ in range(200):
            writer.send([fill * 1000] * 10, 0)
            payloads |= {packet.payload for packet in wire.packets()}
        writer.close()
        out.close()
        far.close()
        return payloads

    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda fill: asyncio.run(main(fill)), [b"a", b"b", b"c", b"d"])
    assert list(found) == [{fill * 1000} for fill in (b"a", b"b", b"c", b"d")]
