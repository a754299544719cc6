"""A receiver's decoder: a bounded queue and one daemon thread."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import av
from aiortc.jitterbuffer import JitterFrame
from aiortc.mediastreams import VIDEO_TIME_BASE
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

logger = logging.getLogger(__name__)

FFMPEG_NAMES = {"VP8": "vp8", "H264": "h264"}
"""FFmpeg's own vp8 decoder takes three quarters of the time of libvpx's."""

MAX_PIXELS = 4096 * 4096
"""Of a picture that is decoded: VP8 can say 16383x16383 in a few kilobytes."""

Task = tuple[RTCRtpCodecParameters, JitterFrame]


class VideoDecoder:
    """Decodes every frame in order, since each builds on the last, and hands on the pictures.

    Stands where aiortc has a ``queue.Queue`` (``put``) and a thread (``join``): theirs has no
    bound, is waited for on the event loop, and ends silently on an unexpected error. When ours
    falls ``LIMIT`` frames behind it drops them all, asks for a keyframe, and goes on there.
    """

    LIMIT = 60

    def __init__(self, picture_lost: threading.Event) -> None:
        self.sink: Callable[[av.VideoFrame], None] | None = None
        self.dropped = 0
        self._picture_lost = picture_lost
        self._tasks: deque[Task] = deque()
        self._changed = threading.Condition()
        self._parameters: RTCRtpCodecParameters | None = None
        self._closed = False
        self._awaiting_keyframe = False

    def start(self) -> None:
        threading.Thread(target=self._run, name="rtcstream-decoder", daemon=True).start()

    def put(self, task: Task | None) -> None:
        """A frame to decode; None ends the decoder, dropping what waits."""
        with self._changed:
            if task is None:
                self._closed = True
                self._tasks.clear()
            elif not self._closed and task[1].data:
                # An empty frame (a probe made of padding alone) would put FFmpeg's decoder into
                # drain, for good.
                if self._awaiting_keyframe and not is_keyframe(task[0].name, task[1].data):
                    self.dropped += 1
                    return
                self._awaiting_keyframe = False
                if len(self._tasks) >= self.LIMIT:
                    self.dropped += len(self._tasks)
                    self._tasks.clear()
                    self._awaiting_keyframe = not is_keyframe(task[0].name, task[1].data)
                    self._picture_lost.set()
                    if self._awaiting_keyframe:
                        self.dropped += 1
                        return
                self._tasks.append(task)
                self._parameters = task[0]
            self._changed.notify()

    def put_next(self, frame: JitterFrame) -> None:
        """A frame of the same codec as the last."""
        if self._parameters is not None:
            self.put((self._parameters, frame))

    def join(self) -> None:
        """Nothing to wait for: the thread is a daemon and ends by itself after ``put(None)``."""

    def _take(self) -> Task | None:
        with self._changed:
            while not self._tasks and not self._closed:
                self._changed.wait()
            return None if self._closed else self._tasks.popleft()

    def _run(self) -> None:
        codec: Any = None
        codec_name = None
        while (task := self._take()) is not None:
            parameters, encoded = task
            try:
                if parameters.name != codec_name:
                    codec = av.CodecContext.create(FFMPEG_NAMES[parameters.name], "r")
                    codec.thread_count = 1  # more would hold frames back to fill the threads
                    codec.options = {"max_pixels": str(MAX_PIXELS)}
                    codec_name = parameters.name
                packet = av.Packet(encoded.data)
                packet.pts = encoded.timestamp
                packet.time_base = VIDEO_TIME_BASE
                frames = codec.decode(packet)
            except av.FFmpegError as error:
                logger.debug("a %s frame could not be decoded: %s", parameters.name, error)
                self._picture_lost.set()
                continue
            except Exception:
                logger.exception("the %s decoder failed and is made anew", parameters.name)
                codec_name = None
                self._picture_lost.set()
                continue
            sink = self.sink
            if sink is not None:
                for frame in frames:
                    try:
                        sink(frame)
                    except Exception:
                        logger.exception("a decoded frame could not be handed on")


def is_keyframe(codec: str, data: bytes) -> bool:
    """Whether an encoded frame can be decoded without those before it."""
    if codec == "VP8":
        return not data[0] & 1  # RFC 6386 section 9.1: the inverse key frame flag
    # RFC 6184 section 1.3: NAL unit types 5 (IDR slice) and 7 (sequence parameter set). Annex B
    # start codes precede each.
    return any(part[:1] and part[0] & 0x1F in (5, 7) for part in data.split(b"\0\0\1")[1:])
