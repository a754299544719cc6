"""What `rtcstream/transport` touches inside aiortc and aioice, held to what these really have.

An upgrade that renames or reshapes one of these fails here, by its name, instead of in a call. Each
comes with the sentence that says what would break.
"""

import inspect
import queue
import time
from collections.abc import AsyncIterator, Callable
from fractions import Fraction
from typing import Any

import aioice
import av
import numpy as np
import pytest
from aiortc import (
    RTCCertificate,
    RTCDtlsTransport,
    RTCIceGatherer,
    RTCIceTransport,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpSender,
    RTCSctpTransport,
    RTCSessionDescription,
    clock,
    jitterbuffer,
    rtcrtpsender,
    rtp,
)
from aiortc.codecs import CODECS, depayload, get_decoder, get_encoder
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.mediastreams import VIDEO_TIME_BASE
from aiortc.rtcicetransport import parse_stun_turn_uri
from aiortc.rtcrtpparameters import (
    RTCRtpCodecParameters,
    RTCRtpReceiveParameters,
    RTCRtpSendParameters,
)
from aiortc.rtcrtptransceiver import RTCRtpTransceiver
from aiortc.sdp import SessionDescription
from aiortc.utils import uint16_add

from rtcstream.media import to_frame
from rtcstream.transport import encoder as encoding
from rtcstream.transport.audio_receiver import AudioReceiver
from rtcstream.transport.clock import NTP_UNIX_OFFSET
from rtcstream.transport.decoder import FFMPEG_NAMES
from rtcstream.transport.ice import LOOPBACK, IceOptions
from rtcstream.transport.jitterbuffer import VideoJitterBuffer
from rtcstream.transport.peer import PeerConnection
from rtcstream.transport.receiver import MediaReceiver, VideoReceiver
from rtcstream.transport.replay import Replay
from rtcstream.transport.sender import AudioSender, MediaSender, VideoSender
from rtcstream.transport.sound import to_frame as to_sound

VP8 = RTCRtpCodecParameters("video/VP8", clockRate=90_000, payloadType=96)
H264 = RTCRtpCodecParameters("video/H264", clockRate=90_000, payloadType=97)
OPUS = RTCRtpCodecParameters("audio/opus", clockRate=48_000, channels=2, payloadType=98)
PCMU = RTCRtpCodecParameters("audio/PCMU", clockRate=8000, channels=1, payloadType=0)

