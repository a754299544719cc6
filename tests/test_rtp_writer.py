"""Encoded frames on the wire, what a receiver makes of them, and what is sent again."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace

import pytest
from aiortc.rtp import RtpPacket, unwrap_rtx

from rtcstream.transport import rtp_writer
from rtcstream.transport.extensions import ABS_SEND_TIME, MID
from rtcstream.transport.packets import vp8_payloads
from rtcstream.transport.rtp_writer import HISTORY, RESEND_INTERVAL
from tests.wire import NUMBERED, RTX, TOLD, Wire, connected, known_extensions


def set_clock(monkeypatch: pytest.MonkeyPatch, clock: Callable[[], float]) -> None:
    """Give the writer, and nobody else, this clock."""
    monkeypatch.setattr(rtp_writer, "time", SimpleNamespace(monotonic=clock, time=clock))


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with connected() as wire:
        yield wire


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
