"""What `rtcstream/transport` touches inside aiortc and aioice, held to what these really have.

An upgrade that renames or reshapes one of these fails here, by its name, instead of in a call. Each
comes with the sentence that says what would break.
"""

import inspect
import queue
import time
from collections.abc import AsyncIterator, Callable
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import aioice
import av
import numpy as np
import pylibsrtp
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
    rtcrtpsender,
    rtp,
)
from aiortc.codecs import CODECS, depayload, get_decoder
from aiortc.codecs.vpx import Vp8Encoder as FfmpegVp8
from aiortc.jitterbuffer import JitterFrame
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

from rtcstream import Image, Stream, testing
from rtcstream.media import to_frame
from rtcstream.transport.audio_receiver import AudioReceiver
from rtcstream.transport.clock import NTP_UNIX_OFFSET
from rtcstream.transport.decoder import FFMPEG_NAMES
from rtcstream.transport.encoder import AudioEncoder, Encoded, FfmpegVp8Encoder
from rtcstream.transport.extensions import PLAYOUT_DELAY, START_BITRATE, TRANSPORT_SEQUENCE
from rtcstream.transport.ice import LOOPBACK, IceOptions
from rtcstream.transport.peer import PeerConnection
from rtcstream.transport.receiver import MediaReceiver, VideoReceiver
from rtcstream.transport.replay import Replay
from rtcstream.transport.rtp_writer import TRAILER, RtpWriter
from rtcstream.transport.sender import AudioSender, MediaSender, VideoSender
from rtcstream.transport.sound import to_frame as to_sound

VP8 = RTCRtpCodecParameters("video/VP8", clockRate=90_000, payloadType=96)
H264 = RTCRtpCodecParameters("video/H264", clockRate=90_000, payloadType=97)
OPUS = RTCRtpCodecParameters("audio/opus", clockRate=48_000, channels=2, payloadType=98)
PCMU = RTCRtpCodecParameters("audio/PCMU", clockRate=8000, channels=1, payloadType=0)

