"""One run's pictures and sound, encoded once for each codec, whatever the number of viewers."""

import asyncio
from collections.abc import Callable

import av
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from .bitrate import Bitrate
from .clock import AUDIO_RATE, VIDEO_RATE, SourceClock
from .encoding import AudioEncoding, Encoding, VideoEncoding
from .slot import Slot
from .sound import SoundQueue
from .timeline import Timeline

OPUS = RTCRtpCodecParameters("audio/opus", clockRate=AUDIO_RATE, channels=2)


class Pictures(Slot[av.VideoFrame]):
    """A slot whose pictures go on to the slots of all encoders, whatever their codecs."""

    def __init__(self) -> None:
        super().__init__()
        self.slots: tuple[Slot[av.VideoFrame], ...] = ()
        self._newest: av.VideoFrame | None = None

    def put(self, item: av.VideoFrame) -> None:
        self._newest = item
        for slot in self.slots:
            slot.put(item)

    def add(self) -> Slot[av.VideoFrame]:
        """Another slot, with the newest picture in it."""
        slot: Slot[av.VideoFrame] = Slot()
        if self._newest is not None:
            slot.put(self._newest)
        self.slots = (*self.slots, slot)
        return slot

    def clear(self) -> None:
        self._newest = None
        for slot in self.slots:
            slot.clear()

    def close(self) -> None:
        super().close()
        for slot in self.slots:
            slot.close()


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
