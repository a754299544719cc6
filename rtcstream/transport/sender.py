"""Media to the peer: each kind encoded on a thread of its own, then packets.

Nothing queues behind the encoder: one frame at most is being encoded or sent.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

import av
from aiortc import RTCRtpSender, clock
from aiortc.codecs.base import Encoder
from aiortc.mediastreams import VIDEO_TIME_BASE
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtcrtpsender import random_sequence_number
from aiortc.rtp import RTP_HISTORY_SIZE, HeaderExtensionsMap, RtpPacket
from aiortc.utils import uint16_add

from . import encoder as encoding
from .clock import AUDIO_RATE, VIDEO_RATE, SourceClock
from .slot import Closed, Slot
from .sound import SoundQueue

logger = logging.getLogger(__name__)

KEYFRAME_INTERVAL = 0.2
"""Seconds between two keyframes that the peer asks for: each costs many times a usual frame."""

RETRANSMIT_INTERVAL = 0.01
"""Seconds between two retransmissions of one packet: less than a round trip that needs them."""


class MediaSender(RTCRtpSender):
    """aiortc's sender with an RTP side of our own.

    A frame's ``pts`` (in the codec's ticks) is its RTP timestamp on the wire, modulo 2**32, so that
    what belongs to a frame can be named before its packets leave. aiortc adds a random origin that
    nobody else learns; here it is the source that starts at random. Sender reports carry the
    moment of capture by ``clock``.
    """

    # What is touched of aiortc's own; tests/test_contracts.py holds it to that.
    _RTCRtpSender__encoder: Encoder | None
    _RTCRtpSender__mid: str | None
    _RTCRtpSender__ntp_timestamp: int
    _RTCRtpSender__octet_count: int
    _RTCRtpSender__packet_count: int
    _RTCRtpSender__rtp_exited: asyncio.Event
    _RTCRtpSender__rtp_header_extensions_map: HeaderExtensionsMap
    _RTCRtpSender__rtp_history: dict[int, RtpPacket]
    _RTCRtpSender__rtp_started: asyncio.Event
    _RTCRtpSender__rtp_timestamp: int

    def __init__(self, kind: str, transport: Any, clock: SourceClock) -> None:
        super().__init__(kind, transport)
        self.clock = clock
        self.on_error: Callable[[BaseException], None] = lambda error: None
        self.frames_sent = 0
        self.bytes_sent = 0
        self._loop = asyncio.get_running_loop()
        self._retransmit_due: dict[int, float] = {}
        self._sequence_number = random_sequence_number()

    def close_source(self) -> None:
        """End what the encoder's thread waits for; nothing is sent from then on."""
        raise NotImplementedError

    def _send_next(self, codec: RTCRtpCodecParameters) -> None:
        """Wait for the next frame, encode and send it; on the encoder's thread. Raises Closed."""
        raise NotImplementedError

    async def _retransmit(self, sequence_number: int) -> None:
        """Answer a NACK; one packet may name thousands, the same over and over."""
        index, now = sequence_number % RTP_HISTORY_SIZE, self._loop.time()
        if now >= self._retransmit_due.get(index, 0.0):
            self._retransmit_due[index] = now + RETRANSMIT_INTERVAL
            await super()._retransmit(sequence_number)

    async def _run_rtp(self, codec: RTCRtpCodecParameters) -> None:
        self._RTCRtpSender__rtp_started.set()
        ended = asyncio.Event()
        name = f"rtcstream-{self.kind}-encoder"
        threading.Thread(target=self._run, args=(codec, ended), name=name, daemon=True).start()
        try:
            await ended.wait()
        finally:
            self.close_source()
            self._RTCRtpSender__encoder = None
            self._RTCRtpSender__rtp_exited.set()

    def _run(self, codec: RTCRtpCodecParameters, ended: asyncio.Event) -> None:
        try:
            while True:
                self._send_next(codec)
        except (Closed, ConnectionError):
            pass
        except (RuntimeError, asyncio.CancelledError):
            logger.debug("the event loop ended before the encoder")
        finally:
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(ended.set)

    def _encode(
        self, codec: RTCRtpCodecParameters, frame: av.VideoFrame | av.AudioFrame, keyframe: bool
    ) -> list[bytes]:
        """Encode, or report and start over with a new encoder: one bad frame ends nothing."""
        encoder = self._RTCRtpSender__encoder
        try:
            if encoder is None:
                encoder = self._RTCRtpSender__encoder = encoding.create(codec)
            return encoding.encode(encoder, codec, frame, keyframe)
        except Exception as error:
            self._RTCRtpSender__encoder = None
            self.on_error(error)
            return []

    def _send(self, codec: RTCRtpCodecParameters, payloads: list[bytes], pts: int) -> None:
        """Send a frame's payloads and wait until they have left."""
        sending = self._send_frame(codec, payloads, pts)
        asyncio.run_coroutine_threadsafe(sending, self._loop).result()

    async def _send_frame(
        self, codec: RTCRtpCodecParameters, payloads: list[bytes], pts: int
    ) -> None:
        if not self._enabled:
            return
        timestamp = (pts * codec.clockRate // self.clock.rate) & 0xFFFFFFFF
        for index, payload in enumerate(payloads):
            packet = RtpPacket(
                payload_type=codec.payloadType or 0,
                marker=int(index == len(payloads) - 1),
                sequence_number=self._sequence_number,
                timestamp=timestamp,
                ssrc=self._ssrc,
                payload=payload,
            )
            packet.extensions.abs_send_time = (clock.current_ntp_time() >> 14) & 0x00FFFFFF
            packet.extensions.mid = self._RTCRtpSender__mid
            self._RTCRtpSender__rtp_history[self._sequence_number % RTP_HISTORY_SIZE] = packet
            self._sequence_number = uint16_add(self._sequence_number, 1)
            data = packet.serialize(self._RTCRtpSender__rtp_header_extensions_map)
            await self.transport._send_rtp(data)
            self._RTCRtpSender__octet_count += len(payload)
            self._RTCRtpSender__packet_count += 1
            self.bytes_sent += len(payload)
        self._RTCRtpSender__rtp_timestamp = timestamp
        self._RTCRtpSender__ntp_timestamp = self.clock.ntp(pts)
        self.frames_sent += 1


class VideoSender(MediaSender):
    """Sends the newest picture in ``slot``."""

    def __init__(self, transport: Any) -> None:
        super().__init__("video", transport, SourceClock(VIDEO_RATE))
        self.slot: Slot[av.VideoFrame] = Slot()
        self.size: tuple[int, int] | None = None
        self._last: av.VideoFrame | None = None
        self._pts = 0
        self._keyframe_wanted = False
        self._keyframe_due = 0.0
        self._keyframe_timer: asyncio.TimerHandle | None = None

    def close_source(self) -> None:
        self.slot.close()
        if self._keyframe_timer is not None:
            self._keyframe_timer.cancel()

    def _send_keyframe(self) -> None:
        """The peer has lost the picture: send a whole one, the last again if there is no newer."""
        wait = self._keyframe_due - self._loop.time()
        if wait <= 0:
            self._want_keyframe()
        elif self._keyframe_timer is None:  # one answers all that are asked for meanwhile
            self._keyframe_timer = self._loop.call_later(wait, self._want_keyframe)

    def _want_keyframe(self) -> None:
        self._keyframe_timer = None
        self._keyframe_due = self._loop.time() + KEYFRAME_INTERVAL
        self._keyframe_wanted = True
        self.slot.nudge()

    def _send_next(self, codec: RTCRtpCodecParameters) -> None:
        newer = self.slot.take()
        if newer is not None:
            self._last, self._pts = newer, newer.pts or 0
        elif self._last is not None:
            # A keyframe is wanted, and nothing new has come: the same picture once more, one tick
            # later, so that the receiver takes it for a new one.
            self._pts += 1
        else:
            return
        frame = self._last
        # Set each time: PyAV rescales a frame's timestamp in place as it encodes.
        frame.pts, frame.time_base = self._pts, VIDEO_TIME_BASE
        keyframe = self._keyframe_wanted
        if keyframe:  # not to lose a wish that comes between reading and clearing
            self._keyframe_wanted = False
        payloads = self._encode(codec, frame, keyframe)
        if payloads:
            self._send(codec, payloads, self._pts)
            self.size = (frame.width, frame.height)


class AudioSender(MediaSender):
    """Sends all that is in ``queue``, in order."""

    def __init__(self, transport: Any) -> None:
        super().__init__("audio", transport, SourceClock(AUDIO_RATE))
        self.queue: SoundQueue = SoundQueue()

    def close_source(self) -> None:
        self.queue.close()

    def _send_next(self, codec: RTCRtpCodecParameters) -> None:
        frame = self.queue.take()
        pts = frame.pts or 0
        for payload in self._encode(codec, frame, keyframe=False):
            self._send(codec, [payload], pts)
