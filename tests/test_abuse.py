"""What one peer does, or one function raises, harms neither its session nor the server."""

import asyncio
import contextlib
import gc
import re
import struct
import threading
from typing import Any

import aiohttp
import av
import numpy as np
import pytest
from aiortc import RTCSessionDescription
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtcsctptransport import (
    SCTP_DATA_FIRST_FRAG,
    SCTP_DATA_UNORDERED,
    DataChunk,
    RTCSctpTransport,
)
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_RTPFB_NACK,
    HeaderExtensionsMap,
    RtcpByePacket,
    RtcpPsfbPacket,
    RtcpRtpfbPacket,
    RtpPacket,
    pack_remb_fci,
)

from rtcstream import Image, Session, Stream, testing
from rtcstream.calls import Call
from rtcstream.errors import NegotiationError
from rtcstream.signature import read
from rtcstream.transport.clock import VIDEO_RATE, SourceClock
from rtcstream.transport.decoder import VideoDecoder
from rtcstream.transport.ice import LOOPBACK, IceOptions, usable_offer
from rtcstream.transport.peer import PeerConnection
from rtcstream.transport.sender import VideoSender
from rtcstream.types import Peer
from tests.conftest import Leaks, Serve
from tests.pictures import plain, scene
from tests.waiting import until


def flip(image: Image) -> Image:
    return image[::-1]


def server(peer: testing.TestPeer) -> PeerConnection:
    assert peer.session is not None
    return peer.session._connection


def sctp(connection: PeerConnection) -> RTCSctpTransport:
    assert connection.sctp is not None
    return connection.sctp


async def test_error_that_cannot_be_told_loses_one_frame() -> None:
    """An exception whose own `__str__` raises loses one frame, and its type is shown."""

    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    calls = 0

    def f(image: Image) -> Image:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise Unspeakable
        return image

    async with testing.connect(Stream(f)) as peer:
        peer.send(scene())
        assert "Unspeakable" in (await peer.message("log"))["message"]
        await peer.apply(scene())


async def test_source_that_says_bye_may_go_on() -> None:
    """A BYE, which browsers send when they pause a source, does not end the pictures."""
    async with testing.connect(Stream(flip)) as peer:
        await peer.apply(scene())
        bye = RtcpByePacket(sources=[peer._senders["video"]._ssrc])
        await peer._senders["video"].transport._send_rtp(bytes(bye))
        await peer.set()
        await peer.apply(scene())


