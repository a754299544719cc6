"""av audio frames to numpy blocks, and what functions return to sound for the encoder."""

from collections.abc import Iterator
from typing import Any, Literal

import av
import numpy as np
from numpy.typing import NDArray

from .annotations import SAMPLE_RATE, Sound
from .errors import ResultError

LONGEST_HOLE = SAMPLE_RATE
"""Samples: a longer hole in what is received is not filled with silence but jumped over."""
FULL_SCALE = 32_768

Stereo = NDArray[np.int16]
"""Sound for the encoder: s16, shape (samples, 2), at 48 kHz."""


class Blocks:
    """Cuts what the microphone sends into the blocks that a function asks for.

    Yields ``(block, pts)``: float32 ``(channels, n)`` in -1..1 and the timestamp, in 1/48000 s, of
    its first sample. One resampler serves the session. Packets that were lost are silence, so that
    the count of samples stays true.
    """

    def __init__(self, sound: Sound) -> None:
        self.rate = sound.rate or SAMPLE_RATE
        self.given_up = 0
        """Samples of blocks that were begun when what follows was dropped."""
        channels = sound.channels or 2
        self._size = None if sound.seconds is None else max(round(sound.seconds * self.rate), 1)
        self._resampler = Resampler("fltp", channels, self.rate)
        self._waiting: list[NDArray[np.float32]] = []
        self._count = 0
        self._expected: int | None = None
        self._origin = 0
        self._given = 0

    def add(
        self, frame: av.AudioFrame, after_drop: bool = False
    ) -> Iterator[tuple[NDArray[np.float32], int]]:
        """The blocks that are complete with this frame, whose ``pts`` is in 1/48000 s.

        What was given up on purpose before it (``after_drop``) is not replaced by silence: the
        function that was too slow for it would have that to work through instead.
        """
        pts = frame.pts or 0
        hole = 0 if self._expected is None else pts - self._expected
        if -LONGEST_HOLE <= hole < 0:
            return  # a packet that came again
        if self._expected is None or after_drop or not 0 <= hole <= LONGEST_HOLE:
            self.given_up += self._count if after_drop else 0
            self._waiting, self._count = [], 0
            self._origin, self._given = pts, 0
        elif hole:
            self._append(_silence_like(frame, round(hole * frame.sample_rate / SAMPLE_RATE)))
        self._expected = pts + round(frame.samples * SAMPLE_RATE / frame.sample_rate)
        self._append(frame)
        while self._count and self._count >= (self._size or 1):
            at = self._origin + round(self._given * SAMPLE_RATE / self.rate)
            yield self._cut(self._size or self._count), at

    def _append(self, frame: av.AudioFrame) -> None:
        for samples in self._resampler.convert(frame):
            self._waiting.append(samples)
            self._count += samples.shape[1]

    def _cut(self, size: int) -> NDArray[np.float32]:
        whole = np.concatenate(self._waiting, axis=1)
        self._waiting = [whole[:, size:]] if size < whole.shape[1] else []
        self._count -= size
        self._given += size
        return np.array(whole[:, :size], np.float32)


class Resampler:
    """An ``av.AudioResampler`` that takes frames of changing form, one after another, without a
    seam: a peer may change to another codec, and files follow each other.

    From mono and to mono it goes by itself: FFmpeg keeps the power, so that a voice in the middle
    would be 3 dB louder in mono, and a mono one 3 dB quieter on both sides.
    """

    def __init__(self, format: Literal["fltp", "s16p"], channels: int, rate: int) -> None:
        self._format, self._channels, self._rate = format, channels, rate
        self._from: tuple[str, str, int] | None = None
        self._resampler: av.AudioResampler | None = None

    def convert(self, frame: av.AudioFrame) -> list[NDArray[Any]]:
        """What a frame gives, as (channels, n); of an earlier form, what was held back."""
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        held = self.flush() if form != self._from else []
        if self._resampler is None:
            layout = "mono" if frame.layout.nb_channels == 1 else "stereo"
            self._from, self._resampler = form, av.AudioResampler(self._format, layout, self._rate)
        frame.pts = None  # the resampler would fill what it takes for holes
        return held + [self._arranged(f) for f in self._resampler.resample(frame)]

    def flush(self) -> list[NDArray[Any]]:
        """What is held back: the filter's last samples."""
        resampler, self._resampler = self._resampler, None
        return [self._arranged(f) for f in resampler.resample(None)] if resampler else []

    def _arranged(self, frame: av.AudioFrame) -> NDArray[Any]:
        samples = frame.to_ndarray()
        if len(samples) == self._channels:
            return samples
        return samples.mean(0, keepdims=True) if self._channels == 1 else samples.repeat(2, 0)