SENDER = {
    "_RTCRtpSender__encoder": "REMB would not reach our encoder, whose bitrate would stay",
    "_RTCRtpSender__mid": "packets would not say which media section they belong to",
    "_RTCRtpSender__ntp_timestamp": "sender reports would carry no moment of capture",
    "_RTCRtpSender__octet_count": "sender reports and getStats would count no bytes",
    "_RTCRtpSender__packet_count": "sender reports and getStats would count no packets",
    "_RTCRtpSender__rtp_exited": "RTCRtpSender.stop would wait for ever",
    "_RTCRtpSender__rtp_header_extensions_map": "header extensions would have the wrong ids",
    "_RTCRtpSender__rtp_history": "a NACK would find no packet to send again",
    "_RTCRtpSender__rtp_started": "RTCRtpSender.stop would wait for ever",
    "_RTCRtpSender__rtp_timestamp": "sender reports would map another timestamp than the wire's",
    "_enabled": "a sender that is switched off would go on sending",
    "_ssrc": "packets would come from a source that the answer does not name",
    "_stream_id": "the answer would name another media stream than the transceiver's",
}
RECEIVER = {
    "_RTCRtpReceiver__codecs": "every packet would be dropped as of an unknown payload type",
    "_RTCRtpReceiver__decoder_error": "a lost picture would not be reported to the peer",
    "_RTCRtpReceiver__decoder_queue": "frames would go to aiortc's queue, which has no bound",
    "_RTCRtpReceiver__decoder_thread": "frames would not be decoded, or stop would not end it",
    "_RTCRtpReceiver__jitter_buffer": "frames would wait for the first packet of the next",
    "_RTCRtpReceiver__rtcp_task": "stop would not end the receiver reports",
    "_RTCRtpReceiver__rtx_ssrc": "retransmitted packets would be dropped",
    "_RTCRtpReceiver__started": "stop would do nothing, or receive would start twice",
    "_RTCRtpReceiver__timestamp_mapper": "a picture's timestamp would not be the wire's",
}
PEER = {
    name: method
    for name, method in vars(RTCPeerConnection).items()
    if name.startswith(("_RTCPeerConnection__create", "_RTCPeerConnection__connect"))
}
METHODS: list[tuple[Callable[..., Any], str, str]] = [
    (RTCRtpSender._run_rtp, "async self, codec", "aiortc's own loop would send in place of ours"),
    (RTCRtpSender._send_keyframe, "self", "a picture that the peer lost would stay lost"),
    (
        RTCRtpReceiver._handle_rtp_packet,
        "async self, packet, arrival_time_ms",
        "frames that one packet completes together would wait for the next packet",
    ),
    (
        RTCRtpReceiver._handle_rtcp_packet,
        "async self, packet",
        "a BYE, which browsers send when they pause, would end the decoder for good",
    ),
    (
        RTCRtpSender._retransmit,
        "async self, sequence_number",
        "one NACK could have a packet sent thousands of times",
    ),
    (
        PEER["_RTCPeerConnection__connect"],
        "async self",
        "a handshake that ends during close would start what nobody stops",
    ),
    (RTCSctpTransport._receive_data_chunk, "async self, chunk", "fragments would have no bound"),
    (aioice.Connection.close, "async self", "consent would be asked for after the end"),
    (JitterBuffer.add, "self, packet", "a late duplicate would stop the pictures"),
    (RTCRtpReceiver.receive, "async self, parameters", "aiortc's decoder would start, not ours"),
    (RTCRtpReceiver._run_rtcp, "async self", "no receiver reports would be sent"),
    (RTCRtpReceiver._set_rtcp_ssrc, "self, ssrc", "lost pictures would not be reported"),
    (
        RTCDtlsTransport._register_rtp_receiver,
        "self, receiver, parameters",
        "no packet would reach our receiver",
    ),
    (RTCDtlsTransport._send_rtp, "async self, data", "no packet would leave"),
    (
        PEER["_RTCPeerConnection__createDtlsTransport"],
        "self",
        "ICE would gather on every interface, whatever was asked for",
    ),
    (
        PEER["_RTCPeerConnection__createTransceiver"],
        "self, direction, kind, sender_track=None",
        "video would go through aiortc's own sender and receiver",
    ),
    (
        PEER["_RTCPeerConnection__createSctpTransport"],
        "self",
        "one bad data-channel message would end the connection",
    ),
    (
        RTCSctpTransport._data_channel_receive,
        "async self, stream_id, pp_id, data",
        "one bad data-channel message would end the connection",
    ),
    (
        aioice.Connection.get_component_candidates,
        "async self, component, addresses, timeout=5",
        "ICE would gather on every interface, whatever was asked for",
    ),
    (
        JitterBuffer._remove_frame,
        "self, sequence_number",
        "frames would wait for the first packet of the next",
    ),
    (JitterBuffer.remove, "self, count", "frames would be released twice"),
    (JitterFrame.__init__, "self, data, timestamp", "no frame would be put together"),
]


def dtls() -> RTCDtlsTransport:
    """A transport as a peer connection makes it, without servers; it opens no socket."""
    ice = RTCIceTransport(RTCIceGatherer(iceServers=[]))
    return RTCDtlsTransport(ice, [RTCCertificate.generateCertificate()])


def annotated(ours: type, theirs: type) -> set[str]:
    """The names of `theirs` that the class body of `ours` declares."""
    return {name for name in ours.__annotations__ if name.startswith(f"_{theirs.__name__}__")}


@pytest.mark.parametrize(("name", "otherwise"), SENDER.items())
async def test_what_a_sender_has(name: str, otherwise: str) -> None:
    """aiortc's sender has each attribute that ours reads or sets."""
    assert hasattr(RTCRtpSender("video", dtls()), name), f"without it {otherwise}"


@pytest.mark.parametrize(("name", "otherwise"), RECEIVER.items())
async def test_what_a_receiver_has(name: str, otherwise: str) -> None:
    """aiortc's receiver has each attribute that ours reads or sets."""
    assert name in vars(RTCRtpReceiver("video", dtls())), f"without it {otherwise}"


def test_every_declared_name_is_held() -> None:
    """A name that a class body declares has its sentence here, and none has that is not used."""
    assert annotated(MediaSender, RTCRtpSender) == {n for n in SENDER if n.startswith("_RTC")}
    assert annotated(MediaReceiver, RTCRtpReceiver) == set(RECEIVER)


@pytest.mark.parametrize(
    ("method", "parameters", "otherwise"), METHODS, ids=[m.__qualname__ for m, *_ in METHODS]
)
def test_what_is_called_or_overridden(
    method: Callable[..., Any], parameters: str, otherwise: str
) -> None:
    """Each private method that we call or override takes the parameters that we know."""
    assert outline(method) == parameters, f"or else {otherwise}"