async def test_many_rtp_sources_do_not_keep_a_session_open(
    leaks: Leaks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packets of a hundred sources leave a session that closes promptly and whole."""
    async with testing.connect(Stream(flip)) as peer:
        await peer.apply(scene())
    async with leaks(), testing.connect(Stream(flip)) as peer:
        await peer.apply(scene())
        assert peer.session is not None
        sender, receiver = peer._senders["video"], peer.session._wiring.receivers[0]
        known = HeaderExtensionsMap()
        payload_type = peer._connection.getTransceivers()[0]._codecs[0].payloadType or 0
        for number in range(100):
            packet = RtpPacket(payload_type=payload_type, ssrc=1000 + number, payload=b"\x10\0")
            await sender.transport._send_rtp(packet.serialize(known))
        streams: Any = receiver._RTCRtpReceiver__remote_streams
        await until(lambda: len(streams) > 20)
        await peer.set()
        assert len(streams) <= 31


async def test_connection_that_cannot_close_gives_its_sockets_back(
    leaks: Leaks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """When a part of aiortc never stops, the sockets are freed all the same, and the rest stops."""
    monkeypatch.setattr("rtcstream.transport.peer.LATE", 0.2)
    async with testing.connect(Stream(flip)) as peer:
        await peer.apply(scene())
    never = asyncio.Event()
    async with leaks(), testing.connect(Stream(flip)) as peer:
        await peer.apply(scene())
        assert peer.session is not None
        stop = peer.session._wiring.senders[0].stop

        async def hang() -> None:
            await stop()
            await never.wait()

        monkeypatch.setattr(peer.session._wiring.senders[0], "stop", hang)
    assert "took more than" in caplog.text


async def test_connection_that_closes_late_leaves_nothing(
    leaks: Leaks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One that takes too long, as on a busy machine, still closes whole."""
    monkeypatch.setattr("rtcstream.session.CLOSE_TIMEOUT", 0.0)
    async with leaks(), testing.connect(Stream(flip)) as visitor:
        await visitor.apply(scene())
    assert "took more than" in caplog.text


async def test_unread_answers_on_the_second_channel_are_bounded() -> None:
    """A peer that sets without end and reads nothing does not fill the server's memory."""

    def f(image: Image, text: str = "") -> Image:
        return image

    async with testing.connect(Stream(f)) as peer:
        await peer.set(text="x" * 9000)
        channel = peer._connection.createDataChannel(
            "rtcstream-set", ordered=False, maxRetransmits=0
        )
        answered = asyncio.Event()
        channel.on("message", lambda text: answered.set())
        await until(lambda: channel.readyState == "open")
        channel.send('{"type":"set","seq":9,"values":{}}')
        await asyncio.wait_for(answered.wait(), 5)

        async def nothing() -> None:
            pass

        sctp(peer._connection)._send_sack = nothing  # type: ignore[method-assign]
        for _ in range(200):
            channel.send('{"type":"set","seq":9,"values":{}}')
        channels = sctp(server(peer))._data_channels.values()
        there = next(each for each in channels if each.label == "rtcstream-set")
        await until(lambda: there.bufferedAmount > 200_000)
        await asyncio.sleep(0.3)
        assert there.bufferedAmount < 300_000


async def test_data_that_nobody_takes_is_bounded_in_bytes() -> None:
    """Large `data` messages are refused when half a MiB of them waits."""

    def f(image: Image, session: Session) -> Image:
        session.receive()
        return image

    async with testing.connect(Stream(f)) as peer:
        for _ in range(10):
            peer.send_text('{"type":"data","data":"%s"}' % ("x" * 60_000))
        assert "too much data" in (await peer.message("error"))["message"]
        await peer.apply(plain((1, 2, 3)))
        peer.send_text('{"type":"data","data":"%s"}' % ("x" * 60_000))
        await peer.set()
        assert not [m for m in list(peer.messages)[-1:] if m["type"] == "error"]


async def test_peer_with_a_small_message_limit_misses_what_is_longer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Messages beyond the peer's `a=max-message-size` are left out, the others still come."""

    def f(image: Image, session: Session) -> Image:
        session.send("x" * 2000)
        session.send("short")
        return image

    async with testing.connect(Stream(f)) as peer:
        sctp(server(peer))._remote_max_message_size = 1000
        peer.send(scene())
        assert (await peer.message("data"))["data"] == "short"
    assert not caplog.records


async def test_unreadable_messages_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """A flood of data-channel messages that are not UTF-8 gives one line in the log."""
    async with testing.connect(Stream(flip)) as peer:
        for _ in range(20):
            sctp(peer._connection)._data_channel_queue.append((peer._channel, 51, b"\xff\xfe"))
        await peer.set()
    assert len([r for r in caplog.records if "dropped" in r.message]) == 1


@pytest.mark.parametrize("flood", ["endless message", "streams"])
async def test_peer_that_ignores_the_window_loses_its_channels(flood: str) -> None:
    """Fragments of a message without an end, or of many, are not collected without end."""
    async with testing.connect(Stream(flip)) as peer:
        await peer.set()
        there = sctp(server(peer))
        tsn = there._last_received_tsn or 0
        for number in range(3000):
            chunk = DataChunk(flags=SCTP_DATA_UNORDERED)
            chunk.flags |= SCTP_DATA_FIRST_FRAG if flood == "streams" or not number else 0
            chunk.tsn = (tsn + 1 + number) % (1 << 32)
            chunk.stream_id = 1 + (number if flood == "streams" else 0)
            chunk.protocol, chunk.user_data = 51, b"x" * 1000
            await there._receive_data_chunk(chunk)
        assert there.state == "closed"
        assert sum(len(s.reassembly) for s in there._inbound_streams.values()) == 0


async def test_nack_storm_is_answered_once() -> None:
    """A NACK that names one packet thousands of times has it sent once."""
    async with testing.connect(Stream(flip)) as peer:
        await peer.apply(scene())
        assert peer.session is not None
        sender = peer.session._wiring.senders[0]
        assert isinstance(sender, VideoSender) and sender._writer is not None
        packet = RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=1, media_ssrc=sender._ssrc)
        packet.lost = [(sender._writer._sequence_number - 1) & 0xFFFF] * 500
        await sender._handle_rtcp_packet(packet)
        assert sender._writer.resent == 1


async def test_unreadable_report_costs_itself(caplog: pytest.LogCaptureFixture) -> None:
    """A REMB that names more sources than it has is left out; it ended the whole connection."""
    async with testing.connect(Stream(flip)) as peer:
        await peer.apply(scene())
        fci = bytearray(pack_remb_fci(500_000, [1]))
        fci[4] = 9
        report = bytes(RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=bytes(fci)))
        for _ in range(3):
            await peer._senders["video"].transport._send_rtp(report)
        await peer.set()
        await peer.apply(scene())
    assert ["left out" in each.message for each in caplog.records] == [True]


@pytest.mark.parametrize("ufrag", ["ab\0cd", 'ab"cd', "ab\tcd", "abc", "äöüß", "x" * 300])
async def test_ufrag_that_is_none_is_refused(ufrag: str, serve: Serve) -> None:
    """An ICE username fragment of other characters is a 400, and never reaches a header."""
    connection = PeerConnection(IceOptions(addresses=LOOPBACK))
    connection.addTransceiver("video", "sendrecv")
    await connection.setLocalDescription(await connection.createOffer())
    offer = re.sub("a=ice-ufrag:.*", f"a=ice-ufrag:{ufrag}\r", connection.localDescription.sdp)
    headers = {"Content-Type": "application/sdp"}
    async with (
        serve(Stream(flip)) as url,
        aiohttp.ClientSession() as client,
        client.post(url + "session", data=offer.encode(), headers=headers) as response,
    ):
        assert response.status == 400
    await connection.close_within(2)


