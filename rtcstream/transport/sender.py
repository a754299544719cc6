"""Media to the peer: aiortc's senders with an RTP side of our own."""

import asyncio
import logging
import struct
import time
from collections.abc import Callable
from typing import Any, Literal

import av
from aiortc import RTCRtpSender
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpSendParameters
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    AnyRtcpPacket,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSrPacket,
    unpack_remb_fci,
)
from aiortc.stats import RTCStatsReport

from .bitrate import Bitrate, BitrateController
from .broadcast import Broadcast
from .clock import AUDIO_RATE, VIDEO_RATE, SourceClock
from .encoder import Encoded
from .encoding import AudioEncoding, Encoding, VideoEncoding
from .feedback import unpack
from .rtp_writer import RtpWriter
from .slot import Slot
from .sound import SoundQueue
from .timeline import Timeline

logger = logging.getLogger(__name__)

Latency = Literal["lowest", "smooth", "auto"]
AT_ONCE, UNBOUNDED = (0, 0), (0, 0xFFF)
"""What a receiver is asked for: to show pictures at once, or to buffer as it sees fit."""
ASK_INTERVAL = 2.0
"""Seconds between two keyframes that one viewer of many may cause."""
ROUGH, CALM = 0.040, 0.020
"""Seconds of jitter from which ``auto`` lets the browser buffer, and below which no longer."""


