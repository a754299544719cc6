"""A receiver's decoder: a bounded queue and one daemon thread."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import av
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from .. import logs
from .clock import VIDEO_TIME_BASE
from .packets import vp8_data

logger = logging.getLogger(__name__)

FFMPEG_NAMES = {"VP8": "vp8", "H264": "h264"}
"""FFmpeg's own vp8 decoder takes three quarters of the time of libvpx's."""

MAX_PIXELS = 4096 * 4096
"""Of a picture that is decoded: VP8 can say 16383x16383 in a few kilobytes."""

Task = tuple[RTCRtpCodecParameters, JitterFrame]
FrameT = TypeVar("FrameT", av.VideoFrame, av.AudioFrame)


class Decoder(Generic[FrameT]):
    """Decodes every frame in order, since each builds on the last, and hands on what it gives.

    Stands where aiortc has a ``queue.Queue`` (``put``) and a thread (``join``): theirs has no
    bound, is waited for on the event loop, and ends silently on an unexpected error.
    """

    LIMIT = 60

    def __init__(self, picture_lost: threading.Event) -> None:
        self.sink: Callable[[FrameT], None] | None = None
        self.dropped = 0
        self._picture_lost = picture_lost
        self._tasks: deque[Task] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._codec: Any = None
        self._codec_name: str | None = None
        self._said = False

    def start(self) -> None:
        logs.thread(self._run, "rtcstream-decoder").start()

    def put(self, task: Task | None) -> None:
        """A frame to decode; None ends the decoder, dropping what waits."""
        with self._changed:
            if task is None:
                self._closed = True
                self._tasks.clear()
            # An empty frame (a probe made of padding alone) would put FFmpeg's decoder into drain,
            # for good.
            elif not self._closed and task[1].data and self._admit(task):
                self._tasks.append(task)
            self._changed.notify()

    def join(self) -> None:
        """Nothing to wait for: the thread is a daemon and ends by itself after ``put(None)``."""

    def _admit(self, task: Task) -> bool:
        """Whether a frame is to be decoded; makes room for it in a full queue."""
        raise NotImplementedError

    def _decode(self, codec: RTCRtpCodecParameters, encoded: JitterFrame) -> list[FrameT]:
        """What an encoded frame gives. Raises av.FFmpegError."""
        raise NotImplementedError

    def _take(self) -> Task | None:
        with self._changed:
            while not self._tasks and not self._closed:
                self._changed.wait()
            return None if self._closed else self._tasks.popleft()

    def _run(self) -> None:
        while (task := self._take()) is not None:
            parameters, encoded = task
            try:
                frames = self._decode(parameters, encoded)
            except av.FFmpegError as error:
                logger.debug("a %s frame could not be decoded: %s", parameters.name, error)
                self._picture_lost.set()
                continue
            except Exception:
                self._say(f"the {parameters.name} decoder failed and is made anew")
                self._codec_name = None
                self._picture_lost.set()
                continue
            sink = self.sink
            if sink is not None:
                for frame in frames:
                    try:
                        sink(frame)
                    except Exception:
                        self._say("a decoded frame could not be handed on")

    def _say(self, text: str) -> None:
        """Log what was raised; once, since it may be raised for each frame."""
        level, self._said = logging.DEBUG if self._said else logging.ERROR, True
        logger.log(level, text, exc_info=True)


class VideoDecoder(Decoder[av.VideoFrame]):
    """Pictures. When it falls ``LIMIT`` frames behind it drops them all, asks for a keyframe, and
    goes on there."""

    def __init__(self, picture_lost: threading.Event) -> None:
        super().__init__(picture_lost)
        self._awaiting_keyframe = False

    def _admit(self, task: Task) -> bool:
        keyframe = is_keyframe(task[0].name, task[1].data)
        if len(self._tasks) >= self.LIMIT:
            self.dropped += len(self._tasks)
            self._tasks.clear()
            self._awaiting_keyframe = True
            self._picture_lost.set()
        if self._awaiting_keyframe and not keyframe:
            self.dropped += 1
            return False
        self._awaiting_keyframe = False
        return True

    def _decode(self, codec: RTCRtpCodecParameters, encoded: JitterFrame) -> list[av.VideoFrame]:
        if codec.name != self._codec_name:
            self._codec = av.CodecContext.create(FFMPEG_NAMES[codec.name], "r")
            self._codec.thread_count = 1  # more would hold frames back to fill the threads
            self._codec.options = {"max_pixels": str(MAX_PIXELS)}
            self._codec_name = codec.name
        packet = av.Packet(encoded.data)
        packet.pts = encoded.timestamp
        packet.time_base = VIDEO_TIME_BASE
        return self._codec.decode(packet)  # type: ignore[no-any-return]


def is_keyframe(codec: str, data: bytes) -> bool:
    """Whether an encoded frame can be decoded without those before it."""
    if codec == "VP8":
        return not data[0] & 1  # RFC 6386 section 9.1: the inverse key frame flag
    # RFC 6184 section 1.3: NAL unit types 5 (IDR slice) and 7 (sequence parameter set). Annex B
    # start codes precede each.
    return any(part[:1] and part[0] & 0x1F in (5, 7) for part in data.split(b"\0\0\1")[1:])


def starts_keyframe(codec: str, payload: bytes) -> bool:
    """Whether a packet's payload is the beginning of such a frame."""
    if codec == "VP8":  # RFC 7741 section 4.2: a frame begins with S set, in partition 0
        if not payload or payload[0] & 0x1F != 0x10:
            return False
        return is_keyframe(codec, vp8_data(payload) or b"\1")
    # RFC 6184 section 5.2: a sequence parameter set, alone or in an aggregate.
    kind, at = payload[0] & 0x1F if payload else 0, 1
    while kind == 24 and at + 2 < len(payload):
        if payload[at + 2] & 0x1F == 7:
            return True
        at += 2 + int.from_bytes(payload[at : at + 2], "big")
    return kind == 7
