"""One run's pictures and sound, encoded once for each codec, whatever the number of viewers."""

import asyncio
import threading
from collections.abc import Callable

import av
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from ..media import planes
from .bitrate import Bitrate
from .clock import AUDIO_RATE, VIDEO_RATE, VIDEO_TIME_BASE, SourceClock
from .encoding import AudioEncoding, Encoding, VideoEncoding
from .slot import Slot
from .sound import SoundQueue
from .timeline import Timeline

OPUS = RTCRtpCodecParameters("audio/opus", clockRate=AUDIO_RATE, channels=2)


class Pictures(Slot[av.VideoFrame]):
    """A slot whose pictures go on to the slots of all encoders, whatever their codecs.

    Each gets a frame of its own, for encoders write their own times into it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.slots: tuple[Slot[av.VideoFrame], ...] = ()
        self._newest: av.VideoFrame | None = None
        self._pts: int | None = None
        self._lock = threading.Lock()

    def put(self, item: av.VideoFrame, idle: bool = False) -> None:
        with self._lock:
            self._newest, self._pts = item, item.pts
            for number, slot in enumerate(self.slots):
                slot.put(_copy(item, self._pts) if number else item)

    def add(self) -> Slot[av.VideoFrame]:
        """Another slot, with the newest picture in it."""
        slot: Slot[av.VideoFrame] = Slot()
        with self._lock:
            if self._newest is not None:
                slot.put(_copy(self._newest, self._pts))
            if self._closed:
                slot.close()
            self.slots = (*self.slots, slot)
        return slot

    def clear(self) -> None:
        with self._lock:
            self._newest = None
            for slot in self.slots:
                slot.clear()

    def close(self) -> None:
        with self._lock:
            super().close()
            self._newest = None
            for slot in self.slots:
                slot.close()


def _copy(frame: av.VideoFrame, pts: int | None) -> av.VideoFrame:
    if frame.format.name != "yuv420p":
        copy = frame.reformat(format="yuv420p")
    else:
        copy = av.VideoFrame(frame.width, frame.height, "yuv420p")
        for source, target in zip(planes(frame), planes(copy), strict=True):
            target[...] = source
    copy.pts, copy.time_base = pts, VIDEO_TIME_BASE
    return copy


class Broadcast:
    """What all viewers of a shared run are sent; belongs to the event loop.

    ``pictures`` and ``sound`` are filled by the run. Sound is encoded in Opus, which every
    browser takes (RFC 7874 section 3), and at its own pace even if nobody hears it.
    """

    def __init__(
        self, limits: Bitrate, hardware: bool, on_error: Callable[[BaseException], None]
    ) -> None:
        self.pictures = Pictures()
        self.sound: SoundQueue = SoundQueue()
        self.clocks = {"video": SourceClock(VIDEO_RATE), "audio": SourceClock(AUDIO_RATE)}
        self.timeline = Timeline()
        self._limits = limits
        self._hardware = hardware
        self._on_error = on_error
        self._loop = asyncio.get_running_loop()
        self._encodings: dict[str, Encoding] = {}

    def encoding(self, kind: str, codec: RTCRtpCodecParameters) -> Encoding:
        """The one encoding of this codec."""
        encoding = self._encodings.get(codec.name)
        if encoding is None:
            if kind == "video":
                # A picture's marks are of one way: that of the first codec.
                timeline = None if self.pictures.slots else self.timeline
                slot, limits = self.pictures.add(), self._limits
                encoding = VideoEncoding(self._loop, codec, slot, limits, self._hardware, timeline)
            else:
                encoding = AudioEncoding(self._loop, codec, self.sound)
            encoding.on_error = self._on_error
            self._encodings[codec.name] = encoding
        return encoding

    def start_sound(self) -> None:
        """Let the sound's time pass from now on, whether anybody hears it or not."""
        self.encoding("audio", OPUS).start()

    def close(self) -> None:
        """End all of it; returns at once."""
        self.pictures.close()
        self.sound.close()
        for encoding in self._encodings.values():
            encoding.close()