class MediaSender(RTCRtpSender):
    """aiortc's sender with an RTP side of our own.

    A frame's ``pts`` (in the codec's ticks) is its RTP timestamp on the wire, modulo 2**32, so that
    what belongs to a frame can be named before its packets leave. aiortc adds a random origin that
    nobody else learns; here it is the source that starts at random. Sender reports carry the
    moment of capture by ``clock``.
    """

    # What is touched of aiortc's own; tests/test_contracts.py holds it to that.
    _RTCRtpSender__ntp_timestamp: int
    _RTCRtpSender__octet_count: int
    _RTCRtpSender__packet_count: int
    _RTCRtpSender__rtp_exited: asyncio.Event
    _RTCRtpSender__rtp_started: asyncio.Event
    _RTCRtpSender__rtp_timestamp: int
    _RTCRtpSender__stats: RTCStatsReport

    def __init__(self, kind: str, transport: Any, clock: SourceClock) -> None:
        super().__init__(kind, transport)
        self.clock = clock
        self.on_error: Callable[[BaseException], None] = lambda error: None
        self.frames_sent = 0
        self.bytes_sent = 0
        self.broadcast: Broadcast | None = None
        """What is sent instead of what this sender encodes itself; set before it starts."""
        self._slow = False
        self.on_slow: Callable[[bool], None] = lambda slow: None
        self._loop = asyncio.get_running_loop()
        self._clock_rate = clock.rate
        self._encoding: Encoding | None = None
        self._parameters: RTCRtpSendParameters | None = None
        self._writer: RtpWriter | None = None

    def close_source(self) -> None:
        """End what the encoder's thread waits for; nothing is sent from then on."""
        raise NotImplementedError

    def _make_encoding(self, codec: RTCRtpCodecParameters) -> Encoding:
        """What encodes for this sender."""
        raise NotImplementedError

    async def send(self, parameters: RTCRtpSendParameters) -> None:
        self._parameters = parameters
        await super().send(parameters)

    async def _run_rtp(self, codec: RTCRtpCodecParameters) -> None:
        assert self._parameters is not None
        self._writer = RtpWriter(self.transport, self._ssrc, self._rtx_ssrc)
        self._writer.configure(self._parameters, codec)
        self._writer.playout_delay = self._first_delay
        self._clock_rate = codec.clockRate
        self._RTCRtpSender__rtp_started.set()
        shared = self.broadcast is not None and self.broadcast.encoding(self.kind, codec)
        encoding = self._encoding = shared or self._make_encoding(codec)
        if not shared:
            encoding.on_error = lambda error: self.on_error(error)
        try:
            encoding.join(self)
            await encoding.ended.wait()
        finally:
            encoding.leave(self)
            if not shared:
                encoding.close()
            self._writer.close()
            self._RTCRtpSender__rtp_exited.set()

    @property
    def _first_delay(self) -> tuple[int, int] | None:
        """What the receiver is asked for at first; None leaves it to the receiver."""
        return None

    @property
    def target(self) -> int | None:
        """Bits a second that the peer can take, when that is known."""
        return None

    def set_slow(self, slow: bool) -> None:
        """Whether the peer can take keyframes only."""
        self._slow = slow
        self.on_slow(slow)

    def deliver(self, encoded: Encoded, pts: int) -> None:
        """Send an encoded frame. Raises ConnectionError."""
        if not self._enabled or self._writer is None:
            return
        timestamp = (pts * self._clock_rate // self.clock.rate) & 0xFFFFFFFF
        self.bytes_sent += self._writer.send(encoded.payloads, timestamp)
        self.frames_sent += 1
        # What aiortc's sender reports say.
        self._RTCRtpSender__octet_count = self._writer.octets
        self._RTCRtpSender__packet_count = self._writer.packets
        self._RTCRtpSender__rtp_timestamp = timestamp
        self._RTCRtpSender__ntp_timestamp = self.clock.ntp(pts)


class VideoSender(MediaSender):
    """Sends the newest picture in ``slot``, at the bitrate that the peer can take.

    ``limits``, ``hardware`` and ``latency`` count from the beginning, so they are set before it.
    """

    def __init__(self, transport: Any) -> None:
        super().__init__("video", transport, SourceClock(VIDEO_RATE))
        self.slot: Slot[av.VideoFrame] = Slot()
        self.size: tuple[int, int] | None = None
        self.limits = Bitrate()
        self.hardware = False
        self.latency: Latency = "auto"
        self.timeline: Timeline | None = None
        self._bitrate = BitrateController()
        self._reported = 0
        self._asks, self._asked = 3.0, 0.0
        self._measured = (0.0, 0)
        self._rate = 0.0
        self._awaiting_keyframe = True

    def close_source(self) -> None:
        self.slot.close()

    def _make_encoding(self, codec: RTCRtpCodecParameters) -> VideoEncoding:
        return VideoEncoding(
            self._loop, codec, self.slot, self.limits, self.hardware, self.timeline
        )

    @property
    def _first_delay(self) -> tuple[int, int]:
        return UNBOUNDED if self.latency == "smooth" else AT_ONCE

    @property
    def target(self) -> int | None:
        return self._bitrate.target

    def deliver(self, encoded: Encoded, pts: int) -> None:
        # Who joins in the middle, or has been left out, goes on with a whole picture.
        if not encoded.keyframe and (self._awaiting_keyframe or self._slow):
            self._awaiting_keyframe = True
            return
        self._awaiting_keyframe = False
        super().deliver(encoded, pts)
        self.size = encoded.size

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        encoding = self._encoding
        if self._writer is None or not isinstance(encoding, VideoEncoding):
            return
        if isinstance(packet, RtcpRtpfbPacket) and packet.fmt == RTCP_RTPFB_NACK:
            try:
                self._writer.resend(packet.lost)
            except ConnectionError as error:
                logger.debug("a packet could not be sent again: %s", error)
        elif isinstance(packet, RtcpPsfbPacket):
            if packet.fmt in (RTCP_PSFB_FIR, RTCP_PSFB_PLI):
                if self._may_ask():
                    encoding.want_keyframe()
            elif packet.fmt == RTCP_PSFB_APP and not self._is_told:
                self._on_estimate(packet.fci, encoding.bitrate)
                encoding.retarget()
        elif isinstance(packet, RtcpRrPacket | RtcpSrPacket):
            for report in packet.reports:
                if report.ssrc == self._ssrc:
                    share, jitter = report.fraction_lost / 256, report.jitter / VIDEO_RATE
                    self._on_report(share, jitter, encoding.bitrate)
                    encoding.retarget()
            await super()._handle_rtcp_packet(packet)

    @property
    def _is_told(self) -> bool:
        """Whether the peer has told when packets came, and not only said that it would."""
        congestion = None if self._writer is None else self._writer.congestion
        return congestion is not None and congestion.rate is not None

    def on_arrivals(self, report: bytes) -> None:
        """The peer tells when packets came."""
        encoding = self._encoding
        congestion = None if self._writer is None else self._writer.congestion
        if congestion is None or not isinstance(encoding, VideoEncoding):
            return
        try:
            arrivals = unpack(report)
        except ValueError as error:
            logger.debug("a report was left out: %s", error)
            return
        congestion.on_report(arrivals, encoding.bitrate, time.monotonic())
        self._bitrate.on_rate(congestion.rate)
        encoding.retarget()

    def _may_ask(self) -> bool:
        """Whether this viewer's wish for a keyframe counts, which all viewers of a broadcast are
        then sent: three at once, and one every ``ASK_INTERVAL`` after that."""
        if self.broadcast is None:
            return True
        now = time.monotonic()
        self._asks = min(self._asks + (now - self._asked) / ASK_INTERVAL, 3.0)
        self._asked = now
        if self._asks < 1:
            return False
        self._asks -= 1
        return True

    def _on_estimate(self, fci: bytes, asked: int) -> None:
        try:
            bitrate, sources = unpack_remb_fci(fci)
        except (ValueError, struct.error):
            return  # another application's message (RFC 4585 section 6.4), or cut short
        if self._ssrc in sources:
            self._bitrate.on_estimate(bitrate, self._sending(), asked)

    def _sending(self) -> float:
        """Bits a second that have been sent of late."""
        assert self._writer is not None
        now, octets = time.monotonic(), self._writer.octets
        since, had = self._measured
        if now - since > 0.5:
            self._rate = (octets - had) * 8 / (now - since)
            self._measured = (now, octets)
        return self._rate

    def _on_report(self, share_lost: float, jitter: float, asked: int) -> None:
        assert self._writer is not None
        packets = self._writer.packets
        had, self._reported = self._reported, packets
        self._bitrate.on_report(share_lost, packets - had, asked)
        if self.latency == "auto":
            if jitter > ROUGH:
                self._writer.playout_delay = UNBOUNDED
            elif jitter < CALM:
                self._writer.playout_delay = AT_ONCE


class AudioSender(MediaSender):
    """Sends all that is in ``queue``, in order."""

    def __init__(self, transport: Any) -> None:
        super().__init__("audio", transport, SourceClock(AUDIO_RATE))
        self.queue: SoundQueue = SoundQueue()

    def close_source(self) -> None:
        self.queue.close()

    def _make_encoding(self, codec: RTCRtpCodecParameters) -> AudioEncoding:
        return AudioEncoding(self._loop, codec, self.queue)
