"""What `rtcstream/transport` touches inside aiortc and aioice, held to what these really have.

An upgrade that renames or reshapes one of these fails here, by its name, instead of in a call. Each
comes with the sentence that says what would break.
"""

import inspect
import time
from collections.abc import Callable
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
    clock,
    rtcrtpsender,
    rtp,
)
from aiortc.codecs import depayload, get_decoder
from aiortc.codecs.vpx import Vp8Encoder as FfmpegVp8
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import (
    RTCRtpCodecParameters,
    RTCRtpReceiveParameters,
    RTCRtpSendParameters,
)

from rtcstream.media import to_frame
from rtcstream.transport.audio_receiver import AudioReceiver
from rtcstream.transport.clock import NTP_UNIX_OFFSET
from rtcstream.transport.decoder import FFMPEG_NAMES
from rtcstream.transport.encoder import AudioEncoder, Encoded, FfmpegVp8Encoder
from rtcstream.transport.peer import PeerConnection
from rtcstream.transport.receiver import MediaReceiver, VideoReceiver
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
    "_RTCRtpSender__stats": "round trips and lost packets would be missing from the metrics",
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
    "_RTCRtpReceiver__remote_bitrate_estimator": "what nobody asks would be kept, 97 KiB a session",
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


async def test_a_packet_reaches_our_decoder() -> None:
    """A packet that comes aiortc's way is depayloaded, and our decoder gets whole frames in order,
    with timestamps that do not wrap."""
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
    assert taken == [
        ("VP8", b"\x001", 2**32 - 1),
        ("VP8", b"\x002", 2**32 + 5),
        ("VP8", b"\x003", 2**32 + 7),
    ]
    await receiver.stop()
    assert receiver._RTCRtpReceiver__decoder_thread is None


def test_what_stands_in_for_aiortcs_parts() -> None:
    """aiortc's receiver ends its decoder by what ours has."""
    source = inspect.getsource(RTCRtpReceiver)
    for call in ("self.__decoder_queue.put(None)", "self.__decoder_thread.join()"):
        assert call in source


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
    """The functions and numbers that we share with aiortc mean what they did."""
    assert all(0 <= rtcrtpsender.random_sequence_number() < 2**15 for _ in range(100))
    seconds = (clock.current_ntp_time() >> 32) - NTP_UNIX_OFFSET
    assert abs(seconds - time.time()) < 5
    assert rtp.RtpPacket().extensions.transport_sequence_number is None
