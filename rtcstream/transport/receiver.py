"""Media from the peer: RTP to frames, handed to ``sink`` on the decoder's thread."""

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any, Generic

import av
from aiortc import RTCRtpReceiver
from aiortc.codecs import depayload
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpReceiveParameters
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import (
    AnyRtcpPacket,
    RtcpByePacket,
    RtcpSrPacket,
    RtpPacket,
    unwrap_rtx,
)

from .audio_jitter import AudioJitterBuffer
from .clock import VIDEO_RATE, SourceClock
from .decoder import Decoder, FrameT, VideoDecoder, starts_keyframe
from .extensions import TRANSPORT_SEQUENCE
from .feedback import TransportFeedback
from .jitterbuffer import VideoJitterBuffer
from .packets import vp8_data
from .timeline import DECODED, RECEIVED, Timeline

logger = logging.getLogger(__name__)

RECOVERY_INTERVAL = 0.01
"""Seconds between two looks at what is missing."""
FIRST_KEYFRAME = 0.05
"""Seconds that a lost picture may take to come by itself, before a keyframe is asked for."""
MAX_SOURCES = 31
"""RTP sources (SSRCs) of one receiver; a browser has two, one for retransmissions."""


def _data(codec: RTCRtpCodecParameters, payload: bytes) -> bytes:
    """What a payload carries of its frame. Raises ValueError."""
    if codec.name == "VP8":  # the most usual, in a fifth of aiortc's time
        return vp8_data(payload)
    return depayload(codec, payload)


class TimestampUnwrapper:
    """32-bit RTP timestamps to integers that never wrap; the first stays as it is.

    aiortc's TimestampMapper starts at zero, and so forgets the timestamp on the wire, and takes a
    frame that is out of order for a wrap.
    """

    def __init__(self) -> None:
        self._last: int | None = None

    def map(self, timestamp: int) -> int:
        """The timestamp of the next frame, unwrapped."""
        if self._last is None:
            self._last = timestamp
        else:
            step = (timestamp - self._last) & 0xFFFFFFFF
            self._last += step if step < 1 << 31 else step - (1 << 32)
        return self._last


class MediaReceiver(RTCRtpReceiver, Generic[FrameT]):
    """aiortc's receiver with a jitter buffer and a decoder of our own.

    A frame's ``pts`` is its RTP timestamp on the wire, unwrapped, in the codec's ticks.
    """

    # What is touched of aiortc's own; tests/test_contracts.py holds it to that.
    _RTCRtpReceiver__codecs: dict[int, RTCRtpCodecParameters]
    _RTCRtpReceiver__decoder_error: threading.Event
    _RTCRtpReceiver__decoder_queue: Any
    _RTCRtpReceiver__decoder_thread: Any
    _RTCRtpReceiver__remote_bitrate_estimator: None
    _RTCRtpReceiver__remote_streams: dict[int, StreamStatistics]
    _RTCRtpReceiver__rtcp_task: asyncio.Future[None] | None
    _RTCRtpReceiver__rtx_ssrc: dict[int, int]
    _RTCRtpReceiver__started: bool

    def __init__(
        self,
        kind: str,
        transport: Any,
        clock: SourceClock,
        decoder: type[Decoder[FrameT]],
        jitter_buffer: VideoJitterBuffer | AudioJitterBuffer,
    ) -> None:
        super().__init__(kind, transport)
        self.clock = clock
        self.timeline: Timeline | None = None
        """Where it is marked what is received and decoded."""
        self.bytes_received = 0
        self._codec: RTCRtpCodecParameters | None = None
        self._decoder: Decoder[FrameT] = decoder(self._RTCRtpReceiver__decoder_error)
        self._jitter_buffer = jitter_buffer
        self._unwrapper = TimestampUnwrapper()
        self._RTCRtpReceiver__decoder_queue = self._decoder
        # A thousand objects, 97 KiB, which only aiortc's own way of a packet asks.
        self._RTCRtpReceiver__remote_bitrate_estimator = None

    @property
    def sink(self) -> Callable[[FrameT], None] | None:
        """Called with every frame, on the decoder's thread; it must not block."""
        return self._decoder.sink

    @sink.setter
    def sink(self, sink: Callable[[FrameT], None] | None) -> None:
        if sink is None:
            self._decoder.sink = None
            return

        def observed(frame: FrameT) -> None:
            if frame.pts is not None:
                if self.timeline is not None:
                    self.timeline.mark(frame.pts, DECODED)
                self.clock.observe(frame.pts)
                sink(frame)

        self._decoder.sink = observed

    @property
    def dropped(self) -> int:
        """Encoded frames given up because decoding fell behind."""
        return self._decoder.dropped

    async def receive(self, parameters: RTCRtpReceiveParameters) -> None:
        """Start receiving: aiortc's ``receive``, but for the decoder's thread."""
        if self._RTCRtpReceiver__started:
            return
        self._RTCRtpReceiver__codecs = {
            c.payloadType: c for c in parameters.codecs if c.payloadType is not None
        }
        self._RTCRtpReceiver__rtx_ssrc = {
            encoding.rtx.ssrc: encoding.ssrc for encoding in parameters.encodings if encoding.rtx
        }
        self._decoder.start()
        self._RTCRtpReceiver__decoder_thread = self._decoder
        self.transport._register_rtp_receiver(self, parameters)
        self._RTCRtpReceiver__rtcp_task = asyncio.ensure_future(self._run_rtcp())
        self._RTCRtpReceiver__started = True

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        # A browser says BYE when it pauses a source, too, and may go on later: aiortc would end
        # the decoder for good. What ends ours is the end of the connection.
        if not isinstance(packet, RtcpByePacket):
            await super()._handle_rtcp_packet(packet)

    async def _handle_rtp_packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        self.take(packet)

    def take(self, packet: RtpPacket) -> None:
        """Take a packet: what aiortc does in ``_handle_rtp_packet``, without a wait."""
        # Each source is state and a block of every report, of which 31 fit (RFC 3550 section
        # 6.4.2): aiortc's reports end with an error at 64, and its stop() then waits forever.
        codec = self._RTCRtpReceiver__codecs.get(packet.payload_type)
        streams = self._RTCRtpReceiver__remote_streams
        if codec is None or (packet.ssrc not in streams and len(streams) >= MAX_SOURCES):
            return
        if (stream := streams.get(packet.ssrc)) is None:
            stream = streams[packet.ssrc] = StreamStatistics(codec.clockRate)
        stream.add(packet)
        self.bytes_received += len(packet.payload)
        if codec.name == "rtx":
            packet, codec = self._unwrapped(packet, codec)
            if codec is None:
                return
        try:
            data = _data(codec, packet.payload) if packet.payload else b""
        except ValueError as error:
            logger.debug("a payload of %s was left out: %s", codec.name, error)
            return
        packet._data = data  # type: ignore[attr-defined]
        self._jitter_buffer.add(packet)
        self._codec = codec
        self._release()

    def _release(self) -> None:
        """Hand what is whole to the decoder: a packet that fills a hole may complete several."""
        while self._codec is not None and (frame := self._jitter_buffer.pop()) is not None:
            frame.timestamp = self._unwrapper.map(frame.timestamp)
            if self.timeline is not None:
                self.timeline.mark(frame.timestamp, RECEIVED)
            self._decoder.put((self._codec, frame))

    def _unwrapped(
        self, packet: RtpPacket, codec: RTCRtpCodecParameters
    ) -> tuple[RtpPacket, RTCRtpCodecParameters | None]:
        """A retransmission's own packet and codec (RFC 4588), if it is one of ours."""
        source = self._RTCRtpReceiver__rtx_ssrc.get(packet.ssrc)
        original = codec.parameters.get("apt")
        if source is None or not isinstance(original, int) or len(packet.payload) < 2:
            return packet, None
        unwrapped = unwrap_rtx(packet, payload_type=original, ssrc=source)
        return unwrapped, self._RTCRtpReceiver__codecs.get(original)