SENDER = {
    "_RTCRtpSender__ntp_timestamp": "sender reports would carry no moment of capture",
    "_RTCRtpSender__octet_count": "sender reports and getStats would count no bytes",
    "_RTCRtpSender__packet_count": "sender reports and getStats would count no packets",
    "_RTCRtpSender__rtp_exited": "RTCRtpSender.stop would wait for ever",
    "_RTCRtpSender__rtp_started": "RTCRtpSender.stop would wait for ever",
    "_RTCRtpSender__rtp_timestamp": "sender reports would map another timestamp than the wire's",
    "_enabled": "a sender that is switched off would go on sending",
    "_rtx_ssrc": "retransmissions would come from a source that the answer does not name",
    "_ssrc": "packets would come from a source that the answer does not name",
    "_stream_id": "the answer would name another media stream than the transceiver's",
}
RECEIVER = {
    "_RTCRtpReceiver__codecs": "every packet would be dropped as of an unknown payload type",
    "_RTCRtpReceiver__decoder_error": "a lost picture would not be reported to the peer",
    "_RTCRtpReceiver__decoder_queue": "frames would go to aiortc's queue, which has no bound",
    "_RTCRtpReceiver__decoder_thread": "frames would not be decoded, or stop would not end it",
    "_RTCRtpReceiver__remote_streams": "receiver reports would be empty",
    "_RTCRtpReceiver__rtcp_ssrc": "reports of arrivals would name no source of ours",
    "_RTCRtpReceiver__rtcp_task": "stop would not end the receiver reports",
    "_RTCRtpReceiver__rtx_ssrc": "retransmitted packets would be dropped",
    "_RTCRtpReceiver__started": "stop would do nothing, or receive would start twice",
}
PEER = {
    name: method
    for name, method in vars(RTCPeerConnection).items()
    if name.startswith(("_RTCPeerConnection__create", "_RTCPeerConnection__connect"))
}
METHODS: list[tuple[Callable[..., Any], str, str]] = [
    (RTCRtpSender._run_rtp, "async self, codec", "aiortc's own loop would send in place of ours"),
    (
        RTCRtpReceiver._handle_rtp_packet,
        "async self, packet, arrival_time_ms",
        "a packet that comes aiortc's way would be lost",
    ),
    (
        RTCRtpReceiver._handle_rtcp_packet,
        "async self, packet",
        "a BYE, which browsers send when they pause, would end the decoder for good",
    ),
    (
        RTCRtpSender._handle_rtcp_packet,
        "async self, packet",
        "NACKs, keyframe requests and estimates would not reach our encoder",
    ),
    (RTCRtpReceiver._send_rtcp_nack, "async self, media_ssrc, lost", "nothing would be asked for"),
    (RTCRtpReceiver._send_rtcp_pli, "async self, media_ssrc", "a lost picture would stay lost"),
    (FfmpegVp8.encode, "self, frame, force_keyframe=False", "there would be no VP8 but libvpx's"),
    (
        PEER["_RTCPeerConnection__connect"],
        "async self",
        "a handshake that ends during close would start what nobody stops",
    ),
    (RTCSctpTransport._receive_data_chunk, "async self, chunk", "fragments would have no bound"),
    (aioice.Connection.close, "async self", "consent would be asked for after the end"),
    (RTCRtpReceiver.receive, "async self, parameters", "aiortc's decoder would start, not ours"),
    (RTCRtpReceiver._run_rtcp, "async self", "no receiver reports would be sent"),
    (RTCRtpReceiver._set_rtcp_ssrc, "self, ssrc", "lost pictures would not be reported"),
    (
        RTCDtlsTransport._register_rtp_receiver,
        "self, receiver, parameters",
        "no packet would reach our receiver",
    ),
    (RTCDtlsTransport._send_rtp, "async self, data", "no report of arrivals would leave"),
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
    receivers = annotated(MediaReceiver, RTCRtpReceiver) | annotated(VideoReceiver, RTCRtpReceiver)
    assert receivers == set(RECEIVER)


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
    assert sender._writer is not None and sender._writer._mid == b"7"


async def test_aiortc_reads_what_we_send() -> None:
    """The counts and timestamps are where aiortc's reports look."""
    sender = VideoSender(dtls())
    writer = sender._writer = RtpWriter(sender.transport, sender._ssrc, sender._rtx_ssrc)
    writer._write = lambda *arguments: None  # type: ignore[method-assign]
    sender.deliver(Encoded([b"a", b"b"], True, (64, 48)), 2**32 + 5)
    stats = await sender.getStats()
    [outbound] = [s for s in stats.values() if s.type == "outbound-rtp"]
    assert (outbound.packetsSent, outbound.bytesSent) == (2, 2)
    report = inspect.getsource(RTCRtpSender._run_rtcp)
    for name in ("ntp_timestamp", "rtp_timestamp"):
        assert f"{name}=self.__{name}," in report
    for name in ("packet_count", "octet_count"):
        assert f"{name}=self.__{name} & 0xFFFFFFFF," in report, "ours grows without end"
    assert sender._RTCRtpSender__rtp_timestamp == 5


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


def test_what_encrypts() -> None:
    """libsrtp encrypts where the packet lies, as much longer as we leave room for, as pylibsrtp."""
    policy = pylibsrtp.Policy(
        key=bytes(44),
        ssrc_type=pylibsrtp.Policy.SSRC_ANY_OUTBOUND,
        srtp_profile=pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    )
    packet = b"\x80\x60\0\1" + bytes(100)
    session, buffer = pylibsrtp.Session(policy), bytearray(packet + bytes(TRAILER))
    length = pylibsrtp.ffi.new("int *", len(packet))  # type: ignore[attr-defined]
    pointer = pylibsrtp.ffi.from_buffer(buffer)  # type: ignore[attr-defined]
    assert pylibsrtp.lib.srtp_protect(session._srtp[0], pointer, length) == 0  # type: ignore[attr-defined]
    assert length[0] == len(packet) + TRAILER
    assert bytes(buffer) == pylibsrtp.Session(policy).protect(packet)


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
        payload = b"\x10\0%d" % sequence  # of a keyframe
        packet = rtp.RtpPacket(96, 1, sequence, timestamp, 9, payload)
        await receiver._handle_rtp_packet(packet, arrival_time_ms=0)
        receiver._decoder._parameters = VP8
    assert taken == [
        ("VP8", b"\x001", 2**32 - 1),
        ("VP8", b"\x002", 2**32 + 5),
        ("VP8", b"\x003", 2**32 + 7),
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


def test_what_an_encoder_has() -> None:
    """aiortc's VP8 encoder takes a frame and a wish for a keyframe, and a bitrate as it runs."""
    encoder = FfmpegVp8Encoder(64, 48, 700_000)
    assert encoder.encode(to_frame(np.zeros((48, 64), np.uint8), "bgr24"), 3000, True)
    assert encoder._encoder.target_bitrate == 700_000


@pytest.mark.parametrize("name", FFMPEG_NAMES.values())
def test_what_decodes(name: str) -> None:
    """PyAV carries FFmpeg's own decoder of each codec that is negotiated."""
    assert av.CodecContext.create(name, "r").codec.is_decoder


@pytest.mark.parametrize("codec", [OPUS, PCMU], ids=["opus", "PCMU"])
def test_what_codes_sound(codec: RTCRtpCodecParameters) -> None:
    """An encoder makes one packet of 20 ms, and aiortc's decoder makes 20 ms of that again."""
    encoder = AudioEncoder(codec)
    silence = np.zeros((960, 2), np.int16)
    encoder.encode(to_sound(silence, 5))  # PCMU's resampler holds the first back
    [encoded] = encoder.encode(to_sound(silence, 965))
    [payload] = encoded.payloads
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