def _silence_like(frame: av.AudioFrame, count: int) -> av.AudioFrame:
    silence = av.AudioFrame(frame.format.name, frame.layout.name, count)
    silence.sample_rate = frame.sample_rate
    for plane in silence.planes:
        plane.update(bytes(plane.buffer_size))
    return silence


class Mixer:
    """Samples in any of the accepted forms to stereo for the encoder.

    One resampler for each rate, so that blocks join without a click. ``clipped`` counts samples
    that were louder than full scale.
    """

    def __init__(self) -> None:
        self.clipped = 0
        self._resampler = Resampler("s16p", 2, SAMPLE_RATE)

    def mix(self, samples: Any, rate: int) -> Stereo:
        """Convert samples at ``rate``. Raises ResultError saying what is wrong with them."""
        channels = _as_channels(samples)
        pair = np.stack([channels[0], channels[-1]], axis=1)
        if channels.dtype != np.int16:
            floats = _as_floats(pair)
            self.clipped += int(np.count_nonzero(np.abs(floats) > 1.0))
            pair = np.clip(np.rint(floats * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1)
        stereo = np.asarray(pair, np.int16)
        if not 1000 <= rate <= 384_000:
            raise ResultError(f"the rate of samples must be from 1000 to 384000 Hz, not {rate!r}")
        if not len(stereo):
            return stereo
        if rate == SAMPLE_RATE:
            return np.concatenate([self.flush(), stereo])
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(stereo).reshape(1, -1), format="s16", layout="stereo"
        )
        frame.sample_rate = rate
        return self.frame(frame)

    def frame(self, frame: av.AudioFrame) -> Stereo:
        """Convert an av frame of any format, rate and layout."""
        return _joined(self._resampler.convert(frame))

    def flush(self) -> Stereo:
        """The last samples of what was converted, which a resampler holds back."""
        return _joined(self._resampler.flush())


def _joined(parts: list[NDArray[Any]]) -> Stereo:
    whole: Stereo = np.concatenate([np.zeros((2, 0), np.int16), *parts], axis=1)
    return whole.T


def _as_channels(samples: Any) -> NDArray[Any]:
    """The samples as (1 or 2, n)."""
    if not isinstance(samples, np.ndarray):
        raise ResultError(
            f"samples must be a numpy array of shape (channels, n), not {type(samples).__name__}"
        )
    if samples.ndim == 1:
        return samples[None]
    if samples.ndim == 2 and samples.shape[0] in (1, 2):
        return samples
    if samples.ndim == 2 and samples.shape[1] in (1, 2):
        return samples.T
    raise ResultError(
        f"samples must have the shape (n,), (channels, n) or (n, channels) with 1 or 2 channels, "
        f"not {samples.shape}"
    )


def _as_floats(channels: NDArray[Any]) -> NDArray[Any]:
    kind = channels.dtype
    if kind.kind == "f":
        if not np.isfinite(channels).all():
            raise ResultError("samples must be finite, but some are NaN or infinite")
        return channels.astype(np.float64 if kind.itemsize > 4 else np.float32)
    if kind == np.int32:
        return channels / 2.0**31
    if kind == np.uint8:
        return (channels.astype(np.float32) - 128) / 128
    raise ResultError(
        f"samples must be float in -1..1, int16, int32 or uint8, not {kind}; "
        "convert them with .astype(np.float32)"
    )
