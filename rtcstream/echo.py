"""Whether a microphone hears what was just sent to its page: an answer, out of a loudspeaker."""

import threading
from collections import deque

import numpy as np
from numpy.typing import NDArray

from .annotations import SAMPLE_RATE
from .vad import SPEECH_RATE

FRAME = SPEECH_RATE // 50
"""Samples of a frame that is sent, at the rate at which it is compared."""


class Echo:
    """Compares a microphone with what its session has sent.

    A sound that comes back is like what was sent at one moment before; two voices are not alike
    over half a second, whatever they say. ``sent`` is for the encoder's thread, the rest for the
    decoder's.
    """

    WINDOW = 0.5
    """Seconds that are compared."""
    LATEST = 1.0
    """Seconds after which a sound comes back at most: the network's way there and back, the
    browser's buffer, the loudspeaker's and the microphone's."""
    SHARE = 0.08
    """Of the microphone's power that is like what was sent, from which on it is an echo. A small
    loudspeaker in a room gives 0.1 to 0.4, another voice 0.04 in nineteen blocks of twenty."""
    _FFT = 1 << 15

    def __init__(self) -> None:
        self._lock = threading.Lock()
        frames = round((self.WINDOW + self.LATEST) * SPEECH_RATE / FRAME)
        self._sent = deque([np.zeros(FRAME, np.float32)] * frames, maxlen=frames)
        self._left = 0
        """Frames after which all of these are silence."""
        self._heard = np.zeros(round(self.WINDOW * SPEECH_RATE), np.float32)

    def sent(self, sound: NDArray[np.int16]) -> None:
        """20 ms that are about to be sent, of shape (960, 2)."""
        mono = sound.reshape(FRAME, SAMPLE_RATE // SPEECH_RATE, 2).mean((1, 2), dtype=np.float32)
        with self._lock:
            self._sent.append(mono / 32_768)
            self._left = len(self._sent) if sound.any() else max(self._left - 1, 0)

    def hear(self, block: NDArray[np.float32]) -> None:
        """A block of the microphone, mono of shape (1, n) at 16 kHz."""
        self._heard = np.concatenate([self._heard, block[0]])[-len(self._heard) :]

    def is_heard(self) -> bool:
        """Whether what the microphone hears just now is for a good part what was sent."""
        with self._lock:
            if not self._left:
                return False
            sent = np.concatenate(self._sent)
        # Differences, so that the low notes that all voices have count for less.
        ours, theirs = np.diff(sent), np.diff(self._heard)
        spectrum = np.fft.rfft(ours, self._FFT) * np.conj(np.fft.rfft(theirs, self._FFT))
        products = np.fft.irfft(spectrum, self._FFT)[: len(ours) - len(theirs) + 1]
        power = np.concatenate([[0.0], np.cumsum(np.square(ours, dtype=np.float64))])
        powers = power[len(theirs) :] - power[: -len(theirs)]
        # A little is added, or where nearly nothing was sent that would be like anything.
        shares = products**2 / (powers + 0.01 * powers.max() + 1e-9)
        return bool(shares.max() >= self.SHARE * np.sum(np.square(theirs)))
