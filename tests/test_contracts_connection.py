"""What `rtcstream/transport` touches of aiortc's and aioice's connections, held to what these have.

As in `test_contracts.py`: an upgrade that renames or reshapes one of these fails here, by its name.
"""

import inspect
import queue
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import aioice
import pylibsrtp
import pytest
from aiortc import RTCRtpReceiver, RTCRtpSender, RTCSctpTransport, RTCSessionDescription
from aiortc.codecs import CODECS
from aiortc.rtcdtlstransport import RTCDtlsTransport, State
from aiortc.rtcicetransport import parse_stun_turn_uri
from aiortc.rtcrtptransceiver import RTCRtpTransceiver
from aiortc.rtp import RtpPacket
from aiortc.sdp import SessionDescription

from rtcstream import Image, Stream, testing
from rtcstream.transport import h264
from rtcstream.transport.audio_receiver import AudioReceiver
from rtcstream.transport.extensions import (
    PLAYOUT_DELAY,
    START_BITRATE,
    TRANSPORT_SEQUENCE,
    prefer,
)
from rtcstream.transport.ice import LOOPBACK, IceOptions
from rtcstream.transport.peer import PeerConnection
from rtcstream.transport.receiver import VideoReceiver
from rtcstream.transport.replay import Replay
from rtcstream.transport.sender import AudioSender, VideoSender


@pytest.fixture
async def connection() -> AsyncIterator[PeerConnection]:
    """A peer connection of ours on the loopback interface."""
    connection = PeerConnection(IceOptions(addresses=LOOPBACK))
    yield connection
    await connection.close()


def same(image: Image) -> Image:
    return image


async def test_where_our_packets_leave() -> None:
    """The encryption of a connected transport, and the socket of the pair that ICE chose."""
    async with testing.connect(Stream(same)) as peer:
        transport = peer._connection.sctp.transport  # type: ignore[union-attr]
        assert transport.state == "connected"
        assert isinstance(transport._tx_srtp, pylibsrtp.Session)
        pair = transport.transport._connection._nominated[1]
        assert pair.remote_addr[0] == "127.0.0.1"
        assert pair.protocol.transport.get_extra_info("socket").fileno() > 0
        assert "self.transport.sendto(data, addr)" in inspect.getsource(type(pair.protocol))
    assert not transport.transport._connection._nominated, "before the socket is closed"
    relay: Any = SimpleNamespace()
    assert aioice.turn.TurnTransport.get_extra_info(relay, "socket") is None
    assert list(inspect.signature(aioice.turn.TurnTransport.sendto).parameters)[1:] == [
        "data",
        "addr",
    ]


async def test_where_packets_come_in() -> None:
    """What ICE receives goes to one method, and a connected transport has what decrypts media, what
    parses its extensions and who takes it; a packet of no stream has no receiver."""
    async with testing.connect(Stream(same)) as peer:
        transport = peer._connection.sctp.transport  # type: ignore[union-attr]
        assert transport._state == State.CONNECTED
        assert isinstance(transport._rx_srtp, pylibsrtp.Session)
        connection = transport.transport._connection
        assert list(inspect.signature(connection.data_received).parameters) == ["data", "component"]
        assert "receiver.data_received(" in inspect.getsource(aioice.ice)
        packet = RtpPacket.parse(RtpPacket().serialize(), transport._rtp_header_extensions_map)
        assert transport._rtp_router.route_rtp(packet) is None


async def test_where_reports_come_in() -> None:
    """A transport hands all RTCP, decrypted, to one method of its own, and knows its senders by
    their sources."""
    async with testing.connect(Stream(same)) as peer:
        transport = peer._connection.sctp.transport  # type: ignore[union-attr]
        assert "await self._handle_rtcp_data(data)" in inspect.getsource(RTCDtlsTransport)
        assert list(inspect.signature(transport._handle_rtcp_data).parameters) == ["data"]
        [sender] = peer._connection.getSenders()
        assert transport._rtp_router.senders == {sender._ssrc: sender}


async def test_aiortc_makes_our_transceiver(connection: PeerConnection) -> None:
    """A transceiver has our sender and receiver of its kind, and aiortc keeps to these."""
    sound = connection.addTransceiver("audio", "sendrecv")
    assert (type(sound.sender), type(sound.receiver)) == (AudioSender, AudioReceiver)
    transceiver = connection.addTransceiver("video", "sendrecv")
    assert isinstance(transceiver.sender, VideoSender)
    assert isinstance(transceiver.receiver, VideoReceiver)
    assert transceiver.receiver._RTCRtpReceiver__rtcp_ssrc == transceiver.sender._ssrc
    assert connection.getSenders() == [sound.sender, transceiver.sender]
    assert connection.getReceivers() == [sound.receiver, transceiver.receiver]
    assert transceiver._offerDirection is None, "session.py reads it"
    assert {"_RTCRtpTransceiver__sender", "_RTCRtpTransceiver__receiver"} <= vars(
        RTCRtpTransceiver("video", transceiver.receiver, transceiver.sender)
    ).keys()