def test_offer_with_a_thousand_candidates_is_refused() -> None:
    """An offer cannot have the server send STUN requests to hundreds of addresses."""
    line = "a=candidate:1 1 udp 1 192.0.2.{} 9 typ host"
    offer = "\r\n".join(["v=0", *(line.format(n % 250) for n in range(1000))])
    with pytest.raises(NegotiationError, match="candidates"):
        usable_offer(offer)


async def test_session_ended_while_it_negotiates_is_no_session(
    leaks: Leaks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An offer that is being answered when the server stops is refused, with its sockets freed."""
    connection = PeerConnection(IceOptions(addresses=LOOPBACK))
    connection.addTransceiver("video", "sendrecv")
    await connection.setLocalDescription(await connection.createOffer())
    sessions = Stream(flip).sessions()
    answer = PeerConnection.answer

    async def stopped_meanwhile(self: PeerConnection) -> str:
        text = await answer(self)
        await sessions.end_all("the server stopped")
        return text

    monkeypatch.setattr(PeerConnection, "answer", stopped_meanwhile)
    async with leaks():
        with pytest.raises(Exception, match="ended"):
            await sessions.connect(
                connection.localDescription.sdp, {}, Peer(None, {}), IceOptions((), LOOPBACK)
            )
    await connection.close_within(2)


async def test_session_may_end_at_any_moment_of_connecting(
    leaks: Leaks, caplog: pytest.LogCaptureFixture
) -> None:
    """However far the handshake is when a session ends, nothing stays, and nothing is logged."""
    sessions = Stream(flip).sessions()
    async with leaks():
        for steps in range(0, 40, 2):
            connection = PeerConnection(IceOptions(addresses=LOOPBACK))
            connection.addTransceiver("video", "sendrecv")
            connection.createDataChannel("rtcstream")
            await connection.setLocalDescription(await connection.createOffer())
            session, answer = await sessions.connect(
                connection.localDescription.sdp, {}, Peer(None, {}), IceOptions((), LOOPBACK)
            )
            await connection.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
            dtls = session._wiring.receivers[0].transport
            async with asyncio.timeout(5):
                while dtls.state == "new":  # noqa: ASYNC110 - each step of the loop counts
                    await asyncio.sleep(0)
            for _ in range(steps):
                await asyncio.sleep(0)
            await session.end("in the middle of it")
            await connection.close_within(2)
        gc.collect()
    assert not caplog.records


async def test_cancelled_call_has_ended_before_the_next_begins() -> None:
    """A shared async instance is free again when a cancelled call has unwound, not before."""
    entered, inside, overlaps = asyncio.Event(), 0, 0

    class Shared:
        async def __call__(self, image: Image) -> Image:
            nonlocal inside, overlaps
            inside += 1
            overlaps += inside > 1
            try:
                entered.set()
                await asyncio.sleep(0.1 if overlaps or second.is_set() else 60)
            finally:
                await asyncio.sleep(0.2)
                inside -= 1
            return image

    second = threading.Event()
    loop, lock, signature = asyncio.get_running_loop(), threading.Lock(), read(Shared())
    frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="bgr24")
    one, two = (Call(signature, None, loop, lock) for _ in range(2))
    one.open()
    two.open()
    first = asyncio.create_task(asyncio.to_thread(one.of_picture, frame, {}))
    await asyncio.wait_for(entered.wait(), 5)
    second.set()
    after = asyncio.create_task(asyncio.to_thread(two.of_picture, frame, {}))
    one.cancel()
    with contextlib.suppress(asyncio.CancelledError, Exception):
        await first
    await after
    assert overlaps == 0


def test_picture_of_giant_size_is_not_decoded() -> None:
    """A VP8 keyframe that claims 12000x12000 pixels is refused, not allocated."""
    lost = threading.Event()
    decoder = VideoDecoder(lost)
    pictures: list[av.VideoFrame] = []
    decoder.sink = pictures.append
    tag = (1 << 4 | 100_000 << 5).to_bytes(3, "little")  # a keyframe, to be shown, its partition
    header = tag + b"\x9d\x01\x2a" + struct.pack("<HH", 12_000, 12_000)
    codec = RTCRtpCodecParameters(mimeType="video/VP8", clockRate=90_000, payloadType=96)
    decoder.start()
    try:
        decoder.put((codec, JitterFrame(header + bytes(200_000), 0)))
        assert lost.wait(5)
        assert not pictures
    finally:
        decoder.put(None)


def test_clock_never_leaves_64_bits() -> None:
    """Whatever timestamps a peer makes up, the NTP time of a report fits its field."""
    clock = SourceClock(VIDEO_RATE)
    clock.observe(0)
    for pts in (-(1 << 60), 1 << 60):
        assert 0 <= clock.ntp(pts) < 1 << 64
