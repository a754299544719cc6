"""What functions take as a whole: recordings, and turns of speech."""

import wave
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray


class Recording:
    """What the visitor recorded: ``samples``, float32 ``(channels, n)`` at ``rate`` Hz.

    ``path`` is a .wav of it, made when asked for and deleted when the function has returned, or
    its generator has ended. Made of an array, or of parts one after another; int16 is fine. Its
    files go into a ``folder`` that somebody else deletes, or into one of its own.
    """

    def __init__(
        self,
        samples: NDArray[Any] | Sequence[NDArray[Any]],
        rate: int,
        folder: Path | None = None,
    ) -> None:
        self.rate = rate
        self._others = folder
        self._parts = [samples] if isinstance(samples, np.ndarray) else samples
        self._folder: TemporaryDirectory[str] | None = None

    def __repr__(self) -> str:
        channels = self._parts[0].shape[0]
        sound = "mono" if channels == 1 else f"{channels} channels"
        return f"{type(self).__name__}({self.seconds:.1f} s, {sound}, {self.rate} Hz)"

    @cached_property
    def samples(self) -> NDArray[Any]:
        """The sound, joined when it is first asked for: by the function, on its own thread."""
        whole = np.concatenate(self._parts, axis=1, dtype=np.float32)
        if self._parts[0].dtype == np.int16:
            whole /= 32_768
        self._parts = [whole]
        return whole

    @property
    def seconds(self) -> float:
        """Its length."""
        return float(sum(part.shape[1] for part in self._parts) / self.rate)

    @property
    def path(self) -> Path:
        """A .wav of it, 16-bit, made now if it was not asked for before."""
        path = self.folder / "take.wav"
        if not path.exists():
            with wave.open(str(path), "wb") as file:
                file.setnchannels(self._parts[0].shape[0])
                file.setsampwidth(2)
                file.setframerate(self.rate)
                for part in self._parts:
                    file.writeframesraw(_int16(part).T.astype("<i2").tobytes())
        return path

    @property
    def folder(self) -> Path:
        """A folder that is deleted with the recording."""
        if self._others is not None:
            return self._others
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="rtcstream-")
        return Path(self._folder.name)

    def delete(self) -> None:
        """Delete the files; done for you when the function has returned."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def _int16(samples: NDArray[Any]) -> NDArray[np.int16]:
    if samples.dtype == np.int16:
        return samples
    return (samples * 32_768).round().clip(-32_768, 32_767).astype(np.int16)


class Utterance(Recording):
    """One turn of speech: mono ``samples`` of shape (1, n) at 16 kHz.

    It has at least the turn's ``minimum`` of speech (0.2 s, which a quick "yes" has), ``preroll``
    before that and 0.2 s of the pause behind it. Longer speech is cut at 60 s, which the page is
    told: the rest is a turn of its own. Who speak at the same time are one turn. In a quiet room a
    voice of -45 dB of full scale is heard. With the extra ``vad`` music is none, and a whisper is
    noticed after about a second; without, music is a turn, and a whisper is none.
    """


class VideoRecording:
    """What the visitor recorded with the camera and the microphone, as an .mp4 at ``path``.

    ``seconds`` is its length. ``frames`` goes through its pictures, uint8 BGR ``(height, width,
    3)``; ``samples`` is its sound, float32 ``(2, n)`` at ``rate`` 48000 Hz. The file is deleted
    when the function has returned, or its generator has ended.
    """

    rate = 48_000

    def __init__(self, path: Path, seconds: float, delete: Callable[[], None]) -> None:
        self.path = path
        self.seconds = seconds
        self._delete = delete

    @property
    def frames(self) -> Iterator[NDArray[Any]]:
        """Its pictures, one after another: decoded as they are asked for."""
        with av.open(self.path) as file:
            for frame in file.decode(video=0):
                yield frame.to_ndarray(format="bgr24")

    @property
    def samples(self) -> NDArray[Any]:
        """Its sound, decoded now; empty when there was none."""
        parts: list[NDArray[Any]] = [np.zeros((2, 0), np.float32)]
        with av.open(self.path) as file:
            if file.streams.audio:
                resampler = av.AudioResampler("fltp", "stereo", self.rate)
                for frame in file.decode(audio=0):
                    parts += [part.to_ndarray() for part in resampler.resample(frame)]
        return np.concatenate(parts, axis=1)

    def delete(self) -> None:
        """Delete the file; done for you when the function has returned."""
        self._delete()