async def test_our_answer_asks_for_copies_of_sound(connection: PeerConnection) -> None:
    """A section's codecs are its own, so that our answer can say what it wants of Opus."""
    offering = PeerConnection(IceOptions(addresses=LOOPBACK))
    offering.addTransceiver("audio", "sendrecv")
    await offering.setLocalDescription(await offering.createOffer())
    await connection.accept(offering.localDescription.sdp)
    assert "useinbandfec=1" in await connection.answer()
    assert CODECS["audio"][0].parameters == {}, "of all connections"
    await offering.close()


async def test_aiortc_guards_our_channel(
    connection: PeerConnection, caplog: pytest.LogCaptureFixture
) -> None:
    """A message that the SCTP transport cannot take is dropped and logged, and raises nothing."""
    connection.createDataChannel("rtcstream")
    assert connection.sctp is not None
    assert "await self._data_channel_receive(" in inspect.getsource(RTCSctpTransport)
    with caplog.at_level("WARNING"):
        await connection.sctp._data_channel_receive(0, 51, b"\xff")  # text that is not UTF-8
        await connection.sctp._data_channel_receive(0, 50, b"\x03" + bytes(11))
        await connection.sctp._data_channel_receive(0, 50, b"\x03" + bytes(11))  # opened twice
    assert all("a data-channel message was dropped" in r.getMessage() for r in caplog.records)
    assert caplog.records


async def test_what_an_sctp_transport_has(connection: PeerConnection) -> None:
    """The window that is left and the fragments that wait, by which a flood is noticed."""
    connection.createDataChannel("rtcstream")
    assert connection.sctp is not None
    assert connection.sctp._advertised_rwnd == 1024 * 1024
    assert connection.sctp._inbound_streams == {}
    assert connection.sctp._get_inbound_stream(0).reassembly == []


async def test_how_an_sctp_transport_sends_again(connection: PeerConnection) -> None:
    """The timer of what is to be sent again, by its handle, until the association is closed."""
    connection.createDataChannel("rtcstream")
    sctp = connection.sctp
    assert sctp is not None
    for name in ("_send_chunk", "_transmit", "_t3_expired"):
        assert callable(getattr(RTCSctpTransport, name))
    assert sctp._association_state == sctp.State.CLOSED
    sctp._t3_start()
    assert sctp._t3_handle is not None
    sctp._t3_cancel()
    assert sctp._t3_handle is None


async def test_where_aioice_gathers(connection: PeerConnection) -> None:
    """Only the addresses that were asked for are bound, and none is resolved or asked outside."""
    connection.addTransceiver("video", "sendrecv")
    connection.createDataChannel("rtcstream")
    await connection.setLocalDescription(await connection.createOffer())
    sdp = connection.localDescription.sdp
    candidates = [line.split() for line in sdp.splitlines() if line.startswith("a=candidate:")]
    assert candidates
    assert {(fields[4], fields[7]) for fields in candidates} == {("127.0.0.1", "host")}
    gatherer = connection.getTransceivers()[0].receiver.transport.transport.iceGatherer
    assert isinstance(gatherer._connection, aioice.Connection)
    assert gatherer._connection.stun_server is None and gatherer._connection.turn_server is None


async def test_where_consent_is_asked_for() -> None:
    """aioice looks its question for consent up when it connects, and hands valid checks to one
    method; a nominated pair can be asked with a bound."""
    source = inspect.getsource(aioice.Connection)
    assert "asyncio.create_task(self.query_consent())" in source
    assert list(inspect.signature(aioice.Connection.check_incoming).parameters) == [
        "self",
        "message",
        "addr",
        "protocol",
    ]
    for handed_on in ("self.check_incoming(*early_check)", "self.check_incoming(message, addr"):
        assert handed_on in source
    assert issubclass(aioice.stun.TransactionTimeout, aioice.stun.TransactionError)
    assert issubclass(aioice.stun.TransactionFailed, aioice.stun.TransactionError)
    assert (aioice.stun.RETRY_RTO, aioice.stun.RETRY_MAX) == (0.5, 6), "consent.py counts with it"
    async with testing.connect(Stream(same)) as peer:
        connection = peer._connection.sctp.transport.transport._connection  # type: ignore[union-attr]
        assert connection._query_consent_task is not None
        assert "Consent._ask" in repr(connection._query_consent_task)
        pair = connection._nominated[1]
        await pair.protocol.request(
            connection.build_request(pair, nominate=False),
            pair.remote_addr,
            integrity_key=(connection.remote_password or "").encode(),
            retransmissions=1,
        )