class VideoReceiver(MediaReceiver[av.VideoFrame]):
    """Pictures, each as soon as its last packet is there; what is lost is asked for again.

    A sender that can be told when its packets came (every browser) finds its own rate by that;
    others keep theirs: aiortc's estimate, which would be sent to them, falls to a trickle with
    every still picture.
    """

    # Likewise.
    _RTCRtpReceiver__rtcp_ssrc: int | None

    def __init__(self, transport: Any) -> None:
        clock, self._buffer = SourceClock(VIDEO_RATE), VideoJitterBuffer(self._starts_keyframe)
        super().__init__("video", transport, clock, VideoDecoder, self._buffer)
        self.feedback: TransportFeedback | None = None
        self._recovering: asyncio.Task[None] | None = None
        self._keyframe_due = 0.0
        self._media_ssrc = 0

    async def receive(self, parameters: RTCRtpReceiveParameters) -> None:
        if any(extension.uri == TRANSPORT_SEQUENCE for extension in parameters.headerExtensions):
            self.feedback = TransportFeedback(self.transport)
        await super().receive(parameters)

    async def stop(self) -> None:
        if self._recovering is not None:
            self._recovering.cancel()
        if self.feedback is not None:
            self.feedback.close()
        await super().stop()

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        if isinstance(packet, RtcpSrPacket) and packet.ssrc == self._media_ssrc:
            self.clock.report(packet.sender_info.rtp_timestamp, packet.sender_info.ntp_timestamp)
        await super()._handle_rtcp_packet(packet)

    def take(self, packet: RtpPacket) -> None:
        number = packet.extensions.transport_sequence_number
        if self.feedback is not None and number is not None:
            self.feedback.add(number, self._RTCRtpReceiver__rtcp_ssrc or 0, packet.ssrc)
        codec = self._RTCRtpReceiver__codecs.get(packet.payload_type)
        if codec is not None and codec.name != "rtx":  # a request names the packet's own source
            self._media_ssrc = packet.ssrc
        if self._RTCRtpReceiver__decoder_error.is_set():
            self._RTCRtpReceiver__decoder_error.clear()
            self._buffer.lose()
        super().take(packet)
        if self._buffer.incomplete and (self._recovering is None or self._recovering.done()):
            self._recovering = asyncio.create_task(self._recover())

    async def _recover(self) -> None:
        """Ask for what is missing, over and over, until nothing is."""
        loop = asyncio.get_running_loop()
        self._keyframe_due = max(self._keyframe_due, loop.time() + FIRST_KEYFRAME)
        while self._buffer.incomplete:
            if asks := self._buffer.asks():
                await self._send_rtcp_nack(self._media_ssrc, asks)
            if self._buffer.awaiting_keyframe and loop.time() >= self._keyframe_due:
                self._keyframe_due = loop.time() + max(0.2, 2 * self._buffer.round_trip)
                await self._send_rtcp_pli(self._media_ssrc)
            await asyncio.sleep(RECOVERY_INTERVAL)

    def _starts_keyframe(self, packet: RtpPacket) -> bool:
        codec = self._RTCRtpReceiver__codecs.get(packet.payload_type)
        return codec is not None and starts_keyframe(codec.name, packet.payload)
