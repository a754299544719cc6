"""Media from the peer: RTP to frames, handed to ``sink`` on the decoder's thread."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, Generic

import av
from aiortc import RTCRtpReceiver
from aiortc.codecs import is_rtx
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpReceiveParameters
from aiortc.rtp import AnyRtcpPacket, RtcpByePacket, RtpPacket

from .audio_jitter import AudioJitterBuffer
from .clock import VIDEO_RATE, SourceClock
from .decoder import Decoder, FrameT, VideoDecoder, starts_keyframe
from .extensions import TRANSPORT_SEQUENCE
from .feedback import TransportFeedback
from .jitterbuffer import VideoJitterBuffer
from .timeline import DECODED, RECEIVED, Timeline

RECOVERY_INTERVAL = 0.01
"""Seconds between two looks at what is missing."""
FIRST_KEYFRAME = 0.05
"""Seconds that a lost picture may take to come by itself, before a keyframe is asked for."""
MAX_SOURCES = 31
"""RTP sources (SSRCs) of one receiver; a browser has two, one for retransmissions."""


class TimestampUnwrapper:
    """32-bit RTP timestamps to integers that never wrap; the first stays as it is.

    Stands where aiortc has its TimestampMapper, which starts at zero and so forgets the timestamp
    on the wire, and takes a frame that is out of order for a wrap.
    """

    def __init__(self) -> None:
        self.timeline: Timeline | None = None
        self._last: int | None = None

    def map(self, timestamp: int) -> int:
        """A frame with this timestamp has been received whole."""
        if self._last is None:
            self._last = timestamp
        else:
            step = (timestamp - self._last) & 0xFFFFFFFF
            self._last += step if step < 1 << 31 else step - (1 << 32)
        if self.timeline is not None:
            self.timeline.mark(self._last, RECEIVED)
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
    _RTCRtpReceiver__jitter_buffer: Any
    _RTCRtpReceiver__rtcp_task: asyncio.Future[None] | None
    _RTCRtpReceiver__rtx_ssrc: dict[int, int]
    _RTCRtpReceiver__started: bool
    _RTCRtpReceiver__timestamp_mapper: Any

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
        self._decoder: Decoder[FrameT] = decoder(self._RTCRtpReceiver__decoder_error)
        self._jitter_buffer = jitter_buffer
        self._unwrapper = TimestampUnwrapper()
        self._sources: set[int] = set()
        self._RTCRtpReceiver__decoder_queue = self._decoder
        self._RTCRtpReceiver__jitter_buffer = jitter_buffer
        self._RTCRtpReceiver__timestamp_mapper = self._unwrapper

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
                if (timeline := self._unwrapper.timeline) is not None:
                    timeline.mark(frame.pts, DECODED)
                self.clock.observe(frame.pts)
                sink(frame)

        self._decoder.sink = observed

    def trace(self, timeline: Timeline) -> None:
        """Mark there what is received and decoded."""
        self._unwrapper.timeline = timeline

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
        # Each source is state and a block of every report, of which 31 fit (RFC 3550 section
        # 6.4.2): aiortc's reports end with an error at 64, and its stop() then waits forever.
        if packet.ssrc not in self._sources:
            if len(self._sources) >= MAX_SOURCES:
                return
            self._sources.add(packet.ssrc)
        await super()._handle_rtp_packet(packet, arrival_time_ms)
        # A packet that fills a hole may complete several frames; aiortc takes one of them.
        while (frame := self._jitter_buffer.pop()) is not None:
            frame.timestamp = self._unwrapper.map(frame.timestamp)
            self._decoder.put_next(frame)


class VideoReceiver(MediaReceiver[av.VideoFrame]):
    """Pictures, each as soon as its last packet is there; what is lost is asked for again."""

    # Likewise. Without these two, aiortc asks for no packet again and estimates no bitrate: the
    # buffer knows what is missing, and the browser's own estimator is better where it is told when
    # packets came.
    _RTCRtpReceiver__nack_generator: Any
    _RTCRtpReceiver__remote_bitrate_estimator: Any
    _RTCRtpReceiver__rtcp_ssrc: int | None

    def __init__(self, transport: Any) -> None:
        clock, self._buffer = SourceClock(VIDEO_RATE), VideoJitterBuffer(self._starts_keyframe)
        super().__init__("video", transport, clock, VideoDecoder, self._buffer)
        self.feedback: TransportFeedback | None = None
        self._recovering: asyncio.Task[None] | None = None
        self._keyframe_due = 0.0
        self._media_ssrc = 0
        self._RTCRtpReceiver__nack_generator = None

    async def receive(self, parameters: RTCRtpReceiveParameters) -> None:
        if any(extension.uri == TRANSPORT_SEQUENCE for extension in parameters.headerExtensions):
            self.feedback = TransportFeedback(self.transport)
            self._RTCRtpReceiver__remote_bitrate_estimator = None
        await super().receive(parameters)

    async def stop(self) -> None:
        if self._recovering is not None:
            self._recovering.cancel()
        if self.feedback is not None:
            self.feedback.close()
        await super().stop()

    async def _handle_rtp_packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        number = packet.extensions.transport_sequence_number
        if self.feedback is not None and number is not None:
            self.feedback.add(number, self._RTCRtpReceiver__rtcp_ssrc or 0, packet.ssrc)
        codec = self._RTCRtpReceiver__codecs.get(packet.payload_type)
        if codec is not None and not is_rtx(codec):  # who asks for a packet names its own source
            self._media_ssrc = packet.ssrc
        if self._RTCRtpReceiver__decoder_error.is_set():
            self._RTCRtpReceiver__decoder_error.clear()
            self._buffer.lose()
        await super()._handle_rtp_packet(packet, arrival_time_ms)
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
