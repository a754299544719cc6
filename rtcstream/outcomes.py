"""What a function gave, checked against what its signature promises."""

import operator
import os
from dataclasses import dataclass
from typing import Any, TypeAlias

import av

from . import media
from .annotations import SAMPLE_RATE, ResultSlot
from .errors import ResultError
from .results import to_json
from .samples import Mixer, Stereo
from .signature import Signature

Results: TypeAlias = tuple[tuple[str | None, Any], ...]
"""Names, None for the only one of a function, and data for the page."""


@dataclass(frozen=True)
class Outcome:
    """What one call, or one yield, gave: media to send (None: nothing new), and named results."""

    picture: av.VideoFrame | None = None
    sound: Stereo | None = None
    chunk: Any = None
    results: Results = ()


class Outcomes:
    """What one function gives, one outcome after the other."""

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._mixer = Mixer()

    @property
    def clipped(self) -> int:
        """Samples so far that were louder than full scale."""
        return self._mixer.clipped

    def check(self, returned: Any, size: tuple[int, int] | None) -> Outcome:
        """What was returned, or yielded, for a picture of ``size`` (width, height), None for none.
        Raises ResultError."""
        out = self._signature.out
        promised = [
            *(["an image"] if out.picture else []),
            *(["samples"] if out.sound else []),
            *(["a chunk"] if out.chunk else []),
        ]
        slots = out.results
        if not promised and not slots:
            if returned is not None:
                raise ResultError(f"it returned {_kind(returned)}, but its signature says -> None")
            return Outcome()
        may_be_none = out.optional or (not promised and all(slot.optional for slot in slots))
        if returned is None and may_be_none:
            return Outcome()
        count = len(promised) + len(slots)
        values: tuple[Any, ...] = (returned,)
        if count > 1:
            if not isinstance(returned, tuple) or len(returned) != count:
                more = [f"{len(slots)} {'more' if promised else 'results'}"] if slots else []
                what = " and ".join([*promised, *more])
                raise ResultError(
                    f"it returned {_kind(returned)}, but its signature promises a tuple of {what}"
                )
            values = returned
        elif promised and isinstance(returned, tuple) and not (out.sound and out.sound.rated):
            raise ResultError(
                f"it returned {_kind(returned)}, but its signature promises {promised[0]} alone; "
                "write `-> tuple[Image, T]` for results beside it"
            )
        given = dict(zip(promised, values, strict=False))
        picture = self._picture(given["an image"]) if out.picture else None
        if size is None and picture is not None:  # a generator's, which may be sent smaller
            size = picture.width, picture.height
        results = _results(slots, values[len(promised) :], size)
        return Outcome(
            picture=picture,
            sound=self._sound(given["samples"]) if out.sound else None,
            chunk=self._chunk(given["a chunk"]) if out.chunk else None,
            results=results,
        )

    def _picture(self, image: Any) -> Any:
        if image is None:
            self._nothing("an image", "Image")
            return None
        return self._frame(image)

    def _frame(self, image: Any) -> Any:
        """A picture as it goes on, with its ``width`` and ``height``. Raises ResultError."""
        form = self._signature.out.picture
        if form == "frame":
            if isinstance(image, av.VideoFrame):
                return image
            raise ResultError(f"it returned {_kind(image)}, but promises an av.VideoFrame")
        return media.to_frame(image, form or "bgr24")

    def _sound(self, sound: Any) -> Stereo | None:
        form = self._signature.out.sound
        assert form is not None
        if sound is None:
            self._nothing("samples", "Samples")
            return None
        if form.raw:
            if isinstance(sound, av.AudioFrame):
                return self._mixer.frame(sound)
            raise ResultError(f"it returned {_kind(sound)}, but promises an av.AudioFrame")
        taken = self._signature.sound_in
        rate = form.rate or (taken.rate if taken else None) or SAMPLE_RATE
        if form.rated:
            if not (isinstance(sound, tuple) and len(sound) == 2):
                raise ResultError(f"it returned {_kind(sound)}, but promises (rate, samples)")
            rate, sound = sound
            try:
                rate = operator.index(rate)
            except TypeError:
                raise ResultError(
                    f"the rate of samples must be a whole number, not {rate!r}"
                ) from None
        return self._mixer.mix(sound, rate)

    def _chunk(self, chunk: Any) -> Any:
        if isinstance(chunk, bytes | bytearray | memoryview | str | os.PathLike):
            return chunk
        raise ResultError(f"a chunk must be bytes or a path, not {type(chunk).__name__}")

    def _nothing(self, what: str, name: str) -> None:
        """Raises ResultError unless the signature allows for None."""
        if not self._signature.out.optional:
            raise ResultError(
                f"it returned None, but its signature promises {what}; "
                f"write `{name} | None` if there may be nothing new"
            )


def _results(
    slots: tuple[ResultSlot, ...], values: tuple[Any, ...], size: tuple[int, int] | None
) -> Results:
    named = []
    for number, (slot, value) in enumerate(zip(slots, values, strict=True), 1):
        if value is None:
            if slot.optional:
                continue
            raise ResultError("a result is None; write `T | None` if there may be nothing to say")
        name = slot.name or (None if len(slots) == 1 else f"result {number}")
        named.append((name, to_json(value, size)))
    return tuple(named)


def _kind(value: Any) -> str:
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    return "None" if value is None else f"a value of type {type(value).__name__}"
