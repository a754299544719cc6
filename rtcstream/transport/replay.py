"""A peer that sends encoded video over and over, and times what comes back without decoding it."""

import asyncio
import json
import queue
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import av
from aiortc import MediaStreamTrack, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtp import RtpPacket, is_rtcp

from .clock import VIDEO_RATE, VIDEO_TIME_BASE
from .ice import LOOPBACK, IceOptions
from .peer import PeerConnection

KEPT = 300
"""Frames sent that may still come back; of what came back, so many times more are kept."""


class Replay(MediaStreamTrack):
    """Encoded frames, each at its time, from the start again after the last."""

    kind = "video"

    def __init__(self, clip: Sequence[bytes], fps: float) -> None:
        super().__init__()
        self._clip = clip
        self._fps = fps
        self._number = 0
        self._start = time.monotonic()

    async def recv(self) -> "av.Packet[Any]":
        if self.readyState != "live":
            raise MediaStreamError
        await asyncio.sleep(self._start + self._number / self._fps - time.monotonic())
        packet = av.Packet(self._clip[self._number % len(self._clip)])
        packet.pts = round(self._number * VIDEO_RATE / self._fps)
        packet.time_base = VIDEO_TIME_BASE
        self._number += 1
        return packet


class _Connection(PeerConnection):
    """Packets go aiortc's own way, to its own receiver."""

    def _read_packets(self, transport: RTCDtlsTransport) -> None:
        pass


class ReplayPeer:
    """Offers, sends and receives as plain aiortc does, on the loopback interface.

    ``sent`` and ``received`` count frames; ``latencies`` are in seconds, from the last packet of a
    frame sent to the last packet of what came back for it; ``stats`` is the server's last message
    of that type.
    """

    def __init__(self, inputs: Sequence[str], clip: Sequence[bytes], fps: float) -> None:
        self.sent = 0
        self.received = 0
        self.latencies: deque[float] = deque(maxlen=100 * KEPT)
        self.stats: dict[str, Any] | None = None
        self._leaving: dict[int, float] = {}
        self._connection = _Connection(IceOptions(addresses=LOOPBACK))
        self.channel = self._connection.createDataChannel("rtcstream")
        self.channel.on("message", self._on_message)
        # With a track of its own a transceiver has aiortc's parts, which this hooks into.
        video = self._connection.addTransceiver(
            Replay(clip, fps), "sendrecv" if "video" in inputs else "recvonly"
        )
        codecs = RTCRtpSender.getCapabilities("video").codecs
        video.setCodecPreferences([each for each in codecs if each.mimeType == "video/VP8"])
        if "audio" in inputs:
            self._connection.addTransceiver(AudioStreamTrack(), "sendrecv")
        self._hook(video.sender.transport, video.receiver)

    async def connect(self, exchange: Callable[[str], Any]) -> None:
        """``exchange`` gives the answer to an offer."""
        await self._connection.setLocalDescription(await self._connection.createOffer())
        answer = await exchange(self._connection.localDescription.sdp)
        await self._connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def close(self) -> None:
        await self._connection.close_within(2.0)

    def _hook(self, transport: Any, receiver: Any) -> None:
        send, handle = transport._send_rtp, receiver._handle_rtp_packet

        async def send_rtp(data: bytes) -> None:
            await send(data)
            if not is_rtcp(data):
                self._note_sent(RtpPacket.parse(data))

        async def handle_rtp(packet: RtpPacket, arrival_time_ms: int) -> None:
            if packet.marker and packet.payload:
                self._note_received(packet.timestamp)
            await handle(packet, arrival_time_ms=arrival_time_ms)

        transport._send_rtp = send_rtp
        receiver._handle_rtp_packet = handle_rtp
        receiver._RTCRtpReceiver__decoder_queue = _Undecoded()

    def _note_sent(self, packet: RtpPacket) -> None:
        if packet.marker:
            self.sent += 1
            self._leaving[packet.timestamp] = time.monotonic()
            if len(self._leaving) > KEPT:
                del self._leaving[next(iter(self._leaving))]

    def _note_received(self, timestamp: int) -> None:
        self.received += 1
        left = self._leaving.pop(timestamp, None)
        if left is not None:
            self.latencies.append(time.monotonic() - left)

    def _on_message(self, text: str) -> None:
        self.take_message(json.loads(text))

    def take_message(self, message: dict[str, Any]) -> None:
        """One of the server's on the data channel."""
        if message["type"] == "stats":
            self.stats = message


class _Undecoded(queue.Queue[Any]):
    """A decoder's queue that lets its end through and no frame."""

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        if item is None:
            super().put(item, block, timeout)