def outline(method: Callable[..., Any]) -> str:
    """`async ` for a coroutine, and the parameters without their types."""
    bare = [p.replace(annotation=p.empty) for p in inspect.signature(method).parameters.values()]
    awaited = "async " if inspect.iscoroutinefunction(method) else ""
    return awaited + str(inspect.Signature(bare)).strip("()")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (MediaSender, RTCRtpSender),
        (VideoSender, RTCRtpSender),
        (AudioSender, RTCRtpSender),
        (MediaReceiver, RTCRtpReceiver),
        (VideoReceiver, RTCRtpReceiver),
        (AudioReceiver, RTCRtpReceiver),
        (PeerConnection, RTCPeerConnection),
        (VideoJitterBuffer, JitterBuffer),
    ],
)
def test_what_overrides(ours: type, theirs: type) -> None:
    """A method of ours that takes the place of aiortc's takes the same, and is awaited as well."""
    for name in (vars(ours).keys() & vars(theirs).keys()) - {*vars(object), "__annotations__"}:
        mine, original = vars(ours)[name], vars(theirs)[name]
        if callable(mine):
            assert outline(mine) == outline(original), name


async def test_aiortc_starts_our_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """`RTCRtpSender.send` runs `_run_rtp` with the first codec, and `stop` waits for its end."""
    codecs: list[RTCRtpCodecParameters] = []
    run_rtp = VideoSender._run_rtp

    async def noted(self: VideoSender, codec: RTCRtpCodecParameters) -> None:
        codecs.append(codec)
        await run_rtp(self, codec)

    monkeypatch.setattr(VideoSender, "_run_rtp", noted)
    sender = VideoSender(dtls())
    parameters = RTCRtpSendParameters(codecs=[VP8, H264], muxId="7")
    parameters.rtcp.cname = "cname"
    await sender.send(parameters)
    await sender.stop()
    assert codecs == [VP8]
    assert sender._RTCRtpSender__mid == "7"


async def test_aiortc_reads_what_we_send() -> None:
    """Our packets, their history and the counts are where aiortc's reports and NACKs look."""
    sent: list[bytes] = []
    transport = dtls()

    async def send_rtp(data: bytes) -> None:
        sent.append(data)

    transport._send_rtp = send_rtp  # type: ignore[method-assign]
    sender = VideoSender(transport)
    await sender._send_frame(VP8, [b"a", b"b"], 2**32 + 5)
    first, second = (rtp.RtpPacket.parse(data) for data in sent)
    assert (first.payload, first.marker, first.timestamp) == (b"a", 0, 5)
    assert (second.payload, second.marker, second.timestamp) == (b"b", 1, 5)
    assert first.ssrc == second.ssrc == sender._ssrc
    await sender._retransmit(first.sequence_number)
    assert sent[2] == sent[0], "a packet that was lost can be sent again"
    stats = await sender.getStats()
    [outbound] = [s for s in stats.values() if s.type == "outbound-rtp"]
    assert (outbound.packetsSent, outbound.bytesSent) == (2, 2)


async def test_a_packet_reaches_our_decoder() -> None:
    """aiortc's receiver depayloads a packet, and hands frames to our buffer, mapper and decoder."""
    receiver = VideoReceiver(dtls())
    taken: list[tuple[str, bytes, int]] = []

    def put(task: Any) -> None:
        if task is not None:
            taken.append((task[0].name, task[1].data, task[1].timestamp))

    receiver._decoder.put = put  # type: ignore[method-assign]
    await receiver.receive(RTCRtpReceiveParameters(codecs=[VP8]))
    for sequence, timestamp in ((1, 2**32 - 1), (3, 7), (2, 5)):
        packet = rtp.RtpPacket(96, 1, sequence, timestamp, 9, b"\x10" + b"%d" % sequence)
        await receiver._handle_rtp_packet(packet, arrival_time_ms=0)
        receiver._decoder._parameters = VP8
    assert taken == [
        ("VP8", b"1", 2**32 - 1),
        ("VP8", b"2", 2**32 + 5),
        ("VP8", b"3", 2**32 + 7),
    ]
    await receiver.stop()
    assert receiver._RTCRtpReceiver__decoder_thread is None


def test_what_stands_in_for_aiortcs_parts() -> None:
    """aiortc's receiver calls of its buffer, mapper and decoder what ours have, and no more."""
    source = inspect.getsource(RTCRtpReceiver)
    for call in (
        "self.__jitter_buffer.add(packet)",
        "self.__timestamp_mapper.map(",
        "self.__decoder_queue.put((codec, encoded_frame))",
        "self.__decoder_queue.put(None)",
        "self.__decoder_thread.join()",
    ):
        assert call in source


