"""Sound from the peer: packets to frames, in order, and what was lost concealed."""

import asyncio
from typing import Any

import av
import numpy as np
from aiortc.codecs import get_decoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from .audio_jitter import AudioJitterBuffer, SoundFrame
from .clock import AUDIO_RATE, SourceClock
from .decoder import Decoder, Task
from .opus import LONGEST_PACKET, SHORTEST_FRAME, OpusDecoder, libopus
from .receiver import MediaReceiver
from .sound import to_frame


class AudioDecoder(Decoder[av.AudioFrame]):
    """Sound. When it falls ``LIMIT`` packets (over a second) behind, the oldest goes; the reader
    sees the hole by the timestamps."""

    _last: tuple[int, int] | None = None
    """The samples of the last packet, and where they end."""

    def _admit(self, task: Task) -> bool:
        if len(self._tasks) >= self.LIMIT:
            self.dropped += 1
            self._tasks.popleft()
        return True

    def _decode(self, codec: RTCRtpCodecParameters, encoded: JitterFrame) -> list[av.AudioFrame]:
        if codec.name != self._codec_name:
            library = libopus() if codec.name == "opus" else None
            self._codec = OpusDecoder(library) if library else get_decoder(codec)
            self._codec_name, self._last = codec.name, None
        # In the ticks of Opus, whatever the codec's own clock is (8000 for G.711 and G.722).
        pts = encoded.timestamp * AUDIO_RATE // codec.clockRate
        concealed, silence = self._conceal(encoded, pts)
        frames: list[av.AudioFrame] = self._codec.decode(encoded)
        for frame in frames:
            frame.pts = pts
            self._last = frame.samples, pts + frame.samples
        if concealed and silence:
            concealed[-1] = _faded(concealed[-1], 1.0, 0.0)
            frames = [_faded(frame, 0.0, 1.0) for frame in frames]
        return concealed + frames

    def _conceal(self, encoded: JitterFrame, pts: int) -> tuple[list[av.AudioFrame], int]:
        """What stands for the packets that were lost before this one, as far as that goes, and the
        samples that are missing even so: they are silence, by the timestamps."""
        if not (isinstance(encoded, SoundFrame) and encoded.lost and self._last):
            return [], 0
        samples, end = self._last
        hole = pts - end
        count = min(hole, encoded.lost * samples, LONGEST_PACKET)
        if not isinstance(self._codec, OpusDecoder) or count < SHORTEST_FRAME:
            return [], 0
        count -= count % SHORTEST_FRAME
        sound = self._codec.conceal(count, encoded.data if count == hole else None)
        places = range(0, count, samples)
        return [to_frame(sound[at : at + samples], end + at) for at in places], hole - count


def _faded(frame: av.AudioFrame, start: float, end: float) -> av.AudioFrame:
    """A frame that gets louder or quieter from one end to the other."""
    sound = frame.to_ndarray().reshape(-1, 2)
    ramp = np.linspace(start, end, len(sound))[:, np.newaxis]
    return to_frame((sound * ramp).astype(np.int16), frame.pts or 0)


class AudioReceiver(MediaReceiver[av.AudioFrame]):
    """Sound, each packet's as soon as it is its turn."""

    def __init__(self, transport: Any) -> None:
        clock, self._packets = SourceClock(AUDIO_RATE), AudioJitterBuffer()
        super().__init__("audio", transport, clock, AudioDecoder, self._packets)
        self._due: asyncio.TimerHandle | None = None

    async def stop(self) -> None:
        if self._due is not None:
            self._due.cancel()
        await super().stop()

    def _release(self) -> None:
        super()._release()
        # What waits for a missing packet goes on without it, even if nothing more comes.
        if self._due is not None:
            self._due.cancel()
        wait = self._packets.wait
        loop = asyncio.get_running_loop()
        self._due = None if wait is None else loop.call_later(wait, self._release)
