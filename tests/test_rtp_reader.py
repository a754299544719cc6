"""Media packets that are taken where they come in."""

import logging
import os
import struct
from types import SimpleNamespace
from typing import Any

import pytest
from aiortc.rtcdtlstransport import State
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import HeaderExtensionsMap
from pylibsrtp import Policy, Session

from rtcstream.transport.extensions import ABS_SEND_TIME
from rtcstream.transport.receiver import VideoReceiver
from rtcstream.transport.rtp_reader import MOST_SOURCES, RtpReader


class Receiver(VideoReceiver):
    """Keeps what it takes, or fails to."""

    def __init__(self, fails: bool = False) -> None:
        self.got: list[Any] = []
        self.fails = fails

    def take(self, packet: Any) -> None:
        if self.fails:
            raise IndexError
        self.got.append(packet)


class Wire:
    """A transport, as far as a reader knows it, and the peer's end of it."""

    def __init__(self, receiver: Receiver) -> None:
        key = os.urandom(30)
        self._peer = Session(Policy(key=key, ssrc_type=Policy.SSRC_ANY_OUTBOUND))
        numbers = HeaderExtensionsMap()
        extension = RTCRtpHeaderExtensionParameters(id=1, uri=ABS_SEND_TIME)
        numbers.configure(RTCRtpParameters(headerExtensions=[extension]))
        self.connection = SimpleNamespace(data_received=lambda data, component: None)
        transport: Any = SimpleNamespace(
            _rx_srtp=Session(Policy(key=key, ssrc_type=Policy.SSRC_ANY_INBOUND)),
            _state=State.CONNECTED,
            _rtp_header_extensions_map=numbers,
            _rtp_router=SimpleNamespace(route_rtp=lambda packet: receiver),
            transport=SimpleNamespace(_connection=self.connection),
        )
        RtpReader(transport)

    def send(self, number: int, source: int, extension: bytes = b"") -> None:
        """A packet of the peer, with an extension of four bytes or none."""
        first = 0x90 if extension else 0x80
        packet = struct.pack("!BBHLL", first, 96, number, 0, source)
        if extension:
            packet += struct.pack("!HH", 0xBEDE, 1) + extension
        self.connection.data_received(self._peer.protect(packet + b"data"), 1)


def test_extension_of_a_wrong_length_is_left_out() -> None:
    """A packet whose extension cannot be read is dropped, and raises nothing."""
    receiver = Receiver()
    wire = Wire(receiver)
    wire.send(1, 7, bytes((0x10, 1, 0, 0)))  # one byte of the three of abs-send-time
    wire.send(2, 7)
    assert [packet.sequence_number for packet in receiver.got] == [2]


def test_sources_are_bounded() -> None:
    """What comes from more sources than a peer can have leaves nothing behind."""
    receiver = Receiver()
    wire = Wire(receiver)
    for source in range(1, 2 * MOST_SOURCES):
        wire.send(1, source)
    wire.send(2, 1)
    assert len(receiver.got) == MOST_SOURCES + 1
    assert receiver.got[-1].sequence_number == 2


def test_packets_that_cannot_be_taken_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """A peer that sends nonsense does not fill the log."""
    wire = Wire(Receiver(fails=True))
    with caplog.at_level(logging.ERROR):
        for number in range(20):
            wire.send(number, 7)
    assert len(caplog.records) == 1