def test_what_a_jitter_buffer_has() -> None:
    """aiortc's jitter buffer keeps its packets in a ring, as ours reads them."""
    buffer = JitterBuffer(capacity=8, is_video=True)
    assert (buffer._origin, buffer._capacity, buffer._packets) == (None, 8, [None] * 8)
    packet = rtp.RtpPacket(sequence_number=11)
    assert buffer.add(packet) == (False, None)
    assert (buffer._origin, buffer._packets[11 % 8]) == (11, packet)
    buffer.remove(1)
    assert (buffer._origin, buffer._packets) == (12, [None] * 8)
    assert "self._remove_frame(packet.sequence_number)" in inspect.getsource(jitterbuffer)


@pytest.fixture
async def connection() -> AsyncIterator[PeerConnection]:
    """A peer connection of ours on the loopback interface."""
    connection = PeerConnection(IceOptions(addresses=LOOPBACK))
    yield connection
    await connection.close()


async def test_aiortc_makes_our_transceiver(connection: PeerConnection) -> None:
    """A transceiver has our sender and receiver of its kind, and aiortc keeps to these."""
    sound = connection.addTransceiver("audio", "sendrecv")
    assert (type(sound.sender), type(sound.receiver)) == (AudioSender, AudioReceiver)
    transceiver = connection.addTransceiver("video", "sendrecv")
    assert isinstance(transceiver.sender, VideoSender)
    assert isinstance(transceiver.receiver, VideoReceiver)
    assert transceiver.receiver._RTCRtpReceiver__rtcp_ssrc == transceiver.sender._ssrc  # type: ignore[attr-defined]
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


@pytest.mark.parametrize("codec", [VP8, H264], ids=["VP8", "H264"])
def test_what_an_encoder_has(codec: RTCRtpCodecParameters) -> None:
    """aiortc's encoders take a frame and a wish for a keyframe, and a bitrate while they run."""
    encoder: Any = get_encoder(codec)
    frame = to_frame(np.zeros((48, 64), np.uint8), "bgr24")
    frame.pts, frame.time_base = 5, VIDEO_TIME_BASE
    payloads, _ = encoder.encode(frame, True)
    assert payloads and all(isinstance(payload, bytes) for payload in payloads)
    assert isinstance(encoder.target_bitrate, int)
    encoder.target_bitrate = 700_000
    assert encoder.target_bitrate == 700_000, "REMB sets it"


@pytest.mark.parametrize("name", FFMPEG_NAMES.values())
def test_what_decodes(name: str) -> None:
    """PyAV carries FFmpeg's own decoder of each codec that is negotiated."""
    assert av.CodecContext.create(name, "r").codec.is_decoder


@pytest.mark.parametrize("codec", [OPUS, PCMU], ids=["opus", "PCMU"])
def test_what_codes_sound(codec: RTCRtpCodecParameters) -> None:
    """An encoder makes one packet of 20 ms, and aiortc's decoder makes 20 ms of that again."""
    encoder = encoding.create(codec)
    silence = np.zeros((960, 2), np.int16)
    encoder.encode(to_sound(silence, 5))  # PCMU's resampler holds the first back
    [payload], _ = encoder.encode(to_sound(silence, 965))
    [frame] = get_decoder(codec).decode(JitterFrame(depayload(codec, payload), 5))
    assert isinstance(frame, av.AudioFrame)
    assert (frame.format.name, frame.samples * 50) == ("s16", frame.sample_rate)


def test_what_is_negotiated() -> None:
    """aiortc offers no video codec that the decoder does not know."""
    capabilities = RTCRtpReceiver.getCapabilities("video")
    assert capabilities is not None
    names = {codec.name for codec in capabilities.codecs}
    assert names - {"rtx"} == set(FFMPEG_NAMES)


def test_what_packets_are_made_with() -> None:
    """The functions and numbers that our sender shares with aiortc's mean what they did."""
    assert vars(rtcrtpsender)["RTP_HISTORY_SIZE"] == rtp.RTP_HISTORY_SIZE
    assert all(0 <= rtcrtpsender.random_sequence_number() < 2**15 for _ in range(100))
    seconds = (clock.current_ntp_time() >> 32) - NTP_UNIX_OFFSET
    assert abs(seconds - time.time()) < 5
    assert uint16_add(65535, 1) == 0
    packet = rtp.RtpPacket()
    assert packet.extensions.abs_send_time is None and packet.extensions.mid is None
    assert Fraction(1, 90_000) == VIDEO_TIME_BASE


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