async def test_what_a_description_has(connection: PeerConnection) -> None:
    """aiortc's parser gives the fields by which an offer is judged before it is used."""
    connection.addTransceiver("video", "sendrecv")
    offer: RTCSessionDescription = await connection.createOffer()
    await connection.setLocalDescription(offer)
    [media] = SessionDescription.parse(connection.localDescription.sdp).media
    assert media.kind == "video"
    assert media.dtls is not None and media.dtls.fingerprints
    assert media.ice is not None and media.ice.usernameFragment


def test_how_aiortc_reads_a_server() -> None:
    """aiortc's parser of server addresses refuses what is none, as we rely on it to."""
    assert parse_stun_turn_uri("turn:a.example?transport=tcp")["host"] == "a.example"
    with pytest.raises(ValueError):
        parse_stun_turn_uri("http://a.example")


async def test_what_an_offer_gives_a_transceiver(connection: PeerConnection) -> None:
    """A transceiver's extensions and codecs are lists of its own, which its answer has."""
    offering = PeerConnection(IceOptions(addresses=LOOPBACK))
    offering.addTransceiver("video", "sendrecv")
    await offering.setLocalDescription(await offering.createOffer())
    mid, extension = "a=mid:", f"a=extmap:9 {TRANSPORT_SEQUENCE}\r\na=rtcp-fb:97 transport-cc\r\n"
    offer = offering.localDescription.sdp.replace(mid, extension + mid, 1)
    twice = offer.replace(mid, f"a=extmap:15 {PLAYOUT_DELAY}\r\n{extension}{mid}", 1)
    await connection.accept(twice)
    [transceiver] = connection.getTransceivers()
    taken = [e.id for e in transceiver._headerExtensions if e.uri == TRANSPORT_SEQUENCE]
    assert taken == [9], "once, however often it is offered"
    assert PLAYOUT_DELAY not in {e.uri for e in transceiver._headerExtensions}, "15 is no number"
    answer = await connection.answer()
    assert f"a=extmap:9 {TRANSPORT_SEQUENCE}" in answer
    assert "a=rtcp-fb:97 transport-cc" in answer
    assert f"x-google-start-bitrate={START_BITRATE}" in answer
    assert all("x-google-start-bitrate" not in c.parameters for c in CODECS["video"]), "of all"
    await offering.close()


async def test_what_a_replay_hooks_into(connection: PeerConnection) -> None:
    """A transceiver made with a track has aiortc's own parts, with what it hooks into."""
    transceiver = connection.addTransceiver(Replay([b""], 30), "sendrecv")
    sender, receiver = transceiver.sender, transceiver.receiver
    assert type(sender) is RTCRtpSender and type(receiver) is RTCRtpReceiver
    assert inspect.iscoroutinefunction(sender.transport._send_rtp)
    handle = inspect.signature(receiver._handle_rtp_packet)
    assert inspect.iscoroutinefunction(receiver._handle_rtp_packet)
    assert list(handle.parameters) == ["packet", "arrival_time_ms"]
    decoded = receiver._RTCRtpReceiver__decoder_queue  # type: ignore[attr-defined]
    assert isinstance(decoded, queue.Queue)


@pytest.mark.parametrize(
    ("wanted", "hardware", "first"),
    [
        ("auto", None, "VP8"),
        ("auto", "h264_nvenc", "H264"),
        ("h264", None, "H264"),
        ("vp8", "h264_nvenc", "VP8"),
    ],
)
async def test_which_codec_is_preferred(
    connection: PeerConnection,
    monkeypatch: pytest.MonkeyPatch,
    wanted: str,
    hardware: str | None,
    first: str,
) -> None:
    """By "auto" H.264 is answered first where the machine encodes it in hardware, and what the
    offer has first elsewhere; a codec that is named is first in any case."""
    monkeypatch.setattr(h264, "hardware", lambda: hardware)
    offering = PeerConnection(IceOptions(addresses=LOOPBACK))
    offering.addTransceiver("video", "sendrecv")
    await offering.setLocalDescription(await offering.createOffer())
    await connection.accept(offering.localDescription.sdp)
    [transceiver] = connection.getTransceivers()
    await offering.close()
    prefer(transceiver, wanted)
    assert transceiver._codecs[0].name == first
