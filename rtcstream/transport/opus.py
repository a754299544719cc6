"""Opus decoded by libopus itself, which can do more for lost packets than FFmpeg asks it to."""

import ctypes
import ctypes.util
import errno
import functools
import logging

import av
import numpy as np
from aiortc.jitterbuffer import JitterFrame

from .clock import AUDIO_RATE
from .libraries import carried
from .sound import Sound, to_frame

logger = logging.getLogger(__name__)

CHANNELS = 2
LONGEST_PACKET = AUDIO_RATE * 120 // 1000
"""Samples (RFC 6716 section 3.2.5)."""
SHORTEST_FRAME = AUDIO_RATE // 400


@functools.cache
def libopus() -> ctypes.CDLL | None:
    """The library: the one that a wheel of av carries, or else the system's, if it has one."""
    path = carried("opus") or ctypes.util.find_library("opus")
    try:
        return ctypes.CDLL(str(path)) if path else None
    except OSError as error:
        logger.warning("libopus cannot be used, so lost sound is silence: %s", error)
        return None


class OpusDecoder:
    """Packets of Opus to stereo sound at 48 kHz."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._state = ctypes.create_string_buffer(library.opus_decoder_get_size(CHANNELS))
        self._sound = (ctypes.c_int16 * (LONGEST_PACKET * CHANNELS))()
        library.opus_decoder_init(self._state, AUDIO_RATE, CHANNELS)

    def decode(self, encoded: JitterFrame) -> list[av.AudioFrame]:
        """A packet's sound. Raises av.FFmpegError."""
        return [to_frame(self._decode(encoded.data, LONGEST_PACKET, 0), encoded.timestamp)]

    def conceal(self, count: int, following: bytes | None = None) -> Sound:
        """So many samples, at most a packet's, in place of lost ones; a multiple of 2.5 ms.

        The packet that follows right after them may carry a copy of the last (RFC 7587 section
        3.3); before, and without, the decoder goes on from what it has, ever more quietly.
        """
        return self._decode(following, count, 1)

    def _decode(self, data: bytes | None, room: int, correct: int) -> Sound:
        count = self._library.opus_decode(
            self._state, data, len(data or b""), self._sound, room, correct
        )
        if count < 0:
            raise av.InvalidDataError(errno.EINVAL, f"libopus refuses a packet ({count})")
        sound: Sound = np.ctypeslib.as_array(self._sound)
        return sound[: count * CHANNELS].reshape(-1, CHANNELS).copy()
